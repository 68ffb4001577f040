"""Choose the schedule of an arm (rate and steps, or penalty) by folds that share no patient.

Equal numbers of steps would not be fair: one arm overfits where another has hardly begun. So every arm of
real images tries the same schedules on the same folds. An arm with synthetic images takes the schedule of the
same arm without them: the generator has seen the patients of every fold, so folds would favour what memorises
synthetic images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from medgan.evaluation.endpoints import rare_auprc
from medgan.preparation.images import LabelledImages

_NEAR = 0.002
"""Difference of AUPRC below which two schedules count as equally good."""
_FEW = 5
"""Images of a rare class in a fold below which all folds are scored together instead of one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Learning rate and steps of a network, or penalty of a linear judge."""

    rate: float | None = None
    """Learning rate of a network."""
    steps: int | None = None
    """Training steps of `classifier_training.BATCH` images."""
    penalty: float | None = None
    """C of a logistic regression (smaller is stricter), or the shrinkage of a covariance (larger is)."""

    def shorten(self, share: float) -> Schedule:
        """The schedule with as many passes over a share of the images."""
        return self if self.steps is None else replace(self, steps=max(round(self.steps * share), 1))

    @property
    def key(self) -> str:
        """The schedule as part of a cache key."""
        told = ("rate", self.rate), ("steps", self.steps), ("penalty", self.penalty)
        return ",".join(f"{name}={value:g}" for name, value in told if value is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleChoice:
    """The schedule of an arm with its result in the folds."""

    schedule: Schedule
    inner: float | None
    """Cross-validated rare AUPRC of training patients; None without folds."""
    spread: float | None
    """How much better it is than the median schedule."""


def choose(found: Mapping[Schedule, float]) -> ScheduleChoice:
    """Choose the best schedule; of nearly equal ones the shortest, then the slowest, then the first.

    Penalties are tried in the order of `linear_tries`, the strictest first.
    """
    best = max(found.values())
    near = [schedule for schedule, value in found.items() if value >= best - _NEAR]
    chosen = min(near, key=lambda one: (one.steps or 0, one.rate or 0.0))
    values = list(found.values())
    return ScheduleChoice(
        schedule=chosen,
        inner=round(found[chosen], 5),
        spread=round(best - float(np.median(values)), 5),
    )


def middle(schedules: Sequence[Schedule]) -> ScheduleChoice:
    """The schedule that is taken if there are no folds: the middle steps, or penalty, at the middle rate.

    Of two middle rates it is the slower one, of two middle numbers of steps the larger.
    """
    rates = sorted({one.rate or 0.0 for one in schedules})
    rate = rates[(len(rates) - 1) // 2]
    own = sorted(
        (one for one in schedules if (one.rate or 0.0) == rate),
        key=lambda one: (one.steps or 0, one.penalty or 0.0),
    )
    return ScheduleChoice(schedule=own[len(own) // 2], inner=None, spread=None)


def folds_of(images: LabelledImages, rare: Sequence[int], count: int, seed: int) -> NDArray[np.int64] | None:
    """(N,): the fold of each image; folds share no patient and get equal numbers of each class.

    None for fewer than two folds, or if a rare class has fewer patients than folds. A patient with images of
    several classes counts for the rarest of them.
    """
    people = [len(np.unique(images.patients[images.labels == number])) for number in rare]
    if count < 2 or min(people) < count:
        return None
    rng = np.random.default_rng((seed, count))
    tally = np.bincount(images.labels, minlength=len(images.names))
    dealt: dict[str, int] = {}
    for number in np.argsort(tally, kind="stable"):
        own = [
            one for one in np.unique(images.patients[images.labels == number]).tolist() if one not in dealt
        ]
        dealt |= {own[place]: turn % count for turn, place in enumerate(rng.permutation(len(own)).tolist())}
    return np.array([dealt[patient] for patient in images.patients.tolist()], np.int64)


def fold_auprc(
    logits: NDArray[np.float32], labels: NDArray[np.int64], folds: NDArray[np.int64], rare: Sequence[int]
) -> float:
    """Rare AUPRC of logits (N, K), mean over folds; of all folds at once if one has few rare images."""
    parts = [folds == number for number in np.unique(folds)]
    if any((labels[part] == number).sum() < _FEW for part in parts for number in rare):
        return rare_auprc(logits, labels, rare)
    return float(np.mean([rare_auprc(logits[part], labels[part], rare) for part in parts]))
