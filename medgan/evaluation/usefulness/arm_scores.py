"""The figures of every arm on held-out images.

They are given under bootstrap resamples of patients and seeds, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medgan.evaluation.bootstrap import percentile_interval, resample_seeds, resample_within_classes
from medgan.evaluation.endpoints import endpoints, endpoints_under
from medgan.evaluation.usefulness.schedules import Schedule
from medgan.evaluation.usefulness.trials import Outcome
from medgan.preparation.images import LabelledImages

NAMED = "named"
"""Role of the arm that gives the verdict."""
REFERENCE = "reference"
"""Role of the arm that it is compared with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One way to train, with its figures: means over classifier seeds."""

    name: str
    judge: str
    role: str
    """"named" (the arm that gives the verdict), "reference" (what it is compared with), "" (exploration)."""
    made: bool
    """Whether synthetic images take part."""
    added: Mapping[str, int]
    """{class: images that join the real ones}."""
    schedule: Schedule
    """The schedule that folds of training patients chose for it."""
    inner: float | None
    """Rare-class AUPRC in those folds; None with too few patients for folds."""
    spread: float | None
    """How much better its schedule does there than the median one."""
    auprc: float
    """Rare-class AUPRC on held-out patients: the endpoint."""
    low: float
    high: float
    """95 % interval of the endpoint."""
    sensitivity: float
    """Sensitivity for the rare classes at 90 % specificity."""
    sensitivity_low: float
    sensitivity_high: float
    auroc: float
    balanced_accuracy: float
    macro_f1: float
    per_seed: tuple[float, ...]
    """The endpoint with every classifier seed."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Entry:
    """An arm with its resampled endpoint; resamples are the same for every arm, so differences are paired."""

    arm: Arm
    resampled: NDArray[np.float64]
    """(B,): the endpoint in every resample."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BootstrapSet:
    """Held-out images, and how their patients are resampled."""

    held_out: LabelledImages
    rare: Sequence[int]
    weights: NDArray[np.int64]
    """(B, N): how often each image counts in each resample of the patients."""
    seed: int

    @classmethod
    def of(cls, held_out: LabelledImages, rare: Sequence[int], resamples: int, seed: int) -> BootstrapSet:
        """Resample the patients of every class separately."""
        weights = resample_within_classes(held_out.patients, held_out.labels, resamples, seed)
        return cls(held_out=held_out, rare=rare, weights=weights, seed=seed)

    def entry(self, outcome: Outcome, role: str) -> Entry:
        """Compute every figure of an arm."""
        each = [endpoints(one, self.held_out.labels, self.rare) for one in outcome.logits]
        resampled, found = self.resample(outcome.logits)
        ends, shares = percentile_interval(resampled), percentile_interval(found)

        def mean(name: str) -> float:
            return round(float(np.mean([getattr(one, name) for one in each])), 5)

        arm = Arm(
            name=outcome.recipe.name,
            judge=outcome.judge,
            role=role,
            made=outcome.recipe.made,
            added=dict(outcome.added),
            schedule=outcome.choice.schedule,
            inner=outcome.choice.inner,
            spread=outcome.choice.spread,
            auprc=mean("auprc"),
            low=round(ends[0], 5),
            high=round(ends[1], 5),
            sensitivity=mean("sensitivity"),
            sensitivity_low=round(shares[0], 5),
            sensitivity_high=round(shares[1], 5),
            auroc=mean("auroc"),
            balanced_accuracy=mean("balanced_accuracy"),
            macro_f1=mean("macro_f1"),
            per_seed=tuple(round(one.auprc, 5) for one in each),
        )
        return Entry(arm=arm, resampled=resampled)

    def resample(self, logits: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """AUPRC and sensitivity, each (B,), of logits (seeds, N, K) in every resample."""
        shares = resample_seeds(len(logits), len(self.weights), self.seed)
        by_seed = [endpoints_under(one, self.held_out.labels, self.rare, self.weights) for one in logits]
        auprc, found = (
            np.asarray((np.stack(values, axis=1) * shares).sum(axis=1), np.float64)
            for values in zip(*by_seed, strict=True)
        )
        return auprc, found
