"""Keep the prepared pixels of a stack in a file, with a checksum for every row.

Rows are appended: in a memory map a full disk would be a crash, not an error.
"""

from __future__ import annotations

import math
import os
import weakref
import zlib
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from medgan.base.cache import VARIABLE, acquire_lock, file_lock
from medgan.base.errors import OutputError
from medgan.base.progress import OnProgress, Progress, warn

_CHECKSUM = np.dtype("<u4")
"""Type of the CRC-32 of a row."""

_REPORT_EVERY = 25
"""Scans between two reports of progress."""

PIXELS = "pixels.npy"
"""File of the finished pixels."""
_PARTIAL_FILE = "pixels.npy.partial"
"""The same while it is being filled."""
_CHECKSUM_FILE = "sums"
"""CRC-32 of every row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StackPlace:
    """Where a stack lies in a cache, whether or not it is there."""

    digest: str
    folder: Path
    counts: tuple[int, ...]
    """Rows of each scan."""
    shape: tuple[int, ...]
    """(N, C, H, W)."""

    @contextmanager
    def reserve(self) -> Iterator[None]:
        """Create the folder, and keep it from being cleared while the block runs."""
        self.folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with file_lock(self.folder.parent):
            self.folder.mkdir(mode=0o700, exist_ok=True)
            yield


def open_pixels(
    whole: Path, shape: tuple[int, ...], fill: Callable[[], None], on_progress: OnProgress
) -> NDArray[np.uint16]:
    """Open the pixels in the folder `whole`, filling it first if needed.

    Nobody can clear them while they are in use.

    Args:
        whole: Folder of the stack.
        shape: (N, C, H, W).
        fill: Prepares the pixels; called where they are missing or damaged.
        on_progress: Receives a warning where they are damaged.
    """
    # Fill the cache where needed; processes that prepare the same data wait for each other.
    pixels = map_pixels(whole, shape)
    if pixels is None:
        with file_lock(whole, alone=True):
            pixels = map_pixels(whole, shape)
            if pixels is None:
                if (whole / PIXELS).exists():
                    warn(on_progress, "The prepared images in the cache are damaged and are prepared again.")
                fill()
        pixels = map_pixels(whole, shape) if pixels is None else pixels
    if pixels is None:
        raise OutputError(
            f"{whole}: the disk does not return what was just written to the cache",
            hint=f"Check the disk, or set {VARIABLE} to a folder on another one.",
        )
    weakref.finalize(pixels, acquire_lock(whole / PIXELS))
    os.utime(whole)  # last used now
    return pixels


_VERIFIED: set[tuple[object, ...]] = set()
"""Files whose rows this process has compared with their checksums, as they were at that time."""


def map_pixels(whole: Path, shape: tuple[int, ...]) -> NDArray[np.uint16] | None:
    """Memory-map the pixels in a folder, or return None where they are damaged.

    None also stands for pixels that are missing. Every row is read and compared with its checksum (CRC-32)
    once per process, in the order of the disk and in bounded memory.
    """
    try:
        pixels: NDArray[np.uint16] = np.load(whole / PIXELS, mmap_mode="r")
        facts = (whole / PIXELS).stat()
        sums = np.fromfile(whole / _CHECKSUM_FILE, _CHECKSUM)
    except (OSError, ValueError, EOFError):
        return None
    if pixels.shape != shape or pixels.dtype != np.uint16:
        return None
    seen = (str(whole), facts.st_ino, facts.st_mtime_ns, facts.st_ctime_ns, sums.tobytes())
    if seen not in _VERIFIED:
        if len(sums) != len(pixels) or not all(map(_matches_checksum, np.asarray(pixels), sums.tolist())):
            return None
        _VERIFIED.add(seen)
    return pixels


def _matches_checksum(row: NDArray[np.uint16], total: int) -> bool:
    return zlib.crc32(row.data) == total


def fill_pixels(
    whole: Path,
    counts: Sequence[int],
    shape: tuple[int, ...],
    rows: Callable[[int], Generator[NDArray[np.uint16]]],
    on_progress: OnProgress,
) -> None:
    """Append the rows of the scans that are missing.

    The finished array then gets its final name.

    Args:
        whole: Folder of the stack.
        counts: Number of rows of each scan.
        shape: (N, C, H, W).
        rows: Gives the rows of one scan after another, from the scan of a given number on.
        on_progress: Called every few scans.
    """
    # Continue after the rows that an earlier run wrote.
    (whole / PIXELS).unlink(missing_ok=True)
    done, there = _count_done(whole, counts, shape)
    modes = "r+b" if done else "w+b"
    with (
        (whole / _PARTIAL_FILE).open(modes) as stream,
        (whole / _CHECKSUM_FILE).open(modes) as sums,
        closing(rows(done)) as scans,
    ):
        header = {"descr": "<u2", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(stream, header)
        stream.seek(there * 2 * math.prod(shape[1:]), os.SEEK_CUR)
        stream.truncate()
        sums.seek(there * _CHECKSUM.itemsize)
        sums.truncate()
        # Append row by row; a checksum is written only after its row is safely on the disk.
        fresh: list[int] = []
        for n, made in enumerate(scans, start=done + 1):
            stream.write(made.tobytes())
            fresh.extend(zlib.crc32(row.data) for row in np.ascontiguousarray(made))
            if n % _REPORT_EVERY == 0 or n == len(counts):
                _flush(stream)
                sums.write(np.array(fresh, _CHECKSUM).tobytes())  # a sum says that its row is surely there
                _flush(sums)
                fresh.clear()
                on_progress(Progress("preparing", n, len(counts), "scans"))
    (whole / _PARTIAL_FILE).replace(whole / PIXELS)


def _count_done(whole: Path, counts: Sequence[int], shape: tuple[int, ...]) -> tuple[int, int]:
    """Count the scans, and their rows, that a killed run has finished.

    Rows count if they match their checksums.
    """
    size = 2 * math.prod(shape[1:])
    there = 0
    try:
        with (whole / _PARTIAL_FILE).open("rb") as stream:
            np.lib.format.read_magic(stream)
            if np.lib.format.read_array_header_1_0(stream)[0] == shape:
                for total in np.fromfile(whole / _CHECKSUM_FILE, _CHECKSUM).tolist():
                    if zlib.crc32(row := stream.read(size)) != total or len(row) < size:
                        break
                    there += 1
    except (OSError, ValueError):
        return 0, 0
    ends = np.cumsum(counts)
    done = int(np.searchsorted(ends, there, side="right"))
    return done, int(ends[done - 1]) if done else 0


def _flush(stream: IO[bytes]) -> None:
    stream.flush()
    os.fsync(stream.fileno())
