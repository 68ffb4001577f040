"""The stored integers of a written image and the facts that go with it.

They are the same for every file format.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medgan import __version__
from medgan.base.errors import PlanError
from medgan.scans.scan import OutputFormat, Pixels, Provenance

MAKER = "medgan"
SOFTWARE = f"{MAKER} {__version__}"
NOTICES = {
    True: "SYNTHETIC - NOT A PATIENT - NOT FOR CLINICAL USE",
    False: "RESAMPLED FROM A REAL IMAGE - NOT FOR CLINICAL USE",
}
"""The notice to people, by `Provenance.synthetic`."""

BYTE = 8
"""Bits of the smallest stored value."""
WORD = 16
"""Bits of the largest stored value."""

Stored = NDArray[np.integer]


def stored_range(form: OutputFormat) -> tuple[float, float]:
    """The stored values of pixels 0.0 and 1.0."""
    return (0.0, 2.0**form.bits - 1) if form.unit == "relative" else (form.low, form.high)


def stored_values(pixels: Pixels, form: OutputFormat) -> Stored:
    """Convert pixels in [0, 1] to integers.

    Hounsfield units become int16 with slope 1, so that nothing has to be rescaled. All else is unsigned.
    """
    low, high = stored_range(form)
    whole = quantise(pixels, low, high)
    if form.unit == "HU":
        return np.clip(whole, -(2**15), 2**15 - 1, out=whole).astype(np.int16)
    return np.clip(whole, 0, 2**form.bits - 1, out=whole).astype(_unsigned_type(form.bits))


def quantise(pixels: Pixels, low: float, high: float) -> NDArray[np.float64]:
    """Round `low + pixel * (high - low)` to whole numbers.

    The result is float64, so that 16 bits survive.
    """
    whole = pixels.astype(np.float64)  # a copy, and the only one
    np.clip(whole, 0.0, 1.0, out=whole)
    whole *= high - low
    whole += low
    return np.rint(whole, out=whole)


def _unsigned_type(bits: int) -> type[np.unsignedinteger]:
    """The smallest unsigned type for `bits` (at most 16)."""
    return np.uint8 if bits <= BYTE else np.uint16


def slice_gap(form: OutputFormat, depth: int) -> float:
    """Millimetres from one slice to the next.

    0.0 where there is one slice, or where no size in millimetres is known.

    Raises:
        PlanError: there are several slices of known pixel size but unknown distance.
    """
    gap = form.spacing_mm[0] if form.spacing_mm else 0.0
    if depth > 1 and form.spacing_mm and not gap > 0:
        raise PlanError(
            "A volume needs the distance between its slices",
            hint="Set the first number of the form's spacing_mm, or spacing_mm=None if it is unknown.",
        )
    return gap


def image_facts(form: OutputFormat, mark: Provenance) -> dict[str, object]:
    """What a side file or text chunk says about one image. Unknown facts are absent."""
    low, high = stored_range(form)
    said: dict[str, object] = {
        "SyntheticData": mark.synthetic,
        "Notice": NOTICES[mark.synthetic],
        "Label": mark.label,
        "Index": mark.index,
        "Seed": mark.seed if mark.synthetic else None,
        "Model": mark.model if mark.synthetic else None,
        "Patient": None if mark.synthetic else mark.patient,
        "Unit": form.unit,
        "Low": form.low,
        "High": form.high,
        "StoredLow": low,
        "StoredHigh": high,
        "Modality": form.modality,
        "BodyPart": form.body_part,
        "SpacingMM": list(form.spacing_mm) if form.spacing_mm else None,
        "Software": SOFTWARE,
    }
    return {key: value for key, value in said.items() if value not in (None, "")}
