"""A function and many items in, its results in order out: by worker processes where that pays; one that dies costs one item."""

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
"""Items from which on processes pay for their start (about a second each)."""
_CHUNK = 32
"""Items sent at once, unless asked otherwise: sending costs as much as reading the header of a file."""
_CHUNKS_AHEAD = 2
"""Chunks per worker that may be under way or wait for their turn: what bounds memory."""
_MAX_WORKERS = 16
"""Processes unless more are asked for: beyond, a disk is slower than the processors."""
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""Parameters of mallopt(3)."""
_KEPT_BYTES = 256 << 20
"""Freed bytes that a process keeps at most."""


class WorkerPool:
    """Worker processes for one job of several steps: started at the first step that pays for them, ended with the job."""

    def __init__(self) -> None:
        """Nothing is started yet. PlanError for a wish of `_worker_count` that is no number."""
        self._count = (
            1 if multiprocessing.current_process().daemon else _worker_count()
        )  # a daemon may have no children
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        """The crew itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Send everybody home."""
        self._end()

    def ordered(
        self,
        function: Callable[[_T], _R],
        items: Sequence[_T],
        lost: Callable[[_T], _R],
        *,
        chunk: int = _CHUNK,
    ) -> Iterator[_R]:
        """`function` of every item, in order; `lost` of an item during which its process died (a decoder in C may do that).

        Few items are worked on right here, and so are all where no process can be started, as from a script without
        `if __name__ == "__main__"`.
        """
        if self._count == 1 or len(items) < _MIN_ITEMS or not self._starts():
            yield from map(function, items)
            return
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
                yield from _one_by_one(function, chunks[done - 1], lost)

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
        """Whether processes come up; if not, nobody asks again."""
        try:
            self._pool = self._pool or _start(self._count)
            self._pool.submit(os.getpid).result()
        except BrokenProcessPool:
            self._end()
            self._count = 1
        return self._count > 1

    def _end(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None


def _start(count: int) -> ProcessPoolExecutor:
    """Processes that share nothing with this one (forking one that has threads is unsafe)."""
    return ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), _start_worker)


def _one_by_one(function: Callable[[_T], _R], items: Sequence[_T], lost: Callable[[_T], _R]) -> Iterator[_R]:
    """The items of a chunk that a process may have died of: each alone, in a new process after every death."""
    rest = deque(items)
    while rest:
        try:
            with _start(1) as alone:
                while rest:
                    yield alone.submit(function, rest[0]).result()
                    rest.popleft()
        except BrokenProcessPool:
            yield lost(rest.popleft())


def _worker_count() -> int:
    """How many processes read: `$MEDGAN_WORKERS`, else one per processor that this process may use, at most `_MAX_WORKERS`.

    All of them under torchrun too: of the processes that it starts on a machine one reads while the others wait.
    """
    if wish := os.environ.get(VARIABLE):
        if not wish.isdecimal() or int(wish) < 1:
            raise PlanError(
                f"{VARIABLE} is {wish!r}, no number of processes", hint="Unset it, or set it to 1 or more."
            )
        return int(wish)
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(min(allowed, _MAX_WORKERS), 1)


def keep_memory() -> None:
    """Let freed memory stay with this process, up to `_KEPT_BYTES` bytes.

    glibc gives the memory of every large array back to the system, which hands it out again page by page at the price of a fault
    each: half the time of reading a 512 x 512 slice. Elsewhere nothing is done.
    """
    if sys.platform == "linux":
        change = getattr(ctypes.CDLL(None), "mallopt", lambda *_: 0)  # musl has none
        for parameter, most in ((_M_MMAP_THRESHOLD, 32 << 20), (_M_TRIM_THRESHOLD, _KEPT_BYTES)):
            change(parameter, most)


def _start_worker() -> None:
    """In a worker: leave Ctrl-C to the parent, and end with it however it ends."""
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
