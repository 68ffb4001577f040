"""The detail stage: draw the texture of an image on its layout, at the size of the scans.

A generator of 64 pixels learns where things are from whole images, of which there are few. What their surface
looks like is the same all over, so patches of all classes teach it: a few hundred scans hold a hundred
thousand. The stage is a small super-resolution GAN (arXiv 1609.04802) without batch statistics, on the images
of that generator and on reduced real ones.

It draws detail, what is lost when an image is reduced to its layout, in units of its deviation in real
images: in a scan it is a few hundredths of the range, and would otherwise be learned last.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from medgan.learners.gan.layers import class_rows, convolution, double, leaky_relu, modulate, resample
from medgan.learners.gan.networks import Generator
from medgan.learners.gan.patch_discriminator import detail_deviation
from medgan.plan import Plan

_BLOCKS = 5
"""Residual blocks at the size of the layout."""
_CLASS_NUMBERS = 16
"""Length of the vector by which a class enters."""
_RESIDUAL, _TAIL, _STRAIGHT = 0.1, 0.1, 0.7
"""Scales of the last weights of a residual and of the image, and of the straight path, at the start."""
_NOISE_AT_START = 0.1
"""Scale of the weights on noise at the start: noise would drown the layout, and texture look like fur."""


def to_layout(images: Tensor, plan: Plan) -> Tensor:
    """Reduce images (N, C, H, W) to what the layout generator draws; the same ones without a detail stage."""
    factor = 1 << plan.recipe.detail_doublings
    return images if factor == 1 else F.avg_pool2d(to_grid(images, plan), factor)


def to_grid(images: Tensor, plan: Plan) -> Tensor:
    """Resize images (N, C, H, W) to the grid on which the detail stage draws."""
    return resample(images, plan.recipe.image_grid)


class _Modulation(nn.Module):
    """Gain and bias per channel by class, at first nearly 1 and 0."""

    def __init__(self, channels: int) -> None:
        """Build the linear map."""
        super().__init__()
        self.of_class = nn.Linear(_CLASS_NUMBERS, 2 * channels)
        nn.init.normal_(self.of_class.weight, std=0.3 / _CLASS_NUMBERS**0.5)
        nn.init.zeros_(self.of_class.bias)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Modulate x (N, C, H, W) by y (N, _CLASS_NUMBERS)."""
        return modulate(x, self.of_class(y))


class _Block(nn.Module):
    """A residual of two convolutions, after which the size is the same or doubled."""

    def __init__(self, inward: int, outward: int, *, doubles: bool, scale: float = 1.0) -> None:
        """Build the block; `scale` reduces its first convolution (fix-up, arXiv 1901.09321)."""
        super().__init__()
        self.doubles = doubles
        self.first = convolution(inward, outward, 3, scale=scale)
        self.modulation = _Modulation(outward)
        self.second = convolution(outward, outward, 3, scale=_RESIDUAL)
        self.skip = convolution(inward, outward, 1, scale=_STRAIGHT) if doubles else nn.Identity()

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Map (N, inward, H, W) to (N, outward, H, W), or to 2H and 2W."""
        straight, residual = self.skip(x), self.first(leaky_relu(x))
        if self.doubles:
            straight, residual = double(straight), double(residual)
        mapped: Tensor = straight + self.second(leaky_relu(self.modulation(residual, y)))
        return mapped


class DetailStage(nn.Module):
    """Images of the grid from layouts (N, C, h, w), noise (N, numbers) and classes (N,).

    It sees a part of a layout as it sees a whole one, so it learns from patches.
    """

    deviation: Tensor

    def __init__(self, plan: Plan) -> None:
        """Build blocks at the size of the layout, then one per doubling, by the widths of the recipe."""
        super().__init__()
        widths, channels = plan.recipe.detail_widths, plan.frame.channels
        self.noise = plan.recipe.detail_noise
        self.embedding = nn.Embedding(len(plan.frame.labels), _CLASS_NUMBERS)
        self.head = convolution(channels + self.noise, widths[0], 3)
        with torch.no_grad():
            self.head.weight[:, channels:].mul_(_NOISE_AT_START)
        blocks = [_Block(widths[0], widths[0], doubles=False, scale=_BLOCKS**-0.25) for _ in range(_BLOCKS)]
        blocks += [_Block(before, after, doubles=True) for before, after in pairwise(widths)]
        self.blocks = nn.ModuleList(blocks)
        self.tail = convolution(widths[-1], channels, 3, scale=_TAIL)
        self.register_buffer("deviation", torch.ones(()))

    def forward(self, layout: Tensor, noise: Tensor, labels: Tensor) -> Tensor:
        """Draw the detail, and add it to the enlarged layout."""
        maps = noise.reshape(len(layout), self.noise, *layout.shape[2:])
        y = class_rows(self.embedding.weight, labels)
        x = self.head(torch.cat([layout.to(noise.dtype), maps], dim=1))
        image = layout.float()
        for block in self.blocks:
            x = block(x, y)
            if block.doubles:
                image = double(image)
        detailed: Tensor = image + self.deviation * self.tail(leaky_relu(x)).float()
        return detailed


class CascadeGenerator(nn.Module):
    """A generator of layouts, and the detail stage that draws on them.

    It takes and gives what `Generator` does. A latent holds the numbers of the layout, then those of the
    stage's noise.
    """

    def __init__(self, plan: Plan) -> None:
        """Build both parts."""
        super().__init__()
        self.plan = plan
        self.layout = Generator(plan.replace(size=plan.recipe.grid))
        self.detail = DetailStage(plan)

    def init_from_data(self, of_class: Callable[[int], NDArray[np.float32]]) -> None:
        """Set the Gaussian of the layouts and the deviation of the detail from real images.

        `of_class` returns the images (N, C, H, W) of a class number, as the networks see them.
        """
        self.layout.init_from_data(of_class)
        classes = range(len(self.plan.frame.labels))
        known = (to_grid(torch.from_numpy(of_class(number)), self.plan) for number in classes)
        deviation = detail_deviation(known, 1 << self.plan.recipe.detail_doublings)
        self.detail.deviation.copy_(deviation)

    def forward(self, z: Tensor, labels: Tensor, share: float | Tensor = 1.0) -> Tensor:
        """Generate images (N, C, H, W); `share` is the weight of the class conditioning of the layout."""
        latent = self.plan.recipe.latent
        layout = self.layout(z[:, :latent], labels, share)
        return resample(self.detail(layout, z[:, latent:], labels), self.plan.frame.size)
