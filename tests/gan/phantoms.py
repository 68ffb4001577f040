"""Tiny plans and stacks in memory, on which a network learns within seconds."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from medgan.plan import Plan
from medgan.prepare import Stack
from medgan.scans.scan import Form


def tiny_plan(**changes: Any) -> Plan:
    """A 16 x 12 pixel plan of two classes."""
    plan = Plan(
        labels=("left", "right"),
        arch="repaired",
        size=(16, 12),
        base=(4, 3),
        channels=1,
        geometry="stretch",
        mm_per_pixel=None,
        form=Form(format="png", low=0, high=255, unit="stored"),
        latent=8,
        noise="normal",
        widths=(12, 8, 8),
        batch=8,
        images_shown=160,
        loss="relativistic",
        rate=2e-3,
        rate_end=5e-4,
        betas=(0.0, 0.99),
        penalty=1.0,
        penalty_end=0.1,
        penalty_every=4,
        ema=32.0,
        augment=1.0,
        condition=(0.3, 0.55),
        tick=40,
        precision="fp32",
        device="cpu",
        seed=3,
        why={"seed": "override: as asked"},
    )
    return dataclasses.replace(plan, **changes)


def dcgan_plan(**changes: Any) -> Plan:
    """The same for the architecture of 2015."""
    settings: dict[str, Any] = {
        "arch": "dcgan", "widths": (16, 8, 1), "loss": "bce", "betas": (0.5, 0.999), "penalty": 0.0, "penalty_end": 0.0,
        "penalty_every": 0, "ema": 0.0, "augment": 0.0, "condition": (0.0, 0.0),
    }  # fmt: skip
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


ABOUT = {"data_digest": "d" * 64, "counts": {"left": 12, "right": 12}}
