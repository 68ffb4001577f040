"""Choose the share of synthetic images by validation patients.

The rule is fixed beforehand, and the share is the same in every class.

Synthetic images are added only if the best arm with them beats the best without by more than one standard
error on validation patients. Test patients are not used: a choice made on them could not be judged by them.
The result claims nothing, because the best of several always looks better than it is; whether synthetic
images help is what `usefulness` measures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from medgan.base.errors import DatasetError
from medgan.base.progress import OnProgress, ignore
from medgan.evaluation.endpoints import rare_auprc
from medgan.evaluation.usefulness.arm_scores import BootstrapSet
from medgan.evaluation.usefulness.arms import FINISH, HALF, LIGHT, RECIPES, SHARED, rare_classes
from medgan.evaluation.usefulness.comparison import refuse_unjudgeable
from medgan.evaluation.usefulness.image_sets import Split
from medgan.evaluation.usefulness.trials import JUDGES, PROBE, Outcome, Runs, Settings, run_trials
from medgan.evaluation.usefulness.verdict import LEAST_RARE, points
from medgan.preparation.images import LabelledImages

_NOTHING = "0"
"""The share that adds nothing."""
MOST = "0.5"
"""The largest share that is tried."""
_WRITTEN = {
    True: (SHARED, HALF, LIGHT),
    False: (f"{SHARED} + classical", f"{HALF} + classical", f"{FINISH} + classical"),
}
"""{whether a judge learns from features: its arms that a folder written by `balance` allows}."""
_ARM_WORDS = {
    "real": "training on the real images as they are, as long as suits it,",
    "class weights": "training with class weights",
    "oversampling": "oversampling",
    "classical": "classical augmentation",
    "oversampling + classical": "oversampling with classical augmentation",
    "duplicates": "oversampling",
    "balanced softmax": "balanced softmax",
    "mixup": "mixup",
    "composites": "composing images of two patients",
    "discriminant": "a discriminant analysis with a shrunk covariance",
    "smote": "interpolating rare images in features (SMOTE)",
}
"""{arm without synthetic images: words for it}."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareTrial:
    """The result of one arm on validation patients."""

    judge: str
    arm: str
    share: str
    """Share of synthetic images in every class; "0" without any."""
    auprc: float
    """AUPRC of the rare classes, mean over classifier seeds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The share that the rule chose."""

    version: int = 2
    share: str
    """"0", "0.25" or "0.5"."""
    arm: str
    """The best arm with that share."""
    judge: str
    """The judge whose arms decide: the first that is installed."""
    difference: float
    """AUPRC of its best arm with synthetic images less that of its best arm without."""
    error: float
    """Standard error of that difference, by bootstrap over patients and seeds."""
    sentence: str
    rare: tuple[str, ...]
    validated: Mapping[str, int]
    """{class: validation images}."""
    trials: tuple[ShareTrial, ...]
    """Every arm of every judge, the best first."""


def choose_share(
    split: Split,
    *,
    settings: Settings,
    seed: int,
    runs: Runs | None = None,
    on_progress: OnProgress = ignore,
) -> Chosen:
    """Train the classifiers of every arm, and choose the share that does best on validation images.

    Args:
        split: Training images, validation images as the held-out ones, synthetic images.
        settings: Judges, arms, schedules and seeds.
        seed: First of the classifiers' seeds.
        runs: Finished runs; new ones are added.
        on_progress: Called after every run.

    Raises:
        DatasetError: a rare class has no validation image, or a class has no synthetic image.
    """
    # Train every arm at every share.
    train, val = split.train, split.held_out
    rare = settings.rare or rare_classes(train.counts)
    refuse_unjudgeable(val, rare, "validation")
    rounds = run_trials(split, settings=settings, seed=seed, runs=runs, on_progress=on_progress)
    if not any(outcome.recipe.made for outcome in rounds[0].outcomes):
        raise DatasetError(
            "the filter left no synthetic image of some class, so no share of them can be tried",
            hint="Train for longer, or write the real images alone: --share 0.",
        )

    # Rank the arms of the first judge, and take synthetic images only if their gain exceeds its error.
    numbers = [train.names.index(label) for label in rare]
    tried = sorted(
        ((_share_trial(outcome, val, numbers), outcome) for one in rounds for outcome in one.outcomes),
        key=lambda one: (-one[0].auprc, float(one[0].share)),
    )
    trials = tuple(one for one, _ in tried)
    own = [one for one in tried if one[0].judge == rounds[0].judge]
    made, plain = (next(one for one in own if one[1].recipe.made is side) for side in (True, False))
    test_set = BootstrapSet.of(val, numbers, settings.resamples, seed)
    lead = test_set.resample(made[1].logits)[0] - test_set.resample(plain[1].logits)[0]
    difference, error = made[0].auprc - plain[0].auprc, float(np.nanstd(lead))
    taken = made[0] if difference > error else plain[0]
    return Chosen(
        share=taken.share,
        arm=taken.arm,
        judge=taken.judge,
        difference=round(difference, 5),
        error=round(error, 5),
        sentence=_choice_text(made[0], plain[0], error, rare)
        + _better_without_text(trials, taken)
        + _doubt_text(val, rare),
        rare=tuple(rare),
        validated=val.counts,
        trials=trials,
    )


def _share_trial(outcome: Outcome, val: LabelledImages, rare: Sequence[int]) -> ShareTrial:
    """The result of an arm."""
    recipe = outcome.recipe
    return ShareTrial(
        judge=outcome.judge,
        arm=recipe.name,
        share=f"{recipe.share:g}" if recipe.made else _NOTHING,
        auprc=round(float(np.mean([rare_auprc(one, val.labels, rare) for one in outcome.logits])), 5),
    )


def _choice_text(made: ShareTrial, plain: ShareTrial, error: float, rare: Sequence[str]) -> str:
    """Word the choice.

    Args:
        made: The best arm with synthetic images.
        plain: The best arm without.
        error: Standard error of their difference.
        rare: Names of the rare classes.
    """
    where = f"of AUPRC of {', '.join(rare)} on validation patients"
    lead = f"{points(made.auprc - plain.auprc)} points, standard error {100 * error:.1f}"
    if made.auprc - plain.auprc <= error:
        return (
            f"{_ARM_WORDS[plain.arm]} is enough here; nothing synthetic was added ({plain.auprc:.3f} {where};"
            f" {made.auprc:.3f} where synthetic images make up {made.share} of every class: {lead})"
        )
    return (
        f"synthetic images that make up {made.share} of every class do best here ({made.auprc:.3f} {where};"
        f" {plain.auprc:.3f} with {_ARM_WORDS[plain.arm].rstrip(',')} alone: {lead})"
    )


def _better_without_text(trials: Sequence[ShareTrial], taken: ShareTrial) -> str:
    """Say if another judge does even better without synthetic images; empty if none does."""
    best = next(one for one in trials if one.share == _NOTHING)
    if best.judge == taken.judge or best.auprc <= taken.auprc:
        return ""
    words = _ARM_WORDS[best.arm].rstrip(",")
    return (
        f"; best of all, and without synthetic images, is {words} with {JUDGES[best.judge]}"
        f" ({best.auprc:.3f})"
    )


def _doubt_text(val: LabelledImages, rare: Sequence[str]) -> str:
    """Say that there are too few patients for a reliable choice; empty if there are enough."""
    people = {label: len(np.unique(val.of(label).patients)) for label in rare}
    label = min(people, key=people.__getitem__)
    if people[label] >= LEAST_RARE:
        return ""
    have = f"{people[label]} validation patient{'s have' if people[label] > 1 else ' has'} {label}"
    return f"; only {have}, so the choice may be due to chance (at least {LEAST_RARE} are needed)"


def wish_of(settings: Settings) -> Settings:
    """Restrict settings to arms that a folder written by `balance` allows.

    These are the arms without synthetic images, and those with the same share in every class.
    """
    wanted = {
        judge: tuple(
            recipe.name
            for recipe in RECIPES
            if recipe.name in _WRITTEN[judge == PROBE]
            or (not recipe.made and recipe in settings.recipes_of(judge))
        )
        for judge in settings.judges
    }
    return replace(settings, recipes=wanted, headroom=False)
