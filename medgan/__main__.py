"""Start `python -m medgan` and the console script `medgan`, and end with their exit code."""

from __future__ import annotations

import os
import signal
import sys
import time

from medgan.base.processes import current_processes
from medgan.base.workers import keep_memory
from medgan.cli.app import app
from medgan.cli.errors import INTERRUPTED, polite_errors
from medgan.cli.terminal import forsake, steady

_PATIENCE = 2.0
"""Seconds in which a second Ctrl-C is taken for the first: it is being obeyed, and must not be cut short in
the middle of a word."""


def main() -> None:
    """Run the command line.

    Threads that wait for each other sleep instead of spinning: on a busy machine spinning made training ten
    times slower. OpenMP reads the wish when torch is loaded, so it is said here, before anything else. So
    does torch's C++ part, which would warn every process that DDP looks for unused parameters.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if current_processes().size > 1:
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    steady()
    if (
        signal.getsignal(signal.SIGINT) is not signal.SIG_IGN
    ):  # as under nohup, where Ctrl-C is for somebody else
        signal.signal(signal.SIGINT, _Interruption())
    keep_memory()
    try:
        with polite_errors():
            app()
    except SystemExit as end:
        if end.code == INTERRUPTED:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # Python's own clearing up is not to be interrupted
        if end.code:
            _leave_at_once(int(end.code))
        raise
    finally:
        try:
            sys.stdout.flush()
        except OSError:
            forsake(sys.stdout)


class _Interruption:
    """What Ctrl-C does: raise KeyboardInterrupt, once."""

    def __init__(self) -> None:
        """Nobody has interrupted yet."""
        self._latest = -_PATIENCE

    def __call__(self, *signal_and_frame: object) -> None:  # noqa: ARG002  # what a handler is called with
        """The signal has come."""
        now = time.monotonic()
        if now - self._latest >= _PATIENCE:
            self._latest = now
            raise KeyboardInterrupt


def _leave_at_once(code: int) -> None:
    """End a process that failed beside others on GPUs, which must not wait for them.

    NCCL, closed with Python, waits for what this process has begun with the others, and they wait for this
    one: torchrun would never hear of the failure.
    """
    company = sys.modules.get("torch.distributed")
    if company and company.is_available() and company.is_initialized() and company.get_backend() == "nccl":
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
