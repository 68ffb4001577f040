"""Check classes: how surely an image shows its class, and which classes separate.

Linear discriminant analysis is trained once for each fold of patients that is left out. A real image is
judged by the one that has not seen its patient, a synthetic image by all of them. A synthetic image is
doubtful where it shows its class less surely than half of the real images of the class that were left out,
and no more surely than one in twenty real images of another class.
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
"""Quantile of the log-odds of left-out real images of a class, which is enough for a synthetic image.

A classifier trained on 150 synthetic images of each of three classes of chest X-rays, and tested on 1,481
real ones (AUPRC of the rarest class, frozen Lite2, logistic regression), reached .532 and .574 with two
generators without this check, .542 and .572 with a quarter, .548 and .587 with a half, .538 and .556 with
three quarters; with images that fail at a half it reached .398 and .450. An upper limit (the 90th percentile)
helped nowhere.
"""
_APART = 0.95
"""Quantile of these log-odds in left-out real images of every other class, which is enough too.

Where classes separate plainly, nearly all images show theirs, and the median would refuse half of them.
"""
LEAST_IMAGES = 10
"""Number of real images of a class below which that quantile means nothing."""
_SEPARABLE = 0.80
"""AUC below which two classes count as hardly separable. It lies between virus and bacteria in chest X-rays
of children (.68 to .74 in three of four sets with 40 images of one), where synthetic images of one class pass
as the other, and classes that differ visibly (.96 and more)."""
_SHRINKAGE = 0.9
"""Share of the covariance that is replaced by an equal, independent spread, on features with deviation 1
within classes.

Cross-fitted AUC of the two hardest classes, chest X-rays (four sets) and hippocampi: .68 to .81 and .78;
lower by up to .04 with .5, by up to .06 with the shrinkage of Ledoit and Wolf, and by .02 to .06 with
logistic regression (C from 1e-4 to 1e-2) or in 16 to 64 principal components. Five kinds of scan are told
apart by all of them.
"""
_STEADY = 0.1
"""Smallest deviation of a feature, as a share of the average one: among few images a feature may not vary at
all."""
_TINY = 1e-9
_ERRORS_95 = 1.96
"""Standard errors on either side of a value that span its 95 % interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassPair:
    """How well two classes separate in left-out real images."""

    classes: tuple[int, int]
    auc: float
    low: float
    high: float
    """Ends of the 95 % interval of the AUC, over patients."""

    @property
    def hardly(self) -> bool:
        """Whether an image of one class may show the other without the check noticing."""
        return self.auc < _SEPARABLE


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _LinearDiscriminant:
    """One linear discriminant analysis of K classes."""

    weights: _Points
    """(K, D)."""
    bias: _Points
    """(K,)."""

    @classmethod
    def fit(cls, points: _Points, labels: _Labels) -> _LinearDiscriminant:
        """Train on `points` (N, D) of at least two classes, each with the same weight.

        It is shrunk linear discriminant analysis (Friedman 1989), and deterministic.
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
        """Logits (M, K) of points (M, D)."""
        found: _Points = points @ self.weights.T + self.bias
        return found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClassChecker:
    """A checker of classes, trained with each fold of patients left out in turn."""

    known: _Labels
    """(K,): numbers of the classes that it knows, those with patients in two folds."""
    parts: tuple[_LinearDiscriminant, ...]
    least: _Points
    """(classes,): smallest log-odds for a synthetic image of the class; NaN where there are too few real
    images."""
    pairs: tuple[ClassPair, ...]
    """Every pair of classes that it can check."""

    @classmethod
    def of(cls, points: _Points, labels: _Labels, patients: _Names, classes: int) -> ClassChecker | None:
        """Train on `points` (N, D).

        Returns:
            None where fewer than two classes have two patients.
        """
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
            parts.append(_LinearDiscriminant.fit(points[~out], numbers[~out]))
            logits[out] = parts[-1].logits(points[out])
        least, odds = np.full(classes, np.nan), _log_odds(logits)
        for number, one in enumerate(known):
            if (numbers == number).sum() >= LEAST_IMAGES:
                least[one] = _least_odds(odds[:, number], numbers, number)
        sure = np.flatnonzero(np.isfinite(least[known])).tolist()
        pairs = tuple(
            _measure_pair(logits, numbers, patients, (first, second), known)
            for first, second in combinations(sure, 2)
        )
        return cls(known=known, parts=tuple(parts), least=least, pairs=pairs)

    def odds(self, points: _Points, label: int) -> _Points | None:
        """Log-odds (M,) of class `label` in synthetic images `points` (M, D).

        They are means over all folds. None for a class that the checker does not know.
        """
        if label not in self.known:
            return None
        column = int(np.searchsorted(self.known, label))
        found: _Points = np.mean([_log_odds(part.logits(points))[:, column] for part in self.parts], axis=0)
        return found

    def doubt(self, odds: _Points, label: int) -> _Points:
        """How far log-odds (M,) of synthetic images are below the limit of their class.

        It is 0 where the class is not checked.
        """
        least = self.least[label]
        found: _Points = np.maximum(least - odds, 0) if np.isfinite(least) else np.zeros(len(odds))
        return found

    @property
    def checks(self) -> tuple[int, ...]:
        """The classes whose synthetic images it can check."""
        return tuple(np.flatnonzero(np.isfinite(self.least)).tolist())


def _patient_folds(labels: _Labels, patients: _Names) -> _Labels:
    """The fold (N,), 0 to _FOLDS - 1, in which each image is left out.

    Images of a patient are in one fold, and every class is spread over as many folds as possible.
    """
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


def _least_odds(odds: _Points, numbers: _Labels, number: int) -> float:
    """Smallest log-odds that do not make an image of class `number` doubtful.

    It is the median of left-out real images of the class. Where fewer are enough to leave 19 of 20 real
    images of every other class behind, it is what these have, but at least 0. How large log-odds are says
    little: with more features than images they are far too large, and the more so the fewer images there are.

    Args:
        odds: (N,) log-odds of the class in left-out real images.
        numbers: (N,) their classes.
        number: the class.
    """
    others = [np.quantile(odds[numbers == one], _APART) for one in np.unique(numbers) if one != number]
    return min(float(np.quantile(odds[numbers == number], _SURE)), max(0.0, *map(float, others)))


def _log_odds(logits: _Points) -> _Points:
    """Log-odds log p - log (1 - p) of each class from logits (M, K), always finite."""
    rest = [
        logsumexp(np.delete(logits, number, axis=1), axis=1, keepdims=True)
        for number in range(logits.shape[1])
    ]
    found: _Points = logits - np.concatenate(rest, axis=1)
    return found


def _measure_pair(
    logits: _Points, numbers: _Labels, patients: _Names, pair: tuple[int, int], known: _Labels
) -> ClassPair:
    """The AUC of two classes in left-out real images, with an interval over patients."""
    first, second = pair
    rows = np.isin(numbers, pair)
    auc, error = _clustered_auc(
        logits[rows, first] - logits[rows, second], numbers[rows] == first, patients[rows]
    )
    low, high = max(auc - _ERRORS_95 * error, 0.0), min(auc + _ERRORS_95 * error, 1.0)
    return ClassPair(classes=(int(known[first]), int(known[second])), auc=auc, low=low, high=high)


def _clustered_auc(scores: _Points, own: NDArray[np.bool_], patients: _Names) -> tuple[float, float]:
    """AUC of `scores` (N,) for `own` (N,) against the others, with its standard error.

    The error takes into account that images of a patient are alike: each image is placed by the share of the
    other class that it is ahead of, and the sums of these by patient vary as patients do (DeLong 1988, for
    clustered data Obuchowski 1997).
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
