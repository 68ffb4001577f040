"""Class-balanced batches, a function of seed and images shown only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medgan.base.errors import PlanError
from medgan.base.processes import current_processes
from medgan.plan import Plan
from medgan.preparation.stack import Stack


@dataclass(frozen=True, slots=True, eq=False)
class TrainingRows:
    """The rows of a stack that training may use, sorted by class.

    Sorting once makes the cost of a batch independent of the size of the stack.
    """

    stack: Stack
    rows: NDArray[np.int64]
    """Row numbers of the stack, class by class; within a class in the order of the stack."""
    counts: NDArray[np.int64]
    """Number of rows of each class."""

    @classmethod
    def of(cls, stack: Stack, seen: NDArray[np.int64] | None = None) -> TrainingRows:
        """Sort the rows `seen` of a stack by class (all rows by default)."""
        choice = np.arange(len(stack)) if seen is None else seen
        labels = stack.labels[choice]
        counts = np.bincount(labels, minlength=len(stack.names))
        return cls(stack=stack, rows=choice[np.argsort(labels, kind="stable")], counts=counts)

    def of_class(self, number: int) -> NDArray[np.int64]:
        """Row numbers of one class."""
        start = int(self.counts[:number].sum())
        return self.rows[start : start + self.counts[number]]


def _class_probabilities(counts: NDArray[np.int64], evenness: float) -> NDArray[np.float64]:
    """Probability of each class in a batch, proportional to n ** (1 - evenness).

    An evenness of 0 keeps the natural frequencies, 0.5 takes their square roots, and 1 shows all classes
    equally often. Where a discriminator learns, never use 1: it would memorise a class of forty images that
    is shown as often as the large ones.
    """
    weights = np.where(counts > 0, counts.astype(np.float64) ** (1 - evenness), 0.0)
    probabilities: NDArray[np.float64] = weights / weights.sum()
    return probabilities


def _rows_at(
    training: TrainingRows, batch: int, evenness: float, position: tuple[int, int], group: int = 1
) -> NDArray[np.int64]:
    """Rows of the stack that make up the batch at `position` = (seed, images shown).

    Classes are drawn first, then images of them. Each `group` successive images are of one class. With groups
    of more than one image, the classes of the groups are drawn by systematic sampling, so that the class
    counts of every batch follow the probabilities to within one group.
    """
    rng = np.random.default_rng(position)
    counts = training.counts
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    probabilities = _class_probabilities(counts, evenness)
    if group == 1:
        drawn = rng.choice(len(counts), size=batch, p=probabilities)
    else:
        groups = -(-batch // group)
        ends = probabilities.cumsum()
        marks = (rng.random() + rng.permutation(groups)) / groups * ends[-1]
        drawn = np.repeat(np.searchsorted(ends, marks, side="right"), group)[:batch]
    within = (rng.random(batch) * counts[drawn]).astype(np.int64)
    rows: NDArray[np.int64] = training.rows[starts[drawn] + within]
    return rows


def batch_at(
    training: TrainingRows, plan: Plan, share: float, position: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Images (N, C, H, W) and classes (N,) of this process's share of a batch.

    Pixel values are -1 and 1 at the ends of the plan's intensity span. Several processes together get exactly
    the batch that a single process would get.

    Args:
        training: the rows to draw from.
        plan: batch size, group size, evenness and span.
        share: weight of the class conditioning, 0 to 1, by which the plan's evenness is multiplied.
        position: (seed, images shown), which alone decides the batch.
    """
    rows = _rows_of_process(training, plan, share, position)
    return to_network_range(training.stack.images(rows), plan), training.stack.labels[rows]


def prefetch_at(training: TrainingRows, plan: Plan, share: float, position: tuple[int, int]) -> None:
    """Start reading the images of a batch from disk while another one is trained on."""
    training.stack.expect(_rows_of_process(training, plan, share, position))


def _rows_of_process(
    training: TrainingRows, plan: Plan, share: float, position: tuple[int, int]
) -> NDArray[np.int64]:
    """The rows of a batch that this process trains on."""
    recipe = plan.recipe
    rows = _rows_at(training, plan.budget.batch, recipe.evenness * share, position, recipe.group)
    return rows[share_of_batch(plan)]


def share_of_batch(plan: Plan) -> slice:
    """The slice of every batch that this process trains on.

    Raises:
        PlanError: the batch cannot be divided evenly, or the plan's networks cannot be trained by several
            processes.
    """
    here, batch, group = current_processes(), plan.budget.batch, plan.recipe.group
    if here.size > 1 and plan.recipe.arch == "dcgan":
        raise PlanError(
            "--arch dcgan trains in one process only: its batch norm takes statistics over the whole batch",
            hint="Start the command without torchrun, or remove --arch.",
        )
    step = here.size * group
    if here.size > 1 and batch % step:
        fits = -(-batch // step) * step
        raise PlanError(
            f"{here.size} processes cannot share a batch of {batch} images evenly"
            + (f" in groups of {group}" if group > 1 else ""),
            hint=f"Use --batch {fits}, or a number of processes that divides {max(batch // group, 1)}.",
        )
    return here.share(batch)


_MOST_IMAGES = 500
"""Largest number of images of a class from which its statistics are measured."""


def class_images(training: TrainingRows, plan: Plan) -> Callable[[int], NDArray[np.float32]]:
    """Return a function from class number to images (N, C, H, W) of that class.

    The images are as the networks see them: at most _MOST_IMAGES, evenly spaced over the rows of the class.
    """

    def images(number: int) -> NDArray[np.float32]:
        own = training.of_class(number)
        spread = np.unique(np.linspace(0, len(own) - 1, min(len(own), _MOST_IMAGES)).round().astype(np.int64))
        return to_network_range(training.stack.images(own[spread]), plan)

    return images


def to_network_range(images: NDArray[np.float32], plan: Plan) -> NDArray[np.float32]:
    """Rescale images from [0, 1] so that the ends of the plan's span become -1 and 1."""
    low, high = plan.frame.span
    return (images - np.float32(low)) / np.float32(high - low) * 2 - 1
