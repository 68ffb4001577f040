"""Stack + position -> the batch that belongs there: chance depends on seed and images shown, on nothing else."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medgan.plan import Plan
from medgan.prepare import Stack


def class_chances(counts: NDArray[np.int64], share: float) -> NDArray[np.float64]:
    """How often each class is shown: n ** (1 - share / 2), natural at share 0, square roots at share 1.

    Never fully balanced: shown as often as the large classes, a class of forty images is learned by heart.
    """
    weights = np.where(counts > 0, counts.astype(np.float64) ** (1 - share / 2), 0.0)
    chances: NDArray[np.float64] = weights / weights.sum()
    return chances


def rows_at(
    labels: NDArray[np.int64], batch: int, share: float, chance: tuple[int, int]
) -> NDArray[np.int64]:
    """Rows of the stack for the batch at `chance` = (seed, images shown): first a class, then one of its images."""
    rng = np.random.default_rng(chance)
    counts = np.bincount(labels)
    of_class = np.argsort(labels, kind="stable")
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    drawn = rng.choice(len(counts), size=batch, p=class_chances(counts, share))
    within = (rng.random(batch) * counts[drawn]).astype(np.int64)
    rows: NDArray[np.int64] = of_class[starts[drawn] + within]
    return rows


def batch_at(
    stack: Stack, plan: Plan, share: float, chance: tuple[int, int], seen: NDArray[np.int64] | None = None
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Images (N, C, H, W), -1 and 1 at the ends of the plan's span, and their classes (N,), from the rows `seen` (default: all)."""
    choice = np.arange(len(stack)) if seen is None else seen
    rows = choice[rows_at(stack.labels[choice], plan.batch, share, chance)]
    return centred(stack.images(rows), plan), stack.labels[rows]


def centred(images: NDArray[np.float32], plan: Plan) -> NDArray[np.float32]:
    """Images in [0, 1] over the form's range -> -1 and 1 at the ends of the plan's span, as the networks see them."""
    low, high = plan.span
    return (images - np.float32(low)) / np.float32(high - low) * 2 - 1
