"""Collect each arm's predictions for the held-out images: what curves are drawn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from medgan.quality.contest import Outcome
from medgan.quality.turns import Bench

MOST = 4_000_000
"""Probabilities that are kept in all; where there are more, an even choice of the images stands for the rest."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Predictions:
    """Of A arms, N held-out images and K classes; no image says whose it is."""

    names: tuple[str, ...]
    """(K,): classes."""
    rare: tuple[str, ...]
    """Those over which the endpoint is averaged."""
    arms: tuple[tuple[str, str, str], ...]
    """(A,): judge, arm and ratio, in the order of the arms of `Usefulness`."""
    truth: NDArray[np.int64]
    """(N,): index into `names`."""
    turn: NDArray[np.int64]
    """(N,): the turn in which the image judges."""
    probabilities: NDArray[np.float32]
    """(A, N, K), mean over classifier seeds, rows summing to 1."""


def predictions(bench: Bench, outcomes: Sequence[Outcome], rare: Sequence[str]) -> Predictions:
    """What the outcomes of a contest say of the images that judge, turn by turn."""
    rows = np.concatenate([turn.judging for turn in bench.turns])
    turns = np.repeat(np.arange(len(bench.turns)), [len(turn.judging) for turn in bench.turns])
    names = bench.held_out.names
    room = max(MOST // (len(outcomes) * len(names)), 1)
    if len(rows) > room:
        chosen = np.arange(room) * len(rows) // room
        rows, turns = rows[chosen], turns[chosen]
    told = [softmax(one.logits[:, rows].astype(np.float64), axis=2).mean(axis=0) for one in outcomes]
    return Predictions(
        names=names,
        rare=tuple(rare),
        arms=tuple((one.judge, one.variant.recipe.name, one.variant.ratio) for one in outcomes),
        truth=bench.held_out.labels[rows],
        turn=turns,
        probabilities=np.stack(told).astype(np.float32),
    )
