"""Training images of real patients -> how an arm is best trained: its rate and steps, or its penalty, by folds that share no patient.

Equal steps are no equal chance: one arm overfits where another has hardly begun. So every arm of real images tries the same schedules on
the same folds. An arm with made images is trained like the same arm without them: their generator has seen the patients of every fold, so
folds would choose what learns made images by heart, and praise it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from medgan.evaluation.endpoints import rare_auprc
from medgan.prepare.images import LabelledImages

NEAR = 0.002
"""Difference of AUPRC below which two schedules count as equally good."""
FEW = 5
"""Images of a rare class in a fold, below which folds are judged together and not one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How fast and how long a network learns, or how hard a linear judge is held back."""

    rate: float | None = None
    """Learning rate of a network."""
    steps: int | None = None
    """Of `classifier_training.BATCH` images."""
    penalty: float | None = None
    """Of a linear judge: C of its logistic regression (smaller holds back more), or the shrinkage of its covariance."""

    def shortened(self, share: float) -> Schedule:
        """As many passes over `share` of the images: of so few, as many steps would be too many."""
        return self if self.steps is None else replace(self, steps=max(round(self.steps * share), 1))

    @property
    def key(self) -> str:
        """Its numbers, as a word."""
        told = ("rate", self.rate), ("steps", self.steps), ("penalty", self.penalty)
        return ",".join(f"{name}={value:g}" for name, value in told if value is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleChoice:
    """The schedule of an arm, and what folds said of it."""

    schedule: Schedule
    inner: float | None
    """Rare AUPRC of training patients in folds that were not learned from; None where no folds were asked."""
    spread: float | None
    """By how much it does better than the median schedule: what a careless choice would cost."""


def choose(found: Mapping[Schedule, float]) -> ScheduleChoice:
    """The best schedule; of those nearly as good the shortest, then the slowest, then the one that holds back most."""
    best = max(found.values())
    near = [schedule for schedule, value in found.items() if value >= best - NEAR]
    chosen = min(near, key=lambda one: (one.steps or 0, one.rate or 0.0, one.penalty or 0.0))
    values = list(found.values())
    return ScheduleChoice(
        schedule=chosen,
        inner=round(found[chosen], 5),
        spread=round(best - float(np.median(values)), 5),
    )


def middle(schedules: Sequence[Schedule]) -> ScheduleChoice:
    """The schedule that is taken where nobody can be asked."""
    ordered = sorted(schedules, key=lambda one: (one.rate or 0.0, one.steps or 0, one.penalty or 0.0))
    return ScheduleChoice(schedule=ordered[len(ordered) // 2], inner=None, spread=None)


def folds_of(images: LabelledImages, rare: Sequence[int], count: int, seed: int) -> NDArray[np.int64] | None:
    """(N,): the fold of each image; patients are not divided, and those of every class are dealt out evenly.

    None where there are no folds to make, or a rare class has fewer patients than folds. A patient with images of several classes counts
    for the rarest of them.
    """
    people = [len(np.unique(images.patients[images.labels == number])) for number in rare]
    if count < 2 or min(people) < count:
        return None
    chance = np.random.default_rng((seed, count))
    tally = np.bincount(images.labels, minlength=len(images.names))
    dealt: dict[str, int] = {}
    for number in np.argsort(tally, kind="stable"):
        own = [
            one for one in np.unique(images.patients[images.labels == number]).tolist() if one not in dealt
        ]
        dealt |= {
            own[place]: turn % count for turn, place in enumerate(chance.permutation(len(own)).tolist())
        }
    return np.array([dealt[patient] for patient in images.patients.tolist()], np.int64)


def fold_auprc(
    logits: NDArray[np.float32], labels: NDArray[np.int64], folds: NDArray[np.int64], rare: Sequence[int]
) -> float:
    """Rare AUPRC of logits (N, K), mean over folds; of all folds together where one has few images of a rare class."""
    parts = [folds == number for number in np.unique(folds)]
    if any((labels[part] == number).sum() < FEW for part in parts for number in rare):
        return rare_auprc(logits, labels, rare)
    return float(np.mean([rare_auprc(logits[part], labels[part], rare) for part in parts]))
