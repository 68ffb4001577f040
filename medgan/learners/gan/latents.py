"""Draw the random numbers from which a generator draws, by the kind of noise of the plan."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from medgan.plan import Plan
from medgan.training.runtime import random_per_image


def draw_latents(plan: Plan, count: int, device: torch.device, numbers: int | None = None) -> Tensor:
    """Draw vectors (count, numbers) with torch's global generator, in training.

    `numbers` are those of a latent unless said otherwise.
    """
    length = plan.recipe.latent if numbers is None else numbers
    return random_per_image(lambda n: _noise(plan, (n, length), device=device), count)


def latent_of(plan: Plan, seed: int) -> Tensor:
    """All numbers (1, latent_numbers) of a seed, made on the CPU so that all devices get the same."""
    rng = torch.Generator().manual_seed(seed)
    return _noise(plan, (1, plan.recipe.latent_numbers), generator=rng)


def _noise(plan: Plan, shape: tuple[int, int], **where: Any) -> Tensor:
    """Numbers of the plan's kind of noise: normal, or uniform from -1 to 1."""
    if plan.recipe.noise == "uniform":
        return torch.rand(shape, **where) * 2 - 1
    return torch.randn(shape, **where)
