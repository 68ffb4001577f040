"""Cheap image descriptors for the guards of training, without weights.

They describe what lies where, and how rough it is. Guards have feature spaces of their own, so that a
checkpoint is not chosen by the very numbers that `evaluate` reports on it afterwards.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_SIDE = 16
"""Cells per side of a thumbnail: anatomy shows, noise is averaged away."""
_GRID = 4
"""Cells per side in which a signature takes mean and roughness."""
_LEVELS = (0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99)
_OCTAVES = 4
"""Largest number of times the wavelet halves the image."""
_TINY = 1e-6


def thumbnails(images: Tensor) -> Tensor:
    """Reduced images (N, C * h * w), with at most _SIDE cells a side."""
    height, width = (min(side, _SIDE) for side in images.shape[2:])
    return F.adaptive_avg_pool2d(images, (height, width)).flatten(1)


def signatures(images: Tensor) -> Tensor:
    """Descriptors (N, D) of images (N, C, H, W) in [-1, 1].

    They are quantiles of the histogram, mean and roughness in _GRID x _GRID cells, and energies of a Haar
    wavelet.
    """
    gray = images.mean(dim=1, keepdim=True)
    levels = torch.quantile(gray.flatten(1), gray.new_tensor(_LEVELS), dim=1).T
    means = F.adaptive_avg_pool2d(images, _GRID).flatten(1)
    spread = F.adaptive_avg_pool2d(gray**2, _GRID) - F.adaptive_avg_pool2d(gray, _GRID) ** 2
    return torch.cat([levels, means, spread.clamp(min=0).sqrt().flatten(1), _energies(gray)], dim=1)


def _energies(gray: Tensor) -> Tensor:
    """Log energy of a Haar wavelet's details per octave.

    Horizontal and vertical details count together, diagonal ones apart.
    """
    found = []
    for _ in range(_OCTAVES):
        height, width = (side // 2 * 2 for side in gray.shape[2:])
        if min(height, width) < _GRID:
            break
        a, b, c, d = (gray[:, :, y:height:2, x:width:2] for y in (0, 1) for x in (0, 1))
        straight = (a - b + c - d).square() + (a + b - c - d).square()
        slant = (a - b - c + d).square()
        found += [(part / 16).mean(dim=(1, 2, 3)).add(_TINY).log() for part in (straight, slant)]
        gray = (a + b + c + d) / 4
    return torch.stack(found, dim=1)
