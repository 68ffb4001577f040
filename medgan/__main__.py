"""`python -m medgan` and the console script `medgan`: arguments in, exit code out."""

from __future__ import annotations

from medgan.cli import app


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
