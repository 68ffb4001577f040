"""`python -m medgan` and the console script `medgan`: arguments in, exit code out."""

from __future__ import annotations

import os
import sys

from medgan.cli import app
from medgan.workers import keep_memory
from medgan.world import world


def main() -> None:
    """Run the command line.

    Threads that wait for each other sleep instead of spinning: on a busy machine spinning made training ten times slower.
    OpenMP reads the wish when torch is loaded, so it is said here, before anything else. So does torch's C++ part, which would warn
    every process that DDP looks for unused parameters.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if world().size > 1:
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    keep_memory()
    try:
        app()
    except SystemExit as end:
        if end.code:
            leave_at_once(int(end.code))
        raise


def leave_at_once(code: int) -> None:
    """End a process that failed beside others on GPUs, which must not wait for them.

    NCCL, closed with Python, waits for what this process has begun with the others, and they wait for this one: torchrun would never
    hear of the failure.
    """
    company = sys.modules.get("torch.distributed")
    if company and company.is_available() and company.is_initialized() and company.get_backend() == "nccl":
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
