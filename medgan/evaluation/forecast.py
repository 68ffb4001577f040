"""Estimate how long an evaluation takes, from a short trial of its slowest steps."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

import numpy as np

from medgan.evaluation import parallel, shortcut, trials
from medgan.evaluation.analyses import EFFORTS
from medgan.evaluation.arms import DrawPool, Lesson, Recipe
from medgan.evaluation.classifier_inputs import Eyes, SmallEyes
from medgan.evaluation.classifier_training import train_classifiers
from medgan.evaluation.data import EvaluationData
from medgan.evaluation.finetuned import FineEyes, views_of
from medgan.similarity.backbone import LITE2, is_installed
from medgan.similarity.features import lite2_features
from medgan.similarity.radiomics import radiomic_features

STEPS = 4
"""Training steps of the trial."""
LOOKS = 8
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
        steps = trials.work(images.train, settings)
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
    at_once = parallel.size()
    with parallel.one_thread():
        seconds = sum(count * per_step(eyes_of(judge, images, settings)) for judge, count in steps.items())
        if trials.FINE_TUNED in steps:
            learned = len(images.train) + len(images.synthetic)
            views = learned * (1 + views_of(learned)) + len(images.held_out) + beyond
            seconds += views * per_view(eyes_of(trials.FINE_TUNED, images, settings))
    return seconds / at_once + looks * per_look(images)


def eyes_of(judge: str, images: EvaluationData, settings: trials.Settings) -> Eyes:
    """The inputs of a judge for a few images."""
    pixels = images.train.pixels[:LOOKS]
    if judge == trials.FINE_TUNED:
        return FineEyes(pixels, pixels, like=pixels, side=settings.shown, seed=0)
    return SmallEyes(pixels, pixels, like=pixels, side=settings.side)


def per_step(eyes: Eyes) -> float:
    """Seconds of one training step on augmented images."""
    rows = np.arange(LOOKS)
    pool = DrawPool(rows=rows, chances=np.full(LOOKS, 1 / LOOKS), costs=np.ones(LOOKS, np.float32))
    lesson = Lesson(
        recipe=Recipe(name="trial", classical=True),
        labels=rows % 2,
        classes=2,
        real=LOOKS,
        stages=((1.0, pool),),
    )

    def train(steps: int) -> None:
        for _ in train_classifiers(eyes, lesson, rate=1e-4, steps=(steps,), seed=0):
            pass

    train(2)  # loads and prepares what is needed only once
    return seconds(lambda: train(STEPS)) / STEPS


def per_view(eyes: Eyes) -> float:
    """Seconds for one image to pass the frozen stages."""
    rows, rng = np.arange(LOOKS), np.random.default_rng(0)
    return seconds(lambda: eyes.batch(rows, views=False, chance=rng)) / LOOKS


def per_look(images: EvaluationData) -> float:
    """Seconds for the features of one image in all spaces."""
    pixels = images.train.pixels[:LOOKS]
    spent = seconds(lambda: radiomic_features(pixels))
    if is_installed(LITE2[0]):
        look = lite2_features()
        look(pixels[:1])
        spent += seconds(lambda: look(pixels))
    return spent / len(pixels)


def seconds(work: Callable[[], Any]) -> float:
    """Time a function."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
