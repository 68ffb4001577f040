"""Measure how well classifiers find rare classes.

Intervals come from a bootstrap over patients and seeds.

The interval of a difference is paired: every resample draws patients and classifier seeds once, and judges
both arms by them. Patients are drawn within their class, so that each class stays as rare as it is. The
bootstrap is over patients instead of images because images of one patient are alike, and over seeds because
two trainings of one arm differ. The corrected resampled t test (Nadeau and Bengio 2003) is for repeated
splits, whose training sets overlap.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student
from sklearn.metrics import average_precision_score, f1_score, recall_score, roc_auc_score, roc_curve

_SPECIFICITY = 0.9
"""Specificity at which sensitivity is measured."""
_LEVEL = 0.95
"""Confidence of every interval."""

_Array = NDArray[np.float64]
_Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """Figures of one classifier on held-out images, all in [0, 1]; higher is better."""

    auprc: float
    """Area under the precision-recall curve of a rare class against all others, mean over rare classes."""
    sensitivity: float
    """Sensitivity for a rare class at a specificity of 90 %, mean over rare classes."""
    auroc: float
    """Area under the ROC curve of each class against all others, mean over classes."""
    balanced_accuracy: float
    macro_f1: float


def _log_odds(logits: NDArray[np.float32]) -> _Array:
    """(N, K): log odds of each class against all others, ranked like probabilities but never 1."""
    wide = logits.astype(np.float64)
    rest = [np.logaddexp.reduce(np.delete(wide, column, axis=1), axis=1) for column in range(wide.shape[1])]
    return np.asarray(wide - np.stack(rest, axis=1))


def endpoints(logits: NDArray[np.float32], labels: _Labels, rare: Sequence[int]) -> Endpoints:
    """Compute every endpoint of one classifier; each rare class, and some other class, needs an image."""
    scores, found = _log_odds(logits), logits.argmax(axis=1)
    there = np.unique(labels)
    alone = [(labels == number, scores[:, number]) for number in rare]
    return Endpoints(
        auprc=rare_auprc(logits, labels, rare),
        sensitivity=_mean([_sensitivity_at(*pair) for pair in alone]),
        auroc=_mean([roc_auc_score(labels == number, scores[:, number]) for number in there]),
        balanced_accuracy=float(recall_score(labels, found, labels=there, average="macro", zero_division=0)),
        macro_f1=float(f1_score(labels, found, labels=there, average="macro", zero_division=0)),
    )


def rare_auprc(logits: NDArray[np.float32], labels: _Labels, rare: Sequence[int]) -> float:
    """Area under the precision-recall curve, mean over rare classes; see `Endpoints`."""
    scores = _log_odds(logits)
    return _mean([average_precision_score(labels == number, scores[:, number]) for number in rare])


def _sensitivity_at(truth: NDArray[np.bool_], scores: _Array) -> float:
    """The highest sensitivity at a specificity of at least 90 %."""
    false, true, _ = roc_curve(truth, scores, drop_intermediate=False)
    return float(true[false <= 1 - _SPECIFICITY + 1e-9].max())


def endpoints_under(
    logits: NDArray[np.float32], labels: _Labels, rare: Sequence[int], weights: NDArray[np.int64]
) -> tuple[_Array, _Array]:
    """AUPRC and sensitivity, each (B,), when each image counts `weights` (B, N) times; see `endpoints`.

    A resample without an image of a class gives NaN, which `percentile_interval` leaves out.
    """
    scores = _log_odds(logits)
    counts = [_counts(scores[:, number], labels == number, weights) for number in rare]
    return (
        np.asarray(np.mean([_auprc(*one) for one in counts], axis=0)),
        np.asarray(np.mean([_sensitivity(*one) for one in counts], axis=0)),
    )


def auroc_under(scores: _Array, truth: NDArray[np.bool_], weights: NDArray[np.int64]) -> _Array:
    """(B,): area under the ROC curve of `scores` (N,) when each image counts `weights` (B, N) times.

    Trapezoids are summed, so that ties count half; NaN if a resample lacks one of the two sides.
    """
    true, taken = _counts(scores, truth, weights)
    false = taken - true
    before = np.concatenate([np.zeros_like(true[:, :1]), true[:, :-1]], axis=1)
    with np.errstate(invalid="ignore"):
        area: _Array = (np.diff(false, axis=1, prepend=0) * (before + true) / 2).sum(axis=1) / (
            true[:, -1] * false[:, -1]
        )
    return area


def _counts(
    scores: _Array, truth: NDArray[np.bool_], weights: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(B, thresholds): count images of the class, and of all classes, at or above each score."""
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.diff(scores[order], append=-np.inf))  # images of equal score share a threshold
    counted = weights[:, order]
    return np.cumsum(counted * truth[order], axis=1)[:, ends], np.cumsum(counted, axis=1)[:, ends]


def _auprc(true: NDArray[np.int64], taken: NDArray[np.int64]) -> _Array:
    gained = np.diff(true, axis=1, prepend=0)
    with np.errstate(invalid="ignore"):
        area: _Array = (gained * true / np.maximum(taken, 1)).sum(axis=1) / true[:, -1]
    return area


def _sensitivity(true: NDArray[np.int64], taken: NDArray[np.int64]) -> _Array:
    false = taken - true
    quiet = false <= (1 - _SPECIFICITY + 1e-9) * false[:, -1:]
    with np.errstate(invalid="ignore"):
        share: _Array = np.where(quiet, true, 0).max(axis=1) / true[:, -1]
    share[false[:, -1] == 0] = np.nan
    return share


def corrected_t(
    differences: Sequence[float], test_share: float, level: float = _LEVEL
) -> tuple[float, float, float]:
    """Mean and interval of paired differences over repeated splits, of which there must be two.

    Training sets of repeated splits overlap, so the variance of the mean is s^2 (1 / J + n_test / n_train)
    instead of s^2 / J (Nadeau and Bengio 2003, Machine Learning 52:239, eq. 9); `test_share` is
    n_test / n_train.
    """
    values = np.asarray(differences, np.float64)
    count = len(values)
    spread = float(values.std(ddof=1)) * math.sqrt(1 / count + test_share)
    reach = float(student.ppf((1 + level) / 2, count - 1)) * spread
    mean = float(values.mean())
    return mean, mean - reach, mean + reach


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))
