"""A small CNN for classifiers, its inputs, and classical augmentation.

It is small on purpose: many classifiers are trained to find out whether images help, and on sets of some
hundred images a large network does no better. It uses GroupNorm instead of batch statistics, so that the
effect of an image does not depend on which synthetic ones happen to be in its batch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

_WIDTHS = (16, 32, 64)
"""Channels of the three stages, each at half the resolution of the one before."""
_GROUPS = 8
_SHIFT = 0.08
"""Largest shift of classical augmentation, as a share of the side. There are no flips, since left and right
differ in a body."""
_ROTATION = 8.0
"""Largest rotation in degrees."""
_CONTRAST = 0.2
"""Largest change of contrast, as a share."""
_BRIGHTNESS = 0.2
"""Largest change of brightness, in standard deviations."""
WEIGHT_DECAY = 1e-2
"""Weight decay."""
EPSILON = 1e-6
"""Added to standard deviations before dividing by them."""

_Array = NDArray[np.float32]


class SmallNet(nn.Sequential):
    """Logits (N, K) of images (N, C, H, W).

    Three strided convolutions, a mean over positions and one linear layer.
    """

    def __init__(self, channels: int, classes: int) -> None:
        """Build the layers with torch's default initialisation."""
        super().__init__(*pooled_convolutions(channels, _WIDTHS), nn.Linear(_WIDTHS[-1], classes))


def pooled_convolutions(channels: int, widths: Sequence[int]) -> Iterator[nn.Module]:
    """Strided convolutions of so many channels, and a mean over positions: (N, C, H, W) to (N, D)."""
    for before, after in pairwise((channels, *widths)):
        yield nn.Conv2d(before, after, 3, stride=2, padding=1)
        yield nn.GroupNorm(_GROUPS, after)
        yield nn.ReLU()
    yield nn.AdaptiveAvgPool2d(1)
    yield nn.Flatten()


def to_inputs(pixels: _Array, side: int, like: _Array | None = None) -> Tensor:
    """Standardise images (N, C, H, W) and reduce them to a longest side of `side`.

    Mean and standard deviation are those of `like`, by default of the images themselves.
    """
    measure = pixels if like is None else like
    mean, deviation = float(measure.mean()), float(measure.std())
    return (reduce_images(pixels, side) - mean) / (deviation + EPSILON)


def reduce_images(pixels: _Array, side: int) -> Tensor:
    """Reduce images (N, C, H, W) so that no side is longer than `side`."""
    images = torch.from_numpy(np.ascontiguousarray(pixels))
    height, width = images.shape[2:]
    scale = side / max(height, width)
    if scale < 1 and len(images):
        shape = [max(round(height * scale), 1), max(round(width * scale), 1)]
        images = F.interpolate(images, size=shape, mode="bilinear", antialias=True)
    return images


@torch.inference_mode()
def predict_logits(network: nn.Module, inputs: Tensor) -> _Array:
    """Logits (N, K), computed in batches so that memory stays bounded."""
    pieces = [network(inputs[start : start + 256]).numpy() for start in range(0, len(inputs), 256)]
    return np.concatenate(pieces) if pieces else np.zeros((0, 0), np.float32)


def augment_classically(images: Tensor, rng: torch.Generator) -> Tensor:
    """Shift and rotate each image at random, and change its contrast and brightness."""
    count = len(images)

    def uniform(most: float) -> Tensor:
        """One number per image, from -most to most."""
        return (torch.rand(count, generator=rng) * 2 - 1) * most

    angle = uniform(math.radians(_ROTATION))
    height, width = images.shape[2:]
    cosine, sine = angle.cos(), angle.sin()
    # The grid is in units of half a side: a turn in pixels needs the ratio of the sides.
    upper = torch.stack([cosine, -sine * height / width, uniform(2 * _SHIFT)], dim=1)
    lower = torch.stack([sine * width / height, cosine, uniform(2 * _SHIFT)], dim=1)
    grid = F.affine_grid(torch.stack([upper, lower], dim=1), list(images.shape), align_corners=False)
    moved = F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)
    gain, offset = (1 + uniform(_CONTRAST)).view(-1, 1, 1, 1), uniform(_BRIGHTNESS).view(-1, 1, 1, 1)
    middle = moved.mean(dim=(1, 2, 3), keepdim=True)
    return (moved - middle) * gain + middle + offset
