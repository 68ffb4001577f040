"""Bootstrap over patients in the place of images (Efron 1979).

Images of one patient are alike, so patients are drawn, with all of their images. There are two intervals, for
two kinds of figure. Distances and shares of neighbours are biased in a resample, because it holds fewer
distinct patients: their interval is moved to lie about the value (`interval_about_value`). Areas under curves
and differences of them are not, and an interval from their percentiles stays within the range of the figure
(`percentile_interval`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_LEVEL = 0.95
"""Confidence of an interval."""

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


def resample_within_classes(
    patients: NDArray[np.str_], labels: NDArray[np.int64], resamples: int, seed: int
) -> NDArray[np.int64]:
    """(B, N): how often each image counts in each resample; patients are drawn within their class.

    A patient with images of several classes belongs to the rarest of them.
    """
    rng = np.random.default_rng(seed)
    names, which = np.unique(patients, return_inverse=True)
    counts = np.bincount(labels)
    order = np.argsort(counts[labels], kind="stable")[::-1]
    home = np.zeros(len(names), np.int64)
    home[which[order]] = labels[order]  # the rarest class is written last
    drawn = np.zeros((resamples, len(names)), np.int64)
    for number in np.unique(home):
        own = np.flatnonzero(home == number)
        drawn[:, own] = rng.multinomial(len(own), np.full(len(own), 1 / len(own)), size=resamples)
    return drawn[:, which]


def resample_seeds(seeds: int, resamples: int, seed: int) -> NDArray[np.float64]:
    """(B, seeds): the share of each classifier seed in each resample of them."""
    rng = np.random.default_rng((seed, seeds))
    return np.asarray(rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=resamples) / seeds)


def interval_about_value(values: NDArray[np.float64], level: float = _LEVEL) -> tuple[float, float]:
    """Interval from values (R,), the first of which is that of the data.

    Percentiles of the resamples are shifted to centre on the value, because distances of resamples are too
    large on average: they contain fewer distinct patients.
    """
    drawn = values[1:][np.isfinite(values[1:])]
    if not len(drawn):
        return float(values[0]), float(values[0])
    tail = (1 - level) / 2
    low, high = np.quantile(drawn, (tail, 1 - tail)) - drawn.mean() + values[0]
    return float(low), float(high)


def percentile_interval(resampled: NDArray[np.float64], level: float = _LEVEL) -> tuple[float, float]:
    """Percentile interval of a bootstrap; resamples without a value are left out."""
    tail = (1 - level) / 2 * 100
    low, high = np.nanpercentile(resampled, [tail, 100 - tail])
    return float(low), float(high)
