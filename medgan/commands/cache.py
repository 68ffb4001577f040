"""List and clear the cache of prepared images and scanned headers."""

from __future__ import annotations

import re
import shutil
import sqlite3
from collections.abc import Iterable
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from medgan.base.cache import INDEX, STACKS, cache_error, cache_location, file_lock, folder, is_own_file
from medgan.preparation.stack_file import PIXELS

_STACK_NAME = re.compile(r"stack-[0-9a-f]{32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheEntry:
    """A stack of prepared images, or the index of scanned files, that later commands reuse."""

    path: Path
    entries: int
    """Images of a stack (0 if preparing was interrupted) or rows of an index (0 if it is damaged)."""
    bytes: int
    changed: datetime
    used: datetime
    """When a command last opened the stack, or when the index last changed."""

    @classmethod
    def of(cls, path: Path, files: Iterable[Path], entries: int) -> CacheEntry:
        """Measure the `files` that make up the stack or index `path`."""
        facts = [file.stat() for file in files]
        return cls(
            path=path,
            entries=entries,
            bytes=sum(fact.st_size for fact in facts),
            changed=_utc_time(max((fact.st_mtime for fact in facts), default=path.stat().st_mtime)),
            used=_utc_time(path.stat().st_mtime),
        )

    def as_json(self) -> dict[str, Any]:
        """The documented JSON."""
        return {
            "name": self.path.name,
            "entries": self.entries,
            "bytes": self.bytes,
            "changed": self.changed.isoformat(),
            "used": self.used.isoformat(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheContents:
    """What lies in the cache folder."""

    path: Path
    stacks: tuple[CacheEntry, ...] = ()
    index: tuple[CacheEntry, ...] = ()
    """At most one."""
    unknown: tuple[Path, ...] = ()
    """What medgan did not put there: listed, but neither counted nor removed."""
    freed_bytes: int | None = None
    """Bytes that clearing gave back; None if the cache was not cleared."""

    @property
    def bytes(self) -> int:
        """Size of everything that medgan stored there."""
        return sum(kept.bytes for kept in (*self.stacks, *self.index))

    def as_json(self) -> dict[str, Any]:
        """The documented JSON."""
        return {
            "cache": str(self.path),
            "bytes": self.bytes,
            "freed_bytes": self.freed_bytes,
            "stacks": [kept.as_json() for kept in self.stacks],
            "index": [kept.as_json() for kept in self.index],
            "unknown": [path.relative_to(self.path).as_posix() for path in self.unknown],
        }


def cache(*, clear: bool = False) -> CacheContents:
    """Measure the cache, or with `clear` empty it first; a cache that does not exist is not created.

    What another process uses, and what medgan did not put there, stays.
    """
    if not cache_location().exists():
        return CacheContents(path=cache_location())
    place = folder()
    try:
        before = _measure_contents(place)
        if not clear:
            return before
        for kept in before.stacks:
            _remove_stack(kept.path)
        for kept in before.index:
            _clear_index(kept.path)
        left = _measure_contents(place)
    except OSError as error:
        raise cache_error(place, error) from error
    return replace(left, freed_bytes=before.bytes - left.bytes)


def _measure_contents(place: Path) -> CacheContents:
    """Measure what medgan stored in the cache folder, and list what it did not."""
    top = sorted(place.iterdir())
    inside = sorted((place / STACKS).iterdir()) if (place / STACKS).is_dir() else []
    stacks = [path for path in inside if _is_stack(path)]
    parts = [path for path in top if is_own_file(path) and path.name != STACKS]
    return CacheContents(
        path=place,
        stacks=tuple(CacheEntry.of(path, path.iterdir(), _count_images(path)) for path in stacks),
        index=tuple(CacheEntry.of(path, parts, _count_rows(path)) for path in parts if path.name == INDEX),
        unknown=tuple(path for path in (*top, *inside) if not is_own_file(path) and path not in stacks),
    )


def _is_stack(path: Path) -> bool:
    """Whether `path` is a stack of prepared images; a link out of the cache never is."""
    return bool(_STACK_NAME.fullmatch(path.name)) and path.is_dir() and not path.is_symlink()


def _count_images(stack: Path) -> int:
    """Count the images of a stack from its header; 0 if they are not all there."""
    try:
        return len(np.load(stack / PIXELS, mmap_mode="r"))
    except (OSError, ValueError, EOFError):
        return 0


def _count_rows(index: Path) -> int:
    """Count the rows in all tables of an index."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(index)) as base:
        return sum(
            base.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0] for table in _table_names(base)
        )
    return 0


def _table_names(base: sqlite3.Connection) -> list[str]:
    """List the tables of a database."""
    return [name for (name,) in base.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]


def _remove_stack(stack: Path) -> None:
    """Remove a stack, unless another process prepares or uses it."""
    with suppress(BlockingIOError), ExitStack() as locks:
        for place in (stack.parent, stack, *stack.glob(PIXELS)):
            locks.enter_context(file_lock(place, alone=True, wait=False))
        shutil.rmtree(stack)


def _clear_index(index: Path) -> None:
    """Empty an index and free its space, unless another process writes to it; remove a damaged one."""
    try:
        with closing(sqlite3.connect(index, timeout=0, isolation_level=None)) as base:
            base.execute("BEGIN EXCLUSIVE")
            for table in _table_names(base):
                base.execute(f'DELETE FROM "{table}"')
            base.execute("COMMIT")
            base.execute("VACUUM")  # otherwise the deleted rows would stay in the file
    except sqlite3.OperationalError:
        return
    except sqlite3.DatabaseError:
        index.unlink()


def _utc_time(seconds: float) -> datetime:
    """A time in UTC, to the second, from seconds since 1970."""
    return datetime.fromtimestamp(int(seconds), UTC)
