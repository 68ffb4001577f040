"""Keep what was learned about files, so that only changed ones are read again.

The facts lie in one SQLite file in the private cache: digests and measurements, but no path and no raw
identifier. Of the text of headers only what may be written is kept: terms of the standard, and the classes
that the user takes from an attribute (--label-from-tag).
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from medgan import scans
from medgan.base import cache as cached
from medgan.base.errors import OutputError
from medgan.base.files import digest

Facts = dict[str, Any]
"""Keyword arguments of a dataclass, with tuples for sequences."""

_SETTLE_SECONDS = 2.0
"""Seconds after its last change before a file is remembered. A change within one tick of the clock would not
be noticed."""
_SEAL_DIGITS = 16
"""Hexadecimal digits of the digest that protects a stored text."""
_BATCH = 500
"""Facts written at once. A killed run loses no more than these."""
_READERS = ("numpy", "pydicom", "nibabel", "pillow", "scikit-image")
_CODECS = ("pylibjpeg", "pylibjpeg-openjpeg", "pylibjpeg-rle", "pyjpegls", "python-gdcm")
_PAIRED_ENDINGS = (".hdr", ".hdr.gz")
"""Endings of files that are read together with another one."""


class ScanCache:
    """Facts by key, stored in the user's cache.

    Without a usable cache it knows nothing and stores nothing.
    """

    def __init__(self) -> None:
        """Open the database, creating it if needed and replacing it if damaged."""
        self.found = 0
        """How often something was known."""
        self._waiting: list[tuple[str, str]] = []
        self._base = _open_database()

    def get(self, key: str) -> Facts | None:
        """The facts stored under a key, or None."""
        if self._base is None or not key:
            return None
        try:
            row = self._base.execute("SELECT facts FROM files WHERE key = ?", (key,)).fetchone()
        except sqlite3.Error:
            return None
        facts = None if row is None else _unseal(key, row[0])
        self.found += facts is not None
        return facts

    def put(self, key: str, facts: Facts) -> None:
        """Store facts under a key. An empty key marks a file that must not be stored."""
        if key and self._base is not None:
            self._waiting.append((key, _seal(key, json.dumps(facts, separators=(",", ":")))))
            if len(self._waiting) >= _BATCH:
                self.flush()

    def flush(self) -> None:
        """Write what was put. A full disk disables the cache, not the run."""
        if self._base is not None and self._waiting:
            try:
                with self._base:
                    self._base.executemany("INSERT OR REPLACE INTO files VALUES (?, ?)", self._waiting)
            except sqlite3.Error:
                self.close()
        self._waiting = []

    def close(self) -> None:
        """Close the database. What was not flushed is lost."""
        if self._base is not None:
            self._base.close()
            self._base = None


def _open_database() -> sqlite3.Connection | None:
    try:
        place = cached.folder() / cached.INDEX
        place.touch(mode=0o600)
        for attempt in (1, 2):
            base = sqlite3.connect(place, timeout=10)
            try:
                base.execute(
                    "CREATE TABLE IF NOT EXISTS files (key TEXT PRIMARY KEY, facts TEXT) WITHOUT ROWID"
                )
            except sqlite3.DatabaseError as error:
                base.close()
                if attempt == 2 or isinstance(error, sqlite3.OperationalError):  # locked, or the disk refuses
                    return None
                place.write_bytes(b"")
            else:
                return base
    except (OSError, OutputError, sqlite3.Error):
        return None
    return None


def _seal(key: str, text: str) -> str:
    """Prefix a text with a digest of it and its key, to detect damage."""
    return digest(key, text)[:_SEAL_DIGITS] + text


def _unseal(key: str, stored: object) -> Facts | None:
    """The facts in a sealed text, or None if it is damaged."""
    if not isinstance(stored, str) or stored != _seal(key, stored[_SEAL_DIGITS:]):
        return None
    return _to_tuples(json.loads(stored[_SEAL_DIGITS:]))


def _to_tuples(facts: Facts) -> Facts:
    """Turn the lists of JSON back into tuples."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in facts.items()}


def file_key(path: Path, *words: str) -> str:
    """The key of a file in its present state.

    It is empty for a file that must not be stored: one that changed a moment ago, or that is read together
    with another.

    Args:
        path: The file.
        words: What else decides how the file is read.
    """
    try:
        facts = path.stat()
    except OSError:
        return ""
    changed = max(facts.st_mtime, facts.st_ctime)
    if path.name.lower().endswith(_PAIRED_ENDINGS) or not 0 <= time.time() - changed >= _SETTLE_SECONDS:
        return ""
    where = str(path.absolute()).encode("utf-8", "surrogateescape")
    return digest(_reader_digest(), where, f"{facts.st_size} {facts.st_mtime_ns} {facts.st_ctime_ns}", *words)


def joint_key(keys: Iterable[str]) -> str:
    """The key of several files that are read together, in order.

    It is empty where one of them must not be stored.
    """
    keys = tuple(keys)
    return digest("together", *keys) if all(keys) else ""


@cache
def _reader_digest() -> str:
    """Digest of everything that decides what is read from a file.

    That is our own source code and the versions of the libraries below it.
    """
    total = hashlib.sha256()
    for folder in (Path(scans.__file__).parent, Path(__file__).parent):
        for module in sorted(folder.rglob("*.py")):
            total.update(module.read_bytes())
    for package in (*_READERS, *_CODECS):
        total.update(f"{package} {_version_of(package)}\n".encode())
    return total.hexdigest()


def _version_of(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"
