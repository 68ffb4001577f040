"""Bootstrap over patients in the place of images (Efron 1979).

It gives weights, and intervals that centre on the value.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Weights = NDArray[np.float64]
"""(R, N): how often image n counts in resample r; row 0 is the data as they are, each image once."""


def resample_patients(patients: NDArray[np.str_], resamples: int, seed: int) -> Weights:
    """Draw as many patients as there are, with replacement, `resamples` times.

    A patient comes with all of their images. Scores take weights instead of copies, so that features and
    distances are computed once, and a copy is never taken for a neighbour of itself.
    """
    names, which = np.unique(patients, return_inverse=True)
    drawn = np.random.default_rng(seed).multinomial(
        len(names), np.full(len(names), 1 / len(names)), resamples
    )
    return np.concatenate([np.ones((1, len(patients))), drawn[:, which].astype(np.float64)])


def interval(values: NDArray[np.float64], share: float = 0.95) -> tuple[float, float]:
    """Interval from values (R,), the first of which is that of the data.

    Percentiles of the resamples are shifted to centre on the value, because distances of resamples are too
    large on average: they contain fewer distinct patients.
    """
    drawn = values[1:][np.isfinite(values[1:])]
    if not len(drawn):
        return float(values[0]), float(values[0])
    tail = (1 - share) / 2
    low, high = np.quantile(drawn, (tail, 1 - tail)) - drawn.mean() + values[0]
    return float(low), float(high)
