"""The private cache -> what lies in it; cleared when asked to, except for what another process uses and what medgan did not put there."""

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
from medgan.prepare.stack import PIXELS

STACK = re.compile(r"stack-[0-9a-f]{32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheEntry:
    """A stack or an index that commands left in the cache for the next one."""

    path: Path
    entries: int
    """Images of a stack, 0 where preparing was interrupted; rows of an index, 0 where it is damaged."""
    bytes: int
    changed: datetime
    used: datetime
    """When a command last opened a stack; of an index, when it last changed."""

    @classmethod
    def of(cls, path: Path, files: Iterable[Path], entries: int) -> CacheEntry:
        """Measure `files`, which together are the stack or index `path`."""
        facts = [file.stat() for file in files]
        return cls(
            path=path,
            entries=entries,
            bytes=sum(fact.st_size for fact in facts),
            changed=moment(max((fact.st_mtime for fact in facts), default=path.stat().st_mtime)),
            used=moment(path.stat().st_mtime),
        )

    def report(self) -> dict[str, Any]:
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
    """What medgan did not put there: listed, never counted, never removed."""
    freed_bytes: int | None = None
    """What clearing gave back; None where nobody asked to clear."""

    @property
    def bytes(self) -> int:
        """All that medgan keeps there."""
        return sum(kept.bytes for kept in (*self.stacks, *self.index))

    def report(self) -> dict[str, Any]:
        """The documented JSON."""
        return {
            "cache": str(self.path),
            "bytes": self.bytes,
            "freed_bytes": self.freed_bytes,
            "stacks": [kept.report() for kept in self.stacks],
            "index": [kept.report() for kept in self.index],
            "unknown": [path.relative_to(self.path).as_posix() for path in self.unknown],
        }


def cache(*, clear: bool = False) -> CacheContents:
    """What the cache holds or, with `clear`, what is left in it; a cache that is not there yet is not made."""
    if not cache_location().exists():
        return CacheContents(path=cache_location())
    place = folder()
    try:
        before = look(place)
        if not clear:
            return before
        for kept in before.stacks:
            remove(kept.path)
        for kept in before.index:
            forget(kept.path)
        left = look(place)
    except OSError as error:
        raise cache_error(place, error) from error
    return replace(left, freed_bytes=before.bytes - left.bytes)


def look(place: Path) -> CacheContents:
    """Measure what is ours in the cache folder `place`, and name what is not."""
    top = sorted(place.iterdir())
    inside = sorted((place / STACKS).iterdir()) if (place / STACKS).is_dir() else []
    stacks = [path for path in inside if is_stack(path)]
    parts = [path for path in top if is_own_file(path) and path.name != STACKS]
    return CacheContents(
        path=place,
        stacks=tuple(CacheEntry.of(path, path.iterdir(), images_in(path)) for path in stacks),
        index=tuple(CacheEntry.of(path, parts, rows_in(path)) for path in parts if path.name == INDEX),
        unknown=tuple(path for path in (*top, *inside) if not is_own_file(path) and path not in stacks),
    )


def is_stack(path: Path) -> bool:
    """Whether `prepare` made the folder `path`; a link is never followed out of the cache."""
    return bool(STACK.fullmatch(path.name)) and path.is_dir() and not path.is_symlink()


def images_in(stack: Path) -> int:
    """How many images a stack holds, from its header alone; 0 where they are not all there."""
    try:
        return len(np.load(stack / PIXELS, mmap_mode="r"))
    except (OSError, ValueError, EOFError):
        return 0


def rows_in(index: Path) -> int:
    """How many rows the tables of an index have together."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(index)) as base:
        return sum(base.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0] for table in tables(base))
    return 0


def tables(base: sqlite3.Connection) -> list[str]:
    """The names of the tables of a database."""
    return [name for (name,) in base.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]


def remove(stack: Path) -> None:
    """Remove a stack, unless another process prepares or uses it."""
    with suppress(BlockingIOError), ExitStack() as locks:
        for place in (stack.parent, stack, *stack.glob(PIXELS)):
            locks.enter_context(file_lock(place, alone=True, wait=False))
        shutil.rmtree(stack)


def forget(index: Path) -> None:
    """Empty an index and give its space back, unless another process is writing to it; one that is damaged is removed."""
    try:
        with closing(sqlite3.connect(index, timeout=0, isolation_level=None)) as base:
            base.execute("BEGIN EXCLUSIVE")
            for table in tables(base):
                base.execute(f'DELETE FROM "{table}"')
            base.execute("COMMIT")
            base.execute("VACUUM")  # else what was deleted would still lie in the file
    except sqlite3.OperationalError:
        return
    except sqlite3.DatabaseError:
        index.unlink()


def moment(seconds: float) -> datetime:
    """Seconds since 1970 as a time in UTC, to the second."""
    return datetime.fromtimestamp(int(seconds), UTC)
