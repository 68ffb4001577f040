"""Measure what training on an image costs here, by a few timed steps.

The steps use random images of the plan's shape.
"""

from __future__ import annotations

import copy
import math
import statistics
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from medgan.base.progress import OnProgress, Progress, ignore
from medgan.learners.gan.steps import GanState, update
from medgan.plan import Plan
from medgan.training.batches import share_of_batch
from medgan.training.runtime import Runtime, reseed, temporary_graphs

ROUNDS = 3
"""Number of rounds of timing on which a run is decided."""
BRIEF_ROUNDS = 1
"""Number of rounds for a dry run, which decides nothing and needs only an estimate."""
_ALIKE = 0.02
"""Largest difference of a gradient in a replayed step, as a share of its length. Adding up in another order
changes it by a hundred-thousandth."""
_NEXT_TO_NOTHING = 1e-4
"""A gradient shorter than this share of the length of all gradients together is compared with that share
instead of its own length."""


@dataclass(frozen=True, slots=True)
class _Cost:
    """Seconds per image, a median over rounds."""

    processor: float
    """CPU time of all cores together, which does not count other work on the machine. On a GPU, which keeps
    no such time, it is wall-clock time."""
    wall: float
    """Wall-clock time."""


def measure_costs(
    plan: Plan, precisions: Iterable[str], *, rounds: int = ROUNDS, on_progress: OnProgress = ignore
) -> dict[str, _Cost]:
    """Measure the cost of an image for each of `precisions`.

    After a warm-up round, precisions take turns, so that a busy moment affects all of them alike. Several
    processes measure together, and use the times of the first.
    """
    trials = {name: _TimingTrial(plan.replace(precision=name)) for name in precisions}
    taken: dict[str, list[_Cost]] = {name: [] for name in trials}
    what, description = "timing one step", f"size {'x'.join(map(str, plan.frame.size))}, {', '.join(trials)}"
    for number in range(rounds + 1):
        for place, (name, trial) in enumerate(trials.items()):
            on_progress(Progress(what, number * len(trials) + place, (rounds + 1) * len(trials), description))
            cost = trial.round()
            if number:
                taken[name].append(cost)
    on_progress(Progress(what, (rounds + 1) * len(trials), (rounds + 1) * len(trials), description))
    return {name: trial.runtime.once(partial(_median_cost, taken[name])) for name, trial in trials.items()}


def time_with_graphs(plan: Plan) -> tuple[float, str]:
    """Measure steps that are replayed as CUDA graphs.

    A replayed step may fail or give other results. After enough rounds for the GPU to replay what it has
    recorded, it is compared with a plain step from the same weights, optimiser state and random numbers.

    Returns:
        Wall-clock seconds per image, and what speaks against using graphs in words, or "".
    """
    try:
        with temporary_graphs():
            seconds, where, apart = _compare_with_plain(plan)
    except Exception as error:  # noqa: BLE001
        # A driver may raise anything, and training works without graphs.
        inner = getattr(error, "inner_exception", error)  # torch's own error names only its origin
        return math.inf, f"do not work here ({type(inner).__name__}: {str(inner).partition(chr(10))[0]})"
    same = apart <= _ALIKE
    return (
        seconds,
        "" if same else f"give another gradient of {where} (different by {apart:.0%} of its length)",
    )


def _compare_with_plain(plan: Plan) -> tuple[float, str, float]:
    """Compare replayed steps with plain ones.

    Returns:
        Seconds per image with graphs, the weight whose gradient differs most, and its difference as a share
        of its length.
    """
    trial = _TimingTrial(plan.replace(graphed=True))
    seconds = _median_cost([trial.round() for _ in range(ROUNDS + 1)][1:]).wall
    plain = _TimingTrial(plan.replace(graphed=False))
    plain.take_over(trial)
    return seconds, *_largest_difference(plain.gradients(), trial.gradients())


def _largest_difference(plain: dict[str, Tensor], other: dict[str, Tensor]) -> tuple[str, float]:
    """The weight whose two gradients differ most, and the relative difference.

    The difference is a share of the length of the plain gradient. Where that is negligible, it is a share of
    the length of all gradients.
    """
    least = _NEXT_TO_NOTHING * torch.stack([gradient.norm() for gradient in plain.values()]).norm()
    shares = {
        name: float((other[name] - gradient).norm() / gradient.norm().clamp(min=least))
        for name, gradient in plain.items()
    }
    worst = max(shares, key=lambda name: math.inf if math.isnan(shares[name]) else shares[name])
    return worst, shares[worst]


def _median_cost(rounds: list[_Cost]) -> _Cost:
    """Median of each time by itself."""
    return _Cost(
        statistics.median(cost.processor for cost in rounds), statistics.median(cost.wall for cost in rounds)
    )


class _TimingTrial:
    """Networks of a plan, and a random batch to train them on."""

    def __init__(self, plan: Plan) -> None:
        """Build the networks as for training."""
        reseed(plan.budget.seed, -1)
        budget = plan.budget
        self.plan, self.runtime = plan, Runtime(budget.device, budget.precision, graphed=budget.graphed)
        images, mine = torch.rand(budget.batch, *plan.frame.shape) * 2 - 1, share_of_batch(plan)
        self.gan = GanState(plan, self.runtime, lambda _: images.numpy())
        self.images = self.runtime.tensor(images[mine])
        groups = torch.arange(budget.batch)[mine] // plan.recipe.group
        self.labels = self.runtime.tensor(groups % len(plan.frame.labels))

    def round(self) -> _Cost:
        """Cost of an image in a long run.

        It is that of a plain step plus the proper share of what a gradient penalty adds.
        """
        lazy, plain = self.step(0), self.step(1)
        if not self.plan.recipe.penalty_every:
            return _Cost((lazy.processor + plain.processor) / 2, (lazy.wall + plain.wall) / 2)
        share = 1 / self.plan.recipe.penalty_every
        return _Cost(
            plain.processor + (lazy.processor - plain.processor) * share,
            plain.wall + (lazy.wall - plain.wall) * share,
        )

    def step(self, number: int) -> _Cost:
        """Cost of an image in step `number`, of which number 0 has a gradient penalty."""
        processor, wall = time.process_time(), time.perf_counter()
        # It returns Python numbers, so a GPU has finished by then.
        update(self.gan, self.images, self.labels, number * self.plan.budget.batch)
        processor, wall = time.process_time() - processor, time.perf_counter() - wall
        on_gpu = self.images.device.type != "cpu"
        return _Cost((wall if on_gpu else processor) / self.plan.budget.batch, wall / self.plan.budget.batch)

    def take_over(self, other: _TimingTrial) -> None:
        """Continue from the weights and optimiser state of another trial."""
        parts = other.gan.parts()
        for name, part in self.gan.parts().items():
            # A copy, because an optimiser would share its tensors.
            part.load_state_dict(copy.deepcopy(parts[name].state_dict()))

    def gradients(self) -> dict[str, Tensor]:
        """Gradients of all trainable weights in a step near the end of a run.

        By then all networks take part, and it is a step with a gradient penalty where the plan has one.
        """
        budget, every = self.plan.budget, self.plan.recipe.penalty_every or 1
        steps = budget.images_shown // budget.batch
        reseed(budget.seed, 0)
        self.step((steps - 1) // every * every)
        learning = {name: part for name, part in self.gan.networks.items() if name != "average"}
        return {
            f"{name}.{which}": torch.zeros_like(weight) if weight.grad is None else weight.grad.clone()
            for name, part in learning.items()
            for which, weight in part.named_parameters()
        }
