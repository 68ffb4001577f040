"""Stack + Plan -> Model: train, or go on where the run folder left off, reporting progress at every tick."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medgan.errors import ModelError
from medgan.gan.draw import draw_grid
from medgan.gan.model import Model
from medgan.gan.steps import Learners, Step, faded_in, update
from medgan.learn.feed import batch_at
from medgan.learn.runtime import Journal, Runtime, load_checkpoint, reseed, save_checkpoint
from medgan.plan import Plan
from medgan.plan.clock import on_schedule
from medgan.prepare import Stack
from medgan.progress import OnProgress, Progress, ignore

VERDICTS = (
    (0.95, "the discriminator is ahead; if this lasts, add images or show fewer (--images)"),
    (0.55, "in balance"),
    (0.45, "the discriminator sees no difference (well learned, or just begun)"),
    (0.0, "the generator is ahead; if this lasts, try another --seed"),
)
"""(share of pairs told apart from which, what it says of the two networks)."""
STATE = "state.pt"
LOG = "log.jsonl"
Row = dict[str, Any]
OnTick = Callable[[Row, NDArray[np.float32]], None]
"""Called with a log line and the grid of images at each tick."""


@dataclass
class Run:
    """A training run under way: the networks, where it stands, and what has been seen since the last tick."""

    learners: Learners
    folder: Path
    images_shown: int = 0
    seconds: float = 0.0
    """Seconds trained in all, earlier sessions included, up to the last tick."""


def fit(
    stack: Stack,
    plan: Plan,
    folder: Path,
    *,
    about: Mapping[str, Any],
    on_tick: OnTick | None = None,
    on_progress: OnProgress = ignore,
) -> Model:
    """Train as `plan` says in `folder`; `about` (counts, data digest) goes into the model. Repeated, it resumes.

    Of several processes (each calls this alike) the first alone writes; all see the folder, and get the model.
    """
    run = resume(plan, folder)
    plan = run.learners.plan
    runtime, journal = run.learners.runtime, Journal(folder / LOG)
    runtime.once(lambda: journal.rewind(run.images_shown))
    steps: list[Step] = []
    began = time.monotonic()
    while run.images_shown < plan.images_shown:
        steps.append(train_step(run, stack, plan))
        on_progress(Progress("training", run.images_shown, plan.images_shown, words(steps), facts(steps)))
        if run.images_shown % plan.tick == 0 or run.images_shown >= plan.images_shown:
            spent = time.monotonic() - began
            plan = run.learners.plan = runtime.once(partial(paced, run, plan, len(steps), spent))
            row = tick_row(run, plan, steps, spent)
            runtime.once(partial(keep, run, plan, row, journal, on_tick))
            began, steps = began + spent, []  # the tick's own work counts to the next one
    known = {**about, "images_shown": run.images_shown}
    runtime.once(lambda: Model.save(folder / "model", run.learners.average, plan, known).digest)
    return runtime.each(lambda: Model.load(folder / "model"))


def paced(run: Run, plan: Plan, steps: int, spent: float) -> Plan:
    """The plan, corrected to its minutes by the pace of the last `steps`."""
    return on_schedule(plan, run.images_shown, run.seconds + spent, max(spent, 1e-9) / (steps * plan.batch))


def keep(run: Run, plan: Plan, row: Row, journal: Journal, on_tick: OnTick | None) -> None:
    """Write down a tick: the grid by `on_tick`, the log line, and the checkpoint last, for what is not in it did not happen."""
    if on_tick is not None:
        on_tick(row, draw_grid(run.learners.average, plan, share=faded_in(plan, run.images_shown)))
    journal.add(row)
    save_checkpoint(run.folder / STATE, checkpoint(run))


def train_step(run: Run, stack: Stack, plan: Plan) -> Step:
    """One batch at the run's position; ModelError when the losses are no longer numbers."""
    chance = (plan.seed, run.images_shown)
    reseed(*chance)  # position decides chance, so a resumed run equals a straight one
    images, labels = batch_at(stack, plan, faded_in(plan, run.images_shown), chance)
    runtime = run.learners.runtime
    step = update(run.learners, runtime.tensor(images), runtime.tensor(labels), run.images_shown)
    run.images_shown += plan.batch
    if not (math.isfinite(step.critic_loss) and math.isfinite(step.generator_loss)):
        raise ModelError(
            f"training broke down after {run.images_shown:,} images: a loss is {step.critic_loss} / {step.generator_loss}; "
            f"the checkpoint of the tick before is kept in {run.folder}",
            hint="Train anew into another --out with another --seed or --precision fp32.",
        )
    return step


def resume(plan: Plan, folder: Path) -> Run:
    """The run as its checkpoint left it, or a fresh one."""
    reseed(plan.seed, -1)
    run = Run(Learners(plan, Runtime(plan.device, plan.precision)), folder)
    if (folder / STATE).exists():
        state = run.learners.runtime.each(lambda: load_checkpoint(folder / STATE))
        for name, part in run.learners.parts().items():
            part.load_state_dict(state[name])
        run.images_shown, run.seconds = state["images_shown"], state["seconds"]
        run.learners.plan = replace(plan, images_shown=state["length"])
    return run


def checkpoint(run: Run) -> dict[str, Any]:
    """All that `resume` needs."""
    parts = {name: part.state_dict() for name, part in run.learners.parts().items()}
    position = {"images_shown": run.images_shown, "seconds": run.seconds}
    return {**parts, **position, "length": run.learners.plan.images_shown}


def tick_row(run: Run, plan: Plan, steps: list[Step], seconds: float) -> Row:
    """One line of the log; adds the seconds of this tick to the run's."""
    run.seconds += seconds
    rate = len(steps) * plan.batch / max(seconds, 1e-9)
    return {
        "images_shown": run.images_shown,
        "seconds": round(run.seconds, 2),
        "images_per_second": round(rate, 2),
        "seconds_left": round((plan.images_shown - run.images_shown) / rate, 1),
        **facts(steps),
        "condition": round(faded_in(plan, run.images_shown), 4),
        "words": words(steps),
    }


def facts(steps: list[Step]) -> dict[str, float]:
    """Means over the latest steps."""
    latest = steps[-50:]
    if not latest:
        return {}
    return {
        name: round(float(np.mean([getattr(step, name) for step in latest])), 4)
        for name in ("critic_loss", "generator_loss", "told_apart")
    }


def words(steps: list[Step]) -> str:
    """The losses in words a person can act on."""
    told = facts(steps).get("told_apart")
    if told is None:
        return ""
    verdict = next(words for least, words in VERDICTS if told >= least)
    return f"real told from synthetic in {told:.0%} of pairs: {verdict}"
