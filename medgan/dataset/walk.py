"""Folder -> every file below it, in a stable order, each with a verdict where its kind alone decides."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

Identity = tuple[int, int]
"""(device, inode): two paths with the same are the same folder."""


@dataclass(frozen=True, slots=True)
class Found:
    """One file met on the way; `verdict` is "ok" when its content has to decide."""

    path: Path
    verdict: str = "ok"
    reason: str = ""


def walk(root: Path) -> Iterator[Found]:
    """Every file below `root`, sorted by path; links are followed, but never round in a circle."""
    pending: list[tuple[Path, frozenset[Identity]]] = [(root, frozenset())]
    while pending:
        path, above = pending.pop()
        try:
            status = path.stat()
            if not stat.S_ISDIR(status.st_mode):
                yield _judge(path, status.st_mode, root)
                continue
            here = (status.st_dev, status.st_ino)
            if here in above:
                yield Found(path, "skip:special-file", "a link back to a folder that holds it")
                continue
            children = sorted(path.iterdir(), reverse=True)
        except OSError as error:
            yield Found(path, "error:unreadable", unreadable(error))
            continue
        pending.extend((child, above | {here}) for child in children)


def look(path: Path) -> Found:
    """The verdict of a single path that a table or a list names, as `walk` would give it."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return Found(path, "error:not-found", "there is no such file")
    except OSError as error:
        return Found(path, "error:unreadable", unreadable(error))
    if stat.S_ISDIR(mode):
        return Found(path, "skip:special-file", "a folder, not a file")
    return _judge(path, mode, path.parent)


def unreadable(error: OSError) -> str:
    """Why the system would not open a file, without its path."""
    return f"cannot be opened: {error.strerror or type(error).__name__}"


def _judge(path: Path, mode: int, root: Path) -> Found:
    if not stat.S_ISREG(mode):
        return Found(path, "skip:special-file", "not a regular file (a pipe, socket or device)")
    if any(name.startswith(".") for name in path.relative_to(root).parts):
        return Found(path, "skip:not-medical", "a hidden file")
    return Found(path)
