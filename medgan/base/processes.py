"""Read which process of a torchrun job this is. medgan starts none itself."""

from __future__ import annotations

import os
from dataclasses import dataclass

_TORCHRUN_ID = "TORCHELASTIC_RUN_ID"
"""Variable that torchrun sets. Without it RANK and WORLD_SIZE may come from any other program."""


@dataclass(frozen=True, slots=True)
class Processes:
    """The processes of a job, on one or several machines, in torchrun's terms."""

    rank: int = 0
    """Number of this process; process 0 reports, decides and writes what is written once."""
    size: int = 1
    """Number of processes in the job."""
    local_rank: int = 0
    """Number of this process on its machine, which is also the number of the GPU that it uses."""
    local_size: int = 1
    """Number of processes on this machine."""

    @property
    def is_first(self) -> bool:
        """Whether this is the process that reports, decides and writes."""
        return self.rank == 0

    def share(self, count: int) -> slice:
        """Slice of `count` items in a row that this process has to work on.

        Each item belongs to exactly one process, and the shares differ in size by at most one.
        """
        return slice(count * self.rank // self.size, count * (self.rank + 1) // self.size)


def current_processes() -> Processes:
    """Read torchrun's environment variables.

    Without them there is one process.
    """
    if _TORCHRUN_ID not in os.environ:
        return Processes()
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    return Processes(*(int(os.environ[name]) for name in names))
