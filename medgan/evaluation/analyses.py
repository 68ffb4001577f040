"""The analyses of an evaluation: what each part measures, and with which effort."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, replace
from typing import Any

from medgan.base.errors import DatasetError
from medgan.base.progress import OnProgress
from medgan.evaluation.data import EvaluationData
from medgan.evaluation.fidelity import measure_fidelity
from medgan.evaluation.giveaways import Circumstances, Giveaways, concatenate, measure_giveaways
from medgan.evaluation.privacy import screen_privacy
from medgan.evaluation.shortcut import measure_shortcut
from medgan.evaluation.usefulness import trials
from medgan.evaluation.usefulness.comparison import EXTERNAL, HELD_OUT, compare_arms, measure_usefulness
from medgan.evaluation.usefulness.predictions import Predictions, average_predictions
from medgan.preparation.images import LabelledImages


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How many images are drawn and compared, and how often patients are resampled."""

    per_class: int
    """Synthetic images per class that a model draws."""
    most: int
    """Images per class and set that scores compare, at most."""
    resamples: int
    """Bootstrap resamples of the patients."""


EFFORTS = {
    "quick": Effort(per_class=200, most=200, resamples=200),
    "standard": Effort(per_class=500, most=500, resamples=500),
    "thorough": Effort(per_class=2000, most=2000, resamples=1000),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisInput:
    """What a part needs for its measurement."""

    images: EvaluationData
    effort: str
    seed: int
    runs: MutableMapping[str, Any]
    on_progress: OnProgress


def _fidelity(given: AnalysisInput) -> Any:
    """Scores of closeness to real images and of variety."""
    effort = EFFORTS[given.effort]
    return measure_fidelity(
        given.images.split,
        seed=given.seed,
        resamples=effort.resamples,
        most=effort.most,
        on_progress=given.on_progress,
    )


def _usefulness(given: AnalysisInput) -> Any:
    """Whether classifiers gain from synthetic images."""
    _require_patients(given.images)
    return measure_usefulness(
        given.images.split,
        settings=_settings_of(given),
        seed=given.seed,
        external=given.images.external,
        runs=given.runs,
        on_progress=given.on_progress,
    )


def predictions_of_usefulness(given: AnalysisInput) -> Predictions | None:
    """Predictions of the classifiers of `usefulness` from its finished runs; None if there are none."""
    if not given.runs:
        return None
    images, settings = given.images, _settings_of(given)
    found = compare_arms(
        images.split,
        settings=settings,
        seed=given.seed,
        external=images.external,
        runs=given.runs,
        on_progress=given.on_progress,
    )
    return average_predictions(images.held_out, found.outcomes, found.rare)


def _shortcut(given: AnalysisInput) -> Any:
    """Whether a classifier recognises synthetic images, and exploits it."""
    _require_patients(given.images)
    return measure_shortcut(
        given.images.split,
        settings=_settings_of(given),
        seed=given.seed,
        runs=given.runs,
        on_progress=given.on_progress,
    )


def _giveaways(given: AnalysisInput) -> Any:
    """Whether image shape, brightness or the scanner alone tells the classes apart."""
    images = given.images
    _require_patients(images)
    facts = images.circumstances

    def judge_by(patients: LabelledImages, asked: Circumstances, whose: str) -> Giveaways:
        return measure_giveaways(
            images.train,
            patients,
            facts["train"],
            asked,
            seed=given.seed,
            resamples=EFFORTS[given.effort].resamples,
            whose=whose,
        )

    found = judge_by(images.held_out, concatenate(facts["val"], facts["test"]), HELD_OUT)
    if images.external is None:
        return found
    return replace(found, external=judge_by(images.external, facts["external"], EXTERNAL))


def _privacy(given: AnalysisInput) -> Any:
    """Whether training images were copied or memorised."""
    return screen_privacy(given.images.split, seed=given.seed, on_progress=given.on_progress)


def _settings_of(given: AnalysisInput) -> trials.Settings:
    """How thoroughly classifiers are compared, by the judges that are installed."""
    settings = trials.EFFORTS[given.effort]
    return replace(settings, judges=trials.judges_here(settings.judges))


def _require_patients(images: EvaluationData) -> None:
    """Raise DatasetError if no real patient is held out."""
    if not len(images.held_out):
        raise DatasetError(
            "no real patients are held out to judge by",
            hint="Name the data set with its test split, or train and evaluate with --holdout 0.3.",
        )


PARTS: dict[str, Callable[[AnalysisInput], Any]] = {
    "fidelity": _fidelity,
    "giveaways": _giveaways,
    "usefulness": _usefulness,
    "shortcut": _shortcut,
    "privacy": _privacy,
}
"""{part: function that measures it}; the function raises MedganError if these images do not allow it."""
