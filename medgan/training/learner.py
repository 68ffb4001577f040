"""What a learner is: the four verbs by which the training loop drives any model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from torch import nn

from medgan.plan import Plan
from medgan.training.runtime import Runtime

Measures = Mapping[str, float | None]
"""Measurements of one step by name, such as losses. None stands for what was not part of the step."""


@dataclass(kw_only=True, eq=False)
class Run:
    """How far a training run has come."""

    plan: Plan
    """The plan. With --minutes, its number of images is corrected at every tick."""
    folder: Path
    runtime: Runtime
    start: int = 0
    """Images shown at the end of a shorter run that this one continues, or 0."""
    images_shown: int = 0
    seconds: float = 0.0
    """Seconds trained up to the last tick, in all calls together."""
    lr_factor: float = 1.0
    """Factor on the learning rate of the plan. It is halved whenever the run is rolled back."""
    breakdowns: list[str] = field(default_factory=list)
    """Where the run broke down since the last tick, in words."""


class Learner(Protocol):
    """A model that `training.loop.train` can train.

    Every process of a job calls every verb with the same run; what only one process may do goes through
    `run.runtime.once`. Torch is seeded before `build` and before each `step`, from the seed of the plan and
    the images shown. A learner uses no other source of chance, so a resumed run equals an uninterrupted one.
    """

    # The four verbs.

    def build(self, run: Run) -> None:
        """Build fresh networks and optimisers, and forget what was learned.

        It is called at the start of a run, and again before a run is rolled back.
        """

    def step(self, run: Run) -> Measures:
        """Train on the batch at `run.images_shown`, and return the same names at every step."""

    def check(self, run: Run, steps: Sequence[Measures]) -> Mapping[str, Any]:
        """Look at the model at a tick, and change what should be different from here on.

        Args:
            run: the run.
            steps: measurements of the steps since the last tick.

        Returns:
            Facts for the log line. "alarms" among them is a list of sentences that say what is wrong.
        """

    def export(self, run: Run) -> None:
        """Write the trained model into the folder of the run."""

    # What a checkpoint must hold.

    def state(self) -> dict[str, Any]:
        """Everything from which training continues, as tensors, numbers and text.

        The loop adds `images_shown`, `seconds`, `length` and `pace`.
        """

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue from `state`; raise an error where something is missing or does not fit."""

    # What the loop has to know.

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        """The networks by name. A run has broken down where one of their weights is not a number."""

    def has_model(self, run: Run) -> bool:
        """Whether the folder already holds the model of this finished run."""

    # What suits most learners as it is.

    @property
    def stopped(self) -> str:
        """Why a check ended training early, or "" while it continues."""
        return ""

    @property
    def status(self) -> str:
        """What the latest check means, in words for the user, or ""."""
        return ""

    def describe(self, means: Mapping[str, float]) -> str:
        """What the measurements mean, in words for the user; `means` are those of the latest steps."""
        return ", ".join(f"{name.replace('_', ' ')} {value:.3g}" for name, value in means.items())

    def find_breakdown(self, run: Run, steps: Sequence[Measures]) -> str:  # noqa: ARG002  # for others
        """What is wrong with the latest of `steps`, or "".

        The loop itself notices measurements and weights that are not numbers.
        """
        return ""
