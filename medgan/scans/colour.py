"""Weigh colours into gray, and measure how much of an image stored as RGB is coloured."""

from __future__ import annotations

import numpy as np

from medgan.scans.scan import Scan

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""Weights of red, green and blue in gray (ITU-R BT.601)."""
_MIN_DIFFERENCE = 8 / 255
"""Share of the range by which the channels of a coloured pixel differ. JPEG compression of gray images, or a
faint tint of the paper, stays below it."""


def coloured_share(scan: Scan) -> float:
    """Share in [0, 1] of the pixels that are coloured, without black ones.

    Otherwise a small picture on a large black field, as in fluorescence, would pass for gray. Gray scans of
    one channel have 0. Black pixels are those below `_MIN_DIFFERENCE` of the range.
    """
    if scan.pixels.ndim == len("ZYX"):
        return 0.0
    brightest, darkest = scan.pixels.max(axis=-1), scan.pixels.min(axis=-1)
    low = 0.0 if scan.meaning in {"stored", "display"} else float(darkest.min())
    high = {"stored": 2.0**scan.bits - 1, "display": 1.0}.get(scan.meaning, float(brightest.max()))
    least = _MIN_DIFFERENCE * (high - low)
    lit = int(np.count_nonzero(brightest - low > least))
    return int(np.count_nonzero(brightest - darkest > least)) / lit if lit else 0.0
