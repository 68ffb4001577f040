"""Let torch compute on one core, where networks are too small for a second one.

A step of such a network takes some milliseconds, after each of which all threads wait for each other. Where
other programs use the cores as well, a thread that waits for its core then stops all others.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute on one core within the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
