"""Held-out patients and what classifiers say of them -> the endpoints of every arm: some patients choose among arms, others judge.

Where validation and test are given there is one turn. Where there is one set of held-out patients it is halved, and the halves take turns:
each chooses for the other, so that all of them judge and nobody judges what he chose (two-fold cross-fitting, arXiv 1608.00060).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medgan.quality.contest import Outcome, Settings
from medgan.quality.endpoints import (
    Endpoints,
    endpoints,
    endpoints_under,
    interval,
    patient_weights,
    seed_weights,
)
from medgan.quality.images import Images, joined

HALF = 0.5
"""Share of the held-out patients that are in the first half."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One way to train, and what it came to: means over classifier seeds, and over turns."""

    name: str
    judge: str
    ratio: str
    """Synthetic (or duplicated) images per real one of a class; "" where nothing is added."""
    added: Mapping[str, int]
    """{class: synthetic or duplicated images}."""
    made: bool
    """Whether synthetic images take part."""
    validation: float
    """Rare-class AUPRC on the patients who choose."""
    auprc: float
    """Rare-class AUPRC on the patients who judge: the endpoint."""
    low: float
    high: float
    """95 % interval of the endpoint."""
    sensitivity: float
    """Of the rare classes at 90 % specificity."""
    auroc: float
    balanced_accuracy: float
    macro_f1: float
    per_seed: tuple[float, ...]
    """The endpoint of every classifier seed."""
    sensitivity_low: float | None = None
    sensitivity_high: float | None = None
    """95 % interval of the sensitivity; None in what an older version measured."""
    per_turn: tuple[float, ...] = ()
    """The endpoint on the patients of each turn, whose mean is `auprc`."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Turn:
    """Patients who choose and other patients who judge."""

    choosing: NDArray[np.int64]
    judging: NDArray[np.int64]
    """Rows of the held-out images."""
    weights: NDArray[np.int64]
    """(B, images that judge): how often each counts in each resample of their patients."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Entry:
    """An arm in every turn; resamples are the same for every arm, so that differences are paired."""

    arm: Arm
    validation: tuple[float, ...]
    """Per turn: what chooses."""
    auprc: tuple[float, ...]
    """Per turn: the endpoint."""
    resampled: NDArray[np.float64]
    """(turns, B): the endpoint under every resample."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bench:
    """Held-out images, who of them judges when, and how they are resampled: an outcome in, an entry out."""

    held_out: Images
    turns: tuple[Turn, ...]
    rare: Sequence[int]
    shares: NDArray[np.float64]
    """(B, seeds)."""

    @classmethod
    def of(cls, val: Images, test: Images, rare: Sequence[int], settings: Settings, seed: int) -> Bench:
        """One turn for validation and test; two for the halves of whichever is there alone."""
        given = bool(len(val) and len(test))
        first, second = (val, test) if given else divided(joined(val, test), HALF, seed)
        rows = np.arange(len(first)), len(first) + np.arange(len(second))
        sides = [(rows[0], rows[1], second), (rows[1], rows[0], first)]
        turns = (
            Turn(
                choosing=choosing,
                judging=judging,
                weights=patient_weights(who.patients, who.labels, settings.resamples, seed + number),
            )
            for number, (choosing, judging, who) in enumerate(sides[: 1 if given else 2])
        )
        return cls(
            held_out=joined(first, second),
            turns=tuple(turns),
            rare=rare,
            shares=seed_weights(settings.seeds, settings.resamples, seed),
        )

    @property
    def judging(self) -> Images:
        """All images that judge in one turn or another."""
        return self.held_out.take(np.sort(np.concatenate([turn.judging for turn in self.turns])))

    def entry(self, outcome: Outcome) -> Entry:
        """Every endpoint of an outcome."""
        chosen = [self._of_seeds(outcome, turn.choosing) for turn in self.turns]
        judged = [self._of_seeds(outcome, turn.judging) for turn in self.turns]
        again = [self._resampled(outcome, turn) for turn in self.turns]
        resampled = np.stack([auprc for auprc, _ in again])
        low, high = interval(resampled.mean(axis=0))
        least, most = interval(np.mean([found for _, found in again], axis=0))
        by_turn = tuple(_mean(turn, "auprc") for turn in judged)
        recipe, every = outcome.variant.recipe, [one for turn in judged for one in turn]
        by_seed = zip(*judged, strict=True)
        arm = Arm(
            name=recipe.name,
            judge=outcome.judge,
            ratio=outcome.variant.ratio,
            added=dict(outcome.variant.added),
            made=recipe.made,
            validation=_mean([one for turn in chosen for one in turn], "auprc"),
            auprc=_mean(every, "auprc"),
            low=round(low, 5),
            high=round(high, 5),
            sensitivity=_mean(every, "sensitivity"),
            auroc=_mean(every, "auroc"),
            balanced_accuracy=_mean(every, "balanced_accuracy"),
            macro_f1=_mean(every, "macro_f1"),
            per_seed=tuple(_mean(seed, "auprc") for seed in by_seed),
            sensitivity_low=round(least, 5),
            sensitivity_high=round(most, 5),
            per_turn=by_turn,
        )
        return Entry(
            arm=arm,
            validation=tuple(_mean(turn, "auprc") for turn in chosen),
            auprc=by_turn,
            resampled=resampled,
        )

    def _of_seeds(self, outcome: Outcome, rows: NDArray[np.int64]) -> list[Endpoints]:
        labels = self.held_out.labels[rows]
        return [endpoints(one[rows], labels, self.rare) for one in outcome.logits]

    def _resampled(self, outcome: Outcome, turn: Turn) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """AUPRC and sensitivity, each (B,): resampled patients and seeds."""
        labels = self.held_out.labels[turn.judging]
        by_seed = [
            endpoints_under(one[turn.judging], labels, self.rare, turn.weights) for one in outcome.logits
        ]
        auprc, found = (
            np.asarray((np.stack(values, axis=1) * self.shares).sum(axis=1), np.float64)
            for values in zip(*by_seed, strict=True)
        )
        return auprc, found


def preferred(entries: Iterable[Entry], turn: int | None = None) -> Entry:
    """What those who choose in `turn` (default: in all of them together) prefer; of equals the earlier, which adds less."""
    return max(entries, key=lambda one: one.arm.validation if turn is None else one.validation[turn])


def divided(images: Images, share: float, seed: int) -> tuple[Images, Images]:
    """Two parts with different patients, the first with about `share` of the patients of every class."""
    chance = np.random.default_rng(seed)
    counts = np.bincount(images.labels, minlength=len(images.names))
    first: set[str] = set()
    settled: set[str] = set()
    for number in np.argsort(counts, kind="stable"):  # the rarest class chooses first
        own = np.unique(images.patients[images.labels == number])
        free = [patient for patient in chance.permutation(own).tolist() if patient not in settled]
        wanted = round(len(own) * share) - sum(patient in first for patient in own.tolist())
        first |= set(free[: max(wanted, 0)])
        settled |= set(free)
    chosen = np.isin(images.patients, sorted(first)) if first else np.zeros(len(images), bool)
    return images.take(chosen), images.take(~chosen)


def _mean(found: Sequence[Endpoints], name: str) -> float:
    return round(float(np.mean([getattr(one, name) for one in found])), 5)
