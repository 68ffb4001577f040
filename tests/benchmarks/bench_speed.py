"""How much of what this processor can do a training step uses, and how fast a model draws; run by `make bench-speed`.

The ceiling is the best single convolution of the plan's own widths and sizes, forward, in the same run. Figures are medians over
rounds in which the contenders take turns; processor time of one thread unless MEDGAN_BENCH_THREADS says otherwise.
"""

import os
import statistics
import time

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from medgan.gan.draw import finish, latent_of
from medgan.gan.steps import Learners, update
from medgan.learn.runtime import Runtime, reseed
from medgan.plan import Overrides, decide
from medgan.workers import keep_memory
from tests.test_plan import facts

keep_memory()
torch.set_num_threads(int(os.environ.get("MEDGAN_BENCH_THREADS", "1")))
ROUNDS = 5


class Bench:
    """A plan's networks with a batch to train on."""

    def __init__(self, size, arch="repaired"):
        self.plan = decide(
            facts(rows=(size,) * 3, columns=(size,) * 3, training={"normal": 1000, "rare": 60}),
            Overrides(size=(size, size), arch=arch, device="cpu", precision="fp32"),
        )
        reseed(0, -1)
        self.runtime = Runtime("cpu", "fp32")
        self.learners = Learners(self.plan, self.runtime)
        shape = (self.plan.batch, self.plan.channels, *self.plan.size)
        self.images = self.runtime.tensor(torch.rand(shape) * 2 - 1)
        self.labels = self.runtime.tensor(torch.arange(self.plan.batch) % len(self.plan.labels))
        self.steps = max(self.plan.penalty_every, 4)

    def train(self):
        """One cycle of steps, with its share of penalties."""
        for number in range(self.steps):
            update(self.learners, self.images, self.labels, number * self.plan.batch)

    def draw(self):
        """As many images as a training cycle shows, drawn one by one as `sample` does."""
        network = self.learners.average
        for seed in range(self.steps * self.plan.batch):
            finish(network, self.plan, latent_of(self.plan, seed), self.labels[:1])

    def flops(self):
        """Floating-point operations of one cycle, from those of the forward passes.

        A backward pass costs twice its forward pass, or once where only the input needs a gradient. Generator: forward and back (3).
        Discriminator: reals and fakes forward and back (6), fakes forward and back to the image (2), reals forward (1); a penalty
        goes forward over both (2), back to the image (2), and back through both (8), once per cycle.
        """
        z = latent_of(self.plan, 0).expand(self.plan.batch, -1)
        generator = operations(lambda: self.learners.generator(z, self.labels))
        critic = operations(lambda: self.learners.critic(self.images, self.labels))
        return self.steps * (3 * generator + 9 * critic) + 12 * critic


def operations(work):
    """Floating-point operations of a forward pass."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


def convolutions(plan):
    """Every 3 x 3 convolution of equal widths in the plan: (channels, side)."""
    side = plan.size[0]
    for width in reversed(plan.widths):
        yield width, side
        side //= 2


def one_convolution(width, side, batch):
    """A call, and its operations."""
    x = torch.rand(batch, width, side, side).to(memory_format=torch.channels_last)
    kernel = torch.rand(width, width, 3, 3).to(memory_format=torch.channels_last)

    def work():
        with torch.no_grad():
            F.conv2d(x, kernel, padding=1)

    return work, 2 * batch * width * width * 9 * side * side


def seconds(work, least=0.2):
    """Processor seconds of one call, of as many calls as take `least`."""
    count, began = 0, time.process_time()
    while time.process_time() - began < least:
        work()
        count += 1
    return (time.process_time() - began) / count


@pytest.mark.parametrize("size", [32, 64])
def test_share_of_the_ceiling(size):
    bench = Bench(size)
    flops = bench.flops()
    single = {pair: one_convolution(*pair, bench.plan.batch) for pair in convolutions(bench.plan)}
    rates, best, drawn = [], [], []
    for _ in range(ROUNDS):
        best.append(max(cost / seconds(work) for work, cost in single.values()))
        rates.append(flops / seconds(bench.train))
        drawn.append(bench.steps * bench.plan.batch / seconds(bench.draw))
    shown = [rate / flops * bench.steps * bench.plan.batch for rate in rates]
    shares = [rate / ceiling for rate, ceiling in zip(rates, best, strict=True)]
    print(
        f"\n{size} px, widths {bench.plan.widths}, batch {bench.plan.batch}: {flops / bench.steps / bench.plan.batch / 1e9:.3f} GFLOP an image; "
        f"ceiling {np.median(best) / 1e9:.1f} GFLOP/s, step {np.median(rates) / 1e9:.1f} GFLOP/s = "
        f"{statistics.median(shares):.0%} ({min(shares):.0%} to {max(shares):.0%}); "
        f"{np.median(shown):.0f} images/s trained, {np.median(drawn):.0f} drawn one by one ({np.median(drawn) / np.median(shown):.1f}x)"
    )
