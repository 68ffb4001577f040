"""Synthetic + real images of a class -> the tone curves by which its synthetic images are written.

Images are clamped to the range of the scans before the frozen network sees them, as they are when they are written, so nothing calls
back a value that overshoots: soft tissue just below the upper end of a lung window comes out as white as bone. A curve per class and
channel lays what is drawn onto what is real, quantile upon quantile: histogram matching (Gonzalez and Woods, Digital Image
Processing, section 3.3), with one curve for all images of a class, so that bright images stay bright beside dark ones. It is monotone:
of two pixels the brighter one is never made the darker one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_KNOTS = 257
"""Quantiles that a curve goes through, the least and the largest value included."""

_Floats = NDArray[np.float32]


def tone_quantiles(images: _Floats) -> _Floats:
    """Images (N, C, H, W) -> the quantiles (C, KNOTS) of each channel, evenly spaced by rank."""
    values = np.sort(images.swapaxes(0, 1).reshape(images.shape[1], -1))
    return values[:, np.linspace(0, values.shape[1] - 1, _KNOTS).round().astype(np.int64)]


def fit_tone_curves(drawn: _Floats, real: _Floats) -> _Floats:
    """The curves (C, 2, KNOTS) from the `tone_quantiles` of what a network draws of a class onto those of its real images, on the same scale.

    A value drawn often, as that of the air around a patient, has many ranks; it goes to the nearest value that they have.
    """
    curves = []
    for before, after in zip(drawn, real, strict=True):
        lowest, highest = (np.searchsorted(before, before, side) for side in ("left", "right"))
        curves.append([before, before.clip(after[lowest], after[highest - 1])])
    return np.array(curves)


def apply_curves(images: _Floats, curves: _Floats) -> _Floats:
    """Images (N, C, H, W) by the curves (C, 2, KNOTS) of their class; beyond the ends of a curve, its ends."""
    written = [np.interp(images[:, channel], *curve) for channel, curve in enumerate(curves)]
    return np.stack(written, axis=1).astype(np.float32)
