"""Copy a prepared stack to machines that do not share the first one's cache.

So no scan is prepared twice in a job.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from itertools import chain, islice

import numpy as np
from numpy.typing import NDArray

from medgan.base.cache import cache_error, file_lock
from medgan.base.job import Job
from medgan.base.progress import Progress, ignore
from medgan.preparation.stack_file import StackPlace, fill_pixels, map_pixels

_BYTES_AT_ONCE = 16 << 20
"""Bytes of rows that are sent to the other processes at once, except where one scan has more."""


def copy_to_caches(pixels: NDArray[np.uint16] | None, place: StackPlace, job: Job) -> None:
    """Write a stack of the first process into the caches of the others that lack it.

    Args:
        pixels: The stack, in the first process.
        place: Where the stack lies in the cache of this process.
        job: All of its processes call this alike.
    """
    here, lacking = job.processes, map_pixels(place.folder, place.shape) is None
    caches = job.collect((here.rank - here.local_rank, str(place.folder.absolute())) if lacking else None)
    if any(caches):
        rows = job.relay(iter(()) if pixels is None else _rows_by_scan(pixels, place, job))
        writes = lacking and caches.index(caches[here.rank]) == here.rank  # the first one in this cache
        job.each(lambda: _receive(place, rows, write=writes))


def _rows_by_scan(
    pixels: NDArray[np.uint16], place: StackPlace, job: Job
) -> Iterator[list[NDArray[np.uint16]]]:
    """Yield the rows of the scans in order, several scans at once."""
    start, scans, size = 0, [], 0
    for n, count in enumerate(place.counts, start=1):
        scans.append(np.array(pixels[start : start + count]))
        start, size = start + count, size + scans[-1].nbytes
        if size >= _BYTES_AT_ONCE or n == len(place.counts):
            yield scans
            job.tell(Progress("sending images", n, len(place.counts), "to other machines"))
            scans, size = [], 0


def _receive(place: StackPlace, rows: Iterator[list[NDArray[np.uint16]]], *, write: bool) -> None:
    """Receive all rows, and write them if asked to."""
    scans = chain.from_iterable(rows)

    def from_scan(done: int) -> Generator[NDArray[np.uint16]]:
        yield from islice(scans, done, None)

    refused = None
    if write:
        try:
            with place.reserve(), file_lock(place.folder, alone=True, wait=False):
                if map_pixels(place.folder, place.shape) is None:
                    fill_pixels(place.folder, place.counts, place.shape, from_scan, ignore)
        except BlockingIOError:
            pass  # another process is filling this cache
        except OSError as error:
            refused = cache_error(place.folder, error)
    # What this process does not write it reads all the same: the first one sends to all.
    for _ in scans:
        pass
    if refused is not None:
        raise refused
