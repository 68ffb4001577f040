"""Draw a map over a scan, with colours that mean the same in every picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medgan.pictures.display import png

LEAST, MOST = 1.0, 3.0
"""Values of a map from which it is shown, and at which its colour is full: 1 in 10 and 1 in 1,000 normal
cells."""
_COLOUR = np.array([1.0, 0.38, 0.0], np.float32)
_COVER = 0.7
"""Share of the full colour over the scan."""
_LONGEST = 1024
"""Longest side of a picture in pixels; larger ones are reduced."""


def overlay_png(gray: NDArray[np.float32], heat: NDArray[np.float32]) -> bytes:
    """PNG of an image (H, W) in [0, 1] with a map (H, W) over it."""
    cover = np.clip((heat - LEAST) / (MOST - LEAST), 0, 1)[..., None] * _COVER
    shown = np.clip(gray, 0, 1)[..., None] * (1 - cover) + _COLOUR * cover
    return png(np.asarray(np.moveaxis(shown, -1, 0), np.float32), longest=_LONGEST)
