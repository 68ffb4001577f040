"""The environment that torchrun sets in, which of how many processes this one is out: medgan starts none itself."""

from __future__ import annotations

import os
from dataclasses import dataclass

_TORCHRUN_ID = "TORCHELASTIC_RUN_ID"
"""torchrun sets this; without it RANK and WORLD_SIZE may be anybody's."""


@dataclass(frozen=True, slots=True)
class Processes:
    """The processes of a job, on one machine or several, and which one this is. In torchrun's own terms."""

    rank: int = 0
    """0 is the process that talks, decides and writes what is written once."""
    size: int = 1
    """Processes in all."""
    local_rank: int = 0
    """Number among the processes on this machine: which of its GPUs this one uses."""
    local_size: int = 1
    """Processes on this machine."""

    @property
    def is_first(self) -> bool:
        """Whether this is the process that talks, decides and writes."""
        return self.rank == 0

    def share(self, count: int) -> slice:
        """Which of `count` things in a row are this process's own: every one is somebody's, and shares differ by one at most."""
        return slice(count * self.rank // self.size, count * (self.rank + 1) // self.size)


def current_processes() -> Processes:
    """What torchrun says; a world of one without it."""
    if _TORCHRUN_ID not in os.environ:
        return Processes()
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    return Processes(*(int(os.environ[name]) for name in names))
