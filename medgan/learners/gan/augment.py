"""Images -> images as the discriminator sees them: differentiable shift, cutout, brightness and contrast.

After DiffAugment (arXiv 2006.10738), for one or three channels of any shape. No flips and no colour: a heart belongs on its side,
and a Hounsfield unit on its scale. Real and fake images pass through the same code, so the generator never has to draw an edge,
a hole or a shift to fool the discriminator.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from medgan.training.runtime import per_image

SHIFT = 0.125
"""Largest shift, as a share of the side."""
CUTOUT = 0.2
"""Side of the square cut out, as a share of the image's side."""
CUTOUT_CHANCE = 0.5
"""Share of the images that lose a square."""
BRIGHTNESS = 0.2
"""Largest change of brightness, on the scale of -1 to 1."""
CONTRAST = 0.2
"""Largest change of contrast, as a share."""


def augment(images: Tensor, strength: float) -> Tensor:
    """Change images (N, C, H, W) at random by torch's own generator; `strength` 0 gives them back untouched."""
    if strength == 0:
        return images
    return cutout(shift(contrast(brightness(images, strength), strength), strength), strength)


def brightness(images: Tensor, strength: float) -> Tensor:
    """Add one number per image."""
    return images + (uniform(images) * BRIGHTNESS * strength)


def contrast(images: Tensor, strength: float) -> Tensor:
    """Multiply each image's distance from its own mean by one number."""
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return (images - mean) * (1 + uniform(images) * CONTRAST * strength) + mean


def shift(images: Tensor, strength: float) -> Tensor:
    """Move each image by whole pixels, its border mirrored."""
    count, _, height, width = images.shape
    reach_y, reach_x = (max(int(side * SHIFT * strength + 0.5), 1) for side in (height, width))
    padded = F.pad(images, (reach_x, reach_x, reach_y, reach_y), mode="reflect")
    top = whole_numbers(2 * reach_y + 1, images)
    left = whole_numbers(2 * reach_x + 1, images)
    rows = top + torch.arange(height, device=images.device)  # (N, H)
    columns = left + torch.arange(width, device=images.device)  # (N, W)
    which = torch.arange(count, device=images.device)[:, None, None]
    moved = padded.permute(0, 2, 3, 1)[which, rows[:, :, None], columns[:, None, :]]  # (N, H, W, C)
    return moved.permute(0, 3, 1, 2)


def cutout(images: Tensor, strength: float) -> Tensor:
    """Set one rectangle per image to 0 (mid-range) in half of the images."""
    count, _, height, width = images.shape
    half_y, half_x = height * CUTOUT * strength / 2, width * CUTOUT * strength / 2
    centre = per_image(lambda n: torch.rand(n, 2, device=images.device), count)
    rows = torch.arange(height, device=images.device)[None]
    columns = torch.arange(width, device=images.device)[None]
    inside_y = (rows - centre[:, :1] * height).abs() <= half_y  # (N, H)
    inside_x = (columns - centre[:, 1:] * width).abs() <= half_x  # (N, W)
    cut = per_image(lambda n: torch.rand(n, 1, 1, device=images.device), count) < CUTOUT_CHANCE
    hole = (inside_y[:, :, None] & inside_x[:, None, :] & cut)[:, None]
    return images.masked_fill(hole, 0.0)


def uniform(images: Tensor) -> Tensor:
    """One number in [-1, 1) per image, (N, 1, 1, 1)."""
    device, dtype = images.device, images.dtype
    return per_image(lambda n: torch.rand(n, 1, 1, 1, device=device, dtype=dtype), len(images)) * 2 - 1


def whole_numbers(below: int, images: Tensor) -> Tensor:
    """One whole number from 0 to `below` - 1 per image, (N, 1)."""
    return per_image(lambda n: torch.randint(0, below, (n, 1), device=images.device), len(images))
