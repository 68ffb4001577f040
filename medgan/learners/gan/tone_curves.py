"""Tone curves by which the synthetic images of a class are written.

The frozen network of feature matching sees images clamped to the range of the scans, as they are written, so
nothing corrects values that overshoot: soft tissue just below the upper end of a lung window would come out
as white as bone. A curve per class and channel maps the quantiles of generated images to those of real ones:
histogram matching (Gonzalez and Woods, Digital Image Processing, section 3.3), with one curve for all images
of a class, so that bright images stay brighter than dark ones. Curves are monotone: the brighter of two
pixels never becomes the darker one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_KNOTS = 257
"""Number of quantiles that a curve goes through, the smallest and the largest value included."""

_Floats = NDArray[np.float32]


def tone_quantiles(images: _Floats) -> _Floats:
    """Quantiles (C, _KNOTS) of each channel of (N, C, H, W), evenly spaced by rank."""
    values = np.sort(images.swapaxes(0, 1).reshape(images.shape[1], -1))
    return values[:, np.linspace(0, values.shape[1] - 1, _KNOTS).round().astype(np.int64)]


def fit_tone_curves(drawn: _Floats, real: _Floats) -> _Floats:
    """Curves (C, 2, _KNOTS) that map quantiles of a generator to those of real images.

    Both are `tone_quantiles` of one class, on the same scale. A value that is generated often, such as that
    of the air around a patient, has many ranks; it maps to the nearest of the real values at these ranks.
    """
    curves = []
    for before, after in zip(drawn, real, strict=True):
        lowest, highest = (np.searchsorted(before, before, side) for side in ("left", "right"))
        curves.append([before, before.clip(after[lowest], after[highest - 1])])
    return np.array(curves)


def mix_curves(images: _Floats, curves: Sequence[_Floats], weights: _Floats) -> _Floats:
    """Map images (N, C, H, W) by the curves of all classes, mixed by weights (N, classes) that add up to 1.

    A pixel gets the weighted mean of the values that the curves give it.
    """
    mixed = np.zeros_like(images)
    for own, weight in zip(curves, weights.T, strict=True):
        if weight.any():
            mixed += weight[:, None, None, None] * apply_curves(images, own)
    return mixed


def apply_curves(images: _Floats, curves: _Floats) -> _Floats:
    """Map images (N, C, H, W) by the curves (C, 2, _KNOTS) of their class.

    Values beyond an end of a curve map to that end.
    """
    written = [np.interp(images[:, channel], *curve) for channel, curve in enumerate(curves)]
    return np.stack(written, axis=1).astype(np.float32)
