"""Images whose truth is known: noise with a disc anywhere ("normal") or a ring anywhere ("rare")."""

import numpy as np

from medgan.evaluation.usefulness.trials import Settings
from medgan.preparation.images import LabelledImages

NAMES = ("normal", "rare")
SIDE = 24
SMALL = Settings(
    judges=("cnn",),
    steps={"cnn": (100, 200)},
    rates={"cnn": (3e-3,)},
    seeds=2,
    folds=2,
    side=SIDE,
    resamples=300,
    headroom=False,
)
"""A contest of the small network alone, in which every arm can learn these images."""


def shapes(normal, rare, seed, *, per_patient=1):
    """Independent draws from the one true distribution; every patient has `per_patient` images of a class."""
    chance = np.random.default_rng(seed)
    labels = np.repeat([0, 1], [normal, rare])
    down, across = np.mgrid[:SIDE, :SIDE]
    pixels = np.empty((len(labels), 1, SIDE, SIDE), np.float32)
    for row, label in enumerate(labels):
        middle, radius = chance.uniform(7, SIDE - 7, 2), chance.uniform(3.5, 5.5)
        away = np.hypot(down - middle[0], across - middle[1])
        shape = np.abs(away - radius) < 1.2 if label else away < radius
        gray = 0.4 + 0.25 * chance.uniform(0.7, 1.3) * shape + chance.normal(0, 0.12, shape.shape)
        pixels[row, 0] = np.clip(gray, 0, 1)
    patients = [f"{seed}-{label}-{row // per_patient}" for row, label in enumerate(labels)]
    return LabelledImages(
        pixels=pixels,
        labels=labels.astype(np.int64),
        names=NAMES,
        patients=np.array(patients),
        sources=np.array([str(row) for row in range(len(labels))]),
    )


def with_pixels(images, pixels):
    """The same set, other pixels."""
    return LabelledImages(
        pixels=np.asarray(pixels, np.float32),
        labels=images.labels,
        names=images.names,
        patients=images.patients,
        sources=images.sources,
    )
