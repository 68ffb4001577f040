"""Differentiable augmentation of the discriminator's images.

Shift, cutout, brightness and contrast follow DiffAugment (arXiv 2006.10738), for one or three channels of any
size. There are no flips and no colour changes: a heart belongs on its side, and a Hounsfield unit on its
scale. Real and fake images are augmented by the same code, so the generator never has to draw an edge, a hole
or a shift to fool the discriminator.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from medgan.training.runtime import random_per_image

_SHIFT = 0.125
"""Largest shift, as a share of the side."""
_CUTOUT = 0.2
"""Side of the rectangle that is cut out, as a share of the image's side."""
_CUTOUT_PROBABILITY = 0.5
"""Probability that an image loses a rectangle."""
_BRIGHTNESS = 0.2
"""Largest change of brightness, on the scale of -1 to 1."""
_CONTRAST = 0.2
"""Largest change of contrast, as a share."""


def augment(images: Tensor, strength: float) -> Tensor:
    """Augment images (N, C, H, W) at random, with torch's global generator.

    A `strength` of 0 returns them unchanged; 1 is the published strength.
    """
    if strength == 0:
        return images
    return _cut_out(
        _shift_images(_vary_contrast(_vary_brightness(images, strength), strength), strength), strength
    )


def _vary_brightness(images: Tensor, strength: float) -> Tensor:
    """Add a random number to each image."""
    return images + (_uniform_per_image(images) * _BRIGHTNESS * strength)


def _vary_contrast(images: Tensor, strength: float) -> Tensor:
    """Multiply each image's deviation from its own mean by a random factor."""
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return (images - mean) * (1 + _uniform_per_image(images) * _CONTRAST * strength) + mean


def _shift_images(images: Tensor, strength: float) -> Tensor:
    """Shift each image by whole pixels, reflecting its border."""
    count, _, height, width = images.shape
    reach_y, reach_x = (max(int(side * _SHIFT * strength + 0.5), 1) for side in (height, width))
    padded = F.pad(images, (reach_x, reach_x, reach_y, reach_y), mode="reflect")
    top = _integers_per_image(2 * reach_y + 1, images)
    left = _integers_per_image(2 * reach_x + 1, images)
    rows = top + torch.arange(height, device=images.device)  # (N, H)
    columns = left + torch.arange(width, device=images.device)  # (N, W)
    which = torch.arange(count, device=images.device)[:, None, None]
    moved = padded.permute(0, 2, 3, 1)[which, rows[:, :, None], columns[:, None, :]]  # (N, H, W, C)
    return moved.permute(0, 3, 1, 2)


def _cut_out(images: Tensor, strength: float) -> Tensor:
    """Set a random rectangle to 0, the middle of the range, in half of the images."""
    count, _, height, width = images.shape
    half_y, half_x = height * _CUTOUT * strength / 2, width * _CUTOUT * strength / 2
    centre = random_per_image(lambda n: torch.rand(n, 2, device=images.device), count)
    rows = torch.arange(height, device=images.device)[None]
    columns = torch.arange(width, device=images.device)[None]
    inside_y = (rows - centre[:, :1] * height).abs() <= half_y  # (N, H)
    inside_x = (columns - centre[:, 1:] * width).abs() <= half_x  # (N, W)
    cut = random_per_image(lambda n: torch.rand(n, 1, 1, device=images.device), count) < _CUTOUT_PROBABILITY
    hole = (inside_y[:, :, None] & inside_x[:, None, :] & cut)[:, None]
    return images.masked_fill(hole, 0.0)


def _uniform_per_image(images: Tensor) -> Tensor:
    """One number in [-1, 1) per image, (N, 1, 1, 1)."""
    device, dtype = images.device, images.dtype
    return random_per_image(lambda n: torch.rand(n, 1, 1, 1, device=device, dtype=dtype), len(images)) * 2 - 1


def _integers_per_image(below: int, images: Tensor) -> Tensor:
    """One whole number from 0 to `below` - 1 per image, (N, 1)."""
    return random_per_image(lambda n: torch.randint(0, below, (n, 1), device=images.device), len(images))
