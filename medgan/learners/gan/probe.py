"""Steps of a GAN on random images, by which the probe measures what training costs here."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from medgan.learners.gan.steps import GanState, update
from medgan.plan import Plan
from medgan.training.batches import share_of_batch
from medgan.training.probe import Cost, TimingTrial, time_step
from medgan.training.runtime import Runtime, reseed


class GanTrial(TimingTrial):
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

    def round(self) -> Cost:
        """Cost of an image in a long run.

        It is that of a plain step plus the proper share of what a gradient penalty adds.
        """
        lazy, plain = self.step(0), self.step(1)
        if not self.plan.recipe.penalty_every:
            return Cost((lazy.processor + plain.processor) / 2, (lazy.wall + plain.wall) / 2)
        share = 1 / self.plan.recipe.penalty_every
        return Cost(
            plain.processor + (lazy.processor - plain.processor) * share,
            plain.wall + (lazy.wall - plain.wall) * share,
        )

    def step(self, number: int) -> Cost:
        """Cost of an image in step `number`, of which number 0 has a gradient penalty."""
        batch = self.plan.budget.batch
        # `update` returns Python numbers, so a GPU has finished by then.
        step = partial(update, self.gan, self.images, self.labels, number * batch)
        return time_step(step, batch, self.images.device)

    def state(self) -> dict[str, Any]:
        """Copy weights and optimiser state, because an optimiser would share its tensors."""
        return copy.deepcopy({name: part.state_dict() for name, part in self.gan.parts().items()})

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue from the state of another trial."""
        for name, part in self.gan.parts().items():
            part.load_state_dict(state[name])

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
