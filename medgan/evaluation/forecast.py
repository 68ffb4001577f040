"""Estimate how long an evaluation takes from counted work and a short trial."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medgan.base.errors import DatasetError
from medgan.base.threads import use_threads
from medgan.evaluation import shortcut
from medgan.evaluation.analyses import EFFORTS, Effort
from medgan.evaluation.data import EvaluationData
from medgan.evaluation.feature_scores import frechet_under, sliced_wasserstein_under
from medgan.evaluation.usefulness import parallel, trials
from medgan.evaluation.usefulness.arms import ArmRecipe, DrawPool, Lesson
from medgan.evaluation.usefulness.classifiers import LinearClassifier, linear_tries
from medgan.evaluation.usefulness.finetuned import FineTunedInputs, views_of
from medgan.evaluation.usefulness.inputs import NetworkInputs, SmallNetInputs
from medgan.evaluation.usefulness.training import train_classifiers
from medgan.evaluation.usefulness.workload import Workload, count_work
from medgan.preparation.images import concatenate_images
from medgan.similarity.backbone import LITE2, is_installed
from medgan.similarity.domain_features import DOMAIN_STEPS, learn_domain_features
from medgan.similarity.features import lite2_features
from medgan.similarity.nearest import References, find_nearest
from medgan.similarity.radiomics import radiomic_features
from medgan.similarity.spaces import SPACES

_STEPS = 8
"""Training steps of the trial."""
_IMAGES = 32
"""Images of the trial."""
_FEW = 8
"""Images of the trial whose augmented views, or texture, are computed."""
_RESAMPLES = 8
"""Resamples of the trial."""
_COMPONENTS = 64
"""Principal components in which images are scored."""
_MOST_LEARNED = 1000
"""Images that a linear classifier of the trial learns from, at most."""
_FEATURES = 1280
"""Features of an image that linear classifiers learn from."""


def forecast(
    images: EvaluationData, parts: Collection[str], effort: str, finished: Collection[str] = ()
) -> float:
    """Estimate the seconds that `parts` take.

    Args:
        images: Real and synthetic images.
        parts: Names of the parts to measure.
        effort: "quick", "standard" or "thorough".
        finished: Runs of `usefulness` that an earlier command finished.
    """
    return sum(forecast_parts(images, parts, effort, finished).values())


def forecast_parts(
    images: EvaluationData, parts: Collection[str], effort: str, finished: Collection[str] = ()
) -> dict[str, float]:
    """{part: seconds}; parts that take little beside these are left out."""
    settings = trials.EFFORTS[effort]
    settings = replace(settings, judges=trials.judges_here(settings.judges))
    trial = _Trial(images=images, settings=settings)
    found = {
        "usefulness": partial(_usefulness_seconds, trial, finished),
        "shortcut": partial(_shortcut_seconds, trial),
        "fidelity": partial(_fidelity_seconds, trial, EFFORTS[effort]),
        "privacy": partial(_privacy_seconds, trial),
    }
    judged = {"usefulness", "shortcut"} if not len(images.held_out) else set()
    return {name: found[name]() for name in found if name in parts and name not in judged}


def _usefulness_seconds(trial: _Trial, finished: Collection[str]) -> float:
    images = trial.images
    split = images.split
    if images.external is not None:
        asked = concatenate_images(images.held_out, images.external)
        split = replace(split, held_out=asked)
    seconds = 0.0
    for judge, work in count_work(split, trial.settings, finished).items():
        if work == Workload():  # nothing is left, so nothing is timed
            continue
        if judge == trials.PROBE:
            seconds += work.fits * trial.fit(work) + work.looks * trial.lite2_alone
        else:
            seconds += work.steps * trial.step(judge) + work.predicted * trial.predict(judge)
            seconds += work.frozen * trial.frozen if work.frozen else 0.0
    return seconds


def _shortcut_seconds(trial: _Trial) -> float:
    images, settings = trial.images, trial.settings
    detectors, classifiers = shortcut.count(settings)
    workers = len(_workers())
    rounds = -(-detectors // workers)  # a core without a detector waits
    networks = rounds * workers + classifiers
    compared = sum(
        2 * min(count, images.synthetic.counts[label]) for label, count in images.train.counts.items()
    )
    return shortcut.steps_of(settings) * networks * trial.step(trials.CNN) + compared * trial.radiomics


def _fidelity_seconds(trial: _Trial, effort: Effort) -> float:
    images, most = trial.images, effort.most
    sets = images.train, images.held_out, images.synthetic
    compared = sum(min(count, most) for one in sets for count in one.counts.values())
    learned = sum(min(count, most) for count in images.train.counts.values())  # once more, to standardise
    comparisons = 1 + sum(count > 0 for count in images.synthetic.counts.values())
    scored = 2 * len(SPACES) * comparisons * (effort.resamples + 1)  # synthetic images, and as many real ones
    each = min(max(images.train.counts.values()), most)
    domain_step, domain_image = trial.domain
    return (
        compared * trial.lite2
        + (compared + learned) * trial.radiomics
        + DOMAIN_STEPS * domain_step
        + (compared + learned) * domain_image
        + scored * _time_scores(each)
    )


def _privacy_seconds(trial: _Trial) -> float:
    images = trial.images
    train, held_out, synthetic = len(images.train), len(images.held_out), len(images.synthetic)
    every = train + held_out + synthetic
    searched = synthetic + held_out + train + held_out  # T1 and T5
    return every * trial.lite2 + (every + train) * trial.radiomics + searched * trial.search


@dataclass(frozen=True, kw_only=True, eq=False)
class _Trial:
    """Seconds of each kind of work on this machine, each timed when it is first asked for.

    Work that runs several times at once is timed so, as cores share their memory and caches.
    """

    images: EvaluationData
    settings: trials.Settings

    @cached_property
    def pixels(self) -> NDArray[np.float32]:
        """Images of the trial."""
        rows = np.arange(_IMAGES) % len(self.images.train)
        return self.images.train.pixels[rows]

    def inputs(self, judge: str) -> NetworkInputs:
        """The inputs of a judge for the images of the trial."""
        pixels, settings = self.pixels, self.settings
        if judge == trials.FINE_TUNED:
            return FineTunedInputs(pixels, pixels, like=pixels, side=settings.shown, seed=0)
        return SmallNetInputs(pixels, pixels, like=pixels, side=settings.side)

    def step(self, judge: str) -> float:
        """One training step."""
        return _time_at_once([partial(_time_steps, self.inputs(judge)) for _ in _workers()])

    def predict(self, judge: str) -> float:
        """One image that a trained network predicts."""
        return _time_at_once([partial(_time_prediction, self.inputs(judge)) for _ in _workers()])

    @cached_property
    def frozen(self) -> float:
        """One image, or view, that passes the frozen stages."""
        return _time_at_once([partial(_time_views, self.inputs(trials.FINE_TUNED)) for _ in _workers()])

    def fit(self, work: Workload) -> float:
        """One linear classifier."""
        few, classes = min(work.learned, _MOST_LEARNED), len(self.images.train.names)
        seconds = _time_at_once([partial(_time_fits, few, classes) for _ in _workers()])
        return seconds * work.learned / few

    @cached_property
    def lite2_alone(self) -> float:
        """Features of one image on one core."""
        with use_threads(1):
            return self.time_lite2()

    @cached_property
    def lite2(self) -> float:
        """Features of one image on all cores."""
        return self.time_lite2()

    def time_lite2(self) -> float:
        """Features of one image on as many cores as torch takes; 0 if the weights are not installed."""
        if not is_installed(LITE2[0]):
            return 0.0
        look = lite2_features()
        look(self.pixels[:1])
        return _time(lambda: look(self.pixels)) / _IMAGES

    @cached_property
    def radiomics(self) -> float:
        """Texture measures of one image."""
        few = self.pixels[:_FEW]
        return _time(lambda: radiomic_features(few)) / len(few)

    @cached_property
    def search(self) -> float:
        """The search for one image's nearest training image."""
        names = np.arange(_IMAGES).astype(str)
        references = References.of(self.pixels.__getitem__, names)
        return _time(lambda: find_nearest(self.pixels.__getitem__, _IMAGES, references)) / _IMAGES

    @cached_property
    def domain(self) -> tuple[float, float]:
        """One training step of the domain network, and its features of one image; 0 if there is one class."""
        learn = partial(learn_domain_features, self.images.train, 0)
        try:
            look = learn(steps=1)
        except DatasetError:
            return 0.0, 0.0
        look(self.pixels[:1])
        return _time(lambda: learn(steps=_STEPS)) / _STEPS, _time(lambda: look(self.pixels)) / _IMAGES


def _workers() -> range:
    """One place for each task that runs at once."""
    return range(parallel.task_count())


def _time_at_once(tasks: Sequence[Callable[[], float]]) -> float:
    """Seconds of a unit of work while all cores do such work; each task times one."""
    seconds = parallel.run_at_once(tasks)
    return sum(seconds) / len(seconds) / len(seconds)


def _time_steps(eyes: NetworkInputs) -> float:
    """Seconds of one training step; augmented views are computed beforehand where they are kept."""
    rows = np.arange(_FEW)
    pool = DrawPool(rows=rows, chances=np.full(_FEW, 1 / _FEW), costs=np.ones(_FEW, np.float32))
    recipe = ArmRecipe(name="trial", classical=True)
    lesson = Lesson(recipe=recipe, labels=rows % 2, classes=2, real=_FEW, stages=((1.0, pool),))
    eyes.batch(rows, views=True, rng=np.random.default_rng(0))
    running = train_classifiers(eyes, lesson, rate=1e-4, steps=(1, 1 + _STEPS), seed=0)
    next(running)
    return _time(lambda: next(running)) / _STEPS


def _time_views(eyes: NetworkInputs) -> float:
    """Seconds of one augmented view that passes the frozen stages."""
    rows = np.arange(_FEW)
    eyes.batch(rows[:1], views=True, rng=np.random.default_rng(0))
    work = partial(eyes.batch, rows[1:], views=True, rng=np.random.default_rng(0))
    return _time(work) / (len(rows) - 1) / views_of(_IMAGES)


def _time_prediction(eyes: NetworkInputs) -> float:
    """Seconds of one image that a network predicts, after the stages that are computed once."""
    network = eyes.fresh(2, 0).eval()
    eyes.logits(network)
    return _time(lambda: eyes.logits(network)) / _IMAGES


def _time_fits(count: int, classes: int) -> float:
    """Seconds of one linear classifier on so many images, mean over penalties."""
    rng = np.random.default_rng(0)
    x, rows = rng.normal(size=(count, _FEATURES)).astype(np.float32), np.arange(count)
    pool = DrawPool(rows=rows, chances=np.full(count, 1 / count), costs=np.ones(count, np.float32))
    recipe = ArmRecipe(name="trial")
    lesson = Lesson(recipe=recipe, labels=rows % classes, classes=classes, real=count, stages=((1.0, pool),))
    ((*schedules,),) = linear_tries(recipe)
    classifier = LinearClassifier(learned=x, asked=x[:0])
    return _time(lambda: list(classifier.learn(lesson, schedules[::3], 0))) / len(schedules[::3])


def _time_scores(count: int) -> float:
    """Seconds of the scores of so many images in one resample, of the two that take longest."""
    real, made = np.random.default_rng(0).normal(size=(2, count, _COMPONENTS)).astype(np.float32)
    weights = np.ones((_RESAMPLES, count))

    def score(rows: NDArray[np.float64]) -> None:
        frechet_under(real, made, rows, rows)
        sliced_wasserstein_under(real, made, rows, rows)

    score(weights[:1])
    return _time(lambda: score(weights)) / _RESAMPLES


def _time(work: Callable[[], Any]) -> float:
    """Time a function."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
