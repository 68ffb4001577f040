"""`python -m medgan` and the console script `medgan`: arguments in, exit code out."""

from __future__ import annotations

import os

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
    app()


if __name__ == "__main__":
    main()
