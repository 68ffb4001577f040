"""Find the file that a path in a table means.

Table and disk may write its name differently.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

from medgan.dataset.source import relative_name, to_valid_text

_IMAGE_ENDINGS = (
    ".nii.gz", ".nii", ".hdr", ".dcm", ".dicom", ".ima", ".png", ".jpg", ".jpeg", ".tif", ".tiff",
    ".mha", ".mhd", ".nrrd", ".nhdr", ".mgz", ".mgh", ".bmp", ".gif", ".webp", ".jp2",
)  # fmt: skip
"""Endings of image files, including formats that are not read and only get a verdict."""


@dataclass(slots=True)
class _NameIndex:
    """Files and folders by their normalised names, and files by their stems."""

    whole: dict[str, list[Path]] = field(default_factory=dict)
    stems: dict[str, list[Path]] = field(default_factory=dict)

    @classmethod
    def of(cls, paths: Iterable[Path]) -> _NameIndex:
        """Index paths by name."""
        names = cls()
        for path in paths:
            whole = _normalise_name(path.name)
            names.whole.setdefault(whole, []).append(path)
            if (stem := _image_stem(whole)) != whole:
                names.stems.setdefault(stem, []).append(path)
        return names

    def find(self, name: str) -> list[Path]:
        """Paths with this name, or files with this stem if the name has no ending."""
        return self.whole.get(_normalise_name(name), []) or self.stems.get(_normalise_name(name), [])


class PathLookup:
    """Resolve the paths in the rows of a table, below the root or beside the table."""

    def __init__(self, root: Path, beside: Path, files: Iterable[Path]) -> None:
        """Prepare to look up paths. `files` are those that were found below the root."""
        self.root = root
        self.homes = (root, beside)
        self.files = files
        self._folders: dict[Path, _NameIndex] = {}

    def place(self, key: str) -> tuple[Path, str]:
        """The path that `key` means, and why there is no such file if there is none.

        Tried in turn are the exact name, also with Windows separators; the name in another Unicode form (a
        Mac decomposes letters) or case; the name without its ending, as tables of image numbers give it; and
        the bare name in any folder. The last three count only where a single file matches.
        """
        ways = tuple(dict.fromkeys((key, key.replace("\\", "/"))))
        exact = [home / way for way in ways for home in self.homes]
        for place in exact:
            if os.path.exists(place):  # noqa: PTH110 pathlib raises for a name too long
                return place, ""
        for way in ways:
            for found in (*(self._alike(home, way) for home in self.homes), self._anywhere(way)):
                if found:
                    return (found[0], "") if len(found) == 1 else (exact[0], self._several(found))
        return exact[0], "there is no such file"

    def _alike(self, home: Path, way: str) -> list[Path]:
        """The paths that `way` leads to from `home`, matching name by name."""
        places = [home]
        for part in PurePosixPath(way).parts:
            there = [place / part for place in places if os.path.exists(place / part)]  # noqa: PTH110
            places = there or [found for place in places for found in self._in(place).find(part)]
        return places

    def _in(self, folder: Path) -> _NameIndex:
        if folder not in self._folders:
            try:
                self._folders[folder] = _NameIndex.of(sorted(folder.iterdir()))
            except OSError:
                self._folders[folder] = _NameIndex()
        return self._folders[folder]

    def _anywhere(self, way: str) -> list[Path]:
        return [] if "/" in way else self._everywhere.find(way)

    @cached_property
    def _everywhere(self) -> _NameIndex:
        return _NameIndex.of(self.files)

    def _several(self, found: list[Path]) -> str:
        some = " or ".join(to_valid_text(relative_name(path, self.root)) for path in found[:2])
        more = f" ({len(found)} in all)" if len(found) > 2 else ""
        return f"there is no such file; it could be {some}{more}: write the folder and the ending, too"


def _normalise_name(name: str) -> str:
    """Bring a name to a form for comparison.

    It is composed (Unicode Standard Annex 15, form C) and without case.
    """
    return unicodedata.normalize("NFC", name).casefold()


def _image_stem(name: str) -> str:
    """A normalised name without the ending of an image, if it has one."""
    return next((name.removesuffix(end) for end in _IMAGE_ENDINGS if name.endswith(end)), name)
