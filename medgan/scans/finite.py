"""Pixels that may hold NaN and Inf -> pixels that do not, or a refusal when little else is there."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from medgan.base.errors import ScanError
from medgan.scans.scan import Pixels


def fill_non_finite(pixels: Pixels, path: Path) -> tuple[Pixels, tuple[str, ...]]:
    """NaN and Inf as 0, or as the nearest real value where 0 lies outside the range; and the note that says so."""
    if np.isfinite(pixels.min()) and np.isfinite(pixels.max()):  # NaN would be both: two passes and no mask
        return pixels, ()
    finite = np.isfinite(pixels)
    if 2 * np.count_nonzero(finite) <= finite.size:
        raise ScanError(
            f"{path.name}: half of it or more is NaN or Inf",
            verdict="error:mostly-nan",
            hint="Find the step that made the file: it divided by zero or left its mask unfilled.",
        )
    background = np.float32(0).clip(pixels[finite].min(), pixels[finite].max())
    return np.where(finite, pixels, background), ("nan-filled",)
