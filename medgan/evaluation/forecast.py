"""Estimate how long an evaluation takes, from a short trial of its slowest steps."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

import numpy as np

from medgan.evaluation import shortcut
from medgan.evaluation.analyses import EFFORTS
from medgan.evaluation.data import EvaluationData
from medgan.evaluation.usefulness import parallel, trials
from medgan.evaluation.usefulness.arms import ArmRecipe, DrawPool, Lesson
from medgan.evaluation.usefulness.finetuned import FineTunedInputs, views_of
from medgan.evaluation.usefulness.inputs import NetworkInputs, SmallNetInputs
from medgan.evaluation.usefulness.training import train_classifiers
from medgan.similarity.backbone import LITE2, is_installed
from medgan.similarity.features import lite2_features
from medgan.similarity.radiomics import radiomic_features

_STEPS = 4
"""Training steps of the trial."""
_IMAGES = 8
"""Images of the trial."""


def forecast(images: EvaluationData, parts: Collection[str], effort: str) -> float:
    """Estimate the seconds that `parts` take for training and features; bootstraps take less.

    Args:
        images: Real and synthetic images.
        parts: Names of the parts to measure.
        effort: "quick", "standard" or "thorough".
    """
    # Training steps of every judge.
    settings = trials.EFFORTS[effort]
    settings = replace(settings, judges=trials.judges_here(settings.judges))
    most = EFFORTS[effort].most
    steps: dict[str, int] = {}
    if "usefulness" in parts and len(images.held_out):
        steps = trials.count_steps(images.train, settings)
    if "shortcut" in parts and len(images.held_out):
        small = shortcut.count(settings) * shortcut.steps_of(settings)
        steps[trials.CNN] = steps.get(trials.CNN, 0) + small

    # Images whose features are computed.
    every = len(images.train) + len(images.held_out) + len(images.synthetic)
    beyond = 0 if images.external is None else len(images.external)
    capped = sum(
        min(count, most)
        for one in (images.train, images.held_out, images.synthetic)
        for count in one.counts.values()
    )
    looks = (
        ("usefulness" in parts) * (every + beyond)
        + ("fidelity" in parts) * capped
        + ("privacy" in parts) * every
    )

    # Time a few steps and images.
    at_once = parallel.task_count()
    with parallel.one_thread():
        seconds = sum(
            count * _time_step(_inputs_of(judge, images, settings)) for judge, count in steps.items()
        )
        if trials.FINE_TUNED in steps:
            learned = len(images.train) + len(images.synthetic)
            views = learned * (1 + views_of(learned)) + len(images.held_out) + beyond
            seconds += views * _time_view(_inputs_of(trials.FINE_TUNED, images, settings))
    return seconds / at_once + looks * _time_features(images)


def _inputs_of(judge: str, images: EvaluationData, settings: trials.Settings) -> NetworkInputs:
    """The inputs of a judge for a few images."""
    pixels = images.train.pixels[:_IMAGES]
    if judge == trials.FINE_TUNED:
        return FineTunedInputs(pixels, pixels, like=pixels, side=settings.shown, seed=0)
    return SmallNetInputs(pixels, pixels, like=pixels, side=settings.side)


def _time_step(eyes: NetworkInputs) -> float:
    """Seconds of one training step on augmented images."""
    rows = np.arange(_IMAGES)
    pool = DrawPool(rows=rows, chances=np.full(_IMAGES, 1 / _IMAGES), costs=np.ones(_IMAGES, np.float32))
    lesson = Lesson(
        recipe=ArmRecipe(name="trial", classical=True),
        labels=rows % 2,
        classes=2,
        real=_IMAGES,
        stages=((1.0, pool),),
    )

    def train(steps: int) -> None:
        for _ in train_classifiers(eyes, lesson, rate=1e-4, steps=(steps,), seed=0):
            pass

    train(2)  # loads and prepares what is needed only once
    return _time(lambda: train(_STEPS)) / _STEPS


def _time_view(eyes: NetworkInputs) -> float:
    """Seconds for one image to pass the frozen stages."""
    rows, rng = np.arange(_IMAGES), np.random.default_rng(0)
    return _time(lambda: eyes.batch(rows, views=False, rng=rng)) / _IMAGES


def _time_features(images: EvaluationData) -> float:
    """Seconds for the features of one image in all spaces."""
    pixels = images.train.pixels[:_IMAGES]
    spent = _time(lambda: radiomic_features(pixels))
    if is_installed(LITE2[0]):
        look = lite2_features()
        look(pixels[:1])
        spent += _time(lambda: look(pixels))
    return spent / len(pixels)


def _time(work: Callable[[], Any]) -> float:
    """Time a function."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
