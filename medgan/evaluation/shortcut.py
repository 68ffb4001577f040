"""Real and synthetic images -> whether the two can be told apart, and whether a classifier that is topped up leans on it.

Where only rare classes hold synthetic images, "looks synthetic" is a sign of "rare": a classifier that learns the sign does well on
synthetic images and gains nothing on patients. Two measurements: a detector's AUC, by cross-validation over patients, and what
topping up changes on unseen synthetic images beyond what it changes on real ones (a difference of differences, which neither easy
synthetic images nor a classifier that has become better can feign).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold

from medgan.base.errors import DatasetError
from medgan.base.progress import OnProgress, Progress, ignore
from medgan.evaluation.arms import HALF, ONE_SIDED, DrawPool, Lesson, Recipe, rare_classes
from medgan.evaluation.classifier_inputs import SmallEyes
from medgan.evaluation.classifier_training import train_classifiers
from medgan.evaluation.endpoints import interval, patient_weights, seed_weights
from medgan.evaluation.trials import CNN, Runs, Settings, run_trials
from medgan.evaluation.usefulness import may_judge, nothing_to_judge
from medgan.evaluation.verdict import CANNOT_TELL, LEAST_RARE
from medgan.prepare.images import LabelledImages, concatenate_images
from medgan.similarity.radiomics import radiomic_features
from medgan.similarity.small_cnn import standardise

NONE, VISIBLE, USED = "none", "visible", "used"
WIDEST = 0.2
"""Widest 95 % interval of an AUC from which it is concluded that nothing tells the two apart."""
PERFECT = 0.995
FOLDS = 4
HELD_BACK = 0.25
"""Share of the synthetic images that no classifier learns from."""
FEWEST = 2 * FOLDS
"""Real and synthetic images of a kind, below which nothing is measured."""
WITHOUT, WITH, REMEDY = "oversampling + classical", f"{ONE_SIDED} + classical", f"{HALF} + classical"
RATE, STEPS = 2e-3, 400
"""Of every small network here: no arm is to win, so none needs a schedule of its own."""
CHANCE = 0.5
"""AUC of a detector that sees no difference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lean:
    """How far an arm leans on being synthetic: gains are against the same training without synthetic images."""

    arm: str
    real: float
    """Share of real rare test images that it gives their class."""
    synthetic: float
    """Share of held-back synthetic rare images that it gives their class."""
    excess: float
    """Its gain on synthetic rare images less its gain on real ones."""
    interval: tuple[float, float]
    """95 %, bootstrap over patients, synthetic images and seeds."""
    alarms: float | None
    """Share of synthetic images of the other classes that it calls rare; None where no such images were given."""
    others: float | None
    """The rise in those alarms less the rise in alarms on real images of the other classes."""
    others_interval: tuple[float, float] | None

    @property
    def used(self) -> bool:
        """Whether the arm leans on it: told by the other classes' images where there are some, for they are the plainer sign."""
        return (self.others_interval or self.interval)[0] > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortcut:
    """Whether "synthetic" is a sign that classifiers can see, and use."""

    version: int = 1
    verdict: str
    """"none", "visible" (but not used), "used" or "cannot-tell"."""
    sentence: str
    told_apart: float
    """AUC of the better detector: 0.5 sees nothing, 1 sees all."""
    interval: tuple[float, float]
    """95 %, bootstrap over patients."""
    detectors: Mapping[str, float]
    """{detector: AUC}: the small network, and a logistic regression on radiomic features."""
    compared: Mapping[str, int]
    """{class: real images, and as many synthetic ones}."""
    leans: tuple[Lean, ...]
    """Of topping up the rare classes and, where every class has synthetic images, of spreading them everywhere."""


def measure_shortcut(  # noqa: PLR0913  # the sets of images are no noun
    train: LabelledImages,
    test: LabelledImages,
    synthetic: LabelledImages,
    *,
    settings: Settings,
    seed: int,
    runs: Runs | None = None,
    on_progress: OnProgress = ignore,
) -> Shortcut:
    """Look for the shortcut in `synthetic` images that top up `train`; `test` holds real patients that nothing learned from.

    Raises:
        DatasetError: too few images to tell.
    """
    counts = train.counts
    if not may_judge(train, synthetic):
        raise nothing_to_judge()
    real, made = alike(train, synthetic, seed)
    patients = len(np.unique(real.patients))
    if len(real) < FEWEST or patients < FOLDS:
        raise DatasetError(
            f"{len(real)} real and synthetic images of the same class, the real ones of {patients} patients, are too few to tell them apart",
            hint=f"Give {FEWEST} or more of a class, of {FOLDS} patients or more.",
        )
    detectors = _detector_aucs(real, made, settings, seed, on_progress)
    best = max(detectors, key=lambda name: detectors[name][0])
    leans = _leans(train, test, synthetic, settings, seed, runs, on_progress)
    told, (low, high) = detectors[best]
    scarce = np.isin(
        test.labels, [train.names.index(label) for label in settings.rare or rare_classes(counts)]
    )
    people = len(np.unique(test.patients[scarce if leans[0].alarms is None else ~scarce]))
    verdict = conclude((low, high), leans[0], people)
    return Shortcut(
        verdict=verdict,
        sentence=sentence(verdict, detectors[best], leans, (len(real), patients), people),
        told_apart=round(told, 4),
        interval=(round(low, 4), round(high, 4)),
        detectors={name: round(found[0], 4) for name, found in detectors.items()},
        compared={label: count for label, count in real.counts.items() if count},
        leans=leans,
    )


def count(settings: Settings) -> int:
    """Small networks that `measure_shortcut` trains at most."""
    return FOLDS + 3 * settings.seeds


def alike(
    train: LabelledImages, synthetic: LabelledImages, seed: int
) -> tuple[LabelledImages, LabelledImages]:
    """As many real as synthetic images of every class, drawn by chance: nothing but being synthetic tells the two sets apart."""
    chance = np.random.default_rng(seed)
    rows: tuple[list[int], list[int]] = ([], [])
    for label in train.names:
        both = train.rows_of(label), synthetic.rows_of(label)
        fewer = min(map(len, both))
        for chosen, own in zip(rows, both, strict=True):
            chosen += sorted(chance.permutation(own)[:fewer].tolist())
    return train.take(rows[0]), synthetic.take(rows[1])


Found = tuple[float, tuple[float, float]]
"""An AUC and its interval."""


def _detector_aucs(
    real: LabelledImages, made: LabelledImages, settings: Settings, seed: int, on_progress: OnProgress
) -> dict[str, Found]:
    """Every detector's AUC over folds that share no patient."""
    both = concatenate_images(real, made)
    truth = np.repeat([0, 1], [len(real), len(made)]).astype(np.int64)
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    tests = [rows for _, rows in folds.split(truth, truth, both.patients)]
    eyes = SmallEyes(both.pixels, both.pixels[:0], like=both.pixels, side=settings.side)
    measured = radiomic_features(both.pixels)
    scores = {name: np.zeros(len(truth)) for name in (CNN, "radiomics")}
    for done, rows in enumerate(tests, start=1):
        others = np.setdiff1d(np.arange(len(truth)), rows)
        count = len(others)
        even = DrawPool(rows=others, chances=np.full(count, 1 / count), costs=np.ones(count, np.float32))
        lesson = Lesson(
            recipe=Recipe(name="detector"), labels=truth, classes=2, real=count, stages=((1.0, even),)
        )
        ((_, network),) = train_classifiers(eyes, lesson, rate=RATE, steps=(steps_of(settings),), seed=seed)
        told = eyes.logits_of(network, rows)
        scores[CNN][rows] = told[:, 1] - told[:, 0]
        scaled = standardise(measured, measured[others]).numpy()
        plain = LogisticRegression(C=1.0, max_iter=1000).fit(scaled[others], truth[others])
        scores["radiomics"][rows] = plain.decision_function(scaled[rows])
        on_progress(Progress("telling apart", done, FOLDS))
    weights = patient_weights(both.patients, truth, settings.resamples, seed)
    return {name: _auc(found, truth, tests, weights) for name, found in scores.items()}


def _auc(
    scores: NDArray[np.float64],
    truth: NDArray[np.int64],
    tests: Sequence[NDArray[np.int64]],
    weights: NDArray[np.int64],
) -> Found:
    """Mean AUC over folds (each has a scale of its own), with its interval."""

    def mean(counted: NDArray[np.int64]) -> float:
        values = [
            roc_auc_score(truth[rows], scores[rows], sample_weight=counted[rows])
            for rows in tests
            if all(counted[rows][truth[rows] == side].any() for side in (0, 1))
        ]
        return float(np.mean(values)) if values else float("nan")

    resampled = np.array([mean(counted) for counted in weights])
    return mean(np.ones(len(truth), np.int64)), interval(resampled)


def _leans(  # noqa: PLR0913, PLR0917  # what measure_shortcut was given
    train: LabelledImages,
    test: LabelledImages,
    synthetic: LabelledImages,
    settings: Settings,
    seed: int,
    runs: Runs | None,
    on_progress: OnProgress,
) -> tuple[Lean, ...]:
    """Train without synthetic images, topped up, and with synthetic images everywhere; ask each about unseen images of both kinds."""
    learned, kept = hold_back_quarter(synthetic, seed)
    both = concatenate_images(test, kept)
    wish = replace(
        settings,
        judges=(CNN,),
        recipes={CNN: (WITHOUT, WITH, REMEDY)},
        folds=0,
        headroom=False,
        rates={CNN: (RATE,)},
        steps={CNN: (steps_of(settings),)},
    )
    (told,) = run_trials(train, both, learned, settings=wish, seed=seed, runs=runs, on_progress=on_progress)
    called = {outcome.recipe.name: outcome.logits.argmax(axis=2) for outcome in told.outcomes}
    rare = [train.names.index(label) for label in settings.rare or rare_classes(train.counts)]
    base = called.pop(WITHOUT)
    looks = Looks(both=both, fake=np.arange(len(both)) >= len(test), rare=rare, settings=settings, seed=seed)
    return tuple(looks.lean(arm, found, base) for arm, found in called.items())


def steps_of(settings: Settings) -> int:
    """Steps of every small network here."""
    return settings.steps.get(CNN, (STEPS,))[-1]


def hold_back_quarter(synthetic: LabelledImages, seed: int) -> tuple[LabelledImages, LabelledImages]:
    """Synthetic images to learn from, and a quarter of every class that is kept for asking."""
    chance = np.random.default_rng(seed)
    back: list[int] = []
    for label in synthetic.names:
        own = chance.permutation(synthetic.rows_of(label))
        back += own[: round(len(own) * HELD_BACK)].tolist()
    mask = np.zeros(len(synthetic), bool)
    mask[back] = True
    return synthetic.take(~mask), synthetic.take(mask)


@dataclass(frozen=True, slots=True, kw_only=True)
class Looks:
    """Unseen real and synthetic images: what classifiers call them in, how far they lean out."""

    both: LabelledImages
    fake: NDArray[np.bool_]
    rare: Sequence[int]
    settings: Settings
    seed: int

    def lean(self, arm: str, called: NDArray[np.int64], base: NDArray[np.int64]) -> Lean:
        """`called` and `base` (seeds, N): classes named by the arm and by the arm without synthetic images."""
        labels, scarce = self.both.labels, np.isin(self.both.labels, self.rare)
        hits, before = (found == labels for found in (called, base))
        excess, ends = self._difference(hits, before, scarce)
        alarms, quiet = (np.isin(found, self.rare) for found in (called, base))
        others = self._difference(alarms, quiet, ~scarce) if (self.fake & ~scarce).any() else None
        return Lean(
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
        """The change from `before` to `now` (seeds, N) on synthetic images less that on real ones, `among` images; its interval."""
        change = now.astype(np.float64) - before
        sides = self.both.labels * 2 + self.fake  # resampled within class and origin
        resamples = self.settings.resamples
        weights = patient_weights(self.both.patients, sides, resamples, self.seed)
        shares = seed_weights(len(change), resamples, self.seed) @ change  # (B, N)

        def gap(counted: NDArray[np.int64], values: NDArray[np.float64]) -> NDArray[np.float64]:
            means = [
                (values * counted * mask).sum(axis=1) / (counted * mask).sum(axis=1)
                for mask in (among & self.fake, among & ~self.fake)
            ]
            return np.asarray(means[0] - means[1])

        whole = gap(np.ones((1, len(self.fake)), np.int64), change.mean(axis=0)[None])
        low, high = interval(gap(weights, shares))
        return round(float(whole[0]), 4), (round(low, 4), round(high, 4))


def conclude(interval: tuple[float, float], first: Lean, people: int) -> str:
    """The verdict; that nothing tells the two apart is concluded from a narrow interval alone, and leaning from `people` enough."""
    low, high = interval
    if first.used and people >= LEAST_RARE:
        return USED
    if low > CHANCE:
        return VISIBLE
    return CANNOT_TELL if high - low > WIDEST else NONE


def sentence(
    verdict: str, found: Found, leans: Sequence[Lean], compared: tuple[int, int], people: int
) -> str:
    """The verdict in words; `compared` are real images and their patients, `people` the held-out patients by whom leaning is told."""
    told, (low, high) = found
    figures = f"(AUC {told:.2f}, 95 % interval {low:.2f} to {high:.2f}; 0.5 is guessing)"
    if verdict == NONE:
        return f"A detector cannot tell synthetic from real images {figures}."
    if verdict == CANNOT_TELL:
        few = f"{compared[0]:,} real images of {compared[1]:,} patients are too few"
        return f"Cannot tell whether a detector separates synthetic from real images {figures}: {few}."
    seen = (
        f"A detector separates synthetic from real images perfectly (AUC {told:.2f})"
        if told >= PERFECT
        else f"A detector tells synthetic from real images (AUC {told:.2f}; 0.5 is guessing, 1 is perfect)"
    )
    return f"{seen}{leaning(leans) if verdict == USED else innocence(leans[0], people)}"


def leaning(leans: Sequence[Lean]) -> str:
    """How a classifier exploits what it sees, and what helps."""
    first = leans[0]
    signs = (
        f"it finds {first.synthetic:.0%} of unseen synthetic images of rare classes, and {first.real:.0%} of real ones"
        if first.alarms is None
        else f"it takes {first.alarms:.0%} of synthetic images of other classes for rare ones"
    )
    cured = any(lean.arm == REMEDY and not lean.used for lean in leans)
    remedy = " With synthetic images in every class no such sign was found." if cured else ""
    return f", and a classifier that learns from them exploits it: {signs}.{remedy}"


def innocence(first: Lean, people: int) -> str:
    """That nothing shows a classifier exploiting what it sees, or that too few patients were asked."""
    if people < LEAST_RARE:
        asked = f"{people} held-out patient{'s' * (people != 1)}"
        return f"; whether a classifier exploits this cannot be told from {asked} (at least {LEAST_RARE} are needed)."
    where = " in the rare classes, the only ones with synthetic images" if first.alarms is None else ""
    return f"; no sign was found that a classifier exploits this{where}."
