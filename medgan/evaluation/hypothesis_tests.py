"""Hypothesis tests of the privacy screen.

Each gives a value, its interval over patients, and whether it passes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medgan.evaluation.bootstrap import interval_about_value, resample_patients
from medgan.preparation.images import LabelledImages
from medgan.similarity.copies import FALSE_ALARM_RATE, equal_patient_weights, rows_for_limits
from medgan.similarity.nearest import Values

_LEVEL = 0.99
"""Confidence of the intervals; of eight tests, about one honest generator in twenty-five fails one."""
_RESAMPLES = 1000

_Statistic = Callable[[Values, Values], float]
"""Computes the number to test from weights of the synthetic and of the real images."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TestResult:
    """One test with its value, its threshold and whether it passed."""

    name: str
    """"T1" to "T5"."""
    space: str
    """"pixels", "lite2" or "radiomics"."""
    value: float | None
    low: float | None = None
    """Lower end of the 99 % interval, by bootstrap over patients."""
    high: float | None = None
    threshold: float
    passed: bool | None
    """None if there are too few images to conclude."""
    words: str
    """What the value means."""


def alarm_threshold(
    labels: NDArray[np.int64], patients: NDArray[np.str_], synthetic: LabelledImages
) -> float:
    """The share of honest images below the threshold that is exceeded only once in two hundred times.

    With up to a hundred new patients their first percentile is the smallest of n values, and the share of
    further patients below it follows a Beta(1, n) distribution, which exceeds 1 - 0.005^(1/n) once in two
    hundred times.
    """
    groups = rows_for_limits(labels, patients, len(synthetic.names))
    few = min(len(np.unique(patients[groups[number]])) for number in np.unique(synthetic.labels))
    return float(max(FALSE_ALARM_RATE, 1 - ((1 - _LEVEL) / 2) ** (1 / few)))


def ratio_test(  # noqa: PLR0913, PLR0917  # name, statistic, threshold
    name: str,
    space: str,
    statistic: _Statistic,
    sets: Sequence[NDArray[np.str_]],
    threshold: float,
    seed: int,
    words: str,
) -> TestResult:
    """Test a share of alarms.

    It passes up to the false alarm rate by design, fails above the threshold, and is inconclusive between.

    Args:
        name: Name of the test.
        space: Name of the space.
        statistic: The share, from weights of synthetic and of real images.
        sets: Patients of the synthetic and of the real images.
        threshold: What `alarm_threshold` gives.
        seed: Decides the resamples.
        words: What the value means.
    """
    value, low, high = bounds(statistic, sets, seed)
    low, high = max(low, 0.0), min(high, 1.0)
    return TestResult(
        name=name,
        space=space,
        value=value,
        low=low,
        high=high,
        threshold=round(threshold, 4),
        passed=True if low <= FALSE_ALARM_RATE else False if low > threshold else None,
        words=words,
    )


def sign_test(
    name: str, space: str, statistic: _Statistic, sets: Sequence[NDArray[np.str_]], seed: int, words: str
) -> TestResult:
    """Test a difference to held-out images, which fails if its interval lies below 0; see `ratio_test`."""
    value, low, high = bounds(statistic, sets, seed)
    if not np.isfinite(value):
        return TestResult(
            name=name,
            space=space,
            value=None,
            threshold=0.0,
            passed=None,
            words=f"{words}; too few images to tell",
        )
    return TestResult(
        name=name, space=space, value=value, low=low, high=high, threshold=0.0, passed=high >= 0, words=words
    )


def bounds(statistic: _Statistic, sets: Sequence[NDArray[np.str_]], seed: int) -> tuple[float, float, float]:
    """A statistic of two sets with its interval, by bootstrap over patients of equal weight."""
    weights = [
        resample_patients(one, _RESAMPLES, seed + number) * equal_patient_weights(one)
        for number, one in enumerate(sets)
    ]
    values = np.array([statistic(ours, theirs) for ours, theirs in zip(*weights, strict=True)])
    low, high = interval_about_value(values, _LEVEL)
    return float(values[0]), low, high
