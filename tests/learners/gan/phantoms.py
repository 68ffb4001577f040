"""Tiny plans and stacks in memory, on which a network learns within seconds."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch

from medgan.learners.gan.feature_matching import ClassImages
from medgan.plan import Budget, Frame, Plan, Recipe
from medgan.preparation.stack import Stack
from medgan.scans.scan import OutputFormat
from medgan.training.batches import TrainingRows, class_images


def tiny_plan(**changes: Any) -> Plan:
    """A 16 x 12 pixel plan of two classes."""
    frame = Frame(
        labels=("left", "right"),
        size=(16, 12),
        channels=1,
        geometry="stretch",
        mm_per_pixel=None,
        form=OutputFormat(format="png", low=0, high=255, unit="stored"),
    )
    recipe = Recipe(
        arch="repaired",
        base=(4, 3),
        latent=8,
        noise="normal",
        widths=(12, 8, 8),
        feature_resolution=32,
        loss="relativistic",
        rate=2e-3,
        rate_end=5e-4,
        betas=(0.0, 0.99),
        penalty=1.0,
        penalty_end=0.1,
        penalty_every=4,
        ema=32.0,
        augment=1.0,
        guarded=True,
        condition=(0.3, 0.55),
    )
    budget = Budget(
        batch=8,
        images_shown=160,
        tick=40,
        device="cpu",
        precision="fp32",
        seed=3,
    )
    plan = Plan(frame=frame, recipe=recipe, budget=budget, why={"seed": "override: as asked"})
    return plan.replace(**changes)


def dcgan_plan(**changes: Any) -> Plan:
    """The same for the architecture of 2015."""
    settings: dict[str, Any] = {
        "arch": "dcgan",
        "widths": (16, 8, 1),
        "loss": "bce",
        "betas": (0.5, 0.999),
        "penalty": 0.0,
        "penalty_end": 0.0,
        "penalty_every": 0,
        "ema": 0.0,
        "augment": 0.0,
        "guarded": False,
        "condition": (0.0, 0.0),
    }
    return tiny_plan(**(settings | changes))


def cascade_plan(**changes: Any) -> Plan:
    """A plan of 32 x 24 pixels with a detail stage on layouts of 16 x 12."""
    settings: dict[str, Any] = {
        "size": (32, 24),
        "detail_widths": (8, 8),
        "detail_noise": 2,
        "detail_patch": 16,
        "detail_penalty": 0.05,
    }
    return tiny_plan(**(settings | changes))


def tiny_stack(count: int = 24, size: tuple[int, int] = (16, 12), channels: int = 1) -> Stack:
    """Images whose left or right half is bright, as their label says, with noise."""
    rng = np.random.default_rng(0)
    labels = np.arange(count, dtype=np.int64) % 2
    pixels = rng.uniform(0.0, 0.2, (count, channels, *size))
    half = size[1] // 2
    for number, label in enumerate(labels):
        columns = slice(half, None) if label else slice(0, half)
        pixels[number, :, :, columns] += rng.uniform(0.5, 0.8)
    return Stack(
        pixels=(pixels * 65535).astype(np.uint16),
        labels=labels,
        names=("left", "right"),
        records=np.arange(count, dtype=np.int64),
        patients=np.array([f"{number:016x}" for number in range(count)]),
        slices=np.zeros(count, np.int64),
        digest="0" * 64,
    )


def discs(traits: torch.Tensor, size: tuple[int, int] = (16, 12)) -> torch.Tensor:
    """Soft discs before a cloudy ground (N, 1, H, W) in [0, 1]: place, size and clouds by `traits` (N, 8),
    standard normal."""
    height, width = size
    y, x = torch.arange(height)[:, None] / height, torch.arange(width)[None] / width
    down, across, wide = (traits[:, n, None, None] for n in range(3))
    apart = (y - 0.5 - 0.15 * down) ** 2 + (x - 0.5 - 0.15 * across) ** 2
    waves = torch.stack(
        [torch.cos(torch.pi * (a * y + b * x)) for a, b in ((1, 0), (0, 1), (1, 1), (2, 0), (0, 2))]
    )
    clouds = torch.einsum("nk,khw->nhw", traits[:, 3:], waves)
    images = 0.3 + 0.06 * clouds + 0.5 * torch.exp(-apart / (0.02 + 0.01 * torch.sigmoid(wide)))
    return images.clamp(0, 1)[:, None]


def disc_stack(count: int, *, patients: int | None = None) -> Stack:
    """Discs of two classes alike, of as many patients as images unless said otherwise: no two images are the
    same."""
    stack = tiny_stack(count)
    images = discs(torch.randn(count, 8, generator=torch.Generator().manual_seed(0)))
    owners = np.arange(count) % (patients or count)
    return dataclasses.replace(
        stack,
        pixels=(images.numpy() * 65535).astype(np.uint16),
        patients=np.array([f"{number * 7919 % 104729:016x}" for number in owners]),
    )


def matched_plan(**changes: Any) -> Plan:
    """A tiny plan that learns by features alone, unless `changes` give a discriminator a part."""
    settings: dict[str, Any] = {
        "features": "lite0",
        "matching": 1.0,
        "adversary": 0.0,
        "group": 4,
        "evenness": 1.0,
        "condition": (0.0, 0.0),
        "stride": 2.0,
    }
    if not changes.get("adversary"):
        settings |= {"loss": "none", "penalty": 0.0, "penalty_end": 0.0, "penalty_every": 0, "augment": 0.0}
    return tiny_plan(**(settings | changes))


def known(plan: Plan) -> ClassImages:
    """The images of each class of such a stack, as networks that begin with them take them."""
    return class_images(
        TrainingRows.of(
            tiny_stack(size=(plan.frame.size[0], plan.frame.size[1]), channels=plan.frame.channels)
        ),
        plan,
    )


ABOUT = {"data_digest": "d" * 64, "counts": {"left": 12, "right": 12}}
