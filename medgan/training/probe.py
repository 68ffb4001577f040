"""Measure what training any learner on an image costs here, by a few timed steps."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor

from medgan.base.processes import current_processes
from medgan.base.progress import OnProgress, Progress, ignore
from medgan.base.threads import is_set_by_user, use_threads
from medgan.plan import Plan
from medgan.training.runtime import Runtime, choose_device, temporary_graphs

ROUNDS = 3
"""Number of rounds of timing on which a run is decided."""
BRIEF_ROUNDS = 1
"""Number of rounds for a dry run, which decides nothing and needs only an estimate."""
_ALIKE = 0.02
"""Largest difference of a gradient in a replayed step, as a share of its length. Adding up in another order
changes it by a hundred-thousandth."""
_NEXT_TO_NOTHING = 1e-4
"""A gradient shorter than this share of the length of all gradients together is compared with that share
instead of its own length."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds per image."""

    processor: float
    """CPU time of all cores together, which does not count other work on the machine. On a GPU, which keeps
    no such time, it is wall-clock time."""
    wall: float
    """Wall-clock time."""


class TimingTrial(Protocol):
    """Fresh networks of a learner, and random images of the plan's shape to train them on."""

    runtime: Runtime

    def round(self) -> Cost:
        """Train for a few steps, and return what an image costs in a long run."""

    def state(self) -> dict[str, Any]:
        """Copy weights and optimiser state."""

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue from the state of another trial."""

    def gradients(self) -> dict[str, Tensor]:
        """Train for one step in which all networks take part. Return the gradient of every weight by name.

        The random numbers of that step depend on the seed of the plan alone.
        """


NewTrial = Callable[[Plan], TimingTrial]
"""Builds a trial for a plan."""


def measure_costs(
    new_trial: NewTrial,
    plan: Plan,
    precisions: Iterable[str],
    *,
    rounds: int = ROUNDS,
    on_progress: OnProgress = ignore,
) -> dict[str, Cost]:
    """Measure the cost of an image for each of `precisions`, as a median over rounds.

    After a warm-up round, precisions take turns, so that a busy moment affects all of them alike. Several
    processes measure together, and use the times of the first.
    """
    trials = {name: new_trial(plan.replace(precision=name)) for name in precisions}
    costs = _take_turns({name: trial.round for name, trial in trials.items()}, plan, rounds, on_progress)
    return {name: trial.runtime.once(partial(_median_cost, costs[name])) for name, trial in trials.items()}


def thread_choices(device: str) -> tuple[int, ...]:
    """Numbers of threads between which a timed probe may choose: one, and as many as torch takes.

    There is no choice where the user has made it, on a GPU, and for several processes, which divide the
    cores.
    """
    if is_set_by_user() or choose_device(device) != "cpu" or current_processes().size > 1:
        return (torch.get_num_threads(),)
    return tuple(sorted({1, torch.get_num_threads()}))


def time_threads(
    new_trial: NewTrial,
    plan: Plan,
    choices: Iterable[int],
    *,
    rounds: int = ROUNDS,
    on_progress: OnProgress = ignore,
) -> dict[int, float]:
    """Measure the wall-clock seconds of an image on each number of threads, as a median over rounds.

    They take turns on the same networks, so that a busy moment affects all of them alike.
    """
    trial = new_trial(plan)

    def round_on(count: int) -> Cost:
        with use_threads(count):
            return trial.round()

    words = {count: f"{count} thread{'s' * (count > 1)}" for count in choices}
    rounds_of = {name: partial(round_on, count) for count, name in words.items()}
    costs = _take_turns(rounds_of, plan, rounds, on_progress)
    return {count: _median_cost(costs[name]).wall for count, name in words.items()}


def _take_turns(
    trials: Mapping[str, Callable[[], Cost]], plan: Plan, rounds: int, on_progress: OnProgress
) -> dict[str, list[Cost]]:
    """Costs of each trial in so many rounds, after one that warms up; trials take turns in every round."""
    taken: dict[str, list[Cost]] = {name: [] for name in trials}
    what, description = "timing one step", f"size {'x'.join(map(str, plan.frame.size))}, {', '.join(trials)}"
    total = (rounds + 1) * len(trials)
    for number in range(rounds + 1):
        for place, (name, trial) in enumerate(trials.items()):
            on_progress(Progress(what, number * len(trials) + place, total, description))
            cost = trial()
            if number:
                taken[name].append(cost)
    on_progress(Progress(what, total, total, description))
    return taken


def time_with_graphs(new_trial: NewTrial, plan: Plan) -> tuple[float, str]:
    """Measure steps that are replayed as CUDA graphs.

    A replayed step may fail or give other results. After enough rounds for the GPU to replay what it has
    recorded, it is compared with a plain step from the same weights, optimiser state and random numbers.

    Returns:
        Wall-clock seconds per image, and what speaks against using graphs in words, or "".
    """
    try:
        with temporary_graphs():
            seconds, where, apart = _compare_with_plain(new_trial, plan)
    except Exception as error:  # noqa: BLE001
        # A driver may raise anything, and training works without graphs.
        inner = getattr(error, "inner_exception", error)  # torch's own error names only its origin
        return math.inf, f"do not work here ({type(inner).__name__}: {str(inner).partition(chr(10))[0]})"
    same = apart <= _ALIKE
    return (
        seconds,
        "" if same else f"give another gradient of {where} (different by {apart:.0%} of its length)",
    )


def _compare_with_plain(new_trial: NewTrial, plan: Plan) -> tuple[float, str, float]:
    """Compare replayed steps with plain ones.

    Returns:
        Seconds per image with graphs, the weight whose gradient differs most, and its difference as a share
        of its length.
    """
    trial = new_trial(plan.replace(graphed=True))
    seconds = _median_cost([trial.round() for _ in range(ROUNDS + 1)][1:]).wall
    plain = new_trial(plan.replace(graphed=False))
    plain.load_state(trial.state())
    return seconds, *_largest_difference(plain.gradients(), trial.gradients())


def _largest_difference(plain: dict[str, Tensor], other: dict[str, Tensor]) -> tuple[str, float]:
    """The weight whose two gradients differ most, and the relative difference.

    The difference is a share of the length of the plain gradient. Where that is negligible, it is a share of
    the length of all gradients.
    """
    least = _NEXT_TO_NOTHING * torch.stack([gradient.norm() for gradient in plain.values()]).norm()
    shares = {
        name: float((other[name] - gradient).norm() / gradient.norm().clamp(min=least))
        for name, gradient in plain.items()
    }
    worst = max(shares, key=lambda name: math.inf if math.isnan(shares[name]) else shares[name])
    return worst, shares[worst]


def _median_cost(rounds: list[Cost]) -> Cost:
    """Median of each time by itself."""
    return Cost(
        statistics.median(cost.processor for cost in rounds), statistics.median(cost.wall for cost in rounds)
    )


def time_step(step: Callable[[], object], images: int, device: torch.device) -> Cost:
    """Time one step of a number of images; it must not return before the device has finished."""
    processor, wall = time.process_time(), time.perf_counter()
    step()
    processor, wall = time.process_time() - processor, time.perf_counter() - wall
    return Cost((processor if device.type == "cpu" else wall) / images, wall / images)
