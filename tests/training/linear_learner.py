"""The smallest learner: a linear regression of the class on the pixels of an image."""

from __future__ import annotations

import json

import torch
from torch import nn

from medgan.base.files import read_json, write_json
from medgan.training.batches import TrainingRows, batch_at, to_network_range
from medgan.training.learner import Learner


class LinearLearner(Learner):
    """Class 0 or 1 by least squares; `enough` is the share of images told right at which it stops."""

    def __init__(self, stack, plan, enough=2.0):
        self.training, self.enough, self.accuracy = TrainingRows.of(stack), enough, 0.0
        self.images = torch.from_numpy(to_network_range(stack.images(range(len(stack))), plan))
        self.labels = torch.from_numpy(stack.labels)

    def build(self, run):
        network = nn.Sequential(nn.Flatten(), nn.Linear(self.images[0].numel(), 1))
        optimiser = torch.optim.Adam(network.parameters(), lr=run.plan.recipe.rate)
        self.network = network
        self.wrapped, self.optimiser = run.runtime.setup(network, optimiser)
        self.accuracy = 0.0

    def step(self, run):
        for group in self.optimiser.param_groups:
            group["lr"] = run.plan.recipe.rate * run.lr_factor
        images, labels = batch_at(self.training, run.plan, 1.0, (run.plan.budget.seed, run.images_shown))
        images, labels = run.runtime.tensor(images), run.runtime.tensor(labels)
        noise = 0.1 * torch.randn_like(images)  # drawn anew for every batch, as a resumed run must draw it
        loss = (self.wrapped(images + noise)[:, 0] - labels).square().mean()
        self.optimiser.zero_grad()
        run.runtime.backward(loss)
        self.optimiser.step()
        return {"squared_error": loss.item()}

    @torch.no_grad()
    def check(self, run, steps):
        right = (self.network(self.images)[:, 0] > 0.5) == (self.labels == 1)
        self.accuracy = float(right.double().mean())
        return {"accuracy": self.accuracy, "steps": len(steps), "alarms": [*filter(None, [self.stopped])]}

    def export(self, run):
        weights = {name: value.tolist() for name, value in self.network.state_dict().items()}
        run.runtime.once(
            lambda: write_json(
                run.folder / "model.json", {"images_shown": run.images_shown, "weights": weights}
            )
        )

    def state(self):
        return {
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "accuracy": self.accuracy,
        }

    def load_state(self, state):
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.accuracy = state["accuracy"]

    @property
    def networks(self):
        return {"network": self.network}

    def has_model(self, run):
        try:
            return read_json(run.folder / "model.json")["images_shown"] == run.images_shown
        except (OSError, json.JSONDecodeError):
            return False

    @property
    def stopped(self):
        return f"it tells {self.accuracy:.0%} of the images" if self.accuracy >= self.enough else ""
