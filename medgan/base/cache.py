"""The environment in, the user's private cache folder out: what medgan keeps between runs lies there, and holds pixels of patients."""

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
STACKS, INDEX = "stacks", "index.sqlite"
"""What medgan itself puts there: prepared images, and what is known of files already read."""


def folder() -> Path:
    """The cache folder, made where there is none, and open to nobody but its owner (0700).

    OutputError where it cannot be made or written to, is somebody else's, or is open to others and holds files that are not ours.
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
    """`$MEDGAN_CACHE`, else `$XDG_CACHE_HOME/medgan`, else `~/.cache/medgan`; nothing is made.

    The XDG Base Directory specification has a relative XDG_CACHE_HOME ignored.
    """
    if wish := os.environ.get(VARIABLE):
        return Path(wish).absolute()
    base = Path(os.environ.get("XDG_CACHE_HOME") or ".")
    return (base if base.is_absolute() else Path("~/.cache").expanduser()) / "medgan"


def stacks_folder() -> Path:
    """The folder of prepared images in the cache."""
    place = folder() / STACKS
    try:
        place.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise cache_error(place, error) from error
    return place


def is_own_file(path: Path) -> bool:
    """Whether medgan put `path` into the cache folder; SQLite keeps a journal beside its file."""
    return path.name == STACKS or path.name.partition("-")[0] == INDEX


@contextmanager
def file_lock(place: Path, *, alone: bool = False, wait: bool = True) -> Iterator[None]:
    """`acquire_lock` for as long as the block lasts."""
    let_go = acquire_lock(place, alone=alone, wait=wait)
    try:
        yield
    finally:
        let_go()


def acquire_lock(place: Path, *, alone: bool = False, wait: bool = True) -> Callable[[], None]:
    """Keep a file or folder from being cleared, or from all others with `alone`; what comes back lets go of it.

    The system lets go when the process ends, however it ends. BlockingIOError instead of waiting where `wait` is false.
    Windows knows no such lock: nothing is held there.
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
    """The sentence for a cache that the disk refuses."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return OutputError(
            f"{place}: the disk is full",
            hint=f"Free some space, or set {VARIABLE} to a folder on another disk; then repeat the command: it goes on.",
        )
    return OutputError(
        f"{place}: the cache cannot be used ({error.strerror or error})",
        hint=f"Set {VARIABLE} to a folder of your own.",
    )


def _restrict_access(place: Path) -> None:
    """Take the rights of others away, but never from a folder in which the user keeps other things too."""
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
            f"{place}: the cache folder is open to other users, and it would hold pixels of patients",
            hint=f"Run chmod 700 on it, or set {VARIABLE} to a folder of your own.",
        )
