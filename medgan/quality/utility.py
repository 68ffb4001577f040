"""Does a classifier gain from the synthetic images? Real, held-out and synthetic images in, a verdict in one sentence out.

Training images teach the classifiers of every arm (`arms`), validation images choose among arms and ratios, test images judge: all
three of different real patients, and the generator saw the first alone. Synthetic images help only if the arm with them that
validation prefers beats the arm without them that validation prefers, and the 95 % interval of the paired difference lies above 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medgan.errors import DatasetError
from medgan.progress import OnProgress, ignore
from medgan.quality.arms import rare_classes
from medgan.quality.contest import Outcome, Runs, Settings, contest
from medgan.quality.endpoints import (
    Endpoints,
    endpoints,
    interval,
    patient_weights,
    resampled_auprc,
    seed_weights,
)
from medgan.quality.images import Images, joined

HELPS, NO_BENEFIT, HARMS = "helps", "no-benefit", "harms"
NOTHING = "0"
"""The ratio that adds nothing."""
METHOD = (
    "paired percentile bootstrap over patients (within their class) and classifier seeds; arms and ratios were chosen on"
    " validation patients, all figures are of test patients"
)
CHOOSING = 0.5
"""Share of the held-out patients that choose where they are not yet divided into validation and test."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One way to train, and what it came to: means over classifier seeds."""

    name: str
    judge: str
    ratio: str
    """Synthetic (or duplicated) images per real one of a class; "" where nothing is added."""
    added: Mapping[str, int]
    """{class: synthetic or duplicated images}."""
    made: bool
    """Whether synthetic images take part."""
    validation: float
    """Rare-class AUPRC on validation patients: what chooses."""
    auprc: float
    """Rare-class AUPRC on test patients: the endpoint."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """An arm with synthetic images beside the best without, on test patients."""

    best_arm: str
    ratio: str
    alternative: str
    difference: float
    """Rare-class AUPRC of the arm less that of the alternative."""
    interval: tuple[float, float]
    """95 %, paired."""


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
    """{class: real test images}."""
    patients: int
    """Test patients."""
    seeds: int
    steps: int
    method: str = METHOD


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

    Where only one of `val` and `test` holds images, half of its patients choose and the other half judge. Training is never divided
    anew: the generator has seen all of it, and synthetic images would carry over what a part of it lacks.

    Raises:
        DatasetError: a rare class is missing from the held-out images, or no synthetic image is of a class that lacks some.
    """
    if not (len(val) and len(test)):
        val, test = divided(joined(val, test), CHOOSING, seed)
    rare = settings.rare or rare_classes(train.counts)
    for held_out, words in ((val, "validation"), (test, "test")):
        refuse_unjudgeable(held_out, rare, words)
    outcomes = contest(
        train, joined(val, test), synthetic, settings=settings, seed=seed, runs=runs, on_progress=on_progress
    )
    if not any(outcome.variant.recipe.made for outcome in outcomes):
        raise nothing_to_judge()
    bench = Bench.of(val, test, [train.names.index(label) for label in rare], settings, seed)
    entries = [bench.entry(outcome) for outcome in outcomes]
    judgements = {judge: judged(judge, entries) for judge in settings.judges}
    first = judgements[preferred(entry for entry in entries if not entry.arm.made).arm.judge]
    return Usefulness(
        verdict=first.verdict,
        sentence=sentence(first, rare),
        judge=first.judge,
        rare=tuple(rare),
        best_arm=first.best.best_arm,
        ratio=first.best.ratio,
        alternative=first.best.alternative,
        difference=first.best.difference,
        interval=first.best.interval,
        judges=tuple(judgements.values()),
        arms=tuple(entry.arm for entry in entries),
        tested=test.counts,
        patients=len(np.unique(test.patients)),
        seeds=settings.seeds,
        steps=settings.steps,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An arm, and its endpoint under every resample: the same resamples for every arm, so that differences are paired."""

    arm: Arm
    resampled: NDArray[np.float64]
    """(B,)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Held-out images and how they are resampled: an outcome in, an entry out."""

    val: Images
    test: Images
    rare: Sequence[int]
    weights: NDArray[np.int64]
    """(B, test images)."""
    shares: NDArray[np.float64]
    """(B, seeds)."""

    @classmethod
    def of(cls, val: Images, test: Images, rare: Sequence[int], settings: Settings, seed: int) -> Bench:
        """Draw the resamples."""
        return cls(
            val=val,
            test=test,
            rare=rare,
            weights=patient_weights(test.patients, test.labels, settings.resamples, seed),
            shares=seed_weights(settings.seeds, settings.resamples, seed),
        )

    def entry(self, outcome: Outcome) -> Entry:
        """Every endpoint of an outcome."""
        recipe, first = outcome.variant.recipe, len(self.val)
        chosen = [endpoints(one[:first], self.val.labels, self.rare) for one in outcome.logits]
        judged = [endpoints(one[first:], self.test.labels, self.rare) for one in outcome.logits]
        by_seed = [
            resampled_auprc(one[first:], self.test.labels, self.rare, self.weights) for one in outcome.logits
        ]
        resampled = np.asarray((np.stack(by_seed, axis=1) * self.shares).sum(axis=1), np.float64)
        low, high = interval(resampled)
        arm = Arm(
            name=recipe.name,
            judge=outcome.judge,
            ratio=outcome.variant.ratio,
            added=dict(outcome.variant.added),
            made=recipe.made,
            validation=_mean(chosen, "auprc"),
            auprc=_mean(judged, "auprc"),
            low=round(low, 5),
            high=round(high, 5),
            sensitivity=_mean(judged, "sensitivity"),
            auroc=_mean(judged, "auroc"),
            balanced_accuracy=_mean(judged, "balanced_accuracy"),
            macro_f1=_mean(judged, "macro_f1"),
            per_seed=tuple(round(one.auprc, 5) for one in judged),
        )
        return Entry(arm=arm, resampled=resampled)


def judged(judge: str, entries: Iterable[Entry]) -> Judgement:
    """The verdict of one judge over its arms."""
    own = [entry for entry in entries if entry.arm.judge == judge]
    plain, made = ([entry for entry in own if entry.arm.made is made] for made in (False, True))
    last = {entry.arm.name: entry.arm.ratio for entry in made}  # ratios ascend
    best = compared(made, plain)
    whole = compared([entry for entry in made if entry.arm.ratio == last[entry.arm.name]], plain)
    chosen = preferred(own).arm
    return Judgement(
        judge=judge,
        verdict=HELPS if best.interval[0] > 0 else HARMS if whole.interval[1] < 0 else NO_BENEFIT,
        best=best,
        whole=whole,
        chosen_arm=chosen.name,
        chosen_ratio=chosen.ratio if chosen.made else NOTHING,
        regret=round(max(entry.arm.auprc for entry in own) - chosen.auprc, 5),
    )


def compared(ours: Iterable[Entry], theirs: Iterable[Entry]) -> Comparison:
    """The arms that validation prefers of either side, on test patients."""
    one, other = preferred(ours), preferred(theirs)
    low, high = interval(one.resampled - other.resampled)
    return Comparison(
        best_arm=one.arm.name,
        ratio=one.arm.ratio,
        alternative=other.arm.name,
        difference=round(one.arm.auprc - other.arm.auprc, 5),
        interval=(round(low, 5), round(high, 5)),
    )


def preferred(entries: Iterable[Entry]) -> Entry:
    """The entry that does best on validation patients; of equals the earlier, which adds less."""
    return max(entries, key=lambda entry: entry.arm.validation)


def sentence(judgement: Judgement, rare: Sequence[str]) -> str:
    """The verdict in words."""
    best, whole = judgement.best, judgement.whole
    where = f"AUPRC of {', '.join(rare)}"
    ours = f"{best.best_arm} at ratio {best.ratio}"
    if judgement.verdict == HELPS:
        return (
            f"Synthetic images help: {ours} beats the best arm without them, {best.alternative},"
            f" by {points(best)} of {where}."
        )
    if judgement.verdict == HARMS:
        return (
            f"Synthetic images harm: with all of them, {whole.best_arm} falls behind the best arm without them,"
            f" {whole.alternative}, by {points(whole)} of {where}."
        )
    return f"No benefit: {ours} against the best arm without synthetic images, {best.alternative}: {points(best)} of {where}."


def points(compared: Comparison) -> str:
    """A difference and its interval in points, hundredths of AUPRC."""
    low, high = (f"{100 * end:+.1f}" for end in compared.interval)
    return f"{100 * compared.difference:+.1f} points (95 % interval {low} to {high})"


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


def _mean(found: Sequence[Endpoints], name: str) -> float:
    return round(float(np.mean([getattr(one, name) for one in found])), 5)
