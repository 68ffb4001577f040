"""Stack + Plan -> Model: train, or go on where the run folder left off, reporting progress at every tick."""

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
from medgan.prepare.stack import Stack
from medgan.training.batches import batch_at, class_images, prefetch_at
from medgan.training.runtime import Journal, reseed, save_checkpoint

_VERDICTS = (
    (0.95, "the discriminator is ahead; if this lasts, add images or show fewer (--images)"),
    (0.55, "in balance"),
    (0.45, "the discriminator sees no difference (well learned, or just begun)"),
    (0.0, "the generator is ahead; if this lasts, try another --seed"),
)
"""(share of pairs told apart from which, what it says of the two networks)."""
_MEASURES = tuple(field.name for field in fields(Step))
LOG = "log.jsonl"
_TONE_IMAGES = 256
"""Images of each class that tone curves are measured on."""
_Row = dict[str, Any]
_OnTick = Callable[[_Row, NDArray[np.float32]], None]
"""Called with a log line and the grid of images at each tick."""


def fit(  # noqa: PLR0913  # what is reported to whom, and where a shorter run ended, are no noun
    stack: Stack,
    plan: Plan,
    folder: Path,
    *,
    about: Mapping[str, Any],
    on_tick: _OnTick | None = None,
    on_progress: OnProgress = ignore,
    start: int = 0,
) -> Model:
    """Train as `plan` says in `folder`; `about` (counts, data digest) goes into the model. Repeated, it resumes, or gives the model it made.

    Where a shorter run ended at `start` images and is gone on with, the learning rate takes its way from there to the end.

    Of several processes (each calls this alike) the first alone writes; all see the folder, and get the model.
    """
    watch = Monitor(stack, plan)
    run = resume(plan, folder, class_images(watch.pool, plan), start)
    runtime, journal = run.learners.runtime, Journal(folder / LOG)
    if run.over and runtime.once(partial(_model_exists, run)):
        note(on_progress, "The model was finished before; nothing was trained.")
        return runtime.each(lambda: Model.load(folder / "model"))
    runtime.once(lambda: journal.rewind(run.images_shown))
    steps: list[Step] = []
    began, rate = time.monotonic(), 0.0
    while not run.over:
        steps.append(_train_step(run, watch))
        plan = run.learners.plan
        tick = run.images_shown % plan.tick == 0 or run.images_shown >= plan.images_shown
        why = find_breakdown(run, steps, tick=tick)
        if why:
            run, steps = roll_back(run, why), []
            continue
        on_progress(_training_progress(run, steps, rate))
        if tick:
            spent = time.monotonic() - began
            record_distance(run, steps)
            run.learners.plan = runtime.once(partial(_adjust_to_pace, run, len(steps), spent))
            row = _log_row(run, run_guards(run, watch), steps, spent)
            runtime.once(partial(_save_tick, run, row, journal, on_tick))
            rate = row["images_per_second"]
            on_progress(_training_progress(run, steps, rate))  # the length may have been corrected
            began, steps, run.mishaps = began + spent, [], []  # the tick's own work counts to the next one
    known = {**about, "images_shown": run.images_shown, "guards": restore_best(run)}
    network, plan = run.learners.average, run.learners.plan

    def saved() -> str:
        tones = watch.tones(network, _TONE_IMAGES) if plan.toned else None
        return Model.save(folder / "model", network, plan, known, tones).digest

    runtime.once(saved)
    return runtime.each(lambda: Model.load(folder / "model"))


def _training_progress(run: Run, steps: list[Step], rate: float) -> Progress:
    """How far the run is; by the `rate` of its latest tick, images per second, also how long it will take (0: there was none yet)."""
    shown, total = run.images_shown, run.learners.plan.images_shown
    timed = {"images_per_second": rate, "seconds_left": round((total - shown) / rate, 1)} if rate else {}
    return Progress("training", shown, total, _status_text(run, steps), {**_mean_measures(steps), **timed})


def _model_exists(run: Run) -> bool:
    """Whether the model of a run that is over is there: made again, perhaps on another device, it might be another by a rounding."""
    try:
        return Model.load(run.folder / "model").images_shown == run.images_shown
    except ModelError:
        return False


def _adjust_to_pace(run: Run, steps: int, spent: float) -> Plan:
    """The plan, corrected to its minutes by the pace of the last `steps`."""
    plan = run.learners.plan
    return fit_to_minutes(
        plan, run.images_shown, run.seconds + spent, max(spent, 1e-9) / (steps * plan.batch)
    )


def _save_tick(run: Run, row: _Row, journal: Journal, on_tick: _OnTick | None) -> None:
    """Write down a tick: the grid by `on_tick`, the log line, and the checkpoint last, for what is not in it did not happen."""
    if on_tick is not None:
        plan = run.learners.plan
        on_tick(row, draw_grid(run.learners.average, plan, share=conditioning_weight(plan, run.images_shown)))
    journal.add(row)
    save_checkpoint(run.folder / STATE, checkpoint_state(run))


def _train_step(run: Run, watch: Monitor) -> Step:
    """One batch at the run's position, of rows that guards do not hold back."""
    plan, runtime = run.learners.plan, run.learners.runtime
    chance = (plan.seed, run.images_shown)
    reseed(*chance)  # position decides chance, so a resumed run equals a straight one
    images, labels = batch_at(watch.pool, plan, conditioning_weight(plan, run.images_shown), chance)
    ahead = run.images_shown + plan.batch
    prefetch_at(watch.pool, plan, conditioning_weight(plan, ahead), (plan.seed, ahead))
    step = update(run.learners, runtime.tensor(images), runtime.tensor(labels), run.images_shown)
    run.images_shown = ahead
    return step


def _log_row(run: Run, look: Check | None, steps: list[Step], seconds: float) -> _Row:
    """One line of the log; adds the seconds of this tick to the run's."""
    run.seconds += seconds
    plan, rate = run.learners.plan, len(steps) * run.learners.plan.batch / max(seconds, 1e-9)
    return {
        "images_shown": run.images_shown,
        "seconds": round(run.seconds, 2),
        "images_per_second": round(rate, 2),
        "seconds_left": 0.0 if run.over else round((plan.images_shown - run.images_shown) / rate, 1),
        **dict.fromkeys(_MEASURES),
        **_mean_measures(steps),
        "condition": round(conditioning_weight(plan, run.images_shown), 4),
        "strength": run.learners.strength,
        "pace": run.learners.pace,
        "guards": None if look is None else look.facts(),
        "alarms": [
            *run.mishaps,
            *(alarms(look) if look is not None else ()),
            *filter(None, [run.guards.stopped]),
        ],
        "words": _status_text(run, steps),
    }


def _mean_measures(steps: list[Step]) -> dict[str, float]:
    """Means over the latest steps, of what had a part in them."""
    latest = [asdict(step) for step in steps[-50:]]
    values = {name: [step[name] for step in latest if step[name] is not None] for name in _MEASURES}
    return {name: round(fmean(found), 4) for name, found in values.items() if found}


def _status_text(run: Run, steps: list[Step]) -> str:
    """How the networks stand, what went wrong, and what guards have to say."""
    learners = run.learners
    guarded = guards.guard_status(run.guards.looks, learners.strength, learners.plan.augment)
    return "; ".join(filter(None, [_measure_text(steps), *run.mishaps, guarded, run.guards.stopped]))


def _measure_text(steps: list[Step]) -> str:
    """The losses in words a person can act on."""
    found, said = _mean_measures(steps), []
    if "distance" in found:
        said.append(f"synthetic and real images lie {found['distance']:.2f} apart in features (0: alike)")
    if "told_apart" in found:
        told = found["told_apart"]
        verdict = next(words for least, words in _VERDICTS if told >= least)
        said.append(f"real told from synthetic in {told:.0%} of pairs: {verdict}")
    return "; ".join(said)
