"""What both networks are made of, in the form that costs least: the same numbers as the plain form, by fewer passes over memory.

At full resolution a processor spends more time moving images than multiplying them, so a pass less is worth more than a convolution
less. What each is worth: docs/benchmarks/engine.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_SLOPE = 0.2
"""Of the leaky ReLU."""
_FOLD_FROM = 32
"""Side in pixels from which a convolution is folded with the pooling behind it; below, adding up the kernel costs more than it saves."""


def convolution(inward: int, outward: int, side: int, *, scale: float = 1.0) -> nn.Conv2d:
    """A convolution of odd `side` with Kaiming initialisation for leaky ReLU, its weights multiplied by `scale`."""
    layer = nn.Conv2d(inward, outward, side, padding=side // 2)
    nn.init.kaiming_normal_(layer.weight, a=_SLOPE)
    with torch.no_grad():
        layer.weight.mul_(scale)
    nn.init.zeros_(layer.bias) if layer.bias is not None else None
    return layer


def double(x: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, C, 2H, 2W), bilinear. What is affine per channel commutes with it and is a quarter of the work before it."""
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


def resample(x: Tensor, size: Sequence[int]) -> Tensor:
    """(N, C, H, W) -> (N, C, *size), bilinear, anti-aliased where it shrinks; an image of that size as it is."""
    size = tuple(size)
    if x.shape[2:] == size:
        return x
    shrinks = size[0] < x.shape[2] or size[1] < x.shape[3]
    return F.interpolate(x, size, mode="bilinear", align_corners=False, antialias=shrinks)


def halve(x: Tensor, layer: nn.Conv2d) -> Tensor:
    """`layer` (3 x 3, padded by 1), then the mean of each 2 x 2 cells: (N, C, H, W) -> (N, D, H/2, W/2).

    At large sides as one 4 x 4 convolution of stride 2, whose kernel is the mean of the 3 x 3 kernel at its four places: 16
    multiplications instead of 36, and no image of the full size between.
    """
    if x.shape[-1] < _FOLD_FROM:
        return F.avg_pool2d(layer(x), 2)
    wide = F.pad(layer.weight, (1, 1, 1, 1))
    kernel = (wide[:, :, 1:, 1:] + wide[:, :, 1:, :-1] + wide[:, :, :-1, 1:] + wide[:, :, :-1, :-1]) / 4
    return F.conv2d(x, kernel, layer.bias, stride=2, padding=1)


def leaky_relu(x: Tensor) -> Tensor:
    """Leaky ReLU whose slope is known not to bend, so that a gradient penalty does not send zeros back through the whole network."""
    y: Tensor = _LeakyReLU.apply(x)  # type: ignore[no-untyped-call]
    return y


class _LeakyReLU(torch.autograd.Function):
    """y = x where x > 0, SLOPE x elsewhere."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """(any shape) -> same."""
        ctx.save_for_backward(x)
        return F.leaky_relu(x, _SLOPE)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        """Differentiable once more."""
        slopes: Tensor = _LeakyReLUGradient.apply(grads[0], *ctx.saved_tensors)  # type: ignore[no-untyped-call]
        return slopes


class _LeakyReLUGradient(torch.autograd.Function):
    """Gradient times the slope at x, which is linear in the gradient and constant in x almost everywhere."""

    @staticmethod
    def forward(ctx: Any, grad: Tensor, x: Tensor) -> Tensor:
        """(any shape) -> same."""
        ctx.save_for_backward(x)
        return torch.ops.aten.leaky_relu_backward(grad, x, _SLOPE, False)  # type: ignore[no-any-return]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        """The derivative by x is zero: None, where torch's own operator would give a tensor of zeros."""
        again: Tensor = _LeakyReLUGradient.apply(grads[0], *ctx.saved_tensors)  # type: ignore[no-untyped-call]
        return again, None
