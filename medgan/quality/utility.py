"""Does a classifier gain from the synthetic images? Real, held-out and synthetic images in, a verdict in one sentence out.

Training images teach the classifiers of every arm (`arms`), some held-out patients choose among arms and ratios, others judge (`turns`): all of
different real patients, and the generator saw the first alone. Synthetic images help only if the arm with them that is chosen beats the
arm without them that is chosen, and the 95 % interval of the paired difference lies above 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from medgan.errors import DatasetError
from medgan.progress import OnProgress, ignore
from medgan.quality.arms import rare_classes
from medgan.quality.contest import Runs, Settings, contest
from medgan.quality.endpoints import interval
from medgan.quality.images import Images
from medgan.quality.turns import Arm, Bench, Entry, preferred

HELPS, NO_BENEFIT, HARMS = "helps", "no-benefit", "harms"
LEAST_RARE = 5
"""Patients of each rare class who judge, in a turn: with fewer an interval over patients is too narrow, for few can be drawn again."""
NOTHING = "0"
"""The ratio that adds nothing."""
METHOD = "paired percentile bootstrap over patients (within their class) and classifier seeds; "
CHOICE = (
    "arms and ratios were chosen on validation patients, all figures are of test patients",
    "the held-out patients were halved, and each half chose arms and ratios for the other: figures are means over the two turns",
)
"""Who chose, for one turn and for two."""
DISAGREED = "Halves of the patients chose differently; these arms are best over both, the difference is of what each half chose."


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """An arm with synthetic images beside the best without. Of two turns each may choose another arm: then it is these that are compared."""

    best_arm: str
    ratio: str
    alternative: str
    difference: float
    """Rare-class AUPRC of the arm less that of the alternative, mean over turns."""
    interval: tuple[float, float]
    """95 %, paired."""
    agreed: bool
    """Whether the arms named were chosen in every turn."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Usefulness:
    """Whether synthetic images help, and every arm it was measured against."""

    version: int = 1
    verdict: str
    """"helps", "no-benefit" or "harms"."""
    sentence: str
    judge: str
    """Whose verdict it is: the judge that does best on validation patients without synthetic images."""
    rare: tuple[str, ...]
    """The endpoint is the mean AUPRC over these classes, each against all others."""
    best_arm: str
    ratio: str
    alternative: str
    difference: float
    interval: tuple[float, float]
    judges: tuple[Judgement, ...]
    arms: tuple[Arm, ...]
    tested: Mapping[str, int]
    """{class: real images that judge}."""
    patients: int
    """Patients who judge."""
    turns: int
    """1 where validation chose and test judged; 2 where halves of the held-out patients did both in turn."""
    seeds: int
    steps: int
    method: str


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
    """Judge `synthetic` by what classifiers that learn from it and from `train` do on `test`.

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
    entries = [bench.entry(outcome) for outcome in outcomes]
    fewest = min(
        len(np.unique(bench.held_out.take(turn.judging).of(label).patients))
        for turn in bench.turns
        for label in rare
    )
    judgements = {judge: judged(judge, entries, fewest) for judge in settings.judges}
    first = judgements[preferred(entry for entry in entries if not entry.arm.made).arm.judge]
    return Usefulness(
        verdict=first.verdict,
        sentence=sentence(first, rare, fewest),
        judge=first.judge,
        rare=tuple(rare),
        best_arm=first.best.best_arm,
        ratio=first.best.ratio,
        alternative=first.best.alternative,
        difference=first.best.difference,
        interval=first.best.interval,
        judges=tuple(judgements.values()),
        arms=tuple(entry.arm for entry in entries),
        tested=bench.judging.counts,
        patients=len(np.unique(bench.judging.patients)),
        turns=len(bench.turns),
        seeds=settings.seeds,
        steps=settings.steps,
        method=METHOD + CHOICE[len(bench.turns) - 1],
    )


def judged(judge: str, entries: Iterable[Entry], fewest: int) -> Judgement:
    """The verdict of one judge over its arms; `fewest` patients of a rare class judge."""
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
    told = HELPS if best.interval[0] > 0 else HARMS if whole.interval[1] < 0 else NO_BENEFIT
    return Judgement(
        judge=judge,
        verdict=told if fewest >= LEAST_RARE else NO_BENEFIT,
        best=best,
        whole=whole,
        chosen_arm=chosen.name,
        chosen_ratio=chosen.ratio if chosen.made else NOTHING,
        regret=round(float(np.mean(lost)), 5),
    )


def compared(ours: Sequence[Entry], theirs: Sequence[Entry]) -> Comparison:
    """What is preferred of either side, turn by turn, by those who choose in that turn; named after what all prefer together."""
    pairs = [(preferred(ours, turn), preferred(theirs, turn)) for turn in range(len(ours[0].auprc))]
    differences = [one.auprc[turn] - other.auprc[turn] for turn, (one, other) in enumerate(pairs)]
    resampled = [one.resampled[turn] - other.resampled[turn] for turn, (one, other) in enumerate(pairs)]
    low, high = interval(np.mean(resampled, axis=0))
    one, other = preferred(ours), preferred(theirs)
    return Comparison(
        best_arm=one.arm.name,
        ratio=one.arm.ratio,
        alternative=other.arm.name,
        difference=round(float(np.mean(differences)), 5),
        interval=(round(low, 5), round(high, 5)),
        agreed=all(pair == (one, other) for pair in pairs),
    )


def sentence(judgement: Judgement, rare: Sequence[str], fewest: int) -> str:
    """The verdict in words."""
    shown = judgement.whole if judgement.verdict == HARMS else judgement.best
    found = f"by {points(shown)} of AUPRC of {', '.join(rare)}."
    words = {
        HELPS: f"Synthetic images help: {shown.best_arm} at ratio {shown.ratio} beats the best arm without them, {shown.alternative}, {found}",
        HARMS: f"Synthetic images harm: with as many as fill the gap, {shown.best_arm} falls behind the best arm without them, {shown.alternative}, {found}",
        NO_BENEFIT: f"No benefit: {shown.best_arm} at ratio {shown.ratio} differs from the best arm without synthetic images, {shown.alternative}, {found}",
    }[judgement.verdict]
    if fewest < LEAST_RARE:
        words += f" Of a rare class {fewest} patient{'s' * (fewest != 1)} judge{'s' * (fewest == 1)}: too few to tell more ({LEAST_RARE} at least)."
    return words if shown.agreed else f"{words} {DISAGREED}"


def points(compared: Comparison) -> str:
    """A difference and its interval in points, hundredths of AUPRC."""
    low, high = (f"{100 * end:+.1f}" for end in compared.interval)
    return f"{100 * compared.difference:+.1f} points (95 % interval {low} to {high})"


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
