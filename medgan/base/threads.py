"""Let torch compute on some of the cores only.

A step of a small network takes some milliseconds, and after each operation all threads wait for each other.
Where other programs use the cores as well, a thread that waits for its core then stops all others.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""Environment variables by which a user says how many threads torch takes."""


@contextmanager
def use_threads(count: int | None) -> Iterator[None]:
    """Let torch compute on so many threads within the block; None changes nothing."""
    before = torch.get_num_threads()
    torch.set_num_threads(before if count is None else count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def is_set_by_user() -> bool:
    """Whether the user has said how many threads torch takes."""
    return any(os.environ.get(name) for name in _VARIABLES)
