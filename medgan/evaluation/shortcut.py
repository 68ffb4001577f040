"""Measure whether synthetic images can be recognised, and whether a classifier exploits it.

If only rare classes have synthetic images, "looks synthetic" is a sign of "rare": a classifier that learns
the sign does well on synthetic images and gains nothing on patients. There are two measurements: the AUC of a
detector, cross-validated over patients; and what topping up changes on unseen synthetic images beyond what it
changes on real ones. Neither easy synthetic images nor a classifier that has become better can produce such a
difference of differences.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from threading import Lock

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold

from medgan.base.errors import DatasetError
from medgan.base.progress import OnProgress, Progress, ignore
from medgan.evaluation.bootstrap import percentile_interval, resample_seeds, resample_within_classes
from medgan.evaluation.endpoints import auroc_under
from medgan.evaluation.usefulness.arms import HALF, ONE_SIDED, ArmRecipe, DrawPool, Lesson, rare_classes
from medgan.evaluation.usefulness.comparison import nothing_to_judge, tops_up_a_class
from medgan.evaluation.usefulness.image_sets import Split
from medgan.evaluation.usefulness.inputs import SmallNetInputs
from medgan.evaluation.usefulness.parallel import run_at_once
from medgan.evaluation.usefulness.training import train_classifiers
from medgan.evaluation.usefulness.trials import CNN, Runs, Settings, run_trials
from medgan.evaluation.usefulness.verdict import CANNOT_TELL, LEAST_RARE
from medgan.preparation.images import LabelledImages, concatenate_images
from medgan.similarity.radiomics import radiomic_features
from medgan.similarity.standardise import standardise

_NONE = "none"
"""Verdict: the two cannot be told apart."""
_VISIBLE = "visible"
"""Verdict: a detector can tell them apart, and no classifier was found to exploit it."""
_USED = "used"
"""Verdict: a classifier exploits the difference."""
_WIDEST = 0.2
"""Widest 95 % interval of an AUC from which "none" is concluded."""
_PERFECT = 0.995
"""AUC from which the sentence calls a detector perfect."""
_FOLDS = 4
"""Folds of patients by which detectors are cross-validated."""
_HELD_BACK = 0.25
"""Share of the synthetic images that no classifier learns from."""
_FEWEST = 2 * _FOLDS
"""Real and as many synthetic images that are needed."""
_WITHOUT = "oversampling + classical"
"""The arm without synthetic images."""
_WITH = f"{ONE_SIDED} + classical"
"""The arm with synthetic images in rare classes alone."""
_REMEDY = f"{HALF} + classical"
"""The arm with synthetic images in every class."""
_RATE = 2e-3
"""Learning rate of every network here; no arm is to win, so none needs its own schedule."""
_STEPS = 400
"""Steps of every network here, unless the settings say otherwise."""
_GUESSING = 0.5
"""AUC of a detector that sees no difference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShortcutReliance:
    """How far an arm relies on images being synthetic, compared with the same training without them."""

    arm: str
    real: float
    """Share of real rare test images that it classifies correctly."""
    synthetic: float
    """Share of held-back synthetic rare images that it classifies correctly."""
    excess: float
    """Its gain on synthetic rare images less its gain on real ones."""
    interval: tuple[float, float]
    """95 %, bootstrap over patients, synthetic images and seeds."""
    alarms: float | None
    """Share of synthetic images of other classes that it calls rare; None without such images."""
    others: float | None
    """The rise in those alarms less the rise in alarms on real images of the other classes."""
    others_interval: tuple[float, float] | None

    @property
    def used(self) -> bool:
        """Whether the arm relies on it, judged by images of other classes if there are some."""
        return (self.others_interval or self.interval)[0] > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortcut:
    """Whether classifiers can recognise synthetic images, and exploit it."""

    version: int = 1
    verdict: str
    """"none", "visible" (but not used), "used" or "cannot-tell"."""
    sentence: str
    told_apart: float
    """AUC of the better detector: 0.5 is guessing, 1 is perfect."""
    interval: tuple[float, float]
    """95 %, bootstrap over patients."""
    detectors: Mapping[str, float]
    """{detector: AUC}: the small network, and a logistic regression on radiomic features."""
    compared: Mapping[str, int]
    """{class: real images, and as many synthetic ones}."""
    leans: tuple[ShortcutReliance, ...]
    """For synthetic images in rare classes alone and, if every class has some, in every class."""


def measure_shortcut(
    split: Split,
    *,
    settings: Settings,
    seed: int,
    runs: Runs | None = None,
    on_progress: OnProgress = ignore,
) -> Shortcut:
    """Measure whether synthetic images are recognised, and whether a classifier exploits it.

    Args:
        split: Real images, held-out images of patients whom nothing learned from, synthetic images.
        settings: Size, seeds and resamples of the comparison.
        seed: Decides folds, draws and starting weights.
        runs: Finished runs; new ones are added.
        on_progress: Called after every step.

    Raises:
        DatasetError: there are too few images to tell.
    """
    # As many real as synthetic images of every class.
    train, test = split.train, split.held_out
    if not tops_up_a_class(train, split.synthetic):
        raise nothing_to_judge()
    real, made = _match_classes(train, split.synthetic, seed)
    patients = len(np.unique(real.patients))
    if len(real) < _FEWEST or patients < _FOLDS:
        raise DatasetError(
            f"{len(real)} real and as many synthetic images of the same classes, the real ones of {patients}"
            " patients, are too few to tell them apart",
            hint=f"Give {_FEWEST} or more images of a class, of {_FOLDS} or more patients.",
        )

    # Train the detectors, and the classifiers that may exploit what they see.
    detectors = _detector_aucs(real, made, settings, seed, on_progress)
    best = max(detectors, key=lambda name: detectors[name][0])
    leans = _leans(split, settings, seed, runs, on_progress)

    # Conclude.
    auc, (low, high) = detectors[best]
    scarce = np.isin(test.labels, _rare_numbers(train, settings))
    people = len(np.unique(test.patients[scarce if leans[0].alarms is None else ~scarce]))
    verdict = _conclude((low, high), leans[0], people)
    return Shortcut(
        verdict=verdict,
        sentence=_verdict_text(verdict, detectors[best], leans, (len(real), patients), people),
        told_apart=round(auc, 4),
        interval=(round(low, 4), round(high, 4)),
        detectors={name: round(found[0], 4) for name, found in detectors.items()},
        compared={label: count for label, count in real.counts.items() if count},
        leans=leans,
    )


def count(settings: Settings) -> tuple[int, int]:
    """Count the small networks that are trained: detectors, and at most so many classifiers."""
    return _FOLDS, 3 * settings.seeds


def _rare_numbers(train: LabelledImages, settings: Settings) -> list[int]:
    """Numbers of the rare classes."""
    return [train.names.index(label) for label in settings.rare or rare_classes(train.counts)]


def _match_classes(
    train: LabelledImages, synthetic: LabelledImages, seed: int
) -> tuple[LabelledImages, LabelledImages]:
    """Draw as many real as synthetic images of every class, so that both sets have equal classes."""
    rng = np.random.default_rng(seed)
    rows: tuple[list[int], list[int]] = ([], [])
    for label in train.names:
        both = train.rows_of(label), synthetic.rows_of(label)
        fewer = min(map(len, both))
        for chosen, own in zip(rows, both, strict=True):
            chosen += sorted(rng.permutation(own)[:fewer].tolist())
    return train.take(rows[0]), synthetic.take(rows[1])


_AucInterval = tuple[float, tuple[float, float]]
"""An AUC and its interval."""


def _detector_aucs(
    real: LabelledImages, made: LabelledImages, settings: Settings, seed: int, on_progress: OnProgress
) -> dict[str, _AucInterval]:
    """{detector: AUC with interval}, cross-validated over folds that share no patient, several at once."""
    # Folds over real and synthetic images together.
    both = concatenate_images(real, made)
    truth = np.repeat([0, 1], [len(real), len(made)]).astype(np.int64)
    folds = StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=seed)
    tests = [rows for _, rows in folds.split(truth, truth, both.patients)]
    eyes = SmallNetInputs(both.pixels, both.pixels[:0], like=both.pixels, side=settings.side)
    measured = radiomic_features(both.pixels)

    done, lock = 0, Lock()

    def score_fold(rows: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
        """Train both detectors on all folds but one, and score that one."""
        nonlocal done
        others = np.setdiff1d(np.arange(len(truth)), rows)
        count = len(others)
        even = DrawPool(rows=others, chances=np.full(count, 1 / count), costs=np.ones(count, np.float32))
        lesson = Lesson(
            recipe=ArmRecipe(name="detector"), labels=truth, classes=2, real=count, stages=((1.0, even),)
        )
        ((_, network),) = train_classifiers(eyes, lesson, rate=_RATE, steps=(steps_of(settings),), seed=seed)
        found = eyes.logits_of(network, rows)
        scaled = standardise(measured, measured[others])
        plain = LogisticRegression(C=1.0, max_iter=1000).fit(scaled[others], truth[others])
        with lock:
            done += 1
            on_progress(Progress("telling apart", done, _FOLDS))
        return {CNN: found[:, 1] - found[:, 0], "radiomics": plain.decision_function(scaled[rows])}

    scores = {name: np.zeros(len(truth)) for name in (CNN, "radiomics")}
    for rows, of_fold in zip(tests, run_at_once([partial(score_fold, rows) for rows in tests]), strict=True):
        for name, values in of_fold.items():
            scores[name][rows] = values
    weights = resample_within_classes(both.patients, truth, settings.resamples, seed)
    return {name: _auc(values, truth, tests, weights) for name, values in scores.items()}


def _auc(
    scores: NDArray[np.float64],
    truth: NDArray[np.int64],
    tests: Sequence[NDArray[np.int64]],
    weights: NDArray[np.int64],
) -> _AucInterval:
    """Mean AUC over folds (scores of different folds have different scales), with its interval.

    A resample without images of both kinds in a fold leaves that fold out.
    """
    counted = np.concatenate([np.ones((1, len(truth)), np.int64), weights])
    by_fold = np.stack([auroc_under(scores[rows], truth[rows] == 1, counted[:, rows]) for rows in tests])
    there = np.isfinite(by_fold)
    with np.errstate(invalid="ignore"):  # NaN where no fold has both
        mean = np.where(there, by_fold, 0).sum(axis=0) / there.sum(axis=0)
    return float(mean[0]), percentile_interval(mean[1:])


def _leans(
    split: Split, settings: Settings, seed: int, runs: Runs | None, on_progress: OnProgress
) -> tuple[ShortcutReliance, ...]:
    """Train without synthetic images, with them in rare classes and in every class, and compare."""
    learned, kept = _hold_back_quarter(split.synthetic, seed)
    both = concatenate_images(split.held_out, kept)
    wish = replace(
        settings,
        judges=(CNN,),
        recipes={CNN: (_WITHOUT, _WITH, _REMEDY)},
        folds=0,
        headroom=False,
        rates={CNN: (_RATE,)},
        steps={CNN: (steps_of(settings),)},
    )
    (found,) = run_trials(
        replace(split, held_out=both, synthetic=learned),
        settings=wish,
        seed=seed,
        runs=runs,
        on_progress=on_progress,
    )
    called = {outcome.recipe.name: outcome.logits.argmax(axis=2) for outcome in found.outcomes}
    base = called.pop(_WITHOUT)
    unseen = _UnseenImages(
        both=both,
        fake=np.arange(len(both)) >= len(split.held_out),
        rare=_rare_numbers(split.train, settings),
        settings=settings,
        seed=seed,
    )
    return tuple(unseen.lean(arm, classes, base) for arm, classes in called.items())


def steps_of(settings: Settings) -> int:
    """Steps of every network here."""
    return settings.steps.get(CNN, (_STEPS,))[-1]


def _hold_back_quarter(synthetic: LabelledImages, seed: int) -> tuple[LabelledImages, LabelledImages]:
    """Divide synthetic images: those to learn from, and a quarter of every class to test on."""
    rng = np.random.default_rng(seed)
    back: list[int] = []
    for label in synthetic.names:
        own = rng.permutation(synthetic.rows_of(label))
        back += own[: round(len(own) * _HELD_BACK)].tolist()
    mask = np.zeros(len(synthetic), bool)
    mask[back] = True
    return synthetic.take(~mask), synthetic.take(mask)


@dataclass(frozen=True, slots=True, kw_only=True)
class _UnseenImages:
    """Real and synthetic images that no classifier learned from."""

    both: LabelledImages
    fake: NDArray[np.bool_]
    """(N,): whether an image is synthetic."""
    rare: Sequence[int]
    settings: Settings
    seed: int

    def lean(self, arm: str, called: NDArray[np.int64], base: NDArray[np.int64]) -> ShortcutReliance:
        """Measure how far an arm relies on images being synthetic.

        Args:
            arm: Its name.
            called: (seeds, N): classes that the arm predicts.
            base: (seeds, N): classes that the arm without synthetic images predicts.
        """
        labels, scarce = self.both.labels, np.isin(self.both.labels, self.rare)
        hits, before = (found == labels for found in (called, base))
        excess, ends = self._difference(hits, before, scarce)
        alarms, quiet = (np.isin(found, self.rare) for found in (called, base))
        others = self._difference(alarms, quiet, ~scarce) if (self.fake & ~scarce).any() else None
        return ShortcutReliance(
            arm=arm,
            real=round(float(hits[:, scarce & ~self.fake].mean()), 4),
            synthetic=round(float(hits[:, scarce & self.fake].mean()), 4),
            excess=excess,
            interval=ends,
            alarms=round(float(alarms[:, self.fake & ~scarce].mean()), 4) if others else None,
            others=others and others[0],
            others_interval=others and others[1],
        )

    def _difference(
        self, now: NDArray[np.bool_], before: NDArray[np.bool_], among: NDArray[np.bool_]
    ) -> tuple[float, tuple[float, float]]:
        """The change on synthetic images less that on real ones, with its interval.

        Args:
            now: (seeds, N): what the arm does.
            before: (seeds, N): what the arm without synthetic images does.
            among: (N,): images that count.
        """
        # The change in every resample of patients and seeds.
        change = now.astype(np.float64) - before
        sides = self.both.labels * 2 + self.fake  # resampled within class and origin
        resamples = self.settings.resamples
        weights = resample_within_classes(self.both.patients, sides, resamples, self.seed)
        shares = resample_seeds(len(change), resamples, self.seed) @ change  # (B, N)

        # Its mean on synthetic images less its mean on real ones.
        def gap(counted: NDArray[np.int64], values: NDArray[np.float64]) -> NDArray[np.float64]:
            means = [
                (values * counted * mask).sum(axis=1) / (counted * mask).sum(axis=1)
                for mask in (among & self.fake, among & ~self.fake)
            ]
            return np.asarray(means[0] - means[1])

        whole = gap(np.ones((1, len(self.fake)), np.int64), change.mean(axis=0)[None])
        low, high = percentile_interval(gap(weights, shares))
        return round(float(whole[0]), 4), (round(low, 4), round(high, 4))


def _conclude(interval: tuple[float, float], first: ShortcutReliance, people: int) -> str:
    """The verdict: "none" needs a narrow interval, "used" enough held-out patients.

    Args:
        interval: 95 % interval of the better detector's AUC.
        first: The arm with synthetic images in rare classes.
        people: Held-out patients by whom reliance is judged.
    """
    low, high = interval
    if first.used and people >= LEAST_RARE:
        return _USED
    if low > _GUESSING:
        return _VISIBLE
    return CANNOT_TELL if high - low > _WIDEST else _NONE


def _verdict_text(
    verdict: str,
    found: _AucInterval,
    leans: Sequence[ShortcutReliance],
    compared: tuple[int, int],
    people: int,
) -> str:
    """Word the verdict.

    Args:
        verdict: What was concluded.
        found: AUC and interval of the better detector.
        leans: How far arms rely on images being synthetic.
        compared: Real images and their patients.
        people: Held-out patients by whom reliance is judged.
    """
    auc, (low, high) = found
    figures = f"(AUC {auc:.2f}, 95 % interval {low:.2f} to {high:.2f}; 0.5 is guessing)"
    if verdict == _NONE:
        return f"A detector cannot tell synthetic from real images {figures}."
    if verdict == CANNOT_TELL:
        few = f"{compared[0]:,} real images of {compared[1]:,} patients are too few"
        return f"Cannot tell whether a detector separates synthetic from real images {figures}: {few}."
    seen = (
        f"A detector separates synthetic from real images perfectly (AUC {auc:.2f})"
        if auc >= _PERFECT
        else f"A detector tells synthetic from real images (AUC {auc:.2f}; 0.5 is guessing, 1 is perfect)"
    )
    return f"{seen}{_reliance_text(leans) if verdict == _USED else _no_reliance_text(leans[0], people)}"


def _reliance_text(leans: Sequence[ShortcutReliance]) -> str:
    """Say how a classifier exploits what it sees, and what helps."""
    first = leans[0]
    signs = (
        f"it finds {first.synthetic:.0%} of unseen synthetic images of rare classes,"
        f" and {first.real:.0%} of real ones"
        if first.alarms is None
        else f"it takes {first.alarms:.0%} of synthetic images of other classes for rare ones"
    )
    cured = any(lean.arm == _REMEDY and not lean.used for lean in leans)
    remedy = " With synthetic images in every class no such sign was found." if cured else ""
    return f", and a classifier that learns from them exploits it: {signs}.{remedy}"


def _no_reliance_text(first: ShortcutReliance, people: int) -> str:
    """Say that no classifier was found to exploit it, or that there are too few patients to tell."""
    if people < LEAST_RARE:
        asked = f"{people} held-out patient{'s' * (people != 1)}"
        return (
            f"; whether a classifier exploits this cannot be told from {asked}"
            f" (at least {LEAST_RARE} are needed)."
        )
    where = " in the rare classes, the only ones with synthetic images" if first.alarms is None else ""
    return f"; no sign was found that a classifier exploits this{where}."
