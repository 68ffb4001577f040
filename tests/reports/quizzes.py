"""Evaluation data for a quiz: noisy images whose gray value tells patient and kind, to find them again by."""

from types import SimpleNamespace

import numpy as np

from medgan.preparation.images import LabelledImages

NAMES = ("mass", "normal", "rare <b>&")


def images(kind, counts, *, per_patient=2, shape=(1, 12, 16), seed=0):
    """`counts` images of each class; patients have `per_patient` images each."""
    chance = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    return LabelledImages(
        pixels=chance.random((len(labels), *shape), np.float32),
        labels=labels.astype(np.int64),
        names=NAMES[: len(counts)],
        patients=np.array([f"{kind} patient {row // per_patient}" for row in range(len(labels))]),
        sources=np.array([f"{kind} source {row}" for row in range(len(labels))]),
    )


def data(real=(30, 30), synthetic=(40, 40), *, shape=(1, 12, 16)):
    """What an evaluation has loaded, as far as a quiz looks at it."""
    return SimpleNamespace(
        train=images("train", real, shape=shape, seed=1),
        held_out=images("test", real, shape=shape, seed=2),
        synthetic=images("synthetic", synthetic, per_patient=1, shape=shape, seed=3),
        filter={"sentence": "The filter kept 80 of 100 images drawn."},
        unseen="checked: nobody saw them",
        digest="0" * 64,
    )
