"""Features of real images, by class and patient -> a judge of classes: how surely an image shows its class, and which classes can be told apart.

Linear discriminant analysis, learned once for each part of the patients that is left out. A real image is judged by the one that has not seen its
patient, a made image by all of them. A made image is doubtful where it shows its class less surely than real images of the class do that
the judge has not seen.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp
from scipy.stats import rankdata

_Points = NDArray[np.float64]
_Labels = NDArray[np.int64]
_Names = NDArray[np.str_]

_FOLDS = 5
_SURE = 0.5
"""Share of unseen real images of a class below whose log-odds a made image is doubtful.

A classifier that learned from 150 made images of each of three classes of chest X-rays, and was tested on 1,481 real ones (AUPRC of the
rarest class, frozen Lite2, logistic regression), reached .532 and .574 with two generators without this check, .542 and .572 with a
quarter, .548 and .587 with a half, .538 and .556 with three quarters; of images that fail at a half it reached .398 and .450. An upper
limit (the 90th percentile) helped nowhere.
"""
LEAST_IMAGES = 10
"""Real images of a class below which that share says nothing."""
_SEPARABLE = 0.80
"""AUC below which two classes can hardly be told apart: between virus and bacteria in chest X-rays of children (.68 to .74 in three of four
sets with 40 images of one), where images of one made from the other's pass, and classes that do differ to the eye (.96 and more)."""
_SHRINKAGE = 0.9
"""Share of the covariance that is replaced by equal, independent spread, on features of deviation 1 within classes.

Cross-fitted AUC of the hardest two classes, chest X-rays (four sets) and hippocampi: .68 to .81 and .78; with .5 lower by up to .04, with
the shrinkage of Ledoit and Wolf by up to .06, with logistic regression (C from 1e-4 to 1e-2) or in 16 to 64 principal components by .02
to .06. Five kinds of scan are told apart by all of them.
"""
_STEADY = 0.1
"""Share of the average deviation that a feature is taken to have at least: among few images one may not vary at all."""
_TINY = 1e-9
_ERRORS_95 = 1.96
"""Standard errors on either side of a figure between which 95 % of such figures lie."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassPair:
    """How well two classes can be told apart in unseen real images."""

    classes: tuple[int, int]
    auc: float
    low: float
    high: float
    """Ends of its 95 % interval, over patients."""

    @property
    def hardly(self) -> bool:
        """Whether an image of one may show the other, and the judge not see it."""
        return self.auc < _SEPARABLE


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _LinearDiscriminant:
    """One linear discriminant analysis of the K classes `known`."""

    weights: _Points
    """(K, D)."""
    bias: _Points
    """(K,)."""

    @classmethod
    def learned(cls, points: _Points, labels: _Labels) -> _LinearDiscriminant:
        """From `points` (N, D) of two classes or more, every class weighing the same; no chance in it.

        Shrunk linear discriminant analysis (Friedman 1989).
        """
        classes, numbers, counts = np.unique(labels, return_inverse=True, return_counts=True)
        means = np.stack([points[numbers == one].mean(axis=0) for one in range(len(classes))])
        rest = (points - means[numbers]) / np.sqrt(counts[numbers] * len(classes))[:, None]
        spread = np.sqrt((rest**2).sum(axis=0))
        spread = np.maximum(spread, max(_STEADY * spread.mean(), _TINY))
        means, rest = means / spread, rest / spread
        covariance = (1 - _SHRINKAGE) * rest.T @ rest
        covariance.flat[:: len(spread) + 1] += max(_SHRINKAGE * float((rest**2).sum()) / len(spread), _TINY)
        weights = np.linalg.solve(covariance, means.T).T
        return cls(weights=weights / spread, bias=-(weights * means).sum(axis=1) / 2)

    def logits(self, points: _Points) -> _Points:
        """(M, D) -> (M, K)."""
        found: _Points = points @ self.weights.T + self.bias
        return found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClassChecker:
    """A judge of classes that has seen the training images, each part of the patients left out in turn."""

    known: _Labels
    """(K,): numbers of the classes that it knows: those of which two parts have patients."""
    parts: tuple[_LinearDiscriminant, ...]
    least: _Points
    """(classes,): the log-odds that a made image of a class must have; NaN where there are too few real ones to say."""
    pairs: tuple[ClassPair, ...]
    """Every two classes that it can check."""

    @classmethod
    def of(cls, points: _Points, labels: _Labels, patients: _Names, classes: int) -> ClassChecker | None:
        """Learn from `points` (N, D); None where fewer than two classes have two patients."""
        folds = _patient_folds(labels, patients)
        known = np.array(
            [one for one in range(classes) if len(np.unique(folds[labels == one])) > 1], np.int64
        )
        if len(known) < 2:
            return None
        rows = np.isin(labels, known)
        points, labels, patients, folds = points[rows], labels[rows], patients[rows], folds[rows]
        numbers = np.searchsorted(known, labels)
        parts, logits = [], np.zeros((len(points), len(known)))
        for fold in np.unique(folds):
            out = folds == fold
            parts.append(_LinearDiscriminant.learned(points[~out], numbers[~out]))
            logits[out] = parts[-1].logits(points[out])
        least = np.full(classes, np.nan)
        for number, one in enumerate(known):
            own = numbers == number
            if own.sum() >= LEAST_IMAGES:
                least[one] = np.quantile(_log_odds(logits[own])[:, number], _SURE)
        sure = np.flatnonzero(np.isfinite(least[known])).tolist()
        pairs = tuple(
            _measure_pair(logits, numbers, patients, (first, second), known)
            for first, second in combinations(sure, 2)
        )
        return cls(known=known, parts=tuple(parts), least=least, pairs=pairs)

    def odds(self, points: _Points, label: int) -> _Points | None:
        """Log-odds (M,) of the class `label` in made images `points` (M, D): the mean over all parts; None for a class it does not know."""
        if label not in self.known:
            return None
        column = int(np.searchsorted(self.known, label))
        found: _Points = np.mean([_log_odds(part.logits(points))[:, column] for part in self.parts], axis=0)
        return found

    def doubt(self, odds: _Points, label: int) -> _Points:
        """How far (M,) the log-odds (M,) of made images lie below what their class must have; 0 where it is not checked."""
        least = self.least[label]
        found: _Points = np.maximum(least - odds, 0) if np.isfinite(least) else np.zeros(len(odds))
        return found

    @property
    def checks(self) -> tuple[int, ...]:
        """The classes whose made images it can check."""
        return tuple(np.flatnonzero(np.isfinite(self.least)).tolist())


def _patient_folds(labels: _Labels, patients: _Names) -> _Labels:
    """The part (N,) of 0 to FOLDS - 1 in which each image is left out: with its patient, and every class spread over as many as it can be."""
    fold: dict[str, int] = {}
    size = Counter[int]()
    own = {label: sorted(set(patients[labels == label].tolist())) for label in np.unique(labels).tolist()}
    for label in sorted(own, key=lambda one: (len(own[one]), one)):
        here = Counter(fold[patient] for patient in own[label] if patient in fold)
        for patient in own[label]:
            if patient not in fold:
                fold[patient] = min(range(_FOLDS), key=lambda one: (here[one], size[one], one))
                here[fold[patient]] += 1
                size[fold[patient]] += 1
    return np.array([fold[patient] for patient in patients.tolist()], np.int64)


def _log_odds(logits: _Points) -> _Points:
    """(M, K) logits -> (M, K): log p - log (1 - p) of each class, finite however sure it is."""
    rest = [
        logsumexp(np.delete(logits, number, axis=1), axis=1, keepdims=True)
        for number in range(logits.shape[1])
    ]
    found: _Points = logits - np.concatenate(rest, axis=1)
    return found


def _measure_pair(
    logits: _Points, numbers: _Labels, patients: _Names, pair: tuple[int, int], known: _Labels
) -> ClassPair:
    """The AUC of two classes in unseen real images, with an interval over patients."""
    first, second = pair
    rows = np.isin(numbers, pair)
    auc, error = _clustered_auc(
        logits[rows, first] - logits[rows, second], numbers[rows] == first, patients[rows]
    )
    low, high = max(auc - _ERRORS_95 * error, 0.0), min(auc + _ERRORS_95 * error, 1.0)
    return ClassPair(classes=(int(known[first]), int(known[second])), auc=auc, low=low, high=high)


def _clustered_auc(scores: _Points, own: NDArray[np.bool_], patients: _Names) -> tuple[float, float]:
    """AUC of `scores` (N,) for `own` (N,) against the others, and its standard error where images of a patient are alike.

    Each image is placed by the share of the other class that it is ahead of or behind; their sums by patient vary as patients do
    (DeLong 1988, for clustered data Obuchowski 1997).
    """
    ranks = rankdata(scores)
    ours, theirs = int(own.sum()), int((~own).sum())
    placed = np.empty(len(scores))
    placed[own] = (ranks[own] - rankdata(scores[own])) / theirs
    placed[~own] = 1 - (ranks[~own] - rankdata(scores[~own])) / ours
    auc = float(placed[own].mean())
    number = np.unique(patients, return_inverse=True)[1]
    share = np.where(own, 1 / ours, 1 / theirs)
    sums = np.bincount(number, weights=(placed - auc) * share)
    count = len(sums)
    return auc, float(np.sqrt((sums**2).sum() * count / max(count - 1, 1)))
