"""State of a training run: its checkpoint, its guards, and the way back.

A run that breaks down is rolled back to its latest good checkpoint.
"""

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
_DISTANCE_STEPS = 16
"""Number of steps over which a distance is averaged; where a tick has fewer steps, those of a tick."""
_LEAST_DISTANCE_STEPS = 4
"""Smallest number of steps over which a distance is averaged."""
_FAR = 1.0
"""Distance above which a sudden rise counts as a breakdown. Distributions that lie beside each other are
nearer; two real images of a class are about 1.4 apart."""


@dataclass
class Run:
    """The networks of a run, its progress, and what the guards remember."""

    gan: GanState
    folder: Path
    images_shown: int = 0
    seconds: float = 0.0
    """Seconds trained in all, earlier sessions included, up to the last tick."""
    guards: Guards = field(default_factory=Guards)
    least_distance: float = math.inf
    """Smallest distance of synthetic and real images at a tick so far, a mean over _DISTANCE_STEPS steps."""
    breakdowns: list[str] = field(default_factory=list)
    """Where the run broke down since the last tick, in words."""

    @property
    def over(self) -> bool:
        """Whether there is nothing left to train."""
        return self.images_shown >= self.gan.plan.images_shown or bool(self.guards.stopped)


def resume(plan: Plan, folder: Path, class_images: ClassImages, start: int = 0) -> Run:
    """Load the run from its checkpoint, or start a fresh one.

    Args:
        plan: the plan of the run.
        folder: the run folder.
        class_images: the images from which a fresh generator starts.
        start: images shown at the end of a shorter run that this one continues, or 0.

    Raises:
        ModelError: the checkpoint belongs to another run, or is damaged.
    """
    reseed(plan.seed, -1)
    run = Run(
        GanState(plan, Runtime(plan.device, plan.precision, graphed=plan.graphed), class_images), folder
    )
    run.gan.start = start
    if run.gan.runtime.once((folder / STATE).exists):
        state = run.gan.runtime.each(lambda: load_checkpoint(folder / STATE))
        try:
            _load_state(run, state, start)
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise ModelError(
                f"{folder / STATE}: this training state belongs to another run or is damaged "
                f"({type(error).__name__})",
                hint="Delete it to start the run again from the beginning, or choose another --out.",
            ) from error
    return run


def _load_state(run: Run, state: Mapping[str, Any], start: int) -> None:
    """Bring a fresh run to the state of a checkpoint.

    Whatever is missing there or does not fit raises an error.
    """
    for name, part in run.gan.parts().items():
        part.load_state_dict(state[name])
    run.images_shown, run.seconds = state["images_shown"], state["seconds"]
    plan = run.gan.plan
    if plan.minutes is not None and run.images_shown > start:
        run.gan.plan = replace(plan, images_shown=state["length"])
    run.gan.strength, run.gan.lr_factor = state["strength"], state["pace"]
    run.least_distance = state.get("nearest", math.inf)
    run.guards = Guards.restored(state["guards"])


def checkpoint_state(run: Run) -> dict[str, Any]:
    """State for the checkpoint, from which `resume` continues."""
    parts = {name: part.state_dict() for name, part in run.gan.parts().items()}
    return {
        **parts,
        "images_shown": run.images_shown,
        "seconds": run.seconds,
        "length": run.gan.plan.images_shown,
        "strength": run.gan.strength,
        "pace": run.gan.lr_factor,
        "nearest": run.least_distance,
        "guards": run.guards.state(),
    }


def find_breakdown(run: Run, steps: Sequence[Step], *, tick: bool) -> str:
    """What is wrong with the latest of `steps`, or "" if nothing is.

    At a tick, that is before every checkpoint, the weights are checked too. Processes share losses and
    weights, so all of them find the same.
    """
    latest = steps[-1]
    numbers = all(math.isfinite(loss) for loss in (latest.generator_loss, latest.critic_loss or 0.0))
    networks = run.gan.networks.values()
    if not numbers or (
        tick and not all(torch.isfinite(w).all() for part in networks for w in part.parameters())
    ):
        return "a loss or weight was not a number"
    now = _mean_distance(run.gan.plan, steps)
    if now is not None and now > _FAR + 2 * run.least_distance:
        return f"synthetic and real images, {run.least_distance:.2f} apart before, were {now:.2f} apart"
    return ""


def _mean_distance(plan: Plan, steps: Sequence[Step]) -> float | None:
    """Mean distance of synthetic and real images in the latest steps of a tick.

    It is None where there are too few steps, or no distance is measured.
    """
    count = max(min(_DISTANCE_STEPS, plan.tick // plan.batch), _LEAST_DISTANCE_STEPS)
    distances = [step.distance for step in steps[-count:] if step.distance is not None]
    return fmean(distances) if len(distances) == count else None


def record_distance(run: Run, steps: Sequence[Step]) -> None:
    """Remember the smallest distance so far, at a tick with nothing wrong."""
    now = _mean_distance(run.gan.plan, steps)
    if now is not None:
        run.least_distance = min(run.least_distance, now)


def roll_back(run: Run, why: str) -> Run:
    """Load the run from its latest checkpoint, to continue at half the learning rate.

    If it is killed before the next checkpoint, it breaks down and is rolled back again, so that it ends as if
    it had not been killed.

    Raises:
        ModelError: the learning rate has been halved as often as is allowed.
    """
    plan, lr_factor = run.gan.plan, run.gan.lr_factor / 2
    if lr_factor < LEAST_LR_FACTOR:
        raise ModelError(
            f"training broke down after {run.images_shown:,} images, even at an eighth of the learning "
            f"rate: {why}; the latest good checkpoint is kept in {run.folder}",
            hint="Train again into another --out, with another --seed or with --precision fp32.",
        )
    again = resume(plan, run.folder, run.gan.class_images, run.gan.start)
    again.gan.lr_factor = lr_factor
    breakdown = (
        f"after {run.images_shown:,} images {why}; went back to {again.images_shown:,} images, "
        f"and on at {lr_factor:g} times the learning rate"
    )
    again.breakdowns = [*run.breakdowns, breakdown]
    return again


def run_guards(run: Run, monitor: Monitor) -> Check | None:
    """Check the run when it is due, and apply the rules of the guards.

    Of several processes, the first makes the check, and all act on it.
    """
    gan, guards = run.gan, run.guards
    if not monitor.due(guards, run.images_shown, gan.plan.images_shown):
        return None
    check = gan.runtime.once(lambda: monitor.check(gan, run.images_shown))
    guards.checks.append(check)
    gan.strength = next_strength(check, gan.strength, gan.plan.augment)
    if check.settled:
        weights = {name: value.detach().cpu().clone() for name, value in gan.average.state_dict().items()}
        guards.kept = keep_snapshots(guards.kept, Snapshot(check, weights))
    guards.stopped = reason_to_stop(guards.checks, guards.kept)
    return check


def restore_best(run: Run) -> Mapping[str, Any] | None:
    """Replace the averaged generator by the best one that was kept.

    Returns:
        The check of that generator, or None where none was kept.
    """
    if not run.guards.kept:
        return None
    best = choose_snapshot(run.guards.kept)
    run.gan.average.load_state_dict(best.weights)
    return {**best.check.facts(), "alarms": [*alarms(best.check)], "stopped": run.guards.stopped}
