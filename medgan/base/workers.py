"""Apply a function to many items in worker processes, in order.

A process that dies costs one item, not the run.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Self, TypeVar

from medgan.base.errors import PlanError

_T = TypeVar("_T")
_R = TypeVar("_R")

VARIABLE = "MEDGAN_WORKERS"
_MIN_ITEMS = 500
"""Number of items from which worker processes pay for their start (about a second each)."""
CHUNK = 32
"""Items sent to a worker at once, unless the caller asks for another number: sending costs as much as reading
the header of a file."""
_CHUNKS_AHEAD = 2
"""Chunks per worker that may be in progress or waiting, which bounds memory."""
_MAX_WORKERS = 16
"""Number of processes unless more are asked for: beyond it, a disk is slower than the processors."""
_M_TRIM_THRESHOLD = -1
"""Parameter of mallopt(3): freed bytes at the top of the heap that a process keeps."""
_M_MMAP_THRESHOLD = -3
"""Parameter of mallopt(3): size of an array from which it gets pages of its own."""
_KEPT_BYTES = 256 << 20
"""Freed bytes that a process keeps at most."""


class WorkerPool:
    """Worker processes for one job of several steps.

    They start at the first step that is large enough, and end with the job.
    """

    def __init__(self, share_of: int = 1) -> None:
        """Determine the number of processes without starting any.

        Args:
            share_of: Pools on this machine that work at the same time and share its processors.

        Raises:
            PlanError: `$MEDGAN_WORKERS` is not a number of processes.
        """
        is_daemon = multiprocessing.current_process().daemon  # a daemon may have no children
        allowed = 1 if is_daemon else _worker_count()
        self._count = max(allowed // share_of, 1)
        self._inline = allowed == 1
        """Whether this process does all the work itself."""
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        """Return the pool itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """End all worker processes."""
        self._end()

    def map_ordered(
        self,
        function: Callable[[_T], _R],
        items: Sequence[_T],
        on_crash: Callable[[_T], _R],
        *,
        chunk: int = CHUNK,
        total: int = 0,
    ) -> Iterator[_R]:
        """Yield `function` of every item, in order.

        This process does the work itself where there are few items, and where no other process can be
        started, as from a script without `if __name__ == "__main__"`.

        Args:
            function: What to apply; it must be picklable.
            items: The items.
            on_crash: Gives the result for an item whose process died, as a decoder written in C may cause.
            chunk: Items sent to a worker at once.
            total: Items of all pools that share this work; by default these items are all.
        """
        if self._inline or not items or max(total, len(items)) < _MIN_ITEMS or not self._starts():
            yield from map(function, items)
            return
        # Hand out chunks in order; after a crash, repeat the broken chunk item by item and go on.
        chunks = [items[start : start + chunk] for start in range(0, len(items), chunk)]
        done = 0
        while done < len(chunks):
            try:
                for results in self._by_chunks(function, chunks[done:]):
                    done += 1
                    yield from results
            except BrokenProcessPool:
                self._end()
                done += 1
                yield from _one_by_one(function, chunks[done - 1], on_crash)

    def _by_chunks(self, function: Callable[[_T], _R], chunks: Iterable[Sequence[_T]]) -> Iterator[list[_R]]:
        self._pool = self._pool or _start(self._count)
        waiting: deque[Future[list[_R]]] = deque()
        for chunk in chunks:
            waiting.append(self._pool.submit(_apply_to_chunk, function, chunk))
            if len(waiting) >= _CHUNKS_AHEAD * self._count:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def _starts(self) -> bool:
        """Whether worker processes can be started. After a failure it is not tried again."""
        try:
            self._pool = self._pool or _start(self._count)
            self._pool.submit(os.getpid).result()
        except BrokenProcessPool:
            self._end()
            self._inline = True
        return not self._inline

    def _end(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None


def _start(count: int) -> ProcessPoolExecutor:
    """Start processes that share nothing with this one.

    Forking a process that has threads is unsafe.
    """
    return ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), _start_worker)


def _one_by_one(
    function: Callable[[_T], _R], items: Sequence[_T], on_crash: Callable[[_T], _R]
) -> Iterator[_R]:
    """Process the items of a chunk that may have killed a process.

    Each item is sent alone; after every crash a new process takes over.
    """
    rest = deque(items)
    while rest:
        try:
            with _start(1) as alone:
                while rest:
                    yield alone.submit(function, rest[0]).result()
                    rest.popleft()
        except BrokenProcessPool:
            yield on_crash(rest.popleft())


def _worker_count() -> int:
    """Number of processes that read files.

    `$MEDGAN_WORKERS`, else one per processor that this process may use, at most `_MAX_WORKERS`. Processes of
    torchrun that read together on a machine divide this number.
    """
    if configured := os.environ.get(VARIABLE):
        if not configured.isdecimal() or int(configured) < 1:
            raise PlanError(
                f"{VARIABLE} is {configured!r}, which is not a number of processes",
                hint="Unset it, or set it to 1 or more.",
            )
        return int(configured)
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(min(allowed, _MAX_WORKERS), 1)


def keep_memory() -> None:
    """Keep freed memory in this process, up to `_KEPT_BYTES`.

    glibc returns the memory of every large array to the system, which hands it out again page by page. The
    page faults take half the time of reading a 512 x 512 slice. Other systems are left as they are.
    """
    if sys.platform == "linux":
        change = getattr(ctypes.CDLL(None), "mallopt", lambda *_: 0)  # musl has none
        for parameter, most in ((_M_MMAP_THRESHOLD, 32 << 20), (_M_TRIM_THRESHOLD, _KEPT_BYTES)):
            change(parameter, most)


def _start_worker() -> None:
    """Prepare a worker process: leave Ctrl-C to its parent, and end with the parent."""
    keep_memory()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _apply_to_chunk(function: Callable[[_T], _R], items: Sequence[_T]) -> list[_R]:
    return [function(item) for item in items]
