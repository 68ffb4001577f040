"""Read files that may be gzipped, with their size and checksum checked.

A file never takes more memory than its header claims.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from medgan.base.errors import ScanError

MAX_BYTES = 2 * 2**30
"""Largest inflated file and largest decoded scan, in bytes."""

_CHUNK_BYTES = 2**18
"""Bytes read or inflated at once."""

GZIP = b"\x1f\x8b"
"""First bytes of a gzip file (RFC 1952 section 2.3.1)."""
_GZIP_FORMAT = 31  # zlib's wbits for a gzip member: header, CRC-32 and length are then checked
MAX_DEFLATE_RATIO = 1032
"""Most that a deflate stream can grow (RFC 1951). A larger claim is false; the file was not cut short."""
_TRAILING = 2**20  # bytes allowed after what was claimed


def first_bytes(path: Path, count: int = 1024) -> bytes:
    """The first `count` bytes of a file, inflated. A shorter file gives fewer."""
    with path.open("rb") as stream:
        data = stream.read(max(4 * count, 4096))
    if not data.startswith(GZIP):
        return data[:count]
    try:
        return zlib.decompressobj(wbits=_GZIP_FORMAT).decompress(data, count)
    except zlib.error as error:
        raise _gzip_error(path, error) from error


def refuse_size(path: Path, size: int, decoded: int) -> None:
    """Refuse a header's claim that the file cannot meet, or that is too large.

    This happens before any memory is taken.

    Args:
        path: The file.
        size: Bytes in the file, as its header claims.
        decoded: Bytes of the decoded pixels.

    Raises:
        ScanError: "error:size-mismatch", "error:too-large" or "error:truncated".
    """
    held = path.stat().st_size
    with path.open("rb") as stream:
        zipped = stream.read(2) == GZIP
    if size > held * MAX_DEFLATE_RATIO + _TRAILING:
        words = f"{path.name}: {held} bytes cannot hold the {size} bytes that its dimensions need"
        raise ScanError(words, verdict="error:size-mismatch")
    if max(size, decoded) > MAX_BYTES:
        raise ScanError(f"{path.name}: has {size} bytes, more than {MAX_BYTES}", verdict="error:too-large")
    if held < size and not zipped:
        raise _truncation_error(path, held, size)


class InflatedStream:
    """The bytes of a file in order, inflated if it is gzipped, a piece at a time."""

    def __init__(self, path: Path, size: int) -> None:
        """Open a file that claims to hold `size` bytes."""
        self._path, self._size, self._given = path, size, 0
        self._pieces = _read_chunks(path, size)
        self._rest = bytearray()

    def take(self, count: int) -> bytes:
        """The next `count` bytes.

        Raises:
            ScanError: the file ends before, or is damaged there.
        """
        while len(self._rest) < count:
            piece = next(self._pieces, b"")
            if not piece:
                raise _truncation_error(self._path, self._given + len(self._rest), self._size)
            self._rest += piece
        taken = bytes(memoryview(self._rest)[:count])
        del self._rest[:count]
        self._given += count
        return taken

    def skip(self, count: int) -> None:
        """Skip `count` bytes."""
        for start in range(0, count, _CHUNK_BYTES):
            self.take(min(_CHUNK_BYTES, count - start))

    def finish(self) -> None:
        """Read on to the end, where the checksum of a gzip member is.

        Raises:
            ScanError: the file holds less than it claimed, or its checksum is wrong.
        """
        held = self._given + len(self._rest) + sum(map(len, self._pieces))
        if held < self._size:
            raise _truncation_error(self._path, held, self._size)


def _read_chunks(path: Path, size: int) -> Iterator[bytes]:
    """Yield a file piece by piece, inflating its gzip members to their ends.

    A file that grows beyond its claim is refused.
    """
    with path.open("rb") as stream:
        data = stream.read(_CHUNK_BYTES)
        if not data.startswith(GZIP):
            while data:
                yield data
                data = stream.read(_CHUNK_BYTES)
        # Inflate one gzip member after the other.
        given = 0
        while data.startswith(GZIP):
            member = zlib.decompressobj(wbits=_GZIP_FORMAT)
            try:
                for piece in _inflate(member, data, stream):
                    given += len(piece)
                    if given > size + _TRAILING:
                        words = f"{path.name}: holds more than its dimensions say"
                        raise ScanError(words, verdict="error:size-mismatch")
                    yield piece
            except zlib.error as error:
                raise _gzip_error(path, error) from error
            if not member.eof:
                raise _truncation_error(path, given, size)
            data = _next_member(member.unused_data, stream)


def _inflate(member: Any, data: bytes, stream: BinaryIO) -> Iterator[bytes]:
    """Yield the content of a gzip member.

    Args:
        member: The decompressor, which knows whether the member has ended.
        data: The beginning of the member.
        stream: The rest of the file.
    """
    while not member.eof:
        piece = member.decompress(data, _CHUNK_BYTES)
        if piece:
            yield piece
        data = member.unconsumed_tail or (b"" if member.eof else stream.read(_CHUNK_BYTES))
        if not (data or piece):
            return


def _next_member(data: bytes, stream: BinaryIO) -> bytes:
    """The start of the next gzip member (RFC 1952: members follow each other).

    Zeros in between, which fill up blocks of tape, are skipped.
    """
    data = data.lstrip(b"\0")
    while len(data) < len(GZIP) and (more := stream.read(_CHUNK_BYTES)):
        data = (data + more).lstrip(b"\0")
    return data


def _truncation_error(path: Path, held: int, size: int) -> ScanError:
    return ScanError(f"{path.name}: cut off after {held} of {size} bytes", verdict="error:truncated")


def _gzip_error(path: Path, error: zlib.error) -> ScanError:
    return ScanError(f"{path.name}: damaged gzip ({error})", verdict="error:corrupt-gzip")
