"""Measure whether a classifier gains from synthetic images, with a verdict in one sentence.

One of the arms with synthetic images (`arms`) is named before the test. It is compared with the arm without
them that folds of training patients rank first (`trials`). Nothing is chosen on held-out patients, so all of
them judge. `verdict` concludes from the difference, its paired interval and the number of patients. All
other arms are exploration.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from medgan.base.errors import DatasetError
from medgan.base.progress import OnProgress, Progress, ignore
from medgan.evaluation.bootstrap import percentile_interval
from medgan.evaluation.usefulness.arm_scores import NAMED, REFERENCE, Arm, BootstrapSet, Entry
from medgan.evaluation.usefulness.arms import rare_classes
from medgan.evaluation.usefulness.headroom import Headroom, headroom
from medgan.evaluation.usefulness.image_sets import Split
from medgan.evaluation.usefulness.trials import Outcome, Round, Runs, Settings, run_trials
from medgan.evaluation.usefulness.verdict import CANNOT_TELL, Comparison, Panel, conclude, verdict_text
from medgan.preparation.images import LabelledImages, concatenate_images

_METHOD = (
    "one arm was named before the test and is compared with the best without synthetic images; that arm, "
    "and the schedule of every arm, were chosen by folds of training patients; all held-out patients judge; "
    "paired percentile bootstrap over patients (within their class) and classifier seeds; all other arms are "
    "exploration"
)
HELD_OUT = "held-out"
"""Patients of this data set judge."""
EXTERNAL = "external"
"""Patients of another hospital judge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The verdict of one judge."""

    judge: str
    verdict: str
    comparison: Comparison
    patients_needed: int | None = None
    """Held-out patients of the scarcest rare class that a verdict needs, about; None if there are enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usefulness:
    """Whether synthetic images help, with the figures of every arm."""

    version: int = 2
    verdict: str
    """"helps", "no-difference", "harms" or "cannot-tell"."""
    sentence: str
    judge: str
    """The judge that gives the verdict: the first that is installed of finetuned, probe and cnn."""
    rare: tuple[str, ...]
    """Rare classes; the endpoint is their mean AUPRC, each against all other classes."""
    arm: str
    """The arm with synthetic images that was named before the test."""
    reference: str
    """The best arm without them, chosen by folds of training patients."""
    difference: float
    interval: tuple[float, float]
    patients_needed: int | None = None
    """Patients of the scarcest rare class that a verdict needs, about; None if there are enough."""
    headroom: Headroom | None = None
    """What more real patients would bring; None if not measured, or with too few patients to tell."""
    care: str = ""
    """A sentence on how much the schedule matters; empty with too few patients for folds."""
    judges: tuple[Judgement, ...]
    arms: tuple[Arm, ...]
    tested: Mapping[str, int]
    """{class: held-out real images}."""
    patients: int
    """Held-out patients."""
    rare_patients: Mapping[str, int] = field(default_factory=dict)
    """{rare class: its held-out patients}."""
    seeds: int
    folds: int
    """Folds of training patients that chose the schedules."""
    method: str
    external: Usefulness | None = None
    """The same classifiers on another hospital's patients; None if there are none."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ArmPredictions:
    """The predictions of every arm for every held-out image."""

    rare: tuple[str, ...]
    test_set: BootstrapSet
    rounds: tuple[Round, ...]
    external: ArmPredictions | None = None
    """Predictions of the same classifiers for another hospital's images."""

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """The outcomes of all judges."""
        return tuple(outcome for told in self.rounds for outcome in told.outcomes)


def compare_arms(  # noqa: PLR0913  # settings, optional images and runs
    split: Split,
    *,
    settings: Settings,
    seed: int,
    more_real: LabelledImages | None = None,
    external: LabelledImages | None = None,
    runs: Runs | None = None,
    on_progress: OnProgress = ignore,
) -> ArmPredictions:
    """Train the classifiers of every arm, or take them from `runs`, and predict the held-out images.

    Args:
        split: Real, held-out and synthetic images.
        settings: Judges, arms, schedules and seeds.
        seed: First of the classifiers' seeds.
        more_real: Further real images of rare classes: what they bring is the ceiling.
        external: Images of another hospital, which the same classifiers predict too.
        runs: Finished runs; new ones are added.
        on_progress: Called after every run.

    Raises:
        DatasetError: a rare class is missing from the held-out or the external images, or no synthetic
            image is of a class that lacks images.
    """
    # Refuse images that can give no verdict.
    train, held_out = split.train, split.held_out
    rare = settings.rare or rare_classes(train.counts)
    refuse_unjudgeable(held_out, rare, HELD_OUT)
    if external is not None:
        refuse_unjudgeable(external, rare, EXTERNAL)
    if not tops_up_a_class(train, split.synthetic):
        raise nothing_to_judge()

    # Train every arm, and predict both sets of images at once.
    asked = held_out if external is None else concatenate_images(held_out, external)
    rounds = run_trials(
        replace(split, held_out=asked),
        settings=settings,
        seed=seed,
        more_real=more_real,
        runs=runs,
        on_progress=on_progress,
    )
    if rounds[0].named is None:
        raise nothing_to_judge()

    # Divide the predictions between both sets again.
    numbers = [train.names.index(label) for label in rare]

    def about(images: LabelledImages, first: int, *, beyond: ArmPredictions | None = None) -> ArmPredictions:
        test_set = BootstrapSet.of(images, numbers, settings.resamples, seed)
        rows = slice(first, first + len(images))
        return ArmPredictions(
            rare=tuple(rare), test_set=test_set, rounds=tuple(one.of(rows) for one in rounds), external=beyond
        )

    return about(held_out, 0, beyond=about(external, len(held_out)) if external is not None else None)


def measure_usefulness(  # noqa: PLR0913  # what compare_arms takes
    split: Split,
    *,
    settings: Settings,
    seed: int,
    more_real: LabelledImages | None = None,
    external: LabelledImages | None = None,
    runs: Runs | None = None,
    on_progress: OnProgress = ignore,
) -> Usefulness:
    """Measure how classifiers that learn from real and synthetic images do on held-out ones.

    Takes and raises what `compare_arms` does.
    """
    predictions = compare_arms(
        split,
        settings=settings,
        seed=seed,
        more_real=more_real,
        external=external,
        runs=runs,
        on_progress=on_progress,
    )
    return judgement(predictions, settings, on_progress)


def judgement(
    predictions: ArmPredictions,
    settings: Settings,
    on_progress: OnProgress = ignore,
    whose: str = HELD_OUT,
) -> Usefulness:
    """Conclude from the predictions whether synthetic images help.

    Args:
        predictions: Of every arm; those for another hospital are judged by the same two arms.
        settings: Those that the arms were trained with.
        on_progress: Called after every arm.
        whose: "held-out" or "external", for the sentence.
    """
    # Figures of every arm, with the same resamples of patients for all of them.
    rare, test_set = predictions.rare, predictions.test_set
    entries: list[Entry] = []
    for one in predictions.rounds:
        for outcome in one.outcomes:
            entries.append(test_set.entry(outcome, _role_of(outcome, one)))
            on_progress(Progress("drawing patients again", len(entries), len(predictions.outcomes)))

    # The verdict of every judge; the first one counts.
    people = {label: len(np.unique(test_set.held_out.of(label).patients)) for label in rare}
    label = min(people, key=people.__getitem__)
    panel = Panel(label=label, patients=people[label])
    pairs = {one.judge: _pair_of(one.judge, entries) for one in predictions.rounds if one.named}
    judgements = [_judge_difference(judge, *pair, panel) for judge, pair in pairs.items()]
    first, (named, reference) = judgements[0], pairs[judgements[0].judge]
    return Usefulness(
        verdict=first.verdict,
        sentence=verdict_text(first.verdict, first.comparison, panel, rare, first.judge, whose),
        judge=first.judge,
        rare=rare,
        arm=first.comparison.arm,
        reference=first.comparison.reference,
        difference=first.comparison.difference,
        interval=first.comparison.interval,
        patients_needed=first.patients_needed,
        headroom=headroom(test_set, predictions.rounds[0], named, reference, rare),
        care=_schedule_text(reference.arm),
        judges=tuple(judgements),
        arms=tuple(entry.arm for entry in entries),
        tested=test_set.held_out.counts,
        patients=len(np.unique(test_set.held_out.patients)),
        rare_patients=people,
        seeds=settings.seeds,
        folds=settings.folds,
        method=_METHOD,
        external=None
        if predictions.external is None
        else judgement(predictions.external, settings, on_progress, EXTERNAL),
    )


def _role_of(outcome: Outcome, judge: Round) -> str:
    """The role of an arm in the verdict."""
    return NAMED if outcome is judge.named else REFERENCE if outcome is judge.reference else ""


def _pair_of(judge: str, entries: Sequence[Entry]) -> tuple[Entry, Entry]:
    """The named arm of a judge and its reference."""
    by_role = {entry.arm.role: entry for entry in entries if entry.arm.judge == judge}
    return by_role[NAMED], by_role[REFERENCE]


def _judge_difference(judge: str, named: Entry, reference: Entry, panel: Panel) -> Judgement:
    """The verdict of one judge."""
    low, high = percentile_interval(named.resampled - reference.resampled)
    found = Comparison(
        arm=named.arm.name,
        reference=reference.arm.name,
        difference=round(named.arm.auprc - reference.arm.auprc, 5),
        interval=(round(low, 5), round(high, 5)),
    )
    verdict = conclude(found, panel)
    needed = panel.patients_needed(found) if verdict == CANNOT_TELL else None
    return Judgement(judge=judge, verdict=verdict, comparison=found, patients_needed=needed)


def _schedule_text(reference: Arm) -> str:
    """Say what a schedule chosen without care would cost the reference."""
    if reference.spread is None:
        return ""
    return (
        f"With the median of the schedules tried instead of the best one, {reference.name} loses"
        f" {100 * reference.spread:.1f} points of AUPRC in folds of training patients."
    )


def tops_up_a_class(train: LabelledImages, synthetic: LabelledImages) -> bool:
    """Whether any synthetic image is of a class that lacks images."""
    most = max(train.counts.values())
    return any(count and train.counts[label] < most for label, count in synthetic.counts.items())


def refuse_unjudgeable(images: LabelledImages, rare: Sequence[str], words: str) -> None:
    """Raise DatasetError if a rare class, or every other class, is missing."""
    missing = [label for label in rare if not images.counts[label]]
    if missing or len(np.unique(images.labels)) < 2:
        raise DatasetError(
            f"there are no {words} images of {', '.join(missing) or 'any second class'},"
            " so it cannot be told whether a classifier gains",
            hint="Hold out patients of every class: a test/ folder, or train with --holdout 0.3.",
        )


def nothing_to_judge() -> DatasetError:
    """The error for synthetic images that top up no class."""
    return DatasetError(
        "there is no synthetic image of a class that lacks images, so there is nothing to judge",
        hint="Draw some for the rare classes first: medgan sample, or medgan balance.",
    )
