"""Write constraints that hold every dependency at the lowest version that pyproject.toml admits.

    python .ci/lowest.py > floors.txt

What users install, the extras `codecs` and `tensorboard` included, is held at the floor that pyproject.toml
names; everything else, tools for tests among them, at the version of constraints.txt.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EXTRAS = ("codecs", "tensorboard")
FLOOR = re.compile(r"([\w.-]+)>=([\w.]+)")
"""`name>=version`, perhaps with an upper end behind it."""


def main() -> None:
    """Print a line per package."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [
        *project["dependencies"],
        *(line for extra in EXTRAS for line in project["optional-dependencies"][extra]),
    ]
    floors = dict(floor(line) for line in wanted)
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    rest = [pin for pin in pins if "==" in pin and canonical(pin.partition("==")[0]) not in floors]
    sys.stdout.writelines(
        f"{line}\n" for line in [*(f"{name}=={version}" for name, version in floors.items()), *rest]
    )


def floor(line: str) -> tuple[str, str]:
    """Return (name, lowest version) of a dependency; refuse one without: any version would do."""
    found = FLOOR.match(line)
    if found is None:
        sys.exit(f"pyproject.toml: {line!r} names no lowest version (name>=version)")
    return canonical(found[1]), found[2]


def canonical(name: str) -> str:
    """The name of a distribution as registries compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    main()
