"""Patients -> weights: how often each image counts when patients, not images, are drawn again (the bootstrap, Efron 1979)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Weights = NDArray[np.float64]
"""(R, N): how often image n counts in resample r; row 0 is the data as they are, each image once."""


def resample_patients(patients: NDArray[np.str_], resamples: int, seed: int) -> Weights:
    """As many patients drawn with replacement as there are, `resamples` times; a patient comes with all of his images.

    Scores then take weights instead of copies, so that features and distances are computed once (and a copy is never
    taken for a neighbour of itself).
    """
    names, which = np.unique(patients, return_inverse=True)
    drawn = np.random.default_rng(seed).multinomial(
        len(names), np.full(len(names), 1 / len(names)), resamples
    )
    return np.concatenate([np.ones((1, len(patients))), drawn[:, which].astype(np.float64)])


def interval(values: NDArray[np.float64], share: float = 0.95) -> tuple[float, float]:
    """Ends of the interval from values (R,) of which the first is that of the data.

    Percentiles of the resamples, moved so that they are centred on the value: distances of resamples are too large on average, for
    they hold fewer different patients.
    """
    drawn = values[1:][np.isfinite(values[1:])]
    if not len(drawn):
        return float(values[0]), float(values[0])
    tail = (1 - share) / 2
    low, high = np.quantile(drawn, (tail, 1 - tail)) - drawn.mean() + values[0]
    return float(low), float(high)
