"""Run several tasks at once, each on one core.

Small networks gain little from a second core.

The results of a classifier then do not depend on the number of threads.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

from medgan.base.threads import use_threads

_Result = TypeVar("_Result")
_STOPPED = threading.Event()


def task_count() -> int:
    """How many tasks run at once."""
    return torch.get_num_threads()


def run_at_once(tasks: Sequence[Callable[[], _Result]]) -> list[_Result]:
    """Run tasks at once and return their results in order.

    If one fails or the user interrupts, the others end at their next `check_not_stopped`.
    """
    workers = task_count()
    with use_threads(1):
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


def check_not_stopped() -> None:
    """Raise InterruptedError in a long task if another one has failed."""
    if _STOPPED.is_set():
        raise InterruptedError
