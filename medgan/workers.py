"""A function and many items in, its results in order out: by worker processes where that pays, and one that dies takes nothing along."""

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
from contextlib import contextmanager
from functools import cache
from typing import TypeVar

from medgan.errors import PlanError

T = TypeVar("T")
R = TypeVar("R")

VARIABLE = "MEDGAN_WORKERS"
FEWEST = 200
"""Items from which on processes pay for their start (about a second each)."""
CHUNK = 8
"""Items sent at once."""
AHEAD = 2
"""Chunks per worker that may be under way or wait for their turn: what bounds memory."""
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Parameters of mallopt(3)."""
KEPT = 256 << 20
MOST = 16
"""Processes unless more are asked for: beyond, a disk is slower than the processors."""


def ordered(function: Callable[[T], R], items: Sequence[T], lost: Callable[[T], R]) -> Iterator[R]:
    """`function` of every item, in order; `lost` of an item during which its process died (a decoder in C may do that).

    Few items are worked on right here, and so are all where no process can be started, as from a script without
    `if __name__ == "__main__"`. PlanError for a wish of `processors` that is no number.
    """
    count = processors()
    if count < 2 or len(items) < FEWEST or not _can_start():
        yield from map(function, items)
        return
    chunks = [items[start : start + CHUNK] for start in range(0, len(items), CHUNK)]
    done = 0
    while done < len(chunks):
        try:
            for results in _by_chunks(function, chunks[done:], count):
                done += 1
                yield from results
        except BrokenProcessPool:
            done += 1
            yield from _one_by_one(function, chunks[done - 1], lost)


def processors() -> int:
    """How many processes read: `$MEDGAN_WORKERS`, else one per processor that this process may use, at most `MOST`.

    The processes that torchrun started on one machine share its processors.
    """
    if wish := os.environ.get(VARIABLE):
        if not wish.isdecimal() or int(wish) < 1:
            raise PlanError(
                f"{VARIABLE} is {wish!r}, no number of processes", hint="Unset it, or set it to 1 or more."
            )
        return int(wish)
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(min(allowed // int(os.environ.get("LOCAL_WORLD_SIZE", "1")), MOST), 1)


def _by_chunks(function: Callable[[T], R], chunks: Iterable[Sequence[T]], count: int) -> Iterator[list[R]]:
    with _crew(count) as crew:
        waiting: deque[Future[list[R]]] = deque()
        for chunk in chunks:
            waiting.append(crew.submit(_each, function, chunk))
            if len(waiting) >= AHEAD * count:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _one_by_one(function: Callable[[T], R], items: Sequence[T], lost: Callable[[T], R]) -> Iterator[R]:
    """The items of a chunk that a process may have died of: each alone, in a new process after every death."""
    rest = deque(items)
    while rest:
        try:
            with _crew(1) as crew:
                while rest:
                    yield crew.submit(function, rest[0]).result()
                    rest.popleft()
        except BrokenProcessPool:
            yield lost(rest.popleft())


@contextmanager
def _crew(count: int) -> Iterator[ProcessPoolExecutor]:
    """Processes that share nothing with this one (forking one that has threads is unsafe)."""
    crew = ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), _begin)
    try:
        yield crew
    finally:
        crew.shutdown(cancel_futures=True)


def keep_memory() -> None:
    """Let freed memory stay with this process, up to `KEPT` bytes.

    glibc gives the memory of every large array back to the system, which hands it out again page by page at the price of a fault
    each: half the time of reading a 512 x 512 slice. Elsewhere nothing is done.
    """
    if sys.platform == "linux":
        change = getattr(ctypes.CDLL(None), "mallopt", lambda *_: 0)  # musl has none
        for parameter, most in ((M_MMAP_THRESHOLD, 32 << 20), (M_TRIM_THRESHOLD, KEPT)):
            change(parameter, most)


def _begin() -> None:
    """In a worker: leave Ctrl-C to the parent, and end with it however it ends."""
    keep_memory()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _each(function: Callable[[T], R], items: Sequence[T]) -> list[R]:
    return [function(item) for item in items]


@cache
def _can_start() -> bool:
    """Whether this process may have workers, and one comes up."""
    if multiprocessing.current_process().daemon:
        return False
    try:
        with _crew(1) as crew:
            crew.submit(os.getpid).result()
    except BrokenProcessPool:
        return False
    return True
