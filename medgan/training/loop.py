"""Train any learner: resume, step, log, save, roll back, and keep to the minutes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from medgan.base.errors import ModelError
from medgan.base.progress import OnProgress, Progress, ignore, note
from medgan.plan import Plan
from medgan.plan.clock import fit_to_minutes
from medgan.training.learner import Learner, Measures, Run
from medgan.training.runtime import Journal, Runtime, load_checkpoint, reseed, save_checkpoint

LOG = "log.jsonl"
STATE = "state.pt"
_LATEST_STEPS = 50
"""Number of steps over which measurements are averaged for the user."""
_LEAST_LR_FACTOR = 1 / 8
"""Smallest factor on the learning rate: a run may break down three times."""

Row = dict[str, Any]
"""One line of the log."""
OnTick = Callable[[Run, Row], None]
"""Called in the first process with the run and the log line of every tick."""


def train(
    learner: Learner,
    plan: Plan,
    folder: Path,
    *,
    start: int = 0,
    on_tick: OnTick | None = None,
    on_progress: OnProgress = ignore,
) -> Run:
    """Train a learner in `folder`, or continue the run that is there.

    A complete run is left as it is. All processes call this alike; the first one writes.

    Args:
        learner: what is trained.
        plan: all decisions.
        folder: the run folder.
        start: images shown at the end of a shorter run that this one continues.
        on_tick: called with the run and the log line of every tick.
        on_progress: told about every step.

    Raises:
        ModelError: the checkpoint belongs to another run or is damaged, or the run keeps breaking down.
    """
    # Resume the run, or return one that is complete.
    run = _resume(learner, plan, folder, start)
    if _is_over(learner, run) and run.runtime.once(lambda: learner.has_model(run)):
        note(on_progress, "The model was already complete, so nothing was trained.")
        return run
    run.runtime.once(lambda: _begin_log(run))

    began, rate = time.monotonic(), 0.0
    steps: list[Measures] = []
    while not _is_over(learner, run):
        # Train on one batch. Where that broke the run, go back to the latest checkpoint.
        steps.append(_train_step(learner, run))
        tick = (
            run.images_shown % run.plan.budget.tick == 0 or run.images_shown >= run.plan.budget.images_shown
        )
        breakdown = _find_breakdown(learner, run, steps, tick=tick)
        if breakdown:
            run, steps = _roll_back(learner, run, breakdown), []
            continue
        on_progress(_training_progress(learner, run, steps, rate))
        if not tick:
            continue

        # At a tick, correct the length to the minutes, check the model, and save.
        spent = time.monotonic() - began
        run.plan = run.runtime.once(partial(_adjust_to_pace, run, len(steps), spent))
        facts = learner.check(run, steps)
        run.seconds += spent
        row = _log_row(learner, run, steps, facts, spent)
        run.runtime.once(partial(_save_tick, learner, run, row, on_tick))

        # Report once more, because the length may have changed, and begin the next tick.
        rate = row["images_per_second"]
        on_progress(_training_progress(learner, run, steps, rate))
        began += spent  # so the time that the tick itself took counts as the next one's
        steps, run.breakdowns = [], []

    learner.export(run)
    return run


def _is_over(learner: Learner, run: Run) -> bool:
    """Whether there is nothing left to train."""
    return run.images_shown >= run.plan.budget.images_shown or bool(learner.stopped)


def _train_step(learner: Learner, run: Run) -> Measures:
    """Train on the batch at the position of the run, and advance by it."""
    reseed(run.plan.budget.seed, run.images_shown)  # so a resumed run equals an uninterrupted one
    measures = learner.step(run)
    run.images_shown += run.plan.budget.batch
    return measures


# --- Checkpoints ---


def _resume(learner: Learner, plan: Plan, folder: Path, start: int) -> Run:
    """Build the learner, and load the checkpoint of the run where there is one.

    Raises:
        ModelError: the checkpoint belongs to another run, or is damaged.
    """
    reseed(plan.budget.seed, -1)
    runtime = Runtime(plan.budget.device, plan.budget.precision, graphed=plan.budget.graphed)
    run = Run(plan=plan, folder=folder, runtime=runtime, start=start)
    learner.build(run)
    if runtime.once((folder / STATE).exists):
        state = runtime.each(lambda: load_checkpoint(folder / STATE))
        try:
            _load_state(learner, run, state)
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise ModelError(
                f"{folder / STATE}: this training state belongs to another run or is damaged "
                f"({type(error).__name__})",
                hint="Delete it to start the run again from the beginning, or choose another --out.",
            ) from error
    return run


def _load_state(learner: Learner, run: Run, state: Mapping[str, Any]) -> None:
    """Bring a fresh learner and run to the state of a checkpoint."""
    learner.load_state(state)
    run.images_shown, run.seconds, run.lr_factor = state["images_shown"], state["seconds"], state["pace"]
    # The length that the last tick settled. A longer run that has just begun has one of its own.
    if run.plan.budget.minutes is not None and run.images_shown > run.start:
        run.plan = run.plan.replace(images_shown=state["length"])


def _checkpoint_state(learner: Learner, run: Run) -> dict[str, Any]:
    """State for the checkpoint, from which `_resume` continues."""
    return {
        **learner.state(),
        "images_shown": run.images_shown,
        "seconds": run.seconds,
        "length": run.plan.budget.images_shown,
        "pace": run.lr_factor,
    }


# --- Breakdowns ---


def _find_breakdown(learner: Learner, run: Run, steps: Sequence[Measures], *, tick: bool) -> str:
    """What is wrong with the latest of `steps`, or "" if nothing is.

    At a tick, that is before every checkpoint, the weights are checked too. Processes share measurements and
    weights, so all of them find the same.
    """
    sound = all(value is None or math.isfinite(value) for value in steps[-1].values())
    if not sound or (tick and not _are_weights_finite(learner)):
        return "a loss or weight was not a number"
    return learner.find_breakdown(run, steps)


def _are_weights_finite(learner: Learner) -> bool:
    """Whether all weights of all networks are numbers."""
    networks = learner.networks.values()
    return all(bool(torch.isfinite(weight).all()) for part in networks for weight in part.parameters())


def _roll_back(learner: Learner, run: Run, breakdown: str) -> Run:
    """Load the run from its latest checkpoint, to continue at half the learning rate.

    If it is killed before the next checkpoint, it breaks down and is rolled back again, so that it ends as if
    it had not been killed.

    Raises:
        ModelError: the learning rate has been halved as often as is allowed.
    """
    lr_factor = run.lr_factor / 2
    if lr_factor < _LEAST_LR_FACTOR:
        raise ModelError(
            f"training broke down after {run.images_shown:,} images, even at an eighth of the learning "
            f"rate: {breakdown}; the latest good checkpoint is kept in {run.folder}",
            hint="Train again into another --out, with another --seed or with --precision fp32.",
        )
    again = _resume(learner, run.plan, run.folder, run.start)
    again.lr_factor = lr_factor
    sentence = (
        f"after {run.images_shown:,} images {breakdown}; went back to {again.images_shown:,} images, "
        f"and on at {lr_factor:g} times the learning rate"
    )
    again.breakdowns = [*run.breakdowns, sentence]
    return again


# --- Ticks ---


def _adjust_to_pace(run: Run, steps: int, spent: float) -> Plan:
    """Adjust the length of the plan to its minutes by the time of the latest `steps`."""
    seconds_per_image = max(spent, 1e-9) / (steps * run.plan.budget.batch)
    return fit_to_minutes(run.plan, run.images_shown, run.seconds + spent, seconds_per_image)


def _log_row(
    learner: Learner, run: Run, steps: Sequence[Measures], facts: Mapping[str, Any], spent: float
) -> Row:
    """The line of the log for a tick of some `steps` that took `spent` seconds."""
    means = _mean_measures(steps)
    rate = len(steps) * run.plan.budget.batch / max(spent, 1e-9)
    left = 0 if _is_over(learner, run) else run.plan.budget.images_shown - run.images_shown
    return {
        "images_shown": run.images_shown,
        "seconds": round(run.seconds, 2),
        "images_per_second": round(rate, 2),
        "seconds_left": round(left / rate, 1),
        **dict.fromkeys(steps[-1]),  # None, if it was not part of any of the steps
        **means,
        "pace": run.lr_factor,
        **facts,
        "alarms": [*run.breakdowns, *facts.get("alarms", ())],
        "words": _status_text(learner, run, means),
    }


def _begin_log(run: Run) -> None:
    """Make the folder of the run, and drop the lines of its log that the checkpoint does not know."""
    run.folder.mkdir(parents=True, exist_ok=True)
    Journal(run.folder / LOG).rewind(run.images_shown)


def _save_tick(learner: Learner, run: Run, row: Row, on_tick: OnTick | None) -> None:
    """Call `on_tick`, and write the log line and last the checkpoint.

    What is not in the checkpoint counts as not having happened.
    """
    if on_tick is not None:
        on_tick(run, row)
    Journal(run.folder / LOG).add(row)
    save_checkpoint(run.folder / STATE, _checkpoint_state(learner, run))


# --- What the user is told ---


def _training_progress(learner: Learner, run: Run, steps: Sequence[Measures], rate: float) -> Progress:
    """Progress of the run.

    The `rate` of its latest tick, in images per second, gives the time left; it is 0 before the first tick.
    """
    means = _mean_measures(steps)
    shown, total = run.images_shown, run.plan.budget.images_shown
    timed = {"images_per_second": rate, "seconds_left": round((total - shown) / rate, 1)} if rate else {}
    return Progress("training", shown, total, _status_text(learner, run, means), {**means, **timed})


def _mean_measures(steps: Sequence[Measures]) -> dict[str, float]:
    """Mean over the latest steps of each measurement that was part of them."""
    latest = steps[-_LATEST_STEPS:]
    values = {name: [one for step in latest if (one := step[name]) is not None] for name in latest[-1]}
    return {name: round(fmean(found), 4) for name, found in values.items() if found}


def _status_text(learner: Learner, run: Run, means: Mapping[str, float]) -> str:
    """Measurements, breakdowns, the latest check and an early end in words."""
    sentences = (learner.describe(means), *run.breakdowns, learner.status, learner.stopped)
    return "; ".join(filter(None, sentences))
