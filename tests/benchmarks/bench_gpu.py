"""How fast a GPU trains, plain and by CUDA graphs, and how much of the time its kernels fill.

Run by `make bench NAME=gpu` on a machine with a CUDA device, which prints the table and writes it into
docs/benchmarks/engine.md. Rounds of some seconds of the very step on random images, one contender after the
other; medians over rounds, spread in brackets.
"""

import os
import statistics
import time

import pytest
import torch

from medgan.learners.gan.probe import GanTrial
from medgan.plan import Overrides, decide
from tests.benchmarks.bench_speed import spread, write
from tests.test_plan import facts

DEVICE = os.environ.get("MEDGAN_BENCH_DEVICE", "cuda")
"""Where to run: "cpu" only to see that the bench itself works."""
ROUNDS, SECONDS, WARM, PROFILED = 5, 3.0, 5, 20
SIZES = (64, 128)
RUN = 300_000
"""Images of a long run."""
QUARTER = 90_000
"""Images one processor core shows in a quarter of an hour at 64 pixels (docs/benchmarks/generator.md)."""
HEAD = (
    "| device | pixels | precision | CUDA graphs | images/s | kernels fill | minutes for 300,000 images | "
    "seconds for 90,000 |",
    "| --- | --- | --- | --- | --- | --- | --- | --- |",
)
pytestmark = pytest.mark.skipif(DEVICE == "cuda" and not torch.cuda.is_available(), reason="no CUDA device")


def images_per_second(trial):
    """Of one round."""
    steps, began = 0, time.perf_counter()
    while time.perf_counter() - began < SECONDS:
        trial.step(steps)
        steps += 1
    return steps * trial.plan.budget.batch / (time.perf_counter() - began)


def filled(trial):
    """Share of the time in which a kernel runs, in words; nothing is known of a processor."""
    if DEVICE != "cuda":
        return "-"
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        began = time.perf_counter()
        for number in range(PROFILED):
            trial.step(number)
        took = time.perf_counter() - began
    kernels = sum(event.self_device_time_total for event in profile.key_averages()) / 1e6
    return f"{kernels / took:.0%}"


@pytest.mark.parametrize("graphed", [False, True])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("size", SIZES)
def test_training_on_a_gpu(size, precision, graphed):
    known = facts(rows=(size,) * 3, columns=(size,) * 3, training={"normal": 1000, "rare": 60})
    wish = Overrides(size=(size, size), device=DEVICE, precision=precision, cuda_graphs=graphed)
    trial = GanTrial(decide(known, wish))
    for number in range(WARM):
        trial.step(number)
    rates = [images_per_second(trial) for _ in range(ROUNDS)]
    rate = statistics.median(rates)
    name = torch.cuda.get_device_name() if DEVICE == "cuda" else DEVICE
    row = (
        f"| {name} | {size} | {precision} | {'yes' if graphed else 'no'} | {spread(rates, '.0f')} | "
        f"{filled(trial)} | {RUN / rate / 60:.1f} | {QUARTER / rate:.0f} |"
    )
    write("gpu", HEAD, [row], 4)
