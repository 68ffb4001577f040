"""List every file below a folder, in a stable order.

A file gets a verdict here if its kind alone decides.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from medgan.dataset.source import FileEntry

_Identity = tuple[int, int]
"""(device, inode). Two paths with the same pair are the same folder."""

_SYSTEM_FOLDERS = frozenset(
    {
        # Synology, QNAP
        "@eadir", "@tmp", "@sharebin", "#recycle", "#snapshot", "@recycle", "@recently-snapshot", ".@__thumb",
        # Windows
        "$recycle.bin", "recycler", "recycled", "system volume information", "found.000",
        # macOS
        "__macosx", ".appledouble", ".trashes", ".spotlight-v100", ".fseventsd", ".temporaryitems",
        ".documentrevisions-v100",
        # Others
        "network trash folder", "temporary items", "lost+found", ".trash", ".thumbnails",
        ".ipynb_checkpoints", "__pycache__",
    }
)  # fmt: skip
"""Names, in lower case, of folders that a NAS, an operating system or a program creates for itself.
Thumbnails and deleted files are not data."""
_SYSTEM_FILES = frozenset(
    {"thumbs.db", "ehthumbs.db", "desktop.ini", ".ds_store", ".localized", ".directory", "icon\r"}
)
_SYSTEM_PREFIXES = (".trash-", "._", "~$", ".~lock.")
"""Starts of names of deleted files (Linux), resource forks (macOS), and files that an office program has
open."""
_SYSTEM_SUFFIXES = (":zone.identifier", "@synoeastream", "@synoresource")


def walk(root: Path) -> Iterator[FileEntry]:
    """Yield every file below `root`, sorted by path.

    Links are followed, but a folder is listed once, however many links lead to it: under its own path if that
    is below `root`, else under the first link. So links in a circle or many links to one folder do not make
    the list longer than the disk.
    """
    tour = _FolderWalk(root)
    tour.list_from(root)
    while tour.links:
        links, tour.links = sorted(tour.links, key=_path_parts), []
        for link in links:
            tour.follow(link)
    yield from sorted(tour.found, key=lambda found: _path_parts(found.path))


def list_data(root: Path) -> list[Path]:
    """Paths of the files below `root` that may be data, sorted: none that are hidden or made by a system."""
    return [entry.path for entry in walk(root) if entry.verdict == "ok"]


def _path_parts(path: Path) -> tuple[str, ...]:
    return path.parts


@dataclass(slots=True)
class _FolderWalk:
    """What was found so far, and where each folder was met first."""

    root: Path
    found: list[FileEntry] = field(default_factory=list)
    homes: dict[_Identity, Path] = field(default_factory=dict)
    links: list[Path] = field(default_factory=list)
    """Links to folders that still have to be followed."""

    def list_from(self, start: Path) -> None:
        """List `start` and the folders below it.

        Links to folders wait until every folder has been met under its own path.
        """
        pending = [start]
        while pending:
            folder = pending.pop()
            try:
                pending += self._list(folder)
            except OSError as error:
                self.found.append(_refuse(folder, "error:unreadable", os_error_text(error)))

    def _list(self, folder: Path) -> list[Path]:
        """Record the files and links in a folder and return its sub-folders."""
        status = folder.stat()
        if not stat.S_ISDIR(status.st_mode):
            self.found.append(_check_file(folder, status.st_mode, self.root))
            return []
        passed = self._is_skipped(folder)
        home = folder if passed else self.homes.setdefault((status.st_dev, status.st_ino), folder)
        if home is not folder:  # what is passed over may be data all the same, where a link leads to it
            self.found.append(_linked_again(folder, home, self.root))
            return []
        inner = []
        for path in sorted(folder.iterdir()):
            if not os.path.isdir(path):  # noqa: PTH112 it never raises
                self.found.append(self._file(path))
            elif not path.is_symlink():
                inner.append(path)
            elif passed or is_ignored(path.name):
                self.found.append(_check_file(path, stat.S_IFREG, self.root))
            else:
                self.links.append(path)
        return inner

    def follow(self, link: Path) -> None:
        """List the folder that a link points to.

        A link to a folder that holds the link, or that was listed before, gets a verdict instead.
        """
        target, place = link.resolve(), link.parent.resolve()
        if place == target or target in place.parents:
            self.found.append(_refuse(link, "skip:special-file", "a link back to a folder that holds it"))
        else:
            self.list_from(link)

    def _file(self, path: Path) -> FileEntry:
        try:
            return _check_file(path, path.stat().st_mode, self.root)
        except OSError as error:
            return _refuse(path, "error:unreadable", os_error_text(error))

    def _is_skipped(self, folder: Path) -> bool:
        return any(map(is_ignored, folder.relative_to(self.root).parts))


def _refuse(path: Path, verdict: str, reason: str) -> FileEntry:
    """A file or folder that its kind alone refuses."""
    return FileEntry(path=path, verdict=verdict, reason=reason)


def _linked_again(folder: Path, home: Path, root: Path) -> FileEntry:
    where = "the data set itself" if home == root else home.relative_to(root).as_posix()
    return _refuse(folder, "skip:linked-folder", f"the same folder as {where}, where its files are listed")


def check_path(path: Path) -> FileEntry:
    """The verdict on a single path that a table or a list names."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, ValueError):  # ValueError: the name holds a zero byte
        return _refuse(path, "error:not-found", "there is no such file")
    except OSError as error:
        return _refuse(path, "error:unreadable", os_error_text(error))
    if stat.S_ISDIR(mode):
        return _refuse(path, "skip:special-file", "a folder, not a file")
    return _check_file(path, mode, path.parent)


def os_error_text(error: OSError) -> str:
    """Why the system would not open a file, without the file's path."""
    return f"cannot be opened: {error.strerror or type(error).__name__}"


def _is_system_name(name: str) -> bool:
    """Whether a system creates files or folders of this name for itself.

    Examples are thumbnails, deleted files and notes of a file manager.
    """
    name = name.lower()
    return (
        name in _SYSTEM_FOLDERS
        or name in _SYSTEM_FILES
        or name.startswith(_SYSTEM_PREFIXES)
        or name.endswith(_SYSTEM_SUFFIXES)
    )


def is_ignored(name: str) -> bool:
    """Whether a file or folder of this name, with all it contains, is not data.

    It is hidden, or belongs to the system.
    """
    return name.startswith(".") or _is_system_name(name)


def _check_file(path: Path, mode: int, root: Path) -> FileEntry:
    names = path.relative_to(root).parts
    if any(map(_is_system_name, names)):
        return _refuse(path, "skip:system-file", "made by an operating system, a NAS or a program for itself")
    if not stat.S_ISREG(mode):
        return _refuse(path, "skip:special-file", "not a regular file (a pipe, socket or device)")
    if any(name.startswith(".") for name in names):
        return _refuse(path, "skip:not-medical", "a hidden file")
    return FileEntry(path=path)
