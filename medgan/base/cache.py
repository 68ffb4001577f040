"""Locate and lock the user's private cache folder.

medgan keeps there what it needs from one run to the next. The folder holds pixels of patients, so only its
owner may open it.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from medgan.base.errors import OutputError

if sys.platform != "win32":
    import fcntl

VARIABLE = "MEDGAN_CACHE"
"""Environment variable that names the cache folder."""
STACKS = "stacks"
"""Sub-folder of prepared training images."""
INDEX = "index.sqlite"
"""Database of facts about files that were read before."""


def folder() -> Path:
    """Create the cache folder if needed and return its path.

    Only the owner may open the folder (mode 0700).

    Raises:
        OutputError: the folder cannot be created or written to, belongs to another user, or is open to other
            users and holds files that medgan did not write.
    """
    place = cache_location()
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        if sys.platform != "win32":
            _restrict_access(place)
        if not os.access(place, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise cache_error(place, error) from error
    return place


def cache_location() -> Path:
    """Path of the cache folder, without creating it.

    The first of `$MEDGAN_CACHE`, `$XDG_CACHE_HOME/medgan` and `~/.cache/medgan`. A relative XDG_CACHE_HOME is
    ignored, as the XDG Base Directory specification demands.
    """
    if configured := os.environ.get(VARIABLE):
        return Path(configured).absolute()
    base = Path(os.environ.get("XDG_CACHE_HOME") or ".")
    return (base if base.is_absolute() else Path("~/.cache").expanduser()) / "medgan"


def stacks_folder() -> Path:
    """Create the cache's folder of prepared images if needed and return its path."""
    place = folder() / STACKS
    try:
        place.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise cache_error(place, error) from error
    return place


def is_own_file(path: Path) -> bool:
    """Whether medgan put `path` into the cache folder.

    SQLite keeps a journal beside its file, which counts as well.
    """
    return path.name == STACKS or path.name.partition("-")[0] == INDEX


@contextmanager
def file_lock(place: Path, *, alone: bool = False, wait: bool = True) -> Iterator[None]:
    """Hold a lock on a file or folder while the block runs (see `acquire_lock`)."""
    release = acquire_lock(place, alone=alone, wait=wait)
    try:
        yield
    finally:
        release()


def acquire_lock(place: Path, *, alone: bool = False, wait: bool = True) -> Callable[[], None]:
    """Lock a file or folder, and return a function that releases the lock.

    The operating system releases the lock when the process ends, however it ends. Windows has no such lock:
    nothing is locked there.

    Args:
        place: File or folder to lock. Locking it keeps `medgan cache --clear` from removing it.
        alone: Lock out all other holders; otherwise any number of holders may share the lock.
        wait: Wait for other holders; otherwise raise BlockingIOError.
    """
    if sys.platform == "win32":
        return lambda: None
    handle = os.open(place, os.O_RDONLY)
    try:
        fcntl.flock(handle, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        os.close(handle)
        raise
    return partial(os.close, handle)


def cache_error(place: Path, error: OSError) -> OutputError:
    """The error for a cache folder that the disk refuses to read or write."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return OutputError(
            f"{place}: the disk is full",
            hint=f"Free some space or set {VARIABLE} to a folder on another disk, then repeat the command: "
            "it continues where it stopped.",
        )
    return OutputError(
        f"{place}: the cache cannot be used ({error.strerror or error})",
        hint=f"Set {VARIABLE} to a folder of your own.",
    )


def _restrict_access(place: Path) -> None:
    """Close the folder to other users, unless the user keeps other things in it too."""
    facts = place.stat()
    if facts.st_uid != os.geteuid():
        raise OutputError(
            f"{place}: the cache folder belongs to another user",
            hint=f"Set {VARIABLE} to a folder of your own.",
        )
    if not stat.S_IMODE(facts.st_mode) & 0o077:
        return
    if all(map(is_own_file, place.iterdir())):
        place.chmod(0o700)
    if stat.S_IMODE(place.stat().st_mode) & 0o077:
        raise OutputError(
            f"{place}: other users can open the cache folder, which holds pixels of patients",
            hint=f"Run chmod 700 on it, or set {VARIABLE} to a folder of your own.",
        )
