"""Draw the random numbers from which a generator draws, in training."""

from __future__ import annotations

import torch
from torch import Tensor

from medgan.plan import Plan
from medgan.training.runtime import random_per_image


def draw_latents(plan: Plan, count: int, device: torch.device, numbers: int | None = None) -> Tensor:
    """Draw vectors (count, numbers) of the plan's noise with torch's global generator.

    `numbers` are those of a latent unless said otherwise.
    """
    length = plan.recipe.latent if numbers is None else numbers
    if plan.recipe.noise == "uniform":
        return random_per_image(lambda n: torch.rand(n, length, device=device), count) * 2 - 1
    return random_per_image(lambda n: torch.randn(n, length, device=device), count)
