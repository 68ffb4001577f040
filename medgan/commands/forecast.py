"""Estimate how long an evaluation takes, from a short trial of what costs most."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from functools import partial
from typing import Any

import numpy as np

from medgan.commands.gather import Gathered
from medgan.commands.parts import EFFORTS
from medgan.learn.backbone import LITE2, installed
from medgan.quality import contest, shortcut
from medgan.quality.arms import Pool
from medgan.quality.classifier import Training, inputs_of, trained
from medgan.quality.features import lite2
from medgan.quality.radiomics import radiomics

STEPS = 6
"""Steps of the trial, with and without variation."""
LOOKS = 8
"""Images of the trial."""


def forecast(images: Gathered, parts: Collection[str], effort: str) -> float:
    """Seconds that `parts` take: steps of classifiers, and images seen by each feature space. Bootstraps are not in it: they cost less."""
    settings = contest.EFFORTS[effort]
    most = EFFORTS[effort].most
    runs = 0
    if "usefulness" in parts and len(images.held_out):
        runs += contest.count(images.train, images.synthetic, settings)
    if "shortcut" in parts and len(images.held_out):
        runs += shortcut.count(settings)
    every = len(images.train) + len(images.held_out) + len(images.synthetic)
    capped = sum(min(count, most) for one in (images.train, images.held_out, images.synthetic) for count in one.counts.values())  # fmt: skip
    looks = ("usefulness" in parts) * every + ("fidelity" in parts) * capped + ("privacy" in parts) * every
    step = per_step(images, settings) if runs else 0.0
    return runs * settings.steps * step + looks * per_look(images)


def per_step(images: Gathered, settings: contest.Settings) -> float:
    """Seconds of one step of a classifier, half of them on varied images, as in the arms."""
    pixels = images.train.pixels[: 2 * settings.batch]
    inputs, labels = inputs_of(pixels, settings.side), images.train.labels[: len(pixels)]
    classes = len(images.train.names)
    pool = Pool(
        rows=np.arange(len(pixels)),
        chances=np.full(len(pixels), 1 / len(pixels)),
        costs=np.ones(classes, np.float32),
    )

    def train(steps: int, *, classical: bool) -> None:
        training = Training(steps=steps, batch=settings.batch, classes=classes, seed=0, classical=classical)
        trained(inputs, labels, pool, training)

    train(1, classical=True)  # what is loaded once is not counted
    plain, varied = (seconds(partial(train, STEPS, classical=classical)) for classical in (False, True))
    return (plain + varied) / (2 * STEPS)


def per_look(images: Gathered) -> float:
    """Seconds for an image in the feature spaces."""
    pixels = images.train.pixels[:LOOKS]
    spent = seconds(lambda: radiomics(pixels))
    if installed(LITE2[0]):
        look = lite2()
        look(pixels[:1])
        spent += seconds(lambda: look(pixels))
    return spent / len(pixels)


def seconds(work: Callable[[], Any]) -> float:
    """How long it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
