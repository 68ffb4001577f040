"""Stack + position -> the batch that belongs there: chance depends on seed and images shown, on nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medgan.base.errors import PlanError
from medgan.base.processes import current_processes
from medgan.plan import Plan
from medgan.prepare.stack import Stack


@dataclass(frozen=True, slots=True, eq=False)
class TrainingRows:
    """The rows of a stack that are shown, sorted by class once: a batch then costs what it holds, however large the stack is."""

    stack: Stack
    rows: NDArray[np.int64]
    """Class by class, in the order of the stack within each."""
    counts: NDArray[np.int64]
    """Rows of each class."""

    @classmethod
    def of(cls, stack: Stack, seen: NDArray[np.int64] | None = None) -> TrainingRows:
        """The rows `seen` of `stack` (default: all)."""
        choice = np.arange(len(stack)) if seen is None else seen
        labels = stack.labels[choice]
        counts = np.bincount(labels, minlength=len(stack.names))
        return cls(stack=stack, rows=choice[np.argsort(labels, kind="stable")], counts=counts)

    def of_class(self, number: int) -> NDArray[np.int64]:
        """Rows of one class."""
        start = int(self.counts[:number].sum())
        return self.rows[start : start + self.counts[number]]


def _class_probabilities(counts: NDArray[np.int64], evenness: float) -> NDArray[np.float64]:
    """How often each class is shown: n ** (1 - evenness), natural at 0, square roots at 0.5, all alike at 1.

    Never all alike where a discriminator learns: shown as often as the large classes, a class of forty images is learned by heart.
    """
    weights = np.where(counts > 0, counts.astype(np.float64) ** (1 - evenness), 0.0)
    chances: NDArray[np.float64] = weights / weights.sum()
    return chances


def _rows_at(
    pool: TrainingRows, batch: int, evenness: float, chance: tuple[int, int], group: int = 1
) -> NDArray[np.int64]:
    """Rows of the stack for the batch at `chance` = (seed, images shown): first classes, then images of them.

    Images come in groups of `group` of the same class. Several to a group, the groups' classes are drawn systematically, so that
    a batch is as mixed as chances say, to one group.
    """
    rng = np.random.default_rng(chance)
    counts = pool.counts
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    chances = _class_probabilities(counts, evenness)
    if group == 1:
        drawn = rng.choice(len(counts), size=batch, p=chances)
    else:
        groups = -(-batch // group)
        ends = chances.cumsum()
        marks = (rng.random() + rng.permutation(groups)) / groups * ends[-1]
        drawn = np.repeat(np.searchsorted(ends, marks, side="right"), group)[:batch]
    within = (rng.random(batch) * counts[drawn]).astype(np.int64)
    rows: NDArray[np.int64] = pool.rows[starts[drawn] + within]
    return rows


def batch_at(
    pool: TrainingRows, plan: Plan, share: float, chance: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Images (N, C, H, W), -1 and 1 at the ends of the plan's span, and their classes (N,).

    Of several processes each gets its share of the very batch that one alone would get.
    """
    rows = _rows_at(pool, plan.batch, plan.evenness * share, chance, plan.group)[share_of_batch(plan)]
    return to_network_range(pool.stack.images(rows), plan), pool.stack.labels[rows]


def prefetch_at(pool: TrainingRows, plan: Plan, share: float, chance: tuple[int, int]) -> None:
    """Have the images of that batch read from the disk while another one is learned from."""
    pool.stack.expect(
        _rows_at(pool, plan.batch, plan.evenness * share, chance, plan.group)[share_of_batch(plan)]
    )


def share_of_batch(plan: Plan) -> slice:
    """Which images of every batch this process sees.

    Raises:
        PlanError: the batch cannot be shared evenly, or the plan's networks cannot learn in several processes at all.
    """
    here = current_processes()
    if here.size > 1 and plan.arch == "dcgan":
        raise PlanError(
            "dcgan, the baseline of 2015, trains in one process: its batch statistics are those of the whole batch",
            hint="Start it without torchrun, or leave --arch away.",
        )
    step = here.size * plan.group
    if here.size > 1 and plan.batch % step:
        fits = -(-plan.batch // step) * step
        raise PlanError(
            f"a batch of {plan.batch} images cannot be shared evenly by {here.size} processes"
            + (f" in groups of {plan.group}" if plan.group > 1 else ""),
            hint=f"Give --batch {fits}, or start a number of processes that divides {max(plan.batch // plan.group, 1)}.",
        )
    return here.share(plan.batch)


_MOST_IMAGES = 500
"""Images of a class from which its statistics are taken, at most."""


def class_images(pool: TrainingRows, plan: Plan) -> Callable[[int], NDArray[np.float32]]:
    """Class number -> its images (N, C, H, W) as the networks see them, evenly spread over those that are shown."""

    def images(number: int) -> NDArray[np.float32]:
        own = pool.of_class(number)
        spread = np.unique(np.linspace(0, len(own) - 1, min(len(own), _MOST_IMAGES)).round().astype(np.int64))
        return to_network_range(pool.stack.images(own[spread]), plan)

    return images


def to_network_range(images: NDArray[np.float32], plan: Plan) -> NDArray[np.float32]:
    """Images in [0, 1] over the form's range -> -1 and 1 at the ends of the plan's span, as the networks see them."""
    low, high = plan.span
    return (images - np.float32(low)) / np.float32(high - low) * 2 - 1
