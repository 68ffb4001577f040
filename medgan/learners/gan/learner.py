"""The GAN as a learner: its networks, what its guards remember, and its model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from medgan.base.errors import ModelError
from medgan.learners.gan.guards import (
    Check,
    Guards,
    Snapshot,
    alarms,
    choose_snapshot,
    guard_status,
    keep_snapshots,
    next_strength,
    reason_to_stop,
)
from medgan.learners.gan.model import Model
from medgan.learners.gan.monitor import Monitor
from medgan.learners.gan.sample import draw_grid
from medgan.learners.gan.steps import GanState, Step, conditioning_weight, update
from medgan.plan import Plan
from medgan.preparation.stack import Stack
from medgan.training.batches import batch_at, class_images, prefetch_at
from medgan.training.learner import Learner, Measures, Run

_MEASURES = tuple(field.name for field in fields(Step))
_OF_DETAIL = ("detail_loss", "detail_told_apart")
"""Measurements of runs with a detail stage alone."""
_VERDICTS = (
    (0.95, "the discriminator is ahead; if this lasts, add images or show fewer (--images)"),
    (0.55, "in balance"),
    (0.45, "the discriminator sees no difference (well learned, or just begun)"),
    (0.0, "the generator is ahead; if this lasts, try another --seed"),
)
"""(share of pairs told apart from which on, what it says about the two networks)."""
_TONE_IMAGES = 256
"""Number of images of each class from which tone curves are measured."""
_DISTANCE_STEPS = 16
"""Number of steps over which a distance is averaged; where a tick has fewer steps, those of a tick."""
_LEAST_DISTANCE_STEPS = 4
"""Smallest number of steps over which a distance is averaged."""
_FAR = 1.0
"""Distance above which a sudden rise counts as a breakdown. Distributions that lie beside each other are
nearer; two real images of a class are about 1.4 apart."""


class GanLearner(Learner):
    """Trains a generator on a stack, under guards where the plan asks for them."""

    gan: GanState
    """The networks, from `build` on."""

    def __init__(self, stack: Stack, plan: Plan, about: Mapping[str, Any]) -> None:
        """Choose the rows to train on; `about` are facts that are stored in the model."""
        self.monitor, self.about = Monitor(stack, plan), about
        self.training = self.monitor.training
        self.guards = Guards()
        self.least_distance = math.inf
        """Smallest distance of synthetic and real images at a tick so far, a mean over _DISTANCE_STEPS steps.
        """

    def build(self, run: Run) -> None:
        """Build fresh networks, from the means and covariances of the classes where the plan says so."""
        self.gan = GanState(run.plan, run.runtime, class_images(self.training, run.plan))
        self.gan.start = run.start
        self.guards, self.least_distance = Guards(), math.inf

    def step(self, run: Run) -> Measures:
        """Train on the batch at the run's position, of rows that are not held back."""
        gan, plan, shown = self._gan_of(run), run.plan, run.images_shown
        images, labels = batch_at(
            self.training, plan, conditioning_weight(plan, shown), (plan.budget.seed, shown)
        )
        ahead = shown + plan.budget.batch
        prefetch_at(self.training, plan, conditioning_weight(plan, ahead), (plan.budget.seed, ahead))
        step = update(gan, run.runtime.tensor(images), run.runtime.tensor(labels), shown)
        return {name: getattr(step, name) for name in _MEASURES if gan.detail or name not in _OF_DETAIL}

    def check(self, run: Run, steps: Sequence[Measures]) -> Mapping[str, Any]:
        """Remember the distance, and let the guards check the networks when a check is due."""
        distance = _mean_distance(run.plan, steps)
        if distance is not None:
            self.least_distance = min(self.least_distance, distance)
        due = self.monitor.due(self.guards, run.images_shown, run.plan.budget.images_shown)
        check = self._run_guards(run) if due else None
        return {
            "condition": round(conditioning_weight(run.plan, run.images_shown), 4),
            "strength": self.gan.strength,
            "guards": None if check is None else check.facts(),
            "alarms": [
                *(alarms(check) if check is not None else ()),
                *filter(None, [self.guards.stopped]),
            ],
        }

    def export(self, run: Run) -> None:
        """Write the model: the best generator that the guards kept, or the latest."""
        known = {**self.about, "images_shown": run.images_shown, "guards": self._restore_best()}
        network, plan = self.gan.average, run.plan

        def save() -> None:
            tones = self.monitor.tones(network, _TONE_IMAGES) if plan.recipe.toned else None
            Model.save(run.folder / "model", network, plan, known, tones)

        run.runtime.once(save)

    def has_model(self, run: Run) -> bool:
        """Whether a complete run has its model.

        If so, it is not made again: on another device it might differ by rounding.
        """
        try:
            return Model.load(run.folder / "model").images_shown == run.images_shown
        except ModelError:
            return False

    def state(self) -> dict[str, Any]:
        """Networks, optimisers, strength of augmentation, and what the guards remember."""
        parts = {name: part.state_dict() for name, part in self.gan.parts().items()}
        return {
            **parts,
            "strength": self.gan.strength,
            "nearest": self.least_distance,
            "guards": self.guards.state(),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue from `state`, or raise an error where something is missing or does not fit."""
        for name, part in self.gan.parts().items():
            part.load_state_dict(state[name])
        self.gan.strength = state["strength"]
        self.least_distance = state.get("nearest", math.inf)
        self.guards = Guards.restore(state["guards"])

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        """Generator, discriminator where there is one, and the average of the generator."""
        return self.gan.networks

    @property
    def stopped(self) -> str:
        """Why the guards ended training early, or ""."""
        return self.guards.stopped

    @property
    def status(self) -> str:
        """What the latest check of the guards found, in words."""
        return guard_status(self.guards.checks, self.gan.strength, self.gan.plan.recipe.augment)

    def describe(self, means: Mapping[str, float]) -> str:
        """The measurements in words that say what to do."""
        sentences = []
        if "distance" in means:
            sentences.append(
                f"synthetic and real images lie {means['distance']:.2f} apart in features (0: alike)"
            )
        if "told_apart" in means:
            told = means["told_apart"]
            verdict = next(words for least, words in _VERDICTS if told >= least)
            sentences.append(f"real told from synthetic in {told:.0%} of pairs: {verdict}")
        if "detail_told_apart" in means:
            sentences.append(f"real detail told from synthetic at {means['detail_told_apart']:.0%} of places")
        return "; ".join(sentences)

    def find_breakdown(self, run: Run, steps: Sequence[Measures]) -> str:
        """Say that synthetic images have suddenly left the real ones, or ""."""
        now = _mean_distance(run.plan, steps)
        if now is not None and now > _FAR + 2 * self.least_distance:
            return f"synthetic and real images, {self.least_distance:.2f} apart before, were {now:.2f} apart"
        return ""

    def grid(self, run: Run) -> NDArray[np.float32]:
        """The grid of synthetic images of a tick, a row per class."""
        share = conditioning_weight(run.plan, run.images_shown)
        return draw_grid(self.gan.average, run.plan, share=share)

    def _gan_of(self, run: Run) -> GanState:
        """The networks, with the length and the learning rate that the run has now."""
        self.gan.plan, self.gan.lr_factor = run.plan, run.lr_factor
        return self.gan

    def _run_guards(self, run: Run) -> Check:
        """Check the networks, and apply the rules of the guards.

        Of several processes, the first makes the check, and all act on it.
        """
        gan, guards = self._gan_of(run), self.guards
        check = run.runtime.once(lambda: self.monitor.check(gan, run.images_shown))
        guards.checks.append(check)
        gan.strength = next_strength(check, gan.strength, run.plan.recipe.augment)
        if check.settled:
            weights = {name: value.detach().cpu().clone() for name, value in gan.average.state_dict().items()}
            guards.kept = keep_snapshots(guards.kept, Snapshot(check, weights))
        guards.stopped = reason_to_stop(guards.checks, guards.kept)
        return check

    def _restore_best(self) -> Mapping[str, Any] | None:
        """Replace the averaged generator by the best one that was kept.

        Returns:
            The check of that generator, or None where none was kept.
        """
        if not self.guards.kept:
            return None
        best = choose_snapshot(self.guards.kept)
        self.gan.average.load_state_dict(best.weights)
        return {**best.check.facts(), "alarms": [*alarms(best.check)], "stopped": self.guards.stopped}


def _mean_distance(plan: Plan, steps: Sequence[Measures]) -> float | None:
    """Mean distance of synthetic and real images in the latest steps of a tick.

    It is None where there are too few steps, or no distance is measured.
    """
    count = max(min(_DISTANCE_STEPS, plan.budget.tick // plan.budget.batch), _LEAST_DISTANCE_STEPS)
    distances = [one for step in steps[-count:] if (one := step["distance"]) is not None]
    return fmean(distances) if len(distances) == count else None
