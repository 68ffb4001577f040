"""Refuse wrong paths, names and numbers before slow libraries are loaded."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

from medgan.base import files
from medgan.base.errors import DatasetError, ModelError, PlanError
from medgan.base.processes import current_processes
from medgan.dataset.source import Source
from medgan.scans.windows import parse_window

AUTO = "auto"
REPEATED, SYNTHETIC = "repeated", "synthetic"
FILLS = (REPEATED, SYNTHETIC)
"""With what classes are filled up to their target."""
FACTS, STATE = "model.json", "state.pt"
PARTS = ("fidelity", "giveaways", "usefulness", "shortcut", "privacy")
"""What an evaluation may measure, in this order."""


def preflight(
    out: Path,
    source: Source | None,
    *,
    model: Path | None = None,
    synthetic: Path | None = None,
    external: Path | None = None,
) -> None:
    """Refuse folders of which no data is needed to see that they cannot be used; commands refuse the rest, and this again."""
    refuse_model(model)
    inputs = [
        place for one in (source, external and Source(path=external)) if one for place in present(one).inputs
    ]
    files.refuse_output_inside(
        out, [*inputs, *(folder for folder in (model, synthetic) if folder is not None)]
    )


def present(source: Source) -> Source:
    """`source`, if the folder or file that it names is there; of several processes only the first must see it."""
    if source.path is not None and current_processes().size == 1 and not source.path.exists():
        raise DatasetError(f"{source.path} does not exist", hint="Check the path for typing errors.")
    return source


def refuse_model(folder: Path | None) -> None:
    """Refuse a folder in which no model lies, or one that is still being trained."""
    if folder is None or (folder / "model" / FACTS).exists() or (folder / FACTS).exists():
        return
    if (folder / STATE).exists():
        raise ModelError(f"{folder}: this run is not finished", hint="Repeat the train command: it goes on.")
    raise ModelError(
        f"{folder}: no model here (no {FACTS})", hint="Name the folder that `medgan train` wrote."
    )


def refuse_window(window: str | None) -> None:
    """Refuse a CT window that there is not."""
    if window is not None:
        parse_window(window)


def refuse_parts(names: Iterable[str]) -> None:
    """Refuse parts of an evaluation that there are not."""
    strange = [name for name in names if name not in PARTS]
    if strange:
        raise PlanError(f"there is no part {', '.join(strange)}", hint=f"Parts: {', '.join(PARTS)}.")


def refuse_mixture(share: float | str | None, fill: str) -> None:
    """Refuse a share that is none, and one of folders in which it differs from class to class."""
    if fill not in FILLS:
        raise PlanError(f"there is no way {fill!r} to fill classes up", hint=f"Ways: {', '.join(FILLS)}.")
    if share is None:
        return
    if fill == SYNTHETIC:
        raise PlanError(
            "--share is the same in every class, and --fill synthetic gives synthetic images only to classes that lack some",
            hint="Leave one of them out.",
        )
    if share != AUTO and not 0 <= number_of(share) < 1:
        raise PlanError(
            f"The share {share} is no share",
            hint="Give a number from 0 (no synthetic image) to below 1, such as 0.25; or auto.",
        )


def number_of(share: float | str) -> float:
    """A share as a number; not a number for what is none."""
    try:
        return float(share)
    except ValueError:
        return math.nan
