"""Images -> what the small network is given, varied or as it is; the network and images -> logits (N, K).

Small on purpose: whether images help is asked of many classifiers, and on sets of some hundred images a large one does no better.
No batch statistics (GroupNorm): what an image counts for must not depend on which synthetic ones happen to be beside it.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

_WIDTHS = (16, 32, 64)
"""Channels of the three stages, each at half the resolution of the one before."""
_GROUPS = 8
_SHIFT, _ROTATION, _CONTRAST, _BRIGHTNESS = 0.08, 8.0, 0.2, 0.2
"""Classical augmentation at most: shift (share of a side), rotation (degrees), contrast (share), brightness (standard deviations).
No flips: left and right mean something in a body."""
WEIGHT_DECAY = 1e-2
"""Weight decay."""
EPSILON = 1e-6

_Array = NDArray[np.float32]


class SmallNet(nn.Sequential):
    """Images (N, C, H, W) -> logits (N, K): three strided convolutions, a mean over places, one linear layer."""

    def __init__(self, channels: int, classes: int) -> None:
        """Weights as torch starts them."""
        stages: list[nn.Module] = []
        for wide in _WIDTHS:
            stages += [
                nn.Conv2d(channels, wide, 3, stride=2, padding=1),
                nn.GroupNorm(_GROUPS, wide),
                nn.ReLU(),
            ]
            channels = wide
        super().__init__(*stages, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))


def to_inputs(pixels: _Array, side: int, like: _Array | None = None) -> Tensor:
    """Images (N, C, H, W), the longest side at most `side`, with mean 0 and deviation 1 over `like` (default: themselves)."""
    measure = pixels if like is None else like
    mean, deviation = float(measure.mean()), float(measure.std())
    images = torch.from_numpy(np.ascontiguousarray(pixels))
    height, width = images.shape[2:]
    scale = side / max(height, width)
    if scale < 1 and len(images):
        shape = [max(round(height * scale), 1), max(round(width * scale), 1)]
        images = F.interpolate(images, size=shape, mode="bilinear", antialias=True)
    return (images - mean) / (deviation + EPSILON)


def standardise(features: _Array, like: _Array) -> Tensor:
    """Feature vectors (N, D) with mean 0 and deviation 1 over `like` in every feature."""
    return torch.from_numpy((features - like.mean(axis=0)) / (like.std(axis=0) + EPSILON))


@torch.inference_mode()
def predict_logits(network: nn.Module, inputs: Tensor) -> _Array:
    """(N, K), whole numbers of batches at a time so that memory stays bounded."""
    pieces = [network(inputs[start : start + 256]).numpy() for start in range(0, len(inputs), 256)]
    return np.concatenate(pieces) if pieces else np.zeros((0, 0), np.float32)


def augment_classically(images: Tensor, chance: torch.Generator) -> Tensor:
    """Classical augmentation that leaves anatomy possible: each image shifted, turned and changed in contrast and brightness a little."""
    count = len(images)

    def drawn(most: float) -> Tensor:
        return (torch.rand(count, generator=chance) * 2 - 1) * most

    angle = drawn(math.radians(_ROTATION))
    height, width = images.shape[2:]
    cosine, sine = angle.cos(), angle.sin()
    # The grid is in units of half a side: a turn in pixels needs the ratio of the sides.
    upper = torch.stack([cosine, -sine * height / width, drawn(2 * _SHIFT)], dim=1)
    lower = torch.stack([sine * width / height, cosine, drawn(2 * _SHIFT)], dim=1)
    grid = F.affine_grid(torch.stack([upper, lower], dim=1), list(images.shape), align_corners=False)
    moved = F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)
    gain, offset = (1 + drawn(_CONTRAST)).view(-1, 1, 1, 1), drawn(_BRIGHTNESS).view(-1, 1, 1, 1)
    middle = moved.mean(dim=(1, 2, 3), keepdim=True)
    return (moved - middle) * gain + middle + offset
