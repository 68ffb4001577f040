"""Collect each arm's predictions for the held-out images: what curves are drawn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from medgan.evaluation.trials import Outcome
from medgan.prepare.images import LabelledImages

MOST = 4_000_000
"""Probabilities that are kept in all; where there are more, an even choice of the images stands for the rest."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Predictions:
    """Of A arms, N held-out images and K classes; no image says whose it is."""

    names: tuple[str, ...]
    """(K,): classes."""
    rare: tuple[str, ...]
    """Those over which the endpoint is averaged."""
    arms: tuple[tuple[str, str], ...]
    """(A,): judge and arm, in the order of the arms of `Usefulness`."""
    truth: NDArray[np.int64]
    """(N,): index into `names`."""
    probabilities: NDArray[np.float32]
    """(A, N, K), mean over classifier seeds, rows summing to 1."""


def predictions(held_out: LabelledImages, outcomes: Sequence[Outcome], rare: Sequence[str]) -> Predictions:
    """What the outcomes of a contest say of the images that judge."""
    rows = np.arange(len(held_out))
    room = max(MOST // (len(outcomes) * len(held_out.names)), 1)
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
