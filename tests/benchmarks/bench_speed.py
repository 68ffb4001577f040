"""How much of the processor a training step uses, how fast a model draws, how well a probe predicts a run.

Run by `make bench NAME=speed`, which prints the tables and writes them into docs/benchmarks/engine.md.
Figures are medians over rounds in which the contenders take turns, in processor time of one thread unless
MEDGAN_BENCH_THREADS says otherwise.

The ceiling is the best single 3 x 3 convolution of the plan's own widths and sizes, in the same precision and
the same rounds: once forward alone, and once forward and back, which is what a step does with it.
"""

import os
import statistics
import time
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch
from scipy.optimize import nnls
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from medgan.base.workers import keep_memory
from medgan.commands.draw_into import resolve_form
from medgan.commands.train import train
from medgan.dataset.source import Source
from medgan.learners.gan.latents import latent_of
from medgan.learners.gan.probe import GanTrial
from medgan.learners.gan.sample import BATCH, _draw_pixels
from medgan.learners.gan.steps import update
from medgan.plan import Overrides, decide
from medgan.plan.rules import _MAX_FEATURE_SIDE
from medgan.scans import formats
from medgan.scans.scan import Provenance
from medgan.training.probe import measure_costs
from tests.test_plan import facts

keep_memory()
torch.set_num_threads(int(os.environ.get("MEDGAN_BENCH_THREADS", "1")))
PAGE = Path(__file__).parents[2] / "docs" / "benchmarks" / "engine.md"
ROUNDS = 5
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
STEPS = (
    "| network | pixels | precision | GFLOP an image | ceiling forward, GFLOP/s | ceiling forward and back "
    "| step, GFLOP/s | share of forward | share of forward and back | trained, images/s | drawn, images/s "
    "| drawn / trained |",
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
)
FORETOLD = (
    "| pixels | widths | batch | precision | foretold, ms an image | measured | foretold / measured |",
    "| --- | --- | --- | --- | --- | --- | --- |",
)
MODEL = (
    "| precision | ms per GFLOP | ms per million values | ms per thousand pixels seen | ms per stage and "
    "step | model / measured, rows unseen |",
    "| --- | --- | --- | --- | --- | --- |",
)
WRITTEN = (
    "| format | pixels | written, images/s | drawn, images/s | written / drawn |",
    "| --- | --- | --- | --- | --- |",
)
LAYOUTS = (
    "| pixels | precision | channels last, ms an image | planes, ms an image | planes / channels last |",
    "| --- | --- | --- | --- | --- |",
)
WHOLE = (
    "| data | pixels | images | precision | foretold, s | took, s | foretold / took |",
    "| --- | --- | --- | --- | --- | --- | --- |",
)
GRID = [
    (32, 1.0, 16), (32, 1.0, 32), (48, 1.0, 16), (64, 0.5, 16), (64, 1.0, 8), (64, 1.0, 16), (64, 2.0, 16),
    (96, 1.0, 16), (128, 1.0, 16),
]  # fmt: skip
"""(pixels, factor on the plan's widths, batch)."""
CYCLE = 8
"""Steps that are timed to know what one costs."""
RUNS = [
    ("chest_ct", 32, 20_000),
    ("bone_xray", 32, 16_000),
    ("bone_xray", 64, 6_000),
    ("chest_ct", 64, 16_000),
]
"""(sample data, pixels, images shown); from 15,000 on the probe tries both precisions."""


def plan_of(size, arch="repaired", precision="fp32", **wishes):
    """`adversarial` is `repaired` as a discriminator teaches it, without features."""
    if arch == "adversarial":
        arch, wishes = "repaired", {"features": "none", **wishes}
    return decide(
        facts(rows=(size,) * 3, columns=(size,) * 3, training={"normal": 1000, "rare": 60}),
        Overrides(size=(size, size), arch=arch, device="cpu", precision=precision, **wishes),
    )


def operations(work):
    """Floating-point operations of a forward pass, as they are carried out."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


def operations_of_a_step(trial):
    """Operations per image shown, from those of the forward passes.

    A backward pass costs twice its forward pass, or once where only the input needs a gradient. Generator:
    forward and back (3). Discriminator: real and fake forward and back (6), fake forward and back to the
    image (2), where the loss is relativistic also real forward (1). A penalty goes forward over both (2),
    back to the images (2), and through that way back to its weights (4). A frozen network: synthetic forward
    and back to the image (2).
    """
    plan, learners = trial.plan, trial.gan
    z = latent_of(plan, 0).expand(plan.budget.batch, -1)
    generator = operations(lambda: learners.generator(z, trial.labels)) / plan.budget.batch
    if learners.matcher is not None:
        frozen = operations(lambda: learners.matcher.features(trial.images)) / plan.budget.batch
        return 3 * generator + 2 * frozen
    critic = (
        operations(lambda: learners.discriminator.network(trial.images, trial.labels)) / plan.budget.batch
    )
    passes = 9 if plan.recipe.loss == "relativistic" else 8
    penalty = 8 / plan.recipe.penalty_every if plan.recipe.penalty_every else 0
    return 3 * generator + (passes + penalty) * critic


def single_convolutions(plan):
    """Calls of every 3 x 3 convolution of equal widths: [(forward, forward and back, operations)]."""
    side, calls = plan.frame.size[0], []
    for width in reversed(plan.recipe.widths[-4:]):
        if width > 1:
            calls.append(one_convolution(width, side, plan.budget.batch, DTYPES[plan.budget.precision]))
        side //= 2
    return calls


def one_convolution(width, side, batch, dtype):
    x = torch.rand(batch, width, side, side, dtype=dtype).contiguous(memory_format=torch.channels_last)
    kernel = torch.rand(width, width, 3, 3, dtype=dtype).contiguous(memory_format=torch.channels_last)
    x.requires_grad_(True)
    kernel.requires_grad_(True)
    slope = torch.rand_like(x)

    def forward():
        with torch.no_grad():
            F.conv2d(x, kernel, padding=1)

    def and_back():
        torch.autograd.grad(F.conv2d(x, kernel, padding=1), (x, kernel), slope)

    return forward, and_back, 2 * batch * width * width * 9 * side * side


def seconds(work, least=0.04):
    """Processor seconds of one call, of as many calls as take `least`."""
    count, began = 0, time.process_time()
    while time.process_time() - began < least:
        work()
        count += 1
    return (time.process_time() - began) / count


def drawing(trial):
    """A call that draws one batch as `sample` does, after the model's fp32."""
    network, plan = trial.gan.average, trial.plan
    z = torch.cat([latent_of(plan, seed) for seed in range(BATCH)])
    labels = torch.zeros(BATCH, dtype=torch.int64)
    return lambda: _draw_pixels(network, plan, z, labels)


def spread(values, form):
    """Median and range."""
    return f"{statistics.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def measured_step(arch, size, precision):
    """One row of the first table."""
    trial = GanTrial(plan_of(size, arch, precision))
    flops, calls, draw = operations_of_a_step(trial), single_convolutions(trial.plan), drawing(trial)
    for work in (trial.round, draw, *(call for pair in calls for call in pair[:2])):
        work()
    forward, both, step, drawn = [], [], [], []
    for _ in range(ROUNDS):
        forward.append(max(cost / seconds(call) for call, _, cost in calls))
        both.append(max(3 * cost / seconds(call) for _, call, cost in calls))
        step.append(flops / trial.round().processor)
        drawn.append(BATCH / seconds(draw))
    of_forward = [a / b for a, b in zip(step, forward, strict=True)]
    of_both = [a / b for a, b in zip(step, both, strict=True)]
    trained = statistics.median(step) / flops
    return (
        f"| {arch} | {size} | {precision} | {flops / 1e9:.2f} | {np.median(forward) / 1e9:.0f} | "
        f"{np.median(both) / 1e9:.0f} | {np.median(step) / 1e9:.0f} | {spread(of_forward, '.0%')} "
        f"| {spread(of_both, '.0%')} | {trained:.0f} | {np.median(drawn):.0f} "
        f"| {np.median(drawn) / trained:.1f} |"
    )


def foretold_and_measured(size, factor, batch):
    """[(plan, what the probe says, what a cycle of steps costs)] in both precisions, ms of processor time
    an image.
    """
    plan = plan_of(size, batch=batch)
    plan = plan.replace(widths=tuple(int(width * factor) for width in plan.recipe.widths))
    found = []
    for precision, cost in measure_costs(GanTrial, plan, DTYPES).items():
        trial = GanTrial(plan.replace(precision=precision))
        trial.round()
        began = time.process_time()
        for number in range(CYCLE):
            update(trial.gan, trial.images, trial.labels, number * batch)
        spent = (time.process_time() - began) / CYCLE / batch
        found.append((trial.plan, 1000 * cost.processor, 1000 * spent))
    return found


def regressors(size, widths, batch):
    """What the cost of an image follows: operations of a convolution at every side, values written there,
    what the frozen network sees, and the start of every call.
    """
    stages = [(width, size >> stage) for stage, width in enumerate(reversed(widths))]
    multiplied = sum(18e-9 * width**2 * side**2 for width, side in stages)
    written = sum(1e-6 * width * side**2 for width, side in stages)
    seen = min(2 * size, _MAX_FEATURE_SIDE)
    return [multiplied, written, 1e-3 * seen**2, len(widths) / batch]


def fitted(rows):
    """A model of [(regressors, ms an image)] by least squares of relative errors, its numbers not negative;
    and, for every row, what a model fitted to the others makes of it, as a share of what was measured.
    """
    table = np.array([row for row, _ in rows]) / np.array([[cost] for _, cost in rows])
    ones = np.ones(len(rows))
    unseen = [
        float(table[n] @ nnls(np.delete(table, n, axis=0), np.delete(ones, n))[0]) for n in range(len(rows))
    ]
    return nnls(table, ones)[0], unseen


def write(name, head, rows, keys):
    """Put rows into the page's table, in place of those whose first `keys` cells are equal; print them."""

    def key_of(row):
        return row.split("|")[1 : 1 + keys]

    print("", *rows, sep="\n")
    start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->\n"
    before, _, rest = PAGE.read_text("utf-8").partition(start)
    there, found, after = rest.partition(end)
    assert found
    new = [key_of(row) for row in rows]
    kept = [
        row
        for row in there.splitlines()
        if row.startswith("|") and row not in head and key_of(row) not in new
    ]
    text = "\n".join([*head, *sorted([*kept, *rows], key=key_of)])
    PAGE.write_text(f"{before}{start}{text}\n{end}{after}", encoding="utf-8")


@pytest.mark.parametrize("precision", DTYPES)
@pytest.mark.parametrize("size", [32, 64])
@pytest.mark.parametrize("arch", ["repaired", "adversarial", "dcgan"])
def test_share_of_the_ceiling(arch, size, precision):
    write("engine", STEPS, [measured_step(arch, size, precision)], 3)


@pytest.mark.parametrize("precision", DTYPES)
@pytest.mark.parametrize("size", [32, 64])
def test_channels_last_beside_planes(size, precision):
    """All that asks for `torch.channels_last` gets planes instead, one channel after the other."""
    plan, found = plan_of(size, precision=precision), {"channels_last": [], "contiguous_format": []}
    trials = {}
    for name in found:
        with patch("torch.channels_last", getattr(torch, name)):
            trials[name] = GanTrial(plan)
            trials[name].round()
    for _ in range(ROUNDS):
        for name, costs_of in found.items():
            with patch("torch.channels_last", getattr(torch, name)):
                costs_of.append(1000 * trials[name].round().processor)
    ours, planes = found.values()
    ratios = [b / a for a, b in zip(ours, planes, strict=True)]
    row = (
        f"| {size} | {precision} | {np.median(ours):.1f} | {np.median(planes):.1f} | "
        f"{spread(ratios, '.2f')} |"
    )
    write("layouts", LAYOUTS, [row], 2)


@pytest.mark.parametrize("size", [64])
def test_writing_beside_drawing(size, tmp_path):
    trial = GanTrial(plan_of(size))
    draw, pixels = drawing(trial), np.random.default_rng(0).random((size, size), np.float32)
    rows = []
    for kind in ("png", "dicom", "nifti"):
        form, written, drawn = resolve_form(trial.plan.frame.form, kind), [], []
        for _ in range(ROUNDS):
            numbers = iter(range(10**6))

            def write_one(form=form, numbers=numbers):
                number = next(numbers)
                mark = Provenance(synthetic=True, label="rare", index=number + 1, seed=number, model="0" * 64)
                formats.write(tmp_path / f"{form.format}{number}", pixels, form, mark)

            written.append(1 / seconds(write_one, 0.1))
            drawn.append(BATCH / seconds(draw, 0.1))
        ratios = [a / b for a, b in zip(written, drawn, strict=True)]
        rows.append(
            f"| {kind} | {size} | {np.median(written):.0f} | {np.median(drawn):.0f} | "
            f"{spread(ratios, '.1f')} |"
        )
    write("writing", WRITTEN, rows, 2)


@pytest.mark.parametrize(("size", "factor", "batch"), GRID)
def test_what_a_probe_foretells(size, factor, batch):
    found = foretold_and_measured(size, factor, batch)
    rows = [
        (
            f"| {size} | {', '.join(map(str, plan.recipe.widths))} | {batch} | {plan.budget.precision} "
            f"| {said:.1f} | {spent:.1f} | {said / spent:.2f} |"
        )
        for plan, said, spent in found
    ]
    write("foretold", FORETOLD, rows, 4)
    assert all(0.75 <= said / spent <= 1.25 for _, said, spent in found), rows


@pytest.mark.parametrize("precision", DTYPES)
def test_a_model_of_the_cost(precision):
    cells = [[cell.strip() for cell in row.split("|")] for row in PAGE.read_text("utf-8").splitlines()]
    rows = [
        (regressors(int(row[1]), [int(width) for width in row[2].split(",")], int(row[3])), float(row[6]))
        for row in cells
        if row[4:5] == [precision] and "," in row[2]
    ]
    if len(rows) < len(GRID):
        pytest.skip("a model needs every row that the test before measures")
    model, unseen = fitted(rows)
    numbers = " | ".join(f"{number:.2f}" for number in model)
    write("model", MODEL, [f"| {precision} | {numbers} | {spread(unseen, '.2f')} |"], 1)


@pytest.mark.parametrize(("name", "size", "images"), RUNS)
def test_what_a_dry_run_foretells(name, size, images, tmp_path, monkeypatch):
    monkeypatch.setenv("MEDGAN_CACHE", str(tmp_path / "cache"))
    source = Source(path=PAGE.parents[2] / "sample_data" / name)
    wish = Overrides(size=(size, size), images=images, device="cpu")
    said = train(source, tmp_path / "run", overrides=wish, dry_run=True)
    precision = said.plan["precision"]["value"]
    took = train(source, tmp_path / "run", overrides=replace(wish, precision=precision))
    ratio = said.estimate_seconds / took.seconds
    row = (
        f"| {name} | {size} | {images:,} | {precision} | {said.estimate_seconds:.0f} | "
        f"{took.seconds:.0f} | {ratio:.2f} |"
    )
    write("whole", WHOLE, [row], 3)
    assert 0.75 <= ratio <= 1.25, row
