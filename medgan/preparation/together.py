"""Prepare a stack by all processes of a job, for the cache of each of them.

The scans are divided among the processes. Machines that do not share a cache with the first process receive
the rows from it, so no scan is prepared twice.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from itertools import chain, islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medgan.base.cache import cache_error, file_lock
from medgan.base.job import Job
from medgan.base.progress import Progress, ignore
from medgan.dataset.manifest import Manifest
from medgan.plan import Frame
from medgan.preparation.stack import Stack, StackPlace, prepare
from medgan.preparation.stack_file import fill_pixels, map_pixels

_BYTES_AT_ONCE = 16 << 20
"""Bytes of rows that are sent to the other processes at once, except where one scan has more."""


def prepare_together(manifest: Manifest, frame: Frame, cache: Path, job: Job) -> Stack:
    """Open the stack of a data set in every process of a job, preparing its images first if needed.

    Args:
        manifest: The data set.
        frame: Size, geometry, channels and intensity range of the images.
        cache: Folder of prepared images; the processes may share it or not.
        job: All of its processes call this alike.

    Raises:
        DatasetError: there is no training image, or the data does not fit the frame.
        OutputError: a cache cannot be used.
    """
    if job.processes.size == 1:
        return prepare(manifest, frame, cache, on_progress=job.on_progress)
    # The first process fills its cache; all read.
    stacks: list[Stack] = []
    job.share(
        lambda pool: stacks.append(prepare(manifest, frame, cache, pool=pool, on_progress=job.on_progress))
    )
    # Processes whose cache still lacks the stack receive it.
    place, here = StackPlace.of(manifest, frame, cache), job.processes
    lacking = map_pixels(place.folder, place.shape) is None
    caches = job.collect((here.rank - here.local_rank, str(place.folder.absolute())) if lacking else None)
    if any(caches):
        rows = job.relay(_rows_by_scan(stacks[0], place, job) if here.is_first else iter(()))
        writes = lacking and caches.index(caches[here.rank]) == here.rank  # the first one in this cache
        job.each(lambda: _receive(place, rows, write=writes))
    return job.each(lambda: prepare(manifest, frame, cache, on_progress=job.on_progress))


def _rows_by_scan(stack: Stack, place: StackPlace, job: Job) -> Iterator[list[NDArray[np.uint16]]]:
    """Yield the rows of the scans in order, several scans at once."""
    start, scans, size = 0, [], 0
    for n, count in enumerate(place.counts, start=1):
        scans.append(np.array(stack.pixels[start : start + count]))
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
