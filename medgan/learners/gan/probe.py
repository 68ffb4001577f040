"""Plan -> what an image costs to train on here, from a few timed updates on random images of the plan's shape."""

from __future__ import annotations

import copy
import math
import statistics
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from medgan.base.progress import OnProgress, Progress, ignore
from medgan.learners.gan.steps import GanState, update
from medgan.plan import Plan
from medgan.training.batches import share_of_batch
from medgan.training.runtime import Runtime, reseed, temporary_graphs

ROUNDS, BRIEF_ROUNDS = 3, 1
"""Rounds by which a run is decided; a dry run, which decides nothing, needs but an estimate."""
_ALIKE = 0.02
"""By how much of itself a gradient of a replayed step may differ; by adding up in another order it does by a hundred-thousandth."""
_NEXT_TO_NOTHING = 1e-4
"""Share of the length of all gradients together below which a gradient is measured by that."""


@dataclass(frozen=True, slots=True)
class _Cost:
    """Seconds per image, a median over rounds."""

    processor: float
    """Of all processors together, whatever else runs there; on a GPU, which keeps no such time, wall-clock."""
    wall: float


def measure_costs(
    plan: Plan, precisions: Iterable[str], *, rounds: int = ROUNDS, on_progress: OnProgress = ignore
) -> dict[str, _Cost]:
    """{precision: its cost}; they take turns, so that a busy moment strikes them alike, after a round of warming up.

    Several processes take their `rounds` together, and go by the clock of the first.
    """
    trials = {name: _TimingTrial(replace(plan, precision=name)) for name in precisions}
    taken: dict[str, list[_Cost]] = {name: [] for name in trials}
    what, words = "timing one step", f"size {'x'.join(map(str, plan.size))}, {', '.join(trials)}"
    for number in range(rounds + 1):
        for place, (name, trial) in enumerate(trials.items()):
            on_progress(Progress(what, number * len(trials) + place, (rounds + 1) * len(trials), words))
            cost = trial.round()
            if number:
                taken[name].append(cost)
    on_progress(Progress(what, (rounds + 1) * len(trials), (rounds + 1) * len(trials), words))
    return {name: trial.runtime.once(partial(_median_cost, taken[name])) for name, trial in trials.items()}


def time_with_graphs(plan: Plan) -> tuple[float, str]:
    """Seconds per image by the wall clock where steps are replayed as CUDA graphs, and what speaks against it in words, or "".

    That is a step that fails or is another. It is compared after rounds enough for a GPU to replay what it recorded, with a plain step
    from the same weights, moments and chance.
    """
    try:
        with temporary_graphs():
            pace, where, apart = _compare_with_plain(plan)
    except Exception as error:  # noqa: BLE001 what a driver may refuse is beyond us, and the run is as good without
        inner = getattr(error, "inner_exception", error)  # torch's own tells only who raised it
        return math.inf, f"do not work here ({type(inner).__name__}: {str(inner).partition(chr(10))[0]})"
    same = apart <= _ALIKE
    return pace, "" if same else f"lead to another gradient of {where} (apart by {apart:.0%} of its length)"


def _compare_with_plain(plan: Plan) -> tuple[float, str, float]:
    """Seconds per image by CUDA graphs, the weight whose gradient differs most from that of a plain step, and by what share."""
    trial = _TimingTrial(replace(plan, graphed=True))
    pace = _median_cost([trial.round() for _ in range(ROUNDS + 1)][1:]).wall
    plain = _TimingTrial(replace(plan, graphed=False))
    plain.take_over(trial)
    return pace, *_largest_difference(plain.slopes(), trial.slopes())


def _largest_difference(plain: dict[str, Tensor], other: dict[str, Tensor]) -> tuple[str, float]:
    """The weight whose two gradients are farthest apart, and their distance as a share of the length of the plain one.

    One that is next to nothing beside all of them is measured by a share of that.
    """
    least = _NEXT_TO_NOTHING * torch.stack([slope.norm() for slope in plain.values()]).norm()
    shares = {
        name: float((other[name] - slope).norm() / slope.norm().clamp(min=least))
        for name, slope in plain.items()
    }
    worst = max(shares, key=lambda name: math.inf if math.isnan(shares[name]) else shares[name])
    return worst, shares[worst]


def _median_cost(rounds: list[_Cost]) -> _Cost:
    """Each clock's own."""
    return _Cost(
        statistics.median(cost.processor for cost in rounds), statistics.median(cost.wall for cost in rounds)
    )


class _TimingTrial:
    """Networks of a plan, and a random batch that they learn from."""

    def __init__(self, plan: Plan) -> None:
        """Built as for training."""
        reseed(plan.seed, -1)
        self.plan, self.runtime = plan, Runtime(plan.device, plan.precision, graphed=plan.graphed)
        images, mine = torch.rand(plan.batch, plan.channels, *plan.size) * 2 - 1, share_of_batch(plan)
        self.learners = GanState(plan, self.runtime, lambda _: images.numpy())
        self.images = self.runtime.tensor(images[mine])
        self.labels = self.runtime.tensor(torch.arange(plan.batch)[mine] // plan.group % len(plan.labels))

    def round(self) -> _Cost:
        """The cost of an image in a long run: of a plain step, and its share of what a step with a penalty costs more."""
        lazy, plain = self.step(0), self.step(1)
        if not self.plan.penalty_every:
            return _Cost((lazy.processor + plain.processor) / 2, (lazy.wall + plain.wall) / 2)
        share = 1 / self.plan.penalty_every
        return _Cost(
            plain.processor + (lazy.processor - plain.processor) * share,
            plain.wall + (lazy.wall - plain.wall) * share,
        )

    def step(self, number: int) -> _Cost:
        """The cost of an image in step `number`: the first one has a penalty."""
        processor, wall = time.process_time(), time.perf_counter()
        update(
            self.learners, self.images, self.labels, number * self.plan.batch
        )  # ends with numbers, so a GPU is done
        processor, wall = time.process_time() - processor, time.perf_counter() - wall
        on_gpu = self.images.device.type != "cpu"
        return _Cost((wall if on_gpu else processor) / self.plan.batch, wall / self.plan.batch)

    def take_over(self, other: _TimingTrial) -> None:
        """Go on from the weights and moments of the other."""
        parts = other.learners.parts()
        for name, part in self.learners.parts().items():
            part.load_state_dict(
                copy.deepcopy(parts[name].state_dict())
            )  # an optimiser would share its tensors

    def slopes(self) -> dict[str, Tensor]:
        """The gradient of every weight that learns, in a step near the end of the run, when all have a part: with a penalty, where there is one."""
        steps, every = self.plan.images_shown // self.plan.batch, self.plan.penalty_every or 1
        reseed(self.plan.seed, 0)
        self.step((steps - 1) // every * every)
        learning = {name: part for name, part in self.learners.networks.items() if name != "average"}
        return {
            f"{name}.{which}": torch.zeros_like(weight) if weight.grad is None else weight.grad.clone()
            for name, part in learning.items()
            for which, weight in part.named_parameters()
        }
