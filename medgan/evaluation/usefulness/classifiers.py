"""The classifiers that judge: networks, and linear classifiers on features."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestNeighbors

from medgan.evaluation.usefulness.arms import SMOTE, ArmRecipe, Lesson
from medgan.evaluation.usefulness.inputs import NetworkInputs
from medgan.evaluation.usefulness.schedules import Schedule
from medgan.evaluation.usefulness.training import train_classifiers

_Array = NDArray[np.float32]
_Rows = NDArray[np.int64]
_Predict = Callable[[_Rows | None], _Array]
"""Predicts logits (R, K) of images to learn from, by row, or of all held-out images (None)."""

_PENALTIES = (3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
"""Values of C of a logistic regression, the strictest first."""
_SHRINKAGES = (0.99, 0.97, 0.9, 0.7, 0.5, 0.3, 0.1)
"""Shrinkages of a covariance, the strictest first."""
_NEIGHBOURS = 5
_MOST_ITERATIONS = 200
_NEVER = -30.0
"""Logit of a class without training images."""


def network_tries(rates: Sequence[float], steps: Sequence[int]) -> tuple[tuple[Schedule, ...], ...]:
    """Schedules to try for a network; one run gives all schedules of a group."""
    return tuple(tuple(Schedule(rate=rate, steps=count) for count in steps) for rate in rates)


def linear_tries(recipe: ArmRecipe) -> tuple[tuple[Schedule, ...], ...]:
    """Schedules to try for a linear judge, all in one group, the strictest first."""
    values = _SHRINKAGES if recipe.discriminant else _PENALTIES
    return (tuple(Schedule(penalty=value) for value in values),)


class Classifier(Protocol):
    """A kind of classifier."""

    def learn(
        self, lesson: Lesson, schedules: Sequence[Schedule], seed: int
    ) -> Iterator[tuple[Schedule, _Predict]]:
        """Yield (schedule, classifier) for each schedule of a group."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkClassifier:
    """A network that is trained by steps."""

    eyes: NetworkInputs

    def learn(
        self, lesson: Lesson, schedules: Sequence[Schedule], seed: int
    ) -> Iterator[tuple[Schedule, _Predict]]:
        """See `Classifier`."""
        by_steps = {one.steps or 0: one for one in schedules}
        rate = schedules[0].rate or 0.0
        for count, network in train_classifiers(
            self.eyes, lesson, rate=rate, steps=sorted(by_steps), seed=seed
        ):
            yield by_steps[count], partial(self._ask, network)

    def _ask(self, network: Any, rows: _Rows | None) -> _Array:
        return self.eyes.logits(network) if rows is None else self.eyes.logits_of(network, rows)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LinearClassifier:
    """Logistic regression or discriminant analysis on features (N, D) and (M, D)."""

    learned: _Array
    asked: _Array

    def learn(
        self, lesson: Lesson, schedules: Sequence[Schedule], seed: int
    ) -> Iterator[tuple[Schedule, _Predict]]:
        """See `Classifier`.

        An image weighs its probability times its error weight, scaled to the real ones.
        """
        (_, pool), *_ = lesson.stages
        x, y = self.learned[pool.rows], lesson.labels[pool.rows]
        weights = pool.chances * pool.costs
        if lesson.recipe.adds == SMOTE:
            fresh, labels = _smote(x, y, np.random.default_rng(seed))
            x, y = np.concatenate([x, fresh]), np.concatenate([y, labels])
            weights = 1 / np.bincount(y)[y]
        weights = weights * (lesson.real / weights.sum())
        for schedule in schedules:
            penalty = schedule.penalty or 0.0
            fitted = (
                LinearDiscriminantAnalysis(solver="lsqr", shrinkage=penalty, priors=_even_priors(y)).fit(x, y)
                if lesson.recipe.discriminant
                else _logistic(x, y, penalty, weights)
            )
            yield schedule, partial(self._ask, fitted, lesson.classes)

    def _ask(self, fitted: Any, classes: int, rows: _Rows | None) -> _Array:
        x = self.asked if rows is None else self.learned[rows]
        told = fitted.decision_function(x)
        found = np.full((len(x), classes), _NEVER, np.float32)
        found[:, fitted.classes_] = told if told.ndim > 1 else np.stack([-told / 2, told / 2], axis=1)
        return found


def _logistic(
    x: _Array, labels: NDArray[np.int64], penalty: float, weights: NDArray[np.float64]
) -> LogisticRegression:
    """Fit a logistic regression with at most 200 iterations; only useless penalties need more."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LogisticRegression(C=penalty, max_iter=_MOST_ITERATIONS).fit(x, labels, sample_weight=weights)


def _even_priors(labels: NDArray[np.int64]) -> NDArray[np.float64]:
    count = len(np.unique(labels))
    return np.full(count, 1 / count)


def _smote(
    x: _Array, labels: NDArray[np.int64], rng: np.random.Generator
) -> tuple[_Array, NDArray[np.int64]]:
    """Interpolate between neighbours of a class until all classes are equally large (SMOTE, arXiv 1106.1813).

    Takes features (N, D) and classes (N,), and returns those of the new points. A class of one point gets
    copies of it.
    """
    counts = np.bincount(labels)
    fresh = [x[:0]]
    for number, count in enumerate(counts.tolist()):
        lacking = int(counts.max()) - count
        if not count or not lacking:
            continue
        own = x[labels == number]
        near = NearestNeighbors(n_neighbors=min(_NEIGHBOURS + 1, count)).fit(own).kneighbors(own)[1]
        first = rng.integers(count, size=lacking)
        second = near[first, rng.integers(min(1, count - 1), near.shape[1], size=lacking)]
        fresh.append(own[first] + rng.random((lacking, 1), np.float32) * (own[second] - own[first]))
    new = [int(counts.max()) - count if count else 0 for count in counts.tolist()]
    return np.concatenate(fresh), np.repeat(np.arange(len(counts)), new)
