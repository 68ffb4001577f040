"""Folder names for classes that every file system, shell and loader accepts."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

from medgan.base.files import digest

_LONGEST = 40
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)", re.IGNORECASE)
"""Device names of Windows, which no folder there may have (Microsoft, "Naming Files, Paths, and
Namespaces")."""
_MARKED = re.compile(r".*-[0-9a-f]{8}", re.IGNORECASE)
"""The form of the results of `_shorten_with_digest`. A label of this form gets a digest as well, or it could
collide with one of them."""


def folder_names(labels: Iterable[str]) -> dict[str, str]:
    """{label: folder name} in ASCII letters, digits, "-" and "_".

    Where names collide, each gets a digest of its label.
    """
    names = {label: _folder_name(label) for label in sorted(set(labels))}
    taken = Counter(name.casefold() for name in names.values())  # Windows and macOS ignore case
    return {
        label: name if taken[name.casefold()] == 1 else _shorten_with_digest(name, label)
        for label, name in names.items()
    }


def _folder_name(label: str) -> str:
    """The folder name of one label by itself."""
    plain = unicodedata.normalize("NFKD", label).encode("ascii", "ignore").decode()  # é -> e
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", plain).strip("_-")
    if not name or len(name) > _LONGEST or _RESERVED.fullmatch(name) or _MARKED.fullmatch(name):
        return _shorten_with_digest(name, label)
    return name


def _shorten_with_digest(name: str, label: str) -> str:
    """Shorten `name` and append eight digits that depend on the whole label."""
    return f"{name[: _LONGEST - 9].rstrip('_-') or 'class'}-{digest(label)[:8]}"
