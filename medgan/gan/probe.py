"""Plan -> seconds per image, from a few timed updates on random images of the plan's shape."""

from __future__ import annotations

import time

import torch

from medgan.gan.steps import Learners, update
from medgan.learn.feed import my_share
from medgan.learn.runtime import Runtime, reseed
from medgan.plan import Plan


def seconds_per_image(plan: Plan) -> float:
    """The faster of two rounds, each with its share of penalty steps, after one round of warming up.

    Several processes take their rounds together, and go by the clock of the first.
    """
    reseed(plan.seed, -1)
    runtime = Runtime(plan.device, plan.precision)
    learners = Learners(plan, runtime)
    mine = my_share(plan)
    images = runtime.tensor(torch.rand(plan.batch, plan.channels, *plan.size)[mine] * 2 - 1)
    labels = runtime.tensor(torch.arange(plan.batch)[mine] % len(plan.labels))
    steps = max(plan.penalty_every, 4)
    rounds = []
    for _ in range(3):
        began = time.monotonic()
        for number in range(steps):
            update(learners, images, labels, number * plan.batch)
        rounds.append((time.monotonic() - began) / (steps * plan.batch))
    return runtime.once(lambda: min(rounds[1:]))
