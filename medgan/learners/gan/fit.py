"""Train a GAN on a stack of images, or continue its training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medgan.base.progress import OnProgress, ignore
from medgan.learners.gan.learner import GanLearner
from medgan.learners.gan.model import Model
from medgan.plan import Plan
from medgan.preparation.stack import Stack
from medgan.training.learner import Run
from medgan.training.loop import Row, train

_OnTick = Callable[[Row, NDArray[np.float32]], None]
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
    learner = GanLearner(stack, plan, about)

    def draw_tick(run: Run, row: Row) -> None:
        if on_tick is not None:
            on_tick(row, learner.grid(run))

    run = train(learner, plan, folder, start=start, on_tick=draw_tick, on_progress=on_progress)
    return run.runtime.each(lambda: Model.load(folder / "model"))
