"""Plan -> what an image costs to train on here, from a few timed updates on random images of the plan's shape."""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import torch

from medgan.gan.steps import Learners, update
from medgan.learn.feed import my_share
from medgan.learn.runtime import Runtime, reseed
from medgan.plan import Plan

ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds per image, a median over rounds."""

    processor: float
    """Of all processors together, whatever else runs there; on a GPU, which keeps no such time, wall-clock."""
    wall: float


def costs(plan: Plan, precisions: Iterable[str]) -> dict[str, Cost]:
    """{precision: its cost}; they take turns, so that a busy moment strikes them alike, after a round of warming up.

    Several processes take their rounds together, and go by the clock of the first.
    """
    trials = {name: Trial(dataclasses.replace(plan, precision=name)) for name in precisions}
    rounds: dict[str, list[Cost]] = {name: [] for name in trials}
    for number in range(ROUNDS + 1):
        for name, trial in trials.items():
            cost = trial.round()
            if number:
                rounds[name].append(cost)
    return {name: trial.runtime.once(partial(median, rounds[name])) for name, trial in trials.items()}


def median(rounds: list[Cost]) -> Cost:
    """Each clock's own."""
    return Cost(
        statistics.median(cost.processor for cost in rounds), statistics.median(cost.wall for cost in rounds)
    )


class Trial:
    """Networks of a plan, and a random batch that they learn from."""

    def __init__(self, plan: Plan) -> None:
        """Built as for training."""
        reseed(plan.seed, -1)
        self.plan, self.runtime = plan, Runtime(plan.device, plan.precision)
        images, mine = torch.rand(plan.batch, plan.channels, *plan.size) * 2 - 1, my_share(plan)
        self.learners = Learners(plan, self.runtime, lambda _: images.numpy())
        self.images = self.runtime.tensor(images[mine])
        self.labels = self.runtime.tensor(torch.arange(plan.batch)[mine] // plan.group % len(plan.labels))

    def round(self) -> Cost:
        """The cost of an image in a long run: of a plain step, and its share of what a step with a penalty costs more."""
        lazy, plain = self.step(0), self.step(1)
        if not self.plan.penalty_every:
            return Cost((lazy.processor + plain.processor) / 2, (lazy.wall + plain.wall) / 2)
        share = 1 / self.plan.penalty_every
        return Cost(
            plain.processor + (lazy.processor - plain.processor) * share,
            plain.wall + (lazy.wall - plain.wall) * share,
        )

    def step(self, number: int) -> Cost:
        """The cost of an image in step `number`: the first one has a penalty."""
        processor, wall = time.process_time(), time.perf_counter()
        update(
            self.learners, self.images, self.labels, number * self.plan.batch
        )  # ends with numbers, so a GPU is done
        processor, wall = time.process_time() - processor, time.perf_counter() - wall
        on_gpu = self.images.device.type != "cpu"
        return Cost((wall if on_gpu else processor) / self.plan.batch, wall / self.plan.batch)
