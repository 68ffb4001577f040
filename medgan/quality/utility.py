"""Does a classifier gain from the synthetic images? Real, held-out and synthetic images in, a verdict in one sentence out.

Training images teach the classifiers of every arm (`arms`), some held-out patients choose among arms and ratios, others judge (`turns`): all of
different real patients, and the generator saw the first alone. The arm with synthetic images that is chosen is compared with the arm
without them that is chosen; what is concluded from the difference, its paired interval and the number of patients, `verdict` says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from medgan.errors import DatasetError
from medgan.progress import OnProgress, Progress, ignore
from medgan.quality.arms import rare_classes
from medgan.quality.contest import Outcome, Runs, Settings, contest
from medgan.quality.endpoints import interval
from medgan.quality.images import Images
from medgan.quality.turns import Arm, Bench, Entry, preferred
from medgan.quality.verdict import (
    BEST,
    CANNOT_TELL,
    HARMS,
    WHOLE,
    Comparison,
    Panel,
    Round,
    conclude,
    sentence,
)

NOTHING = "0"
"""The ratio that adds nothing."""
METHOD = "paired percentile bootstrap over patients (within their class) and classifier seeds; "
CHOICE = (
    "arms and ratios were chosen on validation patients, all figures are of test patients",
    "the held-out patients were halved, and each half chose arms and ratios for the other: figures are means over the two turns",
)
"""Who chose, for one turn and for two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What one judge says."""

    judge: str
    verdict: str
    best: Comparison
    """At the ratio that validation prefers."""
    whole: Comparison
    """At the largest ratio: with all the images that were given."""
    chosen_arm: str
    """What validation prefers of all arms."""
    chosen_ratio: str
    """Its ratio; "0" when no synthetic images take part: what `balance --ratio auto` would take."""
    regret: float
    """Endpoint of the best of all arms less that of the chosen one: the price of choosing."""
    patients_needed: int | None = None
    """About how many held-out patients of the scarcest rare class a verdict needs, where there are too few; else None."""

    @property
    def comparison(self) -> str:
        """Which comparison the verdict rests on."""
        return WHOLE if self.verdict == HARMS else BEST

    @property
    def shown(self) -> Comparison:
        """That comparison."""
        return self.whole if self.comparison == WHOLE else self.best


@dataclass(frozen=True, slots=True, kw_only=True)
class Usefulness:
    """Whether synthetic images help, and every arm it was measured against."""

    version: int = 1
    verdict: str
    """"helps", "no-benefit", "harms" or "cannot-tell"."""
    sentence: str
    judge: str
    """Whose verdict it is: the judge that does best on validation patients without synthetic images."""
    rare: tuple[str, ...]
    """The endpoint is the mean AUPRC over these classes, each against all others."""
    best_arm: str
    """This and the following, down to `interval`: of the comparison that the verdict rests on."""
    ratio: str
    alternative: str
    difference: float
    interval: tuple[float, float]
    comparison: str = BEST
    """"best" (at the ratio that validation prefers) or "whole" (with all the images that were given: what harms)."""
    judges: tuple[Judgement, ...]
    arms: tuple[Arm, ...]
    tested: Mapping[str, int]
    """{class: real images that judge}."""
    patients: int
    """Patients who judge."""
    rare_patients: Mapping[str, int] = field(default_factory=dict)
    """{rare class: its patients who judge}."""
    patients_needed: int | None = None
    """About how many of the scarcest rare class a verdict needs, where there are too few; else None."""
    turns: int
    """1 where validation chose and test judged; 2 where halves of the held-out patients did both in turn."""
    seeds: int
    steps: int
    method: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Hearing:
    """The classifiers of every arm, asked about every held-out image, and who of these judges when."""

    rare: tuple[str, ...]
    bench: Bench
    outcomes: tuple[Outcome, ...]


def hearing(  # noqa: PLR0913  # the sets of images are no noun
    train: Images,
    val: Images,
    test: Images,
    synthetic: Images,
    *,
    settings: Settings,
    seed: int,
    runs: Runs | None = None,
    on_progress: OnProgress = ignore,
) -> Hearing:
    """Train the classifiers, or take from `runs` what they said.

    Where only one of `val` and `test` holds images, halves of its patients choose for each other. Training is never divided anew: the
    generator has seen all of it, and synthetic images would carry over what a part of it lacks.

    Raises:
        DatasetError: a rare class is missing from the held-out images, or no synthetic image is of a class that lacks some.
    """
    rare = settings.rare or rare_classes(train.counts)
    bench = Bench.of(val, test, [train.names.index(label) for label in rare], settings, seed)
    for rows, words in ((bench.turns[0].choosing, "validation"), (bench.turns[0].judging, "test")):
        refuse_unjudgeable(bench.held_out.take(rows), rare, words)
    outcomes = contest(
        train, bench.held_out, synthetic, settings=settings, seed=seed, runs=runs, on_progress=on_progress
    )
    if not any(outcome.variant.recipe.made for outcome in outcomes):
        raise nothing_to_judge()
    return Hearing(rare=tuple(rare), bench=bench, outcomes=outcomes)


def measure_usefulness(  # noqa: PLR0913  # the sets of images are no noun
    train: Images,
    val: Images,
    test: Images,
    synthetic: Images,
    *,
    settings: Settings,
    seed: int,
    runs: Runs | None = None,
    on_progress: OnProgress = ignore,
) -> Usefulness:
    """Judge `synthetic` by what classifiers that learn from it and from `train` do on `test`; DatasetError as `hearing`."""
    heard = hearing(
        train, val, test, synthetic, settings=settings, seed=seed, runs=runs, on_progress=on_progress
    )
    return judgement(heard, settings, on_progress)


def judgement(heard: Hearing, settings: Settings, on_progress: OnProgress = ignore) -> Usefulness:
    """What the classifiers come to."""
    rare, bench = heard.rare, heard.bench
    entries = []
    for done, outcome in enumerate(heard.outcomes, start=1):
        entries.append(bench.entry(outcome))
        on_progress(Progress("drawing patients again", done, len(heard.outcomes)))
    panel, people = panel_of(bench, rare)
    judgements = {judge: judged(judge, entries, panel) for judge in settings.judges}
    first = judgements[preferred(entry for entry in entries if not entry.arm.made).arm.judge]
    return Usefulness(
        verdict=first.verdict,
        sentence=sentence(first.verdict, first.shown, panel, rare, first.judge),
        judge=first.judge,
        rare=rare,
        best_arm=first.shown.best_arm,
        ratio=first.shown.ratio,
        alternative=first.shown.alternative,
        difference=first.shown.difference,
        interval=first.shown.interval,
        comparison=first.comparison,
        judges=tuple(judgements.values()),
        arms=tuple(entry.arm for entry in entries),
        tested=bench.judging.counts,
        patients=len(np.unique(bench.judging.patients)),
        rare_patients=people,
        patients_needed=first.patients_needed,
        turns=len(bench.turns),
        seeds=settings.seeds,
        steps=settings.steps,
        method=METHOD + CHOICE[len(bench.turns) - 1],
    )


def panel_of(bench: Bench, rare: Sequence[str]) -> tuple[Panel, dict[str, int]]:
    """The patients of the rare class that has fewest, and {rare class: patients who judge}."""
    sides = [bench.held_out.take(turn.judging) for turn in bench.turns]
    by_turn = {label: [len(np.unique(one.of(label).patients)) for one in sides] for label in rare}
    label = min(rare, key=lambda name: (min(by_turn[name]), sum(by_turn[name])))
    own = by_turn[label]
    panel = Panel(label=label, patients=sum(own), fewest=min(own), turns=len(sides))
    return panel, {name: sum(counts) for name, counts in by_turn.items()}


def judged(judge: str, entries: Iterable[Entry], panel: Panel) -> Judgement:
    """The verdict of one judge over its arms."""
    own = [entry for entry in entries if entry.arm.judge == judge]
    plain, made = ([entry for entry in own if entry.arm.made is made] for made in (False, True))
    last = {entry.arm.name: entry.arm.ratio for entry in made}  # ratios ascend
    best = compared(made, plain)
    whole = compared([entry for entry in made if entry.arm.ratio == last[entry.arm.name]], plain)
    chosen = preferred(own).arm
    lost = [
        max(entry.auprc[turn] for entry in own) - preferred(own, turn).auprc[turn]
        for turn in range(len(own[0].auprc))
    ]
    verdict = conclude(best, whole, panel)
    width = best.interval[1] - best.interval[0]
    return Judgement(
        judge=judge,
        verdict=verdict,
        best=best,
        whole=whole,
        chosen_arm=chosen.name,
        chosen_ratio=chosen.ratio if chosen.made else NOTHING,
        regret=round(float(np.mean(lost)), 5),
        patients_needed=panel.needed(width) if verdict == CANNOT_TELL else None,
    )


def compared(ours: Sequence[Entry], theirs: Sequence[Entry]) -> Comparison:
    """What is preferred of either side, turn by turn, by those who choose in that turn; named after what all prefer together."""
    pairs = [(preferred(ours, turn), preferred(theirs, turn)) for turn in range(len(ours[0].auprc))]
    differences = [one.auprc[turn] - other.auprc[turn] for turn, (one, other) in enumerate(pairs)]
    resampled = [one.resampled[turn] - other.resampled[turn] for turn, (one, other) in enumerate(pairs)]
    low, high = interval(np.mean(resampled, axis=0))
    one, other = preferred(ours), preferred(theirs)
    rounds = (
        Round(
            arm=ours.arm.name,
            ratio=ours.arm.ratio,
            auprc=ours.auprc[turn],
            alternative=theirs.arm.name,
            alternative_ratio=theirs.arm.ratio,
            alternative_auprc=theirs.auprc[turn],
        )
        for turn, (ours, theirs) in enumerate(pairs)
    )
    return Comparison(
        best_arm=one.arm.name,
        ratio=one.arm.ratio,
        alternative=other.arm.name,
        difference=round(float(np.mean(differences)), 5),
        interval=(round(low, 5), round(high, 5)),
        agreed=all(pair == (one, other) for pair in pairs),
        rounds=tuple(rounds),
    )


def refuse_unjudgeable(images: Images, rare: Sequence[str], words: str) -> None:
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
