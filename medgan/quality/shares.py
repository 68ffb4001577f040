"""Training, validation and synthetic images -> the share of synthetic ones in every class at which validation patients are told apart best.

The test patients are not asked: whoever chooses by them cannot be judged by them. Nothing is claimed here either. The share is the best
of a few on validation, where the best of several always looks better than it is; whether it helps is what `utility` measures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from medgan.errors import DatasetError
from medgan.progress import OnProgress, ignore
from medgan.quality.arms import HALF, RECIPES, SHARED, rare_classes
from medgan.quality.contest import Outcome, Runs, Settings, contest
from medgan.quality.endpoints import endpoints
from medgan.quality.images import Images
from medgan.quality.utility import refuse_unjudgeable
from medgan.quality.verdict import LEAST_RARE

NOTHING, MOST = "0", "0.5"
"""The share that adds nothing, and the largest that is tried."""
WRITTEN = tuple(f"{arm}{views}" for arm in (SHARED, HALF) for views in ("", " + classical"))
"""Arms with synthetic images that are those of a folder as `balance` writes it."""
ENOUGH = {
    "real": "the real images as they are",
    "class weights": "class weights",
    "oversampling": "oversampling",
    "classical": "classical augmentation",
    "oversampling + classical": "oversampling with classical augmentation",
    "duplicates": "oversampling",
    "balanced softmax": "balanced softmax",
    "mixup": "mixup",
    "composites": "composites of two patients",
    "discriminant": "a discriminant analysis",
    "smote": "SMOTE",
}
"""{arm without synthetic images: what it is in words}."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One arm on validation patients."""

    judge: str
    arm: str
    share: str
    """Of synthetic images in every class; "0" where none take part."""
    auprc: float
    """Of the rare classes, mean over classifier seeds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The share that validation prefers."""

    version: int = 1
    share: str
    """"0", "0.25" or "0.5"."""
    arm: str
    judge: str
    sentence: str
    rare: tuple[str, ...]
    validated: Mapping[str, int]
    """{class: validation images}."""
    trials: tuple[Trial, ...]
    """Every arm, the best first."""


def choose_share(  # noqa: PLR0913  # the sets of images are no noun
    train: Images,
    val: Images,
    synthetic: Images,
    *,
    settings: Settings,
    seed: int,
    runs: Runs | None = None,
    on_progress: OnProgress = ignore,
) -> Chosen:
    """Train the classifiers of every arm and take the share of the one that does best on `val`; of equals, what adds less.

    Raises:
        DatasetError: a rare class is missing from `val`, or a class has no synthetic image.
    """
    rare = settings.rare or rare_classes(train.counts)
    refuse_unjudgeable(val, rare, "validation")
    rounds = contest(train, val, synthetic, settings=settings, seed=seed, runs=runs, on_progress=on_progress)
    outcomes = [outcome for told in rounds for outcome in told.outcomes]
    if not any(outcome.recipe.made for outcome in outcomes):
        raise DatasetError(
            "the filter left no synthetic image of some class, so no share of them can be tried",
            hint="Train for longer, or write the real images alone: --share 0.",
        )
    numbers = [train.names.index(label) for label in rare]

    def trial(outcome: Outcome) -> Trial:
        scores = [endpoints(one, val.labels, numbers).auprc for one in outcome.logits]
        recipe = outcome.recipe
        return Trial(
            judge=outcome.judge,
            arm=recipe.name,
            share=f"{recipe.share:g}" if recipe.made else NOTHING,
            auprc=round(float(np.mean(scores)), 5),
        )

    def order(tried: tuple[Trial, Outcome]) -> tuple[float, bool, int]:
        one, outcome = tried
        return -one.auprc, outcome.recipe.made, sum(outcome.added.values())

    trials = [one for one, _ in sorted(zip(map(trial, outcomes), outcomes, strict=True), key=order)]
    best = trials[0]
    return Chosen(
        share=best.share,
        arm=best.arm,
        judge=best.judge,
        sentence=sentence(trials, rare) + doubt(val, rare),
        rare=tuple(rare),
        validated=val.counts,
        trials=tuple(trials),
    )


def sentence(trials: list[Trial], rare: tuple[str, ...]) -> str:
    """What was chosen, in words; `trials` with the best first."""
    best = trials[0]
    side = next((one for one in trials if (one.share == NOTHING) != (best.share == NOTHING)), best)
    where = f"of AUPRC of {', '.join(rare)} on validation patients"
    if best.share == NOTHING:
        return (
            f"{ENOUGH[best.arm]} is enough here; nothing synthetic was added"
            f" ({best.auprc:.3f} {where}; {side.auprc:.3f} where they make up {side.share} of every class)"
        )
    return (
        f"synthetic images that make up {best.share} of every class do best here ({best.auprc:.3f} {where};"
        f" {side.auprc:.3f} with {ENOUGH[side.arm]} alone)"
    )


def doubt(val: Images, rare: Sequence[str]) -> str:
    """What is to be thought of a choice by very few patients; empty where there are enough."""
    people = {label: len(np.unique(val.of(label).patients)) for label in rare}
    label = min(people, key=people.__getitem__)
    if people[label] >= LEAST_RARE:
        return ""
    have = f"{people[label]} validation patient{'s have' if people[label] > 1 else ' has'} {label}"
    return f"; only {have}, so that chance may have chosen ({LEAST_RARE} are needed at least)"


def wish_of(settings: Settings) -> Settings:
    """`settings` with those arms that can be written: without synthetic images, or with the same share of them in every class."""
    wanted = {
        judge: tuple(
            recipe.name
            for recipe in RECIPES
            if recipe.name in WRITTEN or (not recipe.made and recipe in settings.recipes_of(judge))
        )
        for judge in settings.judges
    }
    return replace(settings, recipes=wanted, headroom=False)
