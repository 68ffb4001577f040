"""A file, gzipped or not -> its first bytes, and all its bytes with size and checksum proven; never more than was claimed."""

from __future__ import annotations

import zlib
from pathlib import Path

from medgan.errors import ScanError

LIMIT = 2 * 2**30
"""Most bytes of one inflated file, and of one decoded scan."""

GZIP = b"\x1f\x8b"
"""What a gzip file begins with (RFC 1952 section 2.3.1)."""
_GZIP_FORMAT = 31  # zlib's wbits for a gzip member: header, CRC-32 and length are then checked
DEFLATE_BEST = (
    1032  # RFC 1951: no deflate stream grows more than this, so a larger claim is no truncation but a lie
)
_TRAILING = 2**20  # bytes after what was claimed that are let pass


def first_bytes(path: Path, count: int = 1024) -> bytes:
    """The first `count` bytes (fewer in a shorter file), inflated."""
    with path.open("rb") as stream:
        data = stream.read(max(4 * count, 4096))
    if not data.startswith(GZIP):
        return data[:count]
    try:
        return zlib.decompressobj(wbits=_GZIP_FORMAT).decompress(data, count)
    except zlib.error as error:
        raise _corrupt(path, error) from error


def refuse_size(path: Path, size: int, decoded: int) -> None:
    """Compare a header's claim (`size` bytes in the file, `decoded` in memory) with the file before any is allocated."""
    held = path.stat().st_size
    with path.open("rb") as stream:
        zipped = stream.read(2) == GZIP
    if size > held * DEFLATE_BEST + _TRAILING:
        words = f"{path.name}: {held} bytes cannot hold the {size} of its dimensions"
        raise ScanError(words, verdict="error:size-mismatch")
    if max(size, decoded) > LIMIT:
        raise ScanError(f"{path.name}: {size} bytes, more than {LIMIT}", verdict="error:too-large")
    if held < size and not zipped:
        raise _truncated(path, held, size)


def whole(path: Path, size: int) -> bytes:
    """At least `size` bytes: the file, or its gzip members inflated to their ends (only there stands the checksum)."""
    data = path.read_bytes()
    parts: list[bytes] = []
    room = size + _TRAILING
    zipped = data.startswith(GZIP)
    while data.startswith(GZIP):
        member = zlib.decompressobj(wbits=_GZIP_FORMAT)
        try:
            parts.append(member.decompress(data, room + 1))
        except zlib.error as error:
            raise _corrupt(path, error) from error
        room -= len(parts[-1])
        if room < 0:
            raise ScanError(f"{path.name}: holds more than its dimensions say", verdict="error:size-mismatch")
        if not member.eof:
            raise _truncated(path, sum(map(len, parts)), size)
        data = member.unused_data.lstrip(
            b"\0"
        )  # RFC 1952: members follow each other; tape blocks end in zeros
    inflated = b"".join(parts) if zipped else data
    if len(inflated) < size:
        raise _truncated(path, len(inflated), size)
    return inflated


def _truncated(path: Path, held: int, size: int) -> ScanError:
    return ScanError(f"{path.name}: cut off after {held} of {size} bytes", verdict="error:truncated")


def _corrupt(path: Path, error: zlib.error) -> ScanError:
    return ScanError(f"{path.name}: damaged gzip ({error})", verdict="error:corrupt-gzip")
