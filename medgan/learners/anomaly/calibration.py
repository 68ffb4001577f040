"""Turn scores into p-values that hold for any score, by normal patients nobody learned from.

A patient's score in each part is the highest of their images. Parts are combined by the mean of their
deviations from the median, in units of the median absolute deviation; both are taken over the calibration
patients *and* the new one together. If the new patient is normal, all of them are exchangeable, and so are
their combined scores; so p <= alpha for at most a share alpha of new normal patients, on average over
calibrations (Vovk; Bates et al., Annals of Statistics 51 (2023) 149). Taken over the calibration patients
alone, the units would be fitted to them and not to the new one, and the promise would not hold. Mean ranks
would hold as well, but a part that sees nothing outvotes one that sees a scan far beyond all normal ones.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

LEAST_PATIENTS = 19
"""Calibration patients at least: with fewer, no alarm is possible at the usual 5 %."""
SHARE = 0.2
"""Share of the normal patients that calibrate."""
PARTS = ("memory", "whole", "gaussian")
"""The parts of a score."""
ANOTHER_POPULATION = 3.0
"""Alarms among all patients, in shares that may alarm by chance, above which all of them seem to differ."""
_LEAST_UNIT = 1e-9
"""Least median absolute deviation, where most normal scores are equal."""

PartScores = Mapping[str, NDArray[np.float64]]
"""{part: (n,) scores}."""


def calibration_size(patients: int) -> int:
    """How many of the normal patients calibrate: a fifth, at least 19, and at most half."""
    return min(max(math.ceil(SHARE * patients), LEAST_PATIENTS), patients // 2)


def patients_needed(alarms: float) -> int:
    """Fewest calibration patients with whom an alarm at this rate is possible."""
    return math.ceil(round(1 / alarms - 1, 9))


def alarm_sentence(patients: int, alarms: float | None = None) -> str:
    """Say which alarms so many calibration patients allow."""
    least = f"{1 / (patients + 1):.3g}"
    if alarms is None:
        return (
            f"{patients} normal patients calibrate. The lowest rate of false alarms that can be asked for is "
            f"{least} (1 in {patients + 1}): with a lower --alarms nobody would alarm."
        )
    if patients < patients_needed(alarms):
        return (
            f"No alarm is possible with --alarms {alarms:g}, which needs {patients_needed(alarms)} "
            f"calibration patients; this model has {patients}, enough for {least} or more."
        )
    return (
        f"At most {alarms:g} of new normal patients alarm, on average; {patients} normal patients set this."
    )


def p_value(calibration: PartScores, scores: Mapping[str, float]) -> float:
    """P-value of one new patient from their score in each part.

    Args:
        calibration: Scores of the calibration patients, in the same order in every part.
        scores: Those of the new patient.
    """
    together = {part: np.append(known, scores[part]) for part, known in calibration.items()}
    combined = combine(together, together)
    return float((combined >= combined[-1]).mean())


def combine(normal: PartScores, scores: PartScores) -> NDArray[np.float64]:
    """Mean over the parts of the median absolute deviations by which scores exceed the normal median."""
    deviations = []
    for part, known in normal.items():
        median = np.median(known)
        unit = max(float(np.median(np.abs(known - median))), _LEAST_UNIT)
        deviations.append((scores[part] - median) / unit)
    return np.asarray(np.mean(deviations, axis=0), np.float64)


def highest_by_patient(patients: Sequence[str], scores: NDArray[np.float64]) -> dict[str, float]:
    """{patient: their highest score}."""
    highest: dict[str, float] = {}
    for patient, score in zip(patients, scores.tolist(), strict=True):
        highest[patient] = max(score, highest.get(patient, -math.inf))
    return highest


class PlaceScale:
    """How common a distance is among normal cells of about the same place."""

    LEVELS = np.concatenate([np.arange(0, 0.9, 0.1), 1 - np.logspace(-1, -3, 21)])
    """Shares of normal cells below each stored quantile."""

    def __init__(self, quantiles: NDArray[np.float32]) -> None:
        """Take the quantiles (levels, rows, columns) at `LEVELS`, ascending along the first axis."""
        if quantiles.ndim != len("LYX") or len(quantiles) != len(self.LEVELS):
            raise ValueError("the tensor quantiles has another shape")
        self.quantiles = quantiles

    @classmethod
    def fit(cls, distances: NDArray[np.float32], near: int) -> PlaceScale:
        """Measure normal cells (n, rows, columns), each with those at most `near` cells away."""
        _, rows, columns = distances.shape
        found = np.empty((len(cls.LEVELS), rows, columns), np.float32)
        for row in range(rows):
            for column in range(columns):
                part = distances[
                    :, max(row - near, 0) : row + near + 1, max(column - near, 0) : column + near + 1
                ]
                found[:, row, column] = np.quantile(part, cls.LEVELS)
        return cls(found)

    def surprise(self, distances: NDArray[np.float32]) -> NDArray[np.float32]:
        """-log10 of the share of normal cells that lie as far: 0 usual, 3 one in a thousand or rarer."""
        heights = -np.log10(1 - self.LEVELS)
        flat = distances.reshape(len(distances), -1)
        known = self.quantiles.reshape(len(self.LEVELS), -1)
        shown = np.stack(
            [np.interp(flat[:, cell], known[:, cell], heights) for cell in range(flat.shape[1])], axis=1
        )
        return np.asarray(shown.reshape(distances.shape), np.float32)
