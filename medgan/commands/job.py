"""Join the processes that torchrun started for a command."""

from __future__ import annotations

from medgan.base.job import Job
from medgan.base.processes import current_processes
from medgan.base.progress import OnProgress, ignore


def join_job(device: str = "auto", on_progress: OnProgress = ignore) -> Job:
    """Join the other processes of this job, where there are any.

    A single process does not load PyTorch for it.

    Args:
        device: Device of the command; processes on GPUs exchange data through them.
        on_progress: Called with every step of progress.
    """
    here = current_processes()
    if here.size == 1:
        return Job(device=device, on_progress=on_progress)
    from medgan.training.runtime import Runtime  # noqa: PLC0415  # loads torch

    return Job(device=device, processes=here, exchange=Runtime(device, "fp32"), on_progress=on_progress)
