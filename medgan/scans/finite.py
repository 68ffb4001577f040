"""Replace NaN and infinite pixels, or refuse a scan that has little else."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from medgan.base.errors import ScanError
from medgan.scans.scan import Pixels


def fill_non_finite(pixels: Pixels, path: Path) -> tuple[Pixels, tuple[str, ...]]:
    """Replace NaN and infinite pixels by 0, and return the note that says so.

    Where 0 lies outside the range of the scan, the nearest real value takes its place.

    Raises:
        ScanError: half of the pixels or more are not finite.
    """
    if np.isfinite(pixels.min()) and np.isfinite(pixels.max()):  # NaN would be both: two passes and no mask
        return pixels, ()
    finite = np.isfinite(pixels)
    if 2 * np.count_nonzero(finite) <= finite.size:
        raise ScanError(
            f"{path.name}: half of the pixels or more are NaN or infinite",
            verdict="error:mostly-nan",
            hint="Check the program that wrote the file: it may have divided by zero.",
        )
    background = np.float32(0).clip(pixels[finite].min(), pixels[finite].max())
    return np.where(finite, pixels, background), ("nan-filled",)
