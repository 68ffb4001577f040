"""Train a model: the loop with its ticks, checkpoints and progress."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medgan.base.errors import ModelError
from medgan.base.progress import OnProgress, Progress, ignore, note
from medgan.learners.gan import guards
from medgan.learners.gan.checkpoint import (
    STATE,
    Run,
    checkpoint_state,
    find_breakdown,
    record_distance,
    restore_best,
    resume,
    roll_back,
    run_guards,
)
from medgan.learners.gan.guards import Check, alarms
from medgan.learners.gan.model import Model
from medgan.learners.gan.monitor import Monitor
from medgan.learners.gan.sample import draw_grid
from medgan.learners.gan.steps import Step, conditioning_weight, update
from medgan.plan import Plan
from medgan.plan.clock import fit_to_minutes
from medgan.preparation.stack import Stack
from medgan.training.batches import batch_at, class_images, prefetch_at
from medgan.training.runtime import Journal, reseed, save_checkpoint

_VERDICTS = (
    (0.95, "the discriminator is ahead; if this lasts, add images or show fewer (--images)"),
    (0.55, "in balance"),
    (0.45, "the discriminator sees no difference (well learned, or just begun)"),
    (0.0, "the generator is ahead; if this lasts, try another --seed"),
)
"""(share of pairs told apart from which on, what it says about the two networks)."""
_MEASURES = tuple(field.name for field in fields(Step))
LOG = "log.jsonl"
_TONE_IMAGES = 256
"""Number of images of each class from which tone curves are measured."""
_Row = dict[str, Any]
_OnTick = Callable[[_Row, NDArray[np.float32]], None]
"""Called with the log line and the image grid of every tick."""


def fit(  # noqa: PLR0913  # the last four are independent of each other
    stack: Stack,
    plan: Plan,
    folder: Path,
    *,
    about: Mapping[str, Any],
    on_tick: _OnTick | None = None,
    on_progress: OnProgress = ignore,
    start: int = 0,
) -> Model:
    """Train a model in `folder`, or continue a run that is there.

    A complete run returns its model. All processes call this alike; the first one writes.

    Args:
        stack: the training images.
        plan: all decisions.
        folder: the run folder.
        about: facts that are stored in the model, such as counts and data digest.
        on_tick: called with the log line and the image grid of every tick.
        on_progress: told about every step.
        start: images shown at the end of a shorter run that this one continues; from there on, the learning
            rate follows its schedule.
    """
    # Resume the run, or return the model that it has finished.
    monitor = Monitor(stack, plan)
    run = resume(plan, folder, class_images(monitor.training, plan), start)
    runtime, journal = run.gan.runtime, Journal(folder / LOG)
    if run.over and runtime.once(partial(_model_exists, run)):
        note(on_progress, "The model was already complete, so nothing was trained.")
        return runtime.each(lambda: Model.load(folder / "model"))
    # Train, and write a log line, a grid and a checkpoint at every tick.
    runtime.once(lambda: journal.rewind(run.images_shown))
    steps: list[Step] = []
    began, rate = time.monotonic(), 0.0
    while not run.over:
        steps.append(_train_step(run, monitor))
        plan = run.gan.plan
        tick = run.images_shown % plan.tick == 0 or run.images_shown >= plan.images_shown
        why = find_breakdown(run, steps, tick=tick)
        if why:
            run, steps = roll_back(run, why), []
            continue
        on_progress(_training_progress(run, steps, rate))
        if tick:
            spent = time.monotonic() - began
            record_distance(run, steps)
            run.gan.plan = runtime.once(partial(_adjust_to_pace, run, len(steps), spent))
            row = _log_row(run, run_guards(run, monitor), steps, spent)
            runtime.once(partial(_save_tick, run, row, journal, on_tick))
            rate = row["images_per_second"]
            on_progress(_training_progress(run, steps, rate))  # the length may have been corrected
            began, steps, run.breakdowns = (
                began + spent,
                [],
                [],
            )  # the tick's own work counts as the next one's
    # Write the model.
    known = {**about, "images_shown": run.images_shown, "guards": restore_best(run)}
    network, plan = run.gan.average, run.gan.plan

    def saved() -> str:
        tones = monitor.tones(network, _TONE_IMAGES) if plan.toned else None
        return Model.save(folder / "model", network, plan, known, tones).digest

    runtime.once(saved)
    return runtime.each(lambda: Model.load(folder / "model"))


def _training_progress(run: Run, steps: list[Step], rate: float) -> Progress:
    """Progress of the run.

    The `rate` of its latest tick, in images per second, gives the time left; it is 0 before the first tick.
    """
    shown, total = run.images_shown, run.gan.plan.images_shown
    timed = {"images_per_second": rate, "seconds_left": round((total - shown) / rate, 1)} if rate else {}
    return Progress("training", shown, total, _status_text(run, steps), {**_mean_measures(steps), **timed})


def _model_exists(run: Run) -> bool:
    """Whether a complete run has its model.

    If so, it is not made again: on another device it might differ by rounding.
    """
    try:
        return Model.load(run.folder / "model").images_shown == run.images_shown
    except ModelError:
        return False


def _adjust_to_pace(run: Run, steps: int, spent: float) -> Plan:
    """Adjust the length of the plan to its minutes by the time of the latest `steps`."""
    plan = run.gan.plan
    return fit_to_minutes(
        plan, run.images_shown, run.seconds + spent, max(spent, 1e-9) / (steps * plan.batch)
    )


def _save_tick(run: Run, row: _Row, journal: Journal, on_tick: _OnTick | None) -> None:
    """Write the grid, the log line and last the checkpoint of a tick.

    What is not in the checkpoint counts as not having happened.
    """
    if on_tick is not None:
        plan = run.gan.plan
        on_tick(row, draw_grid(run.gan.average, plan, share=conditioning_weight(plan, run.images_shown)))
    journal.add(row)
    save_checkpoint(run.folder / STATE, checkpoint_state(run))


def _train_step(run: Run, monitor: Monitor) -> Step:
    """Train on the batch at the run's position, of rows that are not held back."""
    plan, runtime = run.gan.plan, run.gan.runtime
    position = (plan.seed, run.images_shown)
    reseed(*position)  # so a resumed run equals an uninterrupted one
    images, labels = batch_at(monitor.training, plan, conditioning_weight(plan, run.images_shown), position)
    ahead = run.images_shown + plan.batch
    prefetch_at(monitor.training, plan, conditioning_weight(plan, ahead), (plan.seed, ahead))
    step = update(run.gan, runtime.tensor(images), runtime.tensor(labels), run.images_shown)
    run.images_shown = ahead
    return step


def _log_row(run: Run, check: Check | None, steps: list[Step], seconds: float) -> _Row:
    """One line of the log. Adds the seconds of this tick to those of the run."""
    run.seconds += seconds
    plan, rate = run.gan.plan, len(steps) * run.gan.plan.batch / max(seconds, 1e-9)
    return {
        "images_shown": run.images_shown,
        "seconds": round(run.seconds, 2),
        "images_per_second": round(rate, 2),
        "seconds_left": 0.0 if run.over else round((plan.images_shown - run.images_shown) / rate, 1),
        **dict.fromkeys(_MEASURES),
        **_mean_measures(steps),
        "condition": round(conditioning_weight(plan, run.images_shown), 4),
        "strength": run.gan.strength,
        "pace": run.gan.lr_factor,
        "guards": None if check is None else check.facts(),
        "alarms": [
            *run.breakdowns,
            *(alarms(check) if check is not None else ()),
            *filter(None, [run.guards.stopped]),
        ],
        "words": _status_text(run, steps),
    }


def _mean_measures(steps: list[Step]) -> dict[str, float]:
    """Mean over the latest steps of each measurement that was part of them."""
    latest = [asdict(step) for step in steps[-50:]]
    values = {name: [step[name] for step in latest if step[name] is not None] for name in _MEASURES}
    return {name: round(fmean(found), 4) for name, found in values.items() if found}


def _status_text(run: Run, steps: list[Step]) -> str:
    """State of the networks, breakdowns, and the guards' status in words."""
    gan = run.gan
    guarded = guards.guard_status(run.guards.checks, gan.strength, gan.plan.augment)
    return "; ".join(filter(None, [_measure_text(steps), *run.breakdowns, guarded, run.guards.stopped]))


def _measure_text(steps: list[Step]) -> str:
    """The losses in words that say what to do."""
    found, sentences = _mean_measures(steps), []
    if "distance" in found:
        sentences.append(
            f"synthetic and real images lie {found['distance']:.2f} apart in features (0: alike)"
        )
    if "told_apart" in found:
        told = found["told_apart"]
        verdict = next(words for least, words in _VERDICTS if told >= least)
        sentences.append(f"real told from synthetic in {told:.0%} of pairs: {verdict}")
    return "; ".join(sentences)
