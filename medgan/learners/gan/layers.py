"""Building blocks of the networks, in the form that takes the least time.

Each gives the same numbers as its plain form, in fewer passes over memory: at full resolution a processor
spends more time moving images than multiplying them, so saving a pass is worth more than saving a
convolution. docs/benchmarks/engine.md says what each is worth.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_SLOPE = 0.2
"""Negative slope of the leaky ReLU."""
_FOLD_FROM = 32
"""Side in pixels from which a convolution is merged with the pooling after it; below, summing up the kernel
costs more than it saves."""


def convolution(inward: int, outward: int, side: int, *, stride: int = 1, scale: float = 1.0) -> nn.Conv2d:
    """A convolution with Kaiming initialisation for leaky ReLU, its weights multiplied by `scale`.

    Of odd `side` it keeps the size; of 4 cells and `stride` 2 it is DCGAN's, which halves it.
    """
    layer = nn.Conv2d(inward, outward, side, stride=stride, padding=(side - 1) // 2)
    nn.init.kaiming_normal_(layer.weight, a=_SLOPE)
    with torch.no_grad():
        layer.weight.mul_(scale)
    nn.init.zeros_(layer.bias) if layer.bias is not None else None
    return layer


def class_rows(table: Tensor, labels: Tensor) -> Tensor:
    """The rows of a table by class (N,), or their mixtures by the weights of classes (N, classes)."""
    return labels @ table if labels.is_floating_point() else F.embedding(labels, table)


def modulate(x: Tensor, style: Tensor) -> Tensor:
    """Modulate x (N, C, H, W) by `style` (N, 2 C): its first half is the gain less 1, its second the bias."""
    gain, bias = style[:, :, None, None].to(x.dtype).chunk(2, dim=1)
    return x * (1 + gain) + bias


def double(x: Tensor) -> Tensor:
    """Double the size of (N, C, H, W), bilinear.

    Operations that are affine per channel commute with it, and cost a quarter when done before it.
    """
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


def resample(x: Tensor, size: Sequence[int]) -> Tensor:
    """Resize (N, C, H, W) to (N, C, *size), bilinear, anti-aliased where it shrinks."""
    size = tuple(size)
    if x.shape[2:] == size:
        return x
    shrinks = size[0] < x.shape[2] or size[1] < x.shape[3]
    return F.interpolate(x, size, mode="bilinear", align_corners=False, antialias=shrinks)


def halve(x: Tensor, layer: nn.Conv2d) -> Tensor:
    """Apply `layer` (3 x 3, padding 1), then average each 2 x 2 cells.

    (N, C, H, W) becomes (N, D, H/2, W/2). At large sizes this is one 4 x 4 convolution of stride 2, whose
    kernel averages the 3 x 3 kernel at its four places: 16 multiplications instead of 36, and no image of
    full size in between.
    """
    if x.shape[-1] < _FOLD_FROM:
        return F.avg_pool2d(layer(x), 2)
    wide = F.pad(layer.weight, (1, 1, 1, 1))
    kernel = (wide[:, :, 1:, 1:] + wide[:, :, 1:, :-1] + wide[:, :, :-1, 1:] + wide[:, :, :-1, :-1]) / 4
    return F.conv2d(x, kernel, layer.bias, stride=2, padding=1)


def leaky_relu(x: Tensor) -> Tensor:
    """Leaky ReLU whose second derivative is None instead of zeros.

    So a gradient penalty does not send zeros back through the whole network.
    """
    y: Tensor = _LeakyReLU.apply(x)  # type: ignore[no-untyped-call]
    return y


class _LeakyReLU(torch.autograd.Function):
    """y = x where x > 0, _SLOPE x elsewhere."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """Apply it to a tensor of any shape."""
        ctx.save_for_backward(x)
        return F.leaky_relu(x, _SLOPE)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        """Gradient that can itself be differentiated."""
        (x,) = ctx.saved_tensors
        slopes: Tensor = _LeakyReLUGradient.apply(grads[0], x)  # type: ignore[no-untyped-call]
        return slopes


class _LeakyReLUGradient(torch.autograd.Function):
    """Gradient times the slope at x.

    It is linear in the gradient, and constant in x almost everywhere.
    """

    @staticmethod
    def forward(ctx: Any, grad: Tensor, x: Tensor) -> Tensor:
        """Apply it to tensors of any shape."""
        ctx.save_for_backward(x)
        return torch.ops.aten.leaky_relu_backward(grad, x, _SLOPE, False)  # type: ignore[no-any-return]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        """Return None as derivative by x, where torch's own operator would return zeros."""
        (x,) = ctx.saved_tensors
        again: Tensor = _LeakyReLUGradient.apply(grads[0], x)  # type: ignore[no-untyped-call]
        return again, None
