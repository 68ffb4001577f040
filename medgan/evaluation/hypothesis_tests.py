"""A statistic of two sets of images -> a test: its value, its interval over patients, and whether it fails, tells nothing or passes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medgan.evaluation.bootstrap import interval, resample_patients
from medgan.prepare.images import LabelledImages
from medgan.similarity.copies import FALSE_ALARM_RATE, patient_weights, rows_for_limits
from medgan.similarity.nearest import Values

LEVEL = 0.99
"""Confidence of the intervals: with eight tests, about one honest generator in twenty-five fails one of them."""
RESAMPLES = 1000

Statistic = Callable[[Values, Values], float]
"""Weights of the synthetic and of the real images -> the number that is tested."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Test:
    """One test: what it measured, what it tolerates, and whether that was kept."""

    name: str
    """"T1" to "T5"."""
    space: str
    """"pixels", "lite2" or "radiomics"."""
    value: float | None
    low: float | None = None
    """Ends of the 99 % interval, by bootstrap over patients."""
    high: float | None = None
    threshold: float
    passed: bool | None
    """None where too little is there to conclude."""
    words: str
    """What the number is."""


def surely(labels: NDArray[np.int64], patients: NDArray[np.str_], synthetic: LabelledImages) -> float:
    """The share of honest images that lie below a limit of these strangers at most, but for one draw of strangers in two hundred.

    Of n strangers the first percentile is the least, up to a hundred of them, and the share of newcomers below the least of n is one of
    a Beta(1, n) distribution: 1 - 0.005^(1/n) is what it exceeds once in two hundred times.
    """
    groups = rows_for_limits(labels, patients, len(synthetic.names))
    few = min(len(np.unique(patients[groups[number]])) for number in np.unique(synthetic.labels))
    return float(max(FALSE_ALARM_RATE, 1 - ((1 - LEVEL) / 2) ** (1 / few)))


def shares(  # noqa: PLR0913, PLR0917  # a name, what is measured, and what it is held against
    name: str,
    space: str,
    statistic: Statistic,
    sets: Sequence[NDArray[np.str_]],
    threshold: float,
    seed: int,
    words: str,
) -> Test:
    """A share of alarms, which passes up to the design's, fails above `threshold`, and tells nothing between the two."""
    value, low, high = bounds(statistic, sets, seed)
    low, high = max(low, 0.0), min(high, 1.0)
    return Test(
        name=name,
        space=space,
        value=value,
        low=low,
        high=high,
        threshold=round(threshold, 4),
        passed=True if low <= FALSE_ALARM_RATE else False if low > threshold else None,
        words=words,
    )


def signs(
    name: str, space: str, statistic: Statistic, sets: Sequence[NDArray[np.str_]], seed: int, words: str
) -> Test:
    """A difference to held-out images, which fails when it is surely negative."""
    value, low, high = bounds(statistic, sets, seed)
    if not np.isfinite(value):
        return Test(
            name=name,
            space=space,
            value=None,
            threshold=0.0,
            passed=None,
            words=f"{words}; too few images to tell",
        )
    return Test(
        name=name, space=space, value=value, low=low, high=high, threshold=0.0, passed=high >= 0, words=words
    )


def bounds(statistic: Statistic, sets: Sequence[NDArray[np.str_]], seed: int) -> tuple[float, float, float]:
    """A statistic of two sets, and its interval by bootstrap over the patients of both, each patient counting once."""
    weights = [
        resample_patients(one, RESAMPLES, seed + number) * patient_weights(one)
        for number, one in enumerate(sets)
    ]
    values = np.array([statistic(ours, theirs) for ours, theirs in zip(*weights, strict=True)])
    low, high = interval(values, LEVEL)
    return float(values[0]), low, high
