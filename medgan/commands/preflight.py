"""Check paths, names and numbers before slow libraries are loaded."""

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
"""The share that validation patients choose."""
REPEATED = "repeated"
"""Classes reach their target with repeated real images."""
SYNTHETIC = "synthetic"
"""Classes reach their target with synthetic images."""
_FILLS = (REPEATED, SYNTHETIC)
_FACTS = "model.json"
"""A folder that holds this file is a model."""
_STATE = "state.pt"
"""A folder that holds this file is a training run."""
PARTS = ("fidelity", "giveaways", "usefulness", "shortcut", "privacy")
"""What an evaluation can measure, in this order."""


def preflight(
    out: Path,
    source: Source | None,
    *,
    model: Path | None = None,
    synthetic: Path | None = None,
    external: Path | None = None,
) -> None:
    """Refuse folders that cannot be used whatever data they hold; commands check the rest.

    Args:
        out: The output folder, which must not lie inside an input.
        source: The data set.
        model: The folder of a trained model.
        synthetic: A folder of synthetic images.
        external: A second data set to judge by.
    """
    _require_model(model)
    inputs = [
        place for one in (source, external and Source(path=external)) if one for place in present(one).inputs
    ]
    files.refuse_output_inside(
        out, [*inputs, *(folder for folder in (model, synthetic) if folder is not None)]
    )


def present(source: Source) -> Source:
    """Return `source` if its path exists; of several processes only the first must see it."""
    if source.path is not None and current_processes().size == 1 and not source.path.exists():
        raise DatasetError(f"{source.path} does not exist", hint="Check the path for typing errors.")
    return source


def _require_model(folder: Path | None) -> None:
    """Refuse a folder without a model, or with one that is not fully trained."""
    if folder is None or (folder / "model" / _FACTS).exists() or (folder / _FACTS).exists():
        return
    if (folder / _STATE).exists():
        raise ModelError(
            f"{folder}: this training run is not finished", hint="Repeat the train command to continue it."
        )
    raise ModelError(
        f"{folder}: no model here (no {_FACTS})", hint="Name the folder that `medgan train` wrote."
    )


def refuse_window(window: str | None) -> None:
    """Refuse a CT window that does not exist."""
    if window is not None:
        parse_window(window)


def refuse_parts(names: Iterable[str]) -> None:
    """Refuse parts of an evaluation that do not exist."""
    strange = [name for name in names if name not in PARTS]
    if strange:
        raise PlanError(
            f"--only {','.join(strange)} is not known", hint=f"Give one or more of {', '.join(PARTS)}."
        )


def refuse_mixture(share: float | str | None, fill: str) -> None:
    """Refuse a share that is not a share, and one that `fill` contradicts."""
    if fill not in _FILLS:
        raise PlanError(f"--fill {fill} is not known", hint=f"Give one of {', '.join(_FILLS)}.")
    if share is None:
        return
    if fill == SYNTHETIC:
        raise PlanError(
            "--share gives every class the same share of synthetic images, and --fill synthetic gives them "
            "only to the classes that lack some",
            hint="Remove --share or --fill.",
        )
    if share != AUTO and not 0 <= _to_number(share) < 1:
        raise PlanError(
            f"--share must be a number from 0 to below 1, or auto, not {share}",
            hint="Give for example --share 0.25, or --share 0 for no synthetic images.",
        )


def _to_number(share: float | str) -> float:
    """A share as a number; NaN if it is not a number."""
    try:
        return float(share)
    except ValueError:
        return math.nan
