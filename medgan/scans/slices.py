"""Choose the slices or frames of a scan that become 2-D images.

They show something, are evenly spaced, and few per scan.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medgan.scans.scan import Pixels, Scan

_MIN_FOREGROUND = 0.05
"""Least share of foreground in a slice that shows something."""
_END_SHARE = 0.1
"""Share of the remaining slices left out at either end, where the anatomy ends."""

_SAMPLE = 2**20  # voxels that suffice for a threshold
_LEVELS = 256


def choose_slices(scan: Scan, limit: int = 32) -> tuple[int, ...]:
    """Choose indices along Z, ascending, at most `limit` (1 or more).

    The limit keeps one patient from dominating a class.
    """
    count = len(scan.pixels)
    if count == 1:
        return (0,)
    chosen = range(count) if _is_cine(scan) else _central(_with_foreground(scan.pixels))
    return tuple(chosen[place] for place in _evenly(len(chosen), limit))


def _is_cine(scan: Scan) -> bool:
    """Whether the frames are a film of one plane.

    DICOM gives no distance between such frames, and the first and last of them show as much as the others.
    """
    return bool(scan.modality) and (scan.spacing_mm is None or scan.spacing_mm[0] == 0)


def _with_foreground(pixels: Pixels) -> list[int]:
    """Slices with enough pixels above the volume's threshold, or all if none has."""
    gray = pixels if pixels.ndim == 3 else pixels.mean(axis=-1)
    level = _otsu_threshold(gray)
    kept = [
        index
        for index, plane in enumerate(gray)
        if np.count_nonzero(plane > level) >= _MIN_FOREGROUND * plane.size
    ]
    return kept or list(range(len(gray)))


def _central(indices: list[int]) -> list[int]:
    ends = int(_END_SHARE * len(indices))
    return indices[ends : len(indices) - ends]


def _evenly(count: int, limit: int) -> list[int]:
    """The middles of `limit` equal parts of `count` places.

    All places where they are not more than `limit`.
    """
    parts = min(count, limit)
    return [(2 * part + 1) * count // (2 * parts) for part in range(parts)]


def _otsu_threshold(gray: NDArray[np.float32]) -> float:
    """Otsu's threshold (IEEE Trans. SMC 9 (1979) 62).

    It is the level with the least variance within the two classes. Values are clipped to the percentiles 0.5
    and 99.5, because one metal implant would turn everything else into background.
    """
    sample = gray.reshape(-1)[:: max(1, gray.size // _SAMPLE)]
    low, high = (float(level) for level in np.percentile(sample, (0.5, 99.5)))
    if low == high:
        return low
    counts, edges = np.histogram(sample.clip(low, high), _LEVELS, (low, high))
    middles = (edges[:-1] + edges[1:]) / 2
    # Pixels in the darker class, for a cut after each level.
    below = np.cumsum(counts)[:-1].astype(np.float64)
    above = sample.size - below
    mass = np.cumsum(counts * middles)
    between = below * above * (mass[:-1] / below - (mass[-1] - mass[:-1]) / above) ** 2
    return float(edges[1 + int(np.argmax(between))])
