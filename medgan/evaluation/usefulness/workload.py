"""Count what the classifiers of a comparison have to compute, before any of it is computed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from medgan.evaluation.usefulness.arms import COMPOSED, COMPOSITES, MADE, REAL, ArmRecipe
from medgan.evaluation.usefulness.finetuned import views_of
from medgan.evaluation.usefulness.image_sets import Split
from medgan.evaluation.usefulness.schedules import Schedule, middle
from medgan.evaluation.usefulness.trials import (
    FINE_TUNED,
    PROBE,
    RUNGS,
    JudgeTrials,
    Settings,
    arm_to_tune,
    plan_trials,
)
from medgan.preparation.images import LabelledImages


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What one judge has to compute."""

    steps: int = 0
    """Training steps of its networks; those of schedules that are still to be chosen are estimated."""
    predicted: int = 0
    """Images that its trained networks predict."""
    frozen: int = 0
    """Images and augmented views that pass the frozen stages of the fine-tuned network."""
    fits: int = 0
    """Linear classifiers that it fits."""
    learned: int = 0
    """Images that one of them learns from, on average."""
    looks: int = 0
    """Images whose features they need."""

    def after(self, share: float) -> Workload:
        """What is left when a share of the runs is finished; what the others learn from is computed anew."""
        if share >= 1:
            return Workload()
        steps, predicted, fits = (
            round(count * (1 - share)) for count in (self.steps, self.predicted, self.fits)
        )
        return replace(self, steps=steps, predicted=predicted, fits=fits)


def count_work(split: Split, settings: Settings, finished: Collection[str] = ()) -> dict[str, Workload]:
    """{judge: what it computes in a comparison}, counted from the runs that it plans.

    Args:
        split: Real images to learn from, held-out images to predict, synthetic images.
        settings: Judges, arms, schedules and seeds.
        finished: Runs that an earlier command finished; each counts as an average one.
    """
    bare = Split(*(_without_pixels(one) for one in (split.train, split.held_out, split.synthetic)))
    judges = plan_trials(bare, settings, 0, None, {})
    found = {}
    for judge in judges:
        first = judge is judges[0]
        done = sum(run.startswith(f"{judge.judge}/") for run in finished)
        found[judge.judge] = _count(judge, first=first).after(done / judge.total(first=first))
    return found


def _without_pixels(images: LabelledImages) -> LabelledImages:
    """The same images with one pixel each, for counting."""
    return replace(images, pixels=images.pixels[:, :, :1, :1])


def _count(judge: JudgeTrials, *, first: bool) -> Workload:
    """Count the runs of one judge; the first one also measures the headroom."""
    # Classifiers in the end, and schedules that are tried on folds before.
    settings, asked = judge.settings, len(judge.sets.held_out)
    classifiers = len(judge.recipes) * settings.seeds
    if first and settings.headroom:
        classifiers += len(RUNGS) * judge.turns + max(judge.turns - settings.seeds, 0)
    folds = 0 if judge.folds is None else len(np.unique(judge.folds))
    tuned = sorted({arm_to_tune(recipe) for recipe in judge.recipes}, key=lambda one: one.name)
    groups = [group for recipe in tuned for group in judge.tries(recipe)] if folds else []
    tried = sum(len(group) for group in groups)
    if judge.judge == PROBE:
        rows = {recipe: int(_rows_of(judge, recipe).sum()) for recipe in {*judge.recipes, *tuned}}
        final = sum(rows[recipe] for recipe in judge.recipes) / len(judge.recipes)
        within = sum(rows[recipe] * len(group) for recipe in tuned for group in judge.tries(recipe))
        fits = classifiers + folds * tried
        learned = classifiers * final + (folds - 1) * within if folds else classifiers * final
        return Workload(fits=fits, learned=round(learned / fits), looks=len(judge.sets.learned) + asked)

    # Networks: one run gives all schedules of a group, and folds learn from fewer images in fewer steps.
    in_folds = sum(max(one.steps or 0 for one in group) for group in groups) * max(folds - 1, 0)
    grid = [one for recipe in tuned for group in judge.tries(recipe) for one in group]
    return Workload(
        steps=round(
            in_folds + classifiers * (_usual_steps(grid) if folds else middle(grid).schedule.steps or 0)
        ),
        predicted=classifiers * asked + tried * len(judge.sets.train),
        frozen=_count_frozen(judge, folded=bool(folds)) if judge.judge == FINE_TUNED else 0,
    )


def _usual_steps(grid: Sequence[Schedule]) -> float:
    """The steps that folds choose, about: mean of the longer half of those that are tried.

    Of 46 fine-tuned arms on X-rays 25 chose 100 steps, 18 chose 200 and 3 chose 50, of 25 to 200.
    """
    steps = sorted({one.steps or 0 for one in grid})
    return float(np.mean(steps[len(steps) // 2 :]))


def _rows_of(judge: JudgeTrials, recipe: ArmRecipe) -> NDArray[np.bool_]:
    """(N,): the images that an arm draws from."""
    origins = judge.sets.learned.origins
    added = MADE if recipe.made else COMPOSED if recipe.adds == COMPOSITES else REAL
    return np.asarray(judge.sets.usual & np.isin(origins, (REAL, added)))


def _count_frozen(judge: JudgeTrials, *, folded: bool) -> int:
    """Count the images and views that pass the frozen stages, each once for all classifiers."""
    sets = judge.sets
    nothing = np.zeros(len(sets.learned), bool)
    plain, varied = (
        np.logical_or.reduce(
            [nothing, *(_rows_of(judge, one) for one in judge.recipes if one.classical is classical)]
        )
        for classical in (False, True)
    )
    if folded:  # folds predict training images as they are
        plain |= sets.usual & (sets.learned.origins == REAL)
    return len(sets.held_out) + int(plain.sum()) + int(varied.sum()) * views_of(len(sets.learned))
