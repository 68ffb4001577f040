"""Augmentation must not leak: generated holes, place, contrast and brightness are those of real images."""

from __future__ import annotations

import pytest
import torch

from medgan.learners.gan.augment import augment
from medgan.learners.gan.guards import _STRONGEST
from medgan.learners.gan.latents import draw_latents
from medgan.learners.gan.steps import GanState, update
from medgan.training.runtime import Runtime, reseed
from tests.learners.gan.phantoms import known, tiny_plan

SIDE, STEPS = 16, 500
PLAN = tiny_plan(
    labels=("block",),
    size=(SIDE, SIDE),
    base=(4, 4),
    widths=(24, 16, 12),
    batch=16,
    images_shown=16 * STEPS,
    condition=(0.0, 0.0),
)
BLOCK = slice(4, 12)
LEAK = 0.35
"""Share of augmentation's effect above which it has leaked; what is below is a generator's own inaccuracy."""


def phantoms(count):
    """A block, always in the middle, always as bright, never with a hole; it is lit from a direction of its
    own: (N, 1, H, W) in [-1, 1]."""
    images = torch.full((count, 1, SIDE, SIDE), -0.7)
    slope = torch.linspace(-0.15, 0.15, 8)
    angle = torch.rand(count, 1, 1) * 2 * torch.pi
    images[:, 0, BLOCK, BLOCK] = 0.7 + angle.cos() * slope + angle.sin() * slope[:, None]
    return images + 0.03 * torch.randn_like(images)


def statistics(images):
    """What augmentation would change, of images (N, 1, H, W): each a number per set that is about 0 for the
    phantoms."""
    block = images[:, 0, BLOCK, BLOCK]
    patches = torch.nn.functional.avg_pool2d(block[:, None], 2)
    ramp = torch.arange(SIDE) - (SIDE - 1) / 2
    mass = (images[:, 0] + 0.7).clamp(min=0)
    across, down = ((mass.sum(dim=axis) * ramp).sum(dim=1) / mass.sum(dim=(1, 2)) for axis in (1, 2))
    outside = torch.cat([images[:, 0, :3].flatten(1), images[:, 0, -3:].flatten(1)], dim=1).mean(dim=1)
    inside = block.mean(dim=(1, 2))
    return {
        "holes": float((patches.amin(dim=(1, 2, 3)) < 0.3).double().mean()),
        "shift in pixels": float((across.var() + down.var()).sqrt()),
        "spread of contrast": float((inside - outside).std()),
        "spread of brightness": float((inside + outside).std()),
    }


def taught(strength, *, leaking):
    """Statistics of what a generator draws that learned from phantoms; `leaking`: augmentation touches the
    real images alone."""
    reseed(0, -1)
    learners = GanState(PLAN, Runtime("cpu", "fp32"), known(PLAN))
    learners.strength = 0.0 if leaking else strength
    for step in range(STEPS):
        reseed(0, step)
        real = phantoms(PLAN.budget.batch)
        real = augment(real, strength) if leaking else real
        update(learners, real, torch.zeros(PLAN.budget.batch, dtype=torch.int64), step * PLAN.budget.batch)
    reseed(0, -2)
    with torch.inference_mode():
        z = draw_latents(PLAN, 200, torch.device("cpu"))
        return statistics(learners.average(z, torch.zeros(200, dtype=torch.int64)).clamp(-1, 1))


def leaked(found, strength):
    """{statistic: how far it has come from that of real images (0) to that of augmented ones (1)}."""
    torch.manual_seed(0)
    real, changed = statistics(phantoms(500)), statistics(augment(phantoms(500), strength))
    assert all(changed[name] > 10 * real[name] for name in real), "augmentation changes what is measured"
    return {name: (found[name] - real[name]) / (changed[name] - real[name]) for name in real}


@pytest.mark.slow
def test_samples_have_no_holes_shifts_or_contrasts_of_augmentation_even_at_the_guards_bound():
    shares = leaked(taught(_STRONGEST, leaking=False), _STRONGEST)
    assert max(shares.values()) < LEAK, shares


@pytest.mark.slow
def test_a_leak_is_caught_by_the_same_statistics():
    shares = leaked(taught(1.0, leaking=True), 1.0)
    assert min(shares.values()) > LEAK, shares
    assert shares["holes"] > 0.6, shares
    assert shares["shift in pixels"] > 0.6, shares
