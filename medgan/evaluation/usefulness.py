"""Does a classifier gain from the synthetic images? Real, held-out and synthetic images in, a verdict in one sentence out.

Of the arms (`arms`) one with synthetic images is named before the test. It is compared with the arm without them that training patients
put first (`trials`). Nothing is chosen by held-out patients, so all of them judge; what is concluded from the difference, its paired
interval and the number of patients, `verdict` says. All other arms are exploration.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from medgan.base.errors import DatasetError
from medgan.base.progress import OnProgress, Progress, ignore
from medgan.evaluation.arm_scores import NAMED, REFERENCE, Arm, Bench, Entry
from medgan.evaluation.arms import rare_classes
from medgan.evaluation.endpoints import interval
from medgan.evaluation.headroom import Headroom, headroom
from medgan.evaluation.trials import Outcome, Round, Runs, Settings, run_trials
from medgan.evaluation.verdict import CANNOT_TELL, Comparison, Panel, conclude, sentence
from medgan.prepare.images import LabelledImages, concatenate_images

METHOD = (
    "one arm was named before the test and is compared with the best without synthetic images; that arm, and the schedule of every arm,"
    " were chosen by folds of training patients; all held-out patients judge; paired percentile bootstrap over patients (within their"
    " class) and classifier seeds; all other arms are exploration"
)
HELD_OUT, EXTERNAL = "held-out", "external"
"""Whose patients judge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What one judge says."""

    judge: str
    verdict: str
    comparison: Comparison
    patients_needed: int | None = None
    """About how many held-out patients of the scarcest rare class a verdict needs, where there are too few; else None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usefulness:
    """Whether synthetic images help, and every arm it was measured with."""

    version: int = 2
    verdict: str
    """"helps", "no-difference", "harms" or "cannot-tell"."""
    sentence: str
    judge: str
    """Whose verdict it is: the first that is installed of finetuned, probe and cnn."""
    rare: tuple[str, ...]
    """The endpoint is the mean AUPRC over these classes, each against all others."""
    arm: str
    """The arm with synthetic images that was named before the test."""
    reference: str
    """The best without them, by training patients."""
    difference: float
    interval: tuple[float, float]
    patients_needed: int | None = None
    """About how many of the scarcest rare class a verdict needs, where there are too few; else None."""
    headroom: Headroom | None = None
    """What more real patients would bring; None where it was not asked for, or there are too few to tell."""
    care: str = ""
    """How much the choice of a schedule matters to the reference, in words; empty where there are too few patients for folds."""
    judges: tuple[Judgement, ...]
    arms: tuple[Arm, ...]
    tested: Mapping[str, int]
    """{class: real images that judge}."""
    patients: int
    """Patients who judge."""
    rare_patients: Mapping[str, int] = field(default_factory=dict)
    """{rare class: its patients who judge}."""
    seeds: int
    folds: int
    """Of training patients, by which schedules were chosen."""
    method: str
    external: Usefulness | None = None
    """The same of the same classifiers on another hospital's patients; None where none were given."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Hearing:
    """The classifiers of every arm, asked about every held-out image."""

    rare: tuple[str, ...]
    bench: Bench
    rounds: tuple[Round, ...]
    external: Hearing | None = None
    """The same classifiers, asked about another hospital's images."""

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """Of all judges."""
        return tuple(outcome for told in self.rounds for outcome in told.outcomes)


def compare_arms(  # noqa: PLR0913  # the sets of images are no noun
    train: LabelledImages,
    held_out: LabelledImages,
    synthetic: LabelledImages,
    *,
    settings: Settings,
    seed: int,
    more_real: LabelledImages | None = None,
    external: LabelledImages | None = None,
    runs: Runs | None = None,
    on_progress: OnProgress = ignore,
) -> Hearing:
    """Train the classifiers, or take from `runs` what they said; asked about `external` images, nothing is trained again for them.

    Raises:
        DatasetError: a rare class is missing from the held-out or the external images, or no synthetic image is of a class that lacks some.
    """
    rare = settings.rare or rare_classes(train.counts)
    refuse_unjudgeable(held_out, rare, HELD_OUT)
    if external is not None:
        refuse_unjudgeable(external, rare, EXTERNAL)
    if not may_judge(train, synthetic):
        raise nothing_to_judge()
    asked = held_out if external is None else concatenate_images(held_out, external)
    rounds = run_trials(
        train,
        asked,
        synthetic,
        settings=settings,
        seed=seed,
        more_real=more_real,
        runs=runs,
        on_progress=on_progress,
    )
    if rounds[0].named is None:
        raise nothing_to_judge()
    numbers = [train.names.index(label) for label in rare]

    def about(images: LabelledImages, first: int, *, beyond: Hearing | None = None) -> Hearing:
        """What was said of `images`, which were asked about from row `first` on."""
        bench = Bench.of(images, numbers, settings.resamples, seed)
        rows = slice(first, first + len(images))
        return Hearing(
            rare=tuple(rare), bench=bench, rounds=tuple(one.of(rows) for one in rounds), external=beyond
        )

    return about(held_out, 0, beyond=about(external, len(held_out)) if external is not None else None)


def measure_usefulness(  # noqa: PLR0913  # the sets of images are no noun
    train: LabelledImages,
    held_out: LabelledImages,
    synthetic: LabelledImages,
    *,
    settings: Settings,
    seed: int,
    more_real: LabelledImages | None = None,
    external: LabelledImages | None = None,
    runs: Runs | None = None,
    on_progress: OnProgress = ignore,
) -> Usefulness:
    """Judge `synthetic` by what classifiers that learn from it and from `train` do on `held_out`; DatasetError as `compare_arms`.

    `more_real` are further real images of rare classes, where a caller has some: what they bring is the ceiling.
    """
    heard = compare_arms(
        train,
        held_out,
        synthetic,
        settings=settings,
        seed=seed,
        more_real=more_real,
        external=external,
        runs=runs,
        on_progress=on_progress,
    )
    return judgement(heard, settings, on_progress)


def judgement(
    heard: Hearing, settings: Settings, on_progress: OnProgress = ignore, whose: str = HELD_OUT
) -> Usefulness:
    """What the classifiers come to, on `whose` patients; what they come to elsewhere, with the same roles of the arms, stands beside it."""
    rare, bench = heard.rare, heard.bench
    entries: list[Entry] = []
    for told in heard.rounds:
        for outcome in told.outcomes:
            entries.append(bench.entry(outcome, role_of(outcome, told)))
            on_progress(Progress("drawing patients again", len(entries), len(heard.outcomes)))
    people = {label: len(np.unique(bench.held_out.of(label).patients)) for label in rare}
    label = min(people, key=people.__getitem__)
    panel = Panel(label=label, patients=people[label])
    pairs = {told.judge: pair_of(told.judge, entries) for told in heard.rounds if told.named}
    judgements = [judge_difference(judge, *pair, panel) for judge, pair in pairs.items()]
    first, (named, reference) = judgements[0], pairs[judgements[0].judge]
    return Usefulness(
        verdict=first.verdict,
        sentence=sentence(first.verdict, first.comparison, panel, rare, first.judge, whose),
        judge=first.judge,
        rare=rare,
        arm=first.comparison.arm,
        reference=first.comparison.reference,
        difference=first.comparison.difference,
        interval=first.comparison.interval,
        patients_needed=first.patients_needed,
        headroom=headroom(bench, heard.rounds[0], named, reference, rare),
        care=care(reference.arm),
        judges=tuple(judgements),
        arms=tuple(entry.arm for entry in entries),
        tested=bench.held_out.counts,
        patients=len(np.unique(bench.held_out.patients)),
        rare_patients=people,
        seeds=settings.seeds,
        folds=settings.folds,
        method=METHOD,
        external=None
        if heard.external is None
        else judgement(heard.external, settings, on_progress, EXTERNAL),
    )


def role_of(outcome: Outcome, told: Round) -> str:
    """What an arm is for."""
    return NAMED if outcome is told.named else REFERENCE if outcome is told.reference else ""


def pair_of(judge: str, entries: Sequence[Entry]) -> tuple[Entry, Entry]:
    """The named arm of a judge, and its reference."""
    by_role = {entry.arm.role: entry for entry in entries if entry.arm.judge == judge}
    return by_role[NAMED], by_role[REFERENCE]


def judge_difference(judge: str, named: Entry, reference: Entry, panel: Panel) -> Judgement:
    """The verdict of one judge."""
    low, high = interval(named.resampled - reference.resampled)
    found = Comparison(
        arm=named.arm.name,
        reference=reference.arm.name,
        difference=round(named.arm.auprc - reference.arm.auprc, 5),
        interval=(round(low, 5), round(high, 5)),
    )
    verdict = conclude(found, panel)
    needed = panel.needed(found) if verdict == CANNOT_TELL else None
    return Judgement(judge=judge, verdict=verdict, comparison=found, patients_needed=needed)


def care(reference: Arm) -> str:
    """What a careless schedule costs."""
    if reference.spread is None:
        return ""
    return (
        f"With a schedule that nobody chose, the median of those tried, {reference.name} loses"
        f" {100 * reference.spread:.1f} points of AUPRC in folds of training patients."
    )


def may_judge(train: LabelledImages, synthetic: LabelledImages) -> bool:
    """Whether any synthetic image is of a class that lacks images."""
    most = max(train.counts.values())
    return any(count and train.counts[label] < most for label, count in synthetic.counts.items())


def refuse_unjudgeable(images: LabelledImages, rare: Sequence[str], words: str) -> None:
    """DatasetError when a rare class, or everything else, is missing."""
    missing = [label for label in rare if not images.counts[label]]
    if missing or len(np.unique(images.labels)) < 2:
        raise DatasetError(
            f"the {words} images hold none of {', '.join(missing) or 'any second class'}:"
            " whether a classifier gains cannot be told",
            hint="Hold out patients of every class: a test/ folder, or train with --holdout 0.3.",
        )


def nothing_to_judge() -> DatasetError:
    """The sentence for synthetic images that top up no class."""
    return DatasetError(
        "there is no synthetic image of a class that lacks images, so there is nothing to judge",
        hint="Draw some for the rare classes first: medgan sample, or medgan balance.",
    )
