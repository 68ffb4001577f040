"""A Scan -> which of its slices or frames become 2-D images: those that show something, evenly spaced, few per scan."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medgan.scans.scan import Pixels, Scan

_MIN_FOREGROUND = 0.05
"""A slice with less of it than this shows nothing."""
_END_SHARE = 0.1
"""Share of the remaining slices left out at either end, where anatomy runs out."""

_SAMPLE = 2**20  # voxels that suffice for a threshold
_LEVELS = 256


def choose_slices(scan: Scan, limit: int = 32) -> tuple[int, ...]:
    """Indices along Z, ascending, at most `limit` (1 or more), so that one patient cannot dominate a class."""
    count = len(scan.pixels)
    if count == 1:
        return (0,)
    chosen = range(count) if _is_cine(scan) else _central(_with_foreground(scan.pixels))
    return tuple(chosen[place] for place in _evenly(len(chosen), limit))


def _is_cine(scan: Scan) -> bool:
    """DICOM frames without a distance between them: a film of one plane, where no end is emptier than the other."""
    return bool(scan.modality) and (scan.spacing_mm is None or scan.spacing_mm[0] == 0)


def _with_foreground(pixels: Pixels) -> list[int]:
    """Slices with enough pixels above the volume's threshold; all of them when none has."""
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
    """The middles of `limit` equal parts of `count` places; all places when they are no more than that."""
    parts = min(count, limit)
    return [(2 * part + 1) * count // (2 * parts) for part in range(parts)]


def _otsu_threshold(gray: NDArray[np.float32]) -> float:
    """Otsu's threshold (IEEE Trans. SMC 9 (1979) 62): the level that leaves the least variance within the two classes.

    Outside the percentiles 0.5 and 99.5 values count as those, or one metal implant makes everything else background.
    """
    sample = gray.reshape(-1)[:: max(1, gray.size // _SAMPLE)]
    low, high = (float(level) for level in np.percentile(sample, (0.5, 99.5)))
    if low == high:
        return low
    counts, edges = np.histogram(sample.clip(low, high), _LEVELS, (low, high))
    middles = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1].astype(
        np.float64
    )  # pixels in the darker class, for a cut after each level
    above = sample.size - below
    mass = np.cumsum(counts * middles)
    between = below * above * (mass[:-1] / below - (mass[-1] - mass[:-1]) / above) ** 2
    return float(edges[1 + int(np.argmax(between))])
