"""Tasks -> their results in order, several at once, each on one core: small networks use a second core badly, and other classifiers well.

What a classifier comes to then depends on no number of threads.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

Result = TypeVar("Result")
_STOPPED = threading.Event()


def size() -> int:
    """How many tasks run at once."""
    return torch.get_num_threads()


def together(tasks: Sequence[Callable[[], Result]]) -> list[Result]:
    """Run as many tasks at once as there are threads; when one fails or the user interrupts, the others end at their next `go_on`."""
    workers = size()
    with one_thread():
        if workers == 1 or len(tasks) < 2:
            return [task() for task in tasks]
        with ThreadPoolExecutor(workers, initializer=lambda: torch.set_num_threads(1)) as crew:
            try:
                return [future.result() for future in [crew.submit(task) for task in tasks]]
            except BaseException:
                _STOPPED.set()
                crew.shutdown(cancel_futures=True)
                raise
            finally:
                _STOPPED.clear()


def go_on() -> None:
    """Ask in a long task whether the others still stand; InterruptedError where one has failed."""
    if _STOPPED.is_set():
        raise InterruptedError


@contextmanager
def one_thread() -> Iterator[None]:
    """Within it torch computes on one core."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
