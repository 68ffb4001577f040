"""Collect the predictions of every arm for held-out images, from which curves are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from medgan.evaluation.usefulness.trials import Outcome
from medgan.preparation.images import LabelledImages

_MOST = 4_000_000
"""Probabilities in all, at most; of more images an even selection is taken."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Predictions:
    """Predictions of A arms for N held-out images and K classes, without any patient or file name."""

    names: tuple[str, ...]
    """(K,): classes."""
    rare: tuple[str, ...]
    """Rare classes, over which the endpoint is averaged."""
    arms: tuple[tuple[str, str], ...]
    """(judge, arm) for each of A, in the order of the arms of `Usefulness`."""
    truth: NDArray[np.int64]
    """(N,): index into `names`."""
    probabilities: NDArray[np.float32]
    """(A, N, K), mean over classifier seeds, rows summing to 1."""


def average_predictions(
    held_out: LabelledImages, outcomes: Sequence[Outcome], rare: Sequence[str]
) -> Predictions:
    """Average the predicted probabilities of every arm over classifier seeds."""
    rows = np.arange(len(held_out))
    room = max(_MOST // (len(outcomes) * len(held_out.names)), 1)
    if len(rows) > room:
        rows = np.arange(room) * len(rows) // room
    told = [softmax(one.logits[:, rows].astype(np.float64), axis=2).mean(axis=0) for one in outcomes]
    return Predictions(
        names=held_out.names,
        rare=tuple(rare),
        arms=tuple((one.judge, one.recipe.name) for one in outcomes),
        truth=held_out.labels[rows],
        probabilities=np.stack(told).astype(np.float32),
    )
