"""A training run under way <-> its checkpoint: resumed, guarded, set back to the latest good checkpoint where it broke down."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from medgan.base.errors import ModelError
from medgan.learners.gan.feature_matching import ClassImages
from medgan.learners.gan.guards import (
    LEAST_LR_FACTOR,
    Check,
    Guards,
    Snapshot,
    alarms,
    choose_snapshot,
    keep_snapshots,
    next_strength,
    reason_to_stop,
)
from medgan.learners.gan.monitor import Monitor
from medgan.learners.gan.steps import GanState, Step
from medgan.plan import Plan
from medgan.training.runtime import Runtime, load_checkpoint, reseed

STATE = "state.pt"
_DISTANCE_STEPS, _LEAST_DISTANCE_STEPS = 16, 4
"""Steps over which a distance is a mean before it is believed: those of a tick, where that has fewer, but never less than the second."""
_FAR = 1.0
"""Distances between distributions that lie beside each other are below it: two real images of a class are about 1.4 apart."""


@dataclass
class Run:
    """The networks of a run, where it stands, and what guards remember."""

    learners: GanState
    folder: Path
    images_shown: int = 0
    seconds: float = 0.0
    """Seconds trained in all, earlier sessions included, up to the last tick."""
    guards: Guards = field(default_factory=Guards)
    nearest: float = math.inf
    """The least distance of synthetic and real images at a tick so far, a mean over LATEST steps."""
    mishaps: list[str] = field(default_factory=list)
    """Where the run broke down since the last tick, in words."""

    @property
    def over(self) -> bool:
        """Whether there is nothing left to train."""
        return self.images_shown >= self.learners.plan.images_shown or bool(self.guards.stopped)


def resume(plan: Plan, folder: Path, known: ClassImages, start: int = 0) -> Run:
    """The run as its checkpoint left it, or a fresh one, which begins with what is `known` of each class.

    `start` is when a shorter run ended that this one goes on with, in images; 0 where there was none.
    """
    reseed(plan.seed, -1)
    run = Run(GanState(plan, Runtime(plan.device, plan.precision, graphed=plan.graphed), known), folder)
    run.learners.start = start
    if run.learners.runtime.once((folder / STATE).exists):
        state = run.learners.runtime.each(lambda: load_checkpoint(folder / STATE))
        try:
            _load_state(run, state, start)
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise ModelError(
                f"{folder / STATE}: this training state is of another run or damaged ({type(error).__name__})",
                hint="Delete it to start the run anew, or choose another --out.",
            ) from error
    return run


def _load_state(run: Run, state: Mapping[str, Any], start: int) -> None:
    """Bring a fresh run to the state that a checkpoint holds; whatever is missing in it or does not fit raises."""
    for name, part in run.learners.parts().items():
        part.load_state_dict(state[name])
    run.images_shown, run.seconds = state["images_shown"], state["seconds"]
    plan = run.learners.plan
    if plan.minutes is not None and run.images_shown > start:
        run.learners.plan = replace(plan, images_shown=state["length"])
    run.learners.strength, run.learners.pace = state["strength"], state["pace"]
    run.nearest = state.get("nearest", math.inf)
    run.guards = Guards.restored(state["guards"])


def checkpoint_state(run: Run) -> dict[str, Any]:
    """All that `resume` needs."""
    parts = {name: part.state_dict() for name, part in run.learners.parts().items()}
    return {
        **parts,
        "images_shown": run.images_shown,
        "seconds": run.seconds,
        "length": run.learners.plan.images_shown,
        "strength": run.learners.strength,
        "pace": run.learners.pace,
        "nearest": run.nearest,
        "guards": run.guards.state(),
    }


def find_breakdown(run: Run, steps: Sequence[Step], *, tick: bool) -> str:
    """What is wrong with the latest of `steps` or, looked at before every checkpoint, with a weight; "" if nothing.

    Processes share losses and weights, so all say the same.
    """
    latest = steps[-1]
    numbers = all(math.isfinite(loss) for loss in (latest.generator_loss, latest.critic_loss or 0.0))
    networks = run.learners.networks.values()
    if not numbers or (
        tick and not all(torch.isfinite(w).all() for part in networks for w in part.parameters())
    ):
        return "a loss or weight was no number"
    now = _mean_distance(run.learners.plan, steps)
    if now is not None and now > _FAR + 2 * run.nearest:
        return f"synthetic and real images, {run.nearest:.2f} apart before, were {now:.2f} apart"
    return ""


def _mean_distance(plan: Plan, steps: Sequence[Step]) -> float | None:
    """Mean distance of synthetic and real images in the latest steps of a tick; None where there are too few, or none is taken."""
    count = max(min(_DISTANCE_STEPS, plan.tick // plan.batch), _LEAST_DISTANCE_STEPS)
    distances = [step.distance for step in steps[-count:] if step.distance is not None]
    return fmean(distances) if len(distances) == count else None


def record_distance(run: Run, steps: Sequence[Step]) -> None:
    """Keep in mind how near synthetic images have come, at a tick that nothing is wrong with."""
    now = _mean_distance(run.learners.plan, steps)
    if now is not None:
        run.nearest = min(run.nearest, now)


def roll_back(run: Run, why: str) -> Run:
    """The run as its latest checkpoint left it, from there at half the pace; ModelError when it cannot go slower.

    Killed before the next checkpoint, the run breaks down and steps back again, so that it ends as if it had not been killed.
    """
    plan, pace = run.learners.plan, run.learners.pace / 2
    if pace < LEAST_LR_FACTOR:
        raise ModelError(
            f"training broke down after {run.images_shown:,} images: {why}, at an eighth of the learning "
            f"rate too; the latest good checkpoint is kept in {run.folder}",
            hint="Train anew into another --out with another --seed or --precision fp32.",
        )
    again = resume(plan, run.folder, run.learners.known, run.learners.start)
    again.learners.pace = pace
    mishap = f"after {run.images_shown:,} images {why}; went back to {again.images_shown:,} images and on at {pace:g} of the learning rate"
    again.mishaps = [*run.mishaps, mishap]
    return again


def run_guards(run: Run, watch: Monitor) -> Check | None:
    """Look when it is time, and do what the rules say. Of several processes the first looks, and all obey."""
    learners, guards = run.learners, run.guards
    if not watch.due(guards, run.images_shown, learners.plan.images_shown):
        return None
    look = learners.runtime.once(lambda: watch.look(learners, run.images_shown))
    guards.looks.append(look)
    learners.strength = next_strength(look, learners.strength, learners.plan.augment)
    if look.settled:
        weights = {
            name: value.detach().cpu().clone() for name, value in learners.average.state_dict().items()
        }
        guards.kept = keep_snapshots(guards.kept, Snapshot(look, weights))
    guards.stopped = reason_to_stop(guards.looks, guards.kept)
    return look


def restore_best(run: Run) -> Mapping[str, Any] | None:
    """Make the averaged generator the best one kept; what guards saw of it, None when none was looked at."""
    if not run.guards.kept:
        return None
    best = choose_snapshot(run.guards.kept)
    run.learners.average.load_state_dict(best.weights)
    return {**best.look.facts(), "alarms": [*alarms(best.look)], "stopped": run.guards.stopped}
