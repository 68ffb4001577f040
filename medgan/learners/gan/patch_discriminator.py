"""A discriminator that judges every place of an image by itself.

A discriminator of whole images learns a few dozen of them by heart, and a generator escapes it by leaving
kinds of images out. Of places there are hundreds in every image, and what is left out of a texture is no
patient. The network is DCGAN's (arXiv 1511.06434) without batch norm, cut off before its last layers
(arXiv 1611.07004).

Beside an image it sees its detail, what is lost when the image is reduced, in units of the deviation in real
images: in a scan that is a few hundredths of the range, and would otherwise be learned last.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from medgan.learners.gan.layers import convolution, leaky_relu, resample
from medgan.plan import Plan

_LEAST_DEVIATION = 1e-3
"""Smallest deviation of the detail, on the scale of -1 to 1."""


def detail_of(images: Tensor, factor: int) -> Tensor:
    """What images (N, C, H, W) lose when they are reduced by `factor`, a power of two, and enlarged again."""
    smooth = F.interpolate(F.avg_pool2d(images, factor), scale_factor=float(factor), mode="bilinear")
    return images - smooth


def detail_deviation(classes: Iterable[Tensor], factor: int) -> Tensor:
    """Deviation of that detail in the images (N, C, H, W) of each class, every class weighing the same."""
    squares = [detail_of(images, factor).square().mean() for images in classes]
    return torch.stack(squares).mean().sqrt().clamp(min=_LEAST_DEVIATION)


class PatchDiscriminator(nn.Module):
    """Logits (N x places, 2) of images or patches (N, C, H, W) and classes (N,).

    The first says how real a place looks, the second how real as a place of its class.
    """

    deviation: Tensor
    where: Tensor | None

    def __init__(
        self, plan: Plan, widths: tuple[int, ...], factor: int, *, whole: tuple[int, int] | None = None
    ) -> None:
        """Build DCGAN's convolutions, and a logit for every place of the last.

        Args:
            plan: Has the classes and the channels of an image.
            widths: Channels of the stages, each of which halves the size.
            factor: How far images are reduced to see their detail.
            whole: (H, W) where whole images are judged, so that it can matter where in an image a place lies;
                None for patches, which may be of anywhere.
        """
        super().__init__()
        self.factor, self.whole = factor, whole
        entering = 2 * plan.frame.channels + (4 if whole else 0)
        self.stages = nn.ModuleList(
            convolution(before, after, 4, stride=2) for before, after in pairwise((entering, *widths))
        )
        self.head = convolution(widths[-1], widths[-1], 3)
        self.real = nn.Conv2d(widths[-1], 1, 1)
        self.embedding = nn.Embedding(len(plan.frame.labels), widths[-1])
        nn.init.normal_(self.embedding.weight, std=0.1)
        self.register_buffer("deviation", torch.ones(()))
        self.register_buffer("where", _coordinates(whole) if whole else None, persistent=False)

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """Compute the logits of all places, image by image."""
        images = images if self.whole is None else resample(images, self.whole)
        seen = [images, detail_of(images, self.factor) / self.deviation]
        if self.where is not None:
            seen.append(self.where.to(images.dtype).expand(len(images), -1, -1, -1))
        x = torch.cat(seen, dim=1)
        for stage in self.stages:
            x = leaky_relu(stage(x))
        x = leaky_relu(self.head(x))
        with torch.autocast(x.device.type, enabled=False):
            x = x.float()
            free = F.conv2d(x, self.real.weight.float(), self.real.bias)
            matched = (x * self.embedding(labels).float()[:, :, None, None]).sum(dim=1, keepdim=True)
            both = torch.cat([free, free + matched / x.shape[1] ** 0.5], dim=1)
        return both.permute(0, 2, 3, 1).flatten(0, 2)


def _coordinates(shape: tuple[int, int]) -> Tensor:
    """Row and column (1, 4, H, W) of every pixel, from -1 to 1, and a cosine of either."""
    rows, columns = (torch.linspace(-1, 1, side) for side in shape)
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack([y, x, torch.cos(3 * y), torch.cos(3 * x)])[None]
