"""Choose the images of a quiz that asks which are real, and the interval of its result."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from medgan.base.errors import DatasetError
from medgan.evaluation.data import EvaluationData
from medgan.pictures.spread import choose_spread
from medgan.preparation.images import LabelledImages, concatenate_images

_MOST_PER_KIND = 20
"""Real images of a quiz, and synthetic ones, at most."""
_TAIL = 0.025
"""Probability beyond either end of an interval."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Quiz:
    """Real and synthetic images in the order in which a reader sees them."""

    images: LabelledImages
    synthetic: NDArray[np.bool_]
    """(N,): whether an image is synthetic."""


def choose_quiz(data: EvaluationData, seed: int) -> Quiz:
    """Choose as many real as synthetic images of each class, and shuffle them.

    The real ones are of held-out patients, of as many different ones as there are. Classes have equal
    numbers as far as their images suffice; within a class both kinds have, so that a class says nothing.

    Raises:
        DatasetError: no class has both a held-out real image and a synthetic one.
    """
    real, synthetic = data.held_out, data.synthetic
    rng = np.random.default_rng(seed)
    counts = _count_pairs(real, synthetic, rng)
    if not counts.any():
        raise DatasetError(
            "no class has both a real image of a held-out patient and a synthetic image",
            hint="Name the data set with its test split, or train and evaluate with --holdout 0.3.",
        )
    sides = [
        images.take(
            np.concatenate(
                [
                    _choose_rows(images, name, count, rng)
                    for name, count in zip(images.names, counts.tolist(), strict=True)
                ]
            )
        )
        for images in (real, synthetic)
    ]
    order = rng.permutation(2 * len(sides[0]))
    return Quiz(images=concatenate_images(*sides).take(order), synthetic=order >= len(sides[0]))


def _count_pairs(
    real: LabelledImages, synthetic: LabelledImages, rng: np.random.Generator
) -> NDArray[np.int64]:
    """(classes,): how many images of either kind each class gives; classes take turns in random order."""
    room = np.minimum(list(real.counts.values()), list(synthetic.counts.values()))
    counts = np.zeros_like(room)
    while (left := _MOST_PER_KIND - counts.sum()) > 0 and (counts < room).any():
        counts[rng.permutation(np.flatnonzero(counts < room))[:left]] += 1
    return counts


def _choose_rows(
    images: LabelledImages, name: str, count: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Draw `count` images of a class, from as many different patients as there are."""
    rows = rng.permutation(images.rows_of(name))
    return rows[choose_spread(images.patients[rows].tolist(), count)]


def exact_interval(right: int, asked: int) -> tuple[float, float]:
    """The 95 % interval of a share, exact for independent answers (Clopper and Pearson, 1934)."""
    low = stats.beta.ppf(_TAIL, right, asked - right + 1) if right else 0.0
    high = stats.beta.isf(_TAIL, right + 1, asked - right) if right < asked else 1.0
    return float(low), float(high)
