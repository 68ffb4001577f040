"""`python -m medgan` and the console script `medgan`: arguments in, exit code out."""

from __future__ import annotations

import os

from medgan.cli import app
from medgan.workers import keep_memory


def main() -> None:
    """Run the command line.

    Threads that wait for each other sleep instead of spinning: on a busy machine spinning made training ten times slower.
    OpenMP reads the wish when torch is loaded, so it is said here, before anything else.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    keep_memory()
    app()


if __name__ == "__main__":
    main()
