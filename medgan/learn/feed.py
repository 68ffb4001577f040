"""Stack + position -> the batch that belongs there: chance depends on seed and images shown, on nothing else."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medgan.errors import PlanError
from medgan.plan import Plan
from medgan.prepare import Stack
from medgan.world import world


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
    """Images (N, C, H, W), -1 and 1 at the ends of the plan's span, and their classes (N,), from the rows `seen` (default: all).

    Of several processes each gets its share of the very batch that one alone would get.
    """
    choice = np.arange(len(stack)) if seen is None else seen
    rows = choice[rows_at(stack.labels[choice], plan.batch, share, chance)][my_share(plan)]
    return centred(stack.images(rows), plan), stack.labels[rows]


def my_share(plan: Plan) -> slice:
    """Which images of every batch this process sees.

    Raises:
        PlanError: the batch cannot be shared evenly, or the plan's networks cannot learn in several processes at all.
    """
    here = world()
    if here.size > 1 and plan.arch == "dcgan":
        raise PlanError(
            "dcgan, the baseline of 2015, trains in one process: its batch statistics are those of the whole batch",
            hint="Start it without torchrun, or leave --arch away.",
        )
    if plan.batch % here.size:
        fits = -(-plan.batch // here.size) * here.size
        raise PlanError(
            f"a batch of {plan.batch} images cannot be shared evenly by {here.size} processes",
            hint=f"Give --batch {fits}, or start a number of processes that divides {plan.batch}.",
        )
    return here.share(plan.batch)


def centred(images: NDArray[np.float32], plan: Plan) -> NDArray[np.float32]:
    """Images in [0, 1] over the form's range -> -1 and 1 at the ends of the plan's span, as the networks see them."""
    low, high = plan.span
    return (images - np.float32(low)) / np.float32(high - low) * 2 - 1
