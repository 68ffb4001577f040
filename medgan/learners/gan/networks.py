"""The default networks: a DCGAN repaired after the analysis of R3GAN.

Compared with DCGAN (arXiv 1511.06434), and after R3GAN (arXiv 2501.05441), they have a learned base of cells
instead of projected noise, bilinear resampling instead of strided transposed convolutions, residual blocks
that start as identities, leaky ReLU, and neither batch statistics nor tanh.

The generator starts from a sample of a class-conditional Gaussian (class_gaussian.py), which has the variety
of every class from the start, and each stage adds its detail to the image so far, as in a Laplacian pyramid
(arXiv 1506.05751). The discriminator returns an unconditional and a projection logit (transitional
conditioning, arXiv 2201.06578).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from medgan.learners.gan.class_gaussian import ClassGaussian
from medgan.learners.gan.layers import class_rows, convolution, double, halve, leaky_relu, modulate, resample
from medgan.plan import Plan
from medgan.training.runtime import random_per_image

_CONDITION_FROM = 16
"""Side in pixels from which on the class conditions the generator's stages."""
_RESIDUAL = 0.1
"""Scale of a residual's last weights at the start: a stage starts close to its straight path, yet not without
effect."""
_DETAIL = 0.05
"""Scale of a detail's weights at the start: an image starts close to its Gaussian sample."""
_STRAIGHT = 0.7
"""Scale of the 1 x 1 convolutions on the straight path, where Kaiming's factor of two is too much by one."""
_EMBEDDING_NOISE = 0.5
"""Standard deviation of the noise on class embeddings during training (NoisyTwins, arXiv 2304.05866)."""


class _Style(nn.Module):
    """Gain and bias per channel from latent and class, at first gain 1 and bias 0."""

    def __init__(self, latent: int, classes: int, channels: int) -> None:
        """Build the linear maps.

        `classes` is 0 where the class must not enter.
        """
        super().__init__()
        self.from_latent = nn.Linear(latent, 2 * channels)
        nn.init.normal_(self.from_latent.weight, std=0.5 / latent**0.5)
        nn.init.zeros_(self.from_latent.bias)
        self.from_class = nn.Linear(latent, 2 * channels, bias=False) if classes else None
        if self.from_class is not None:
            nn.init.normal_(self.from_class.weight, std=0.5 / latent**0.5)

    def forward(self, x: Tensor, z: Tensor, y: Tensor) -> Tensor:
        """Modulate x (N, C, H, W) by z and y, both (N, latent)."""
        style = self.from_latent(z)
        if self.from_class is not None:
            style = style + self.from_class(y)
        return modulate(x, style)


class _UpStage(nn.Module):
    """A generator stage: a styled residual that doubles the size half-way.

    So there is only one convolution at each size.
    """

    def __init__(
        self, inward: int, outward: int, latent: int, classes: int, *, double: bool, scale: float
    ) -> None:
        """Build the stage.

        `scale` reduces the first convolution, so that the depth of the network does not matter (fix-up, arXiv
        1901.09321).
        """
        super().__init__()
        self.doubles = double
        self.first = convolution(inward, outward, 3, scale=scale)
        self.style = _Style(latent, classes, outward)
        self.second = convolution(outward, outward, 3, scale=_RESIDUAL)
        self.skip = convolution(inward, outward, 1, scale=_STRAIGHT) if inward != outward else nn.Identity()

    def forward(self, x: Tensor, activated: Tensor, z: Tensor, y: Tensor) -> Tensor:
        """Map (N, inward, H, W) to (N, outward, 2H, 2W), or to H and W without doubling.

        `activated` is the leaky ReLU of x.
        """
        straight = self.skip(x)
        residual = self.style(self.first(activated), z, y)
        if self.doubles:
            straight, residual = double(straight), double(residual)
        image: Tensor = straight + self.second(leaky_relu(residual))
        return image


class Generator(nn.Module):
    """Images (N, C, H, W) from latents (N, latent) and classes (N,).

    Values are nominally in [-1, 1], and not clamped. The attributes name the tensors of saved models, so they
    stay.
    """

    def __init__(self, plan: Plan) -> None:
        """Build base, Gaussian and stages by the base and the widths of the recipe."""
        super().__init__()
        frame, recipe = plan.frame, plan.recipe
        self.size = frame.size
        self.classes = len(frame.labels) if len(frame.labels) > 1 else 0
        self.embedding = nn.Embedding(max(self.classes, 1), recipe.latent)
        self.base = nn.Parameter(torch.randn(recipe.widths[0], *recipe.base))
        self.scales = nn.Linear(recipe.latent, recipe.widths[0])
        # Stages, each twice the size of the one before.
        stages, side, before = [], max(recipe.base), recipe.widths[0]
        for number, width in enumerate(recipe.widths):
            side *= 2 if number else 1
            enters = self.classes if side >= _CONDITION_FROM else 0
            scale = len(recipe.widths) ** -0.25
            stages.append(_UpStage(before, width, recipe.latent, enters, double=number > 0, scale=scale))
            before = width
        self.stages = nn.ModuleList(stages)
        # The Gaussian image, and the details that stages add to it.
        # Older recipes say 2, whatever the size.
        self.gaussian_level = min(recipe.gaussian_level, recipe.doublings - 1)
        rows, columns = (cells << self.gaussian_level for cells in recipe.base)
        self.outline = ClassGaussian((frame.channels, rows, columns), recipe.latent, len(frame.labels))
        self.from_outline = convolution(frame.channels, recipe.widths[self.gaussian_level], 3)
        self.details = nn.ModuleList(
            convolution(width, frame.channels, 3, scale=_DETAIL)
            for width in recipe.widths[self.gaussian_level :]
        )

    def init_from_data(self, of_class: Callable[[int], NDArray[np.float32]]) -> None:
        """Set the Gaussian from reduced real images.

        `of_class` returns the images (N, C, H, W) of a class number, as the networks see them.
        """
        side = self.outline.shape[1:]
        known = (torch.from_numpy(of_class(number)) for number in range(len(self.outline.mean)))
        self.outline.measure([F.adaptive_avg_pool2d(images, side).numpy() for images in known])

    def forward(self, z: Tensor, labels: Tensor, share: float | Tensor = 1.0) -> Tensor:
        """Generate images.

        `labels` are numbers of classes (N,), or weights by which classes are mixed (N, classes). `share`, 0
        to 1, is the weight of the class conditioning of the stages.
        """
        z = F.normalize(z, dim=1) * z.shape[1] ** 0.5
        y = _embed(self.embedding, labels, noisy=self.training and self.classes > 0) * share
        with torch.autocast(z.device.type, enabled=False):
            image: Tensor = self.outline(z.float(), labels)
        x = (self.base[None] * self.scales(z)[:, :, None, None]).contiguous(memory_format=torch.channels_last)
        activated = leaky_relu(x)
        for number, stage in enumerate(self.stages):
            x = stage(x, activated, z, y)
            if number == self.gaussian_level:
                x = x + self.from_outline(image)
            activated = leaky_relu(x)
            if number > self.gaussian_level:
                image = double(image)
            if number >= self.gaussian_level:
                image = image + self.details[number - self.gaussian_level](activated).float()
        return resample(image, self.size)


def _embed(table: nn.Embedding, labels: Tensor, *, noisy: bool) -> Tensor:
    """Class embeddings (N, width) of length sqrt(width), with noise during training."""
    y: Tensor = F.normalize(class_rows(table.weight, labels), dim=1) * table.embedding_dim**0.5
    if not noisy:
        return y
    noise = random_per_image(lambda n: torch.randn(n, *y.shape[1:], device=y.device, dtype=y.dtype), len(y))
    return y + _EMBEDDING_NOISE * noise


class _DownStage(nn.Module):
    """A discriminator stage: a residual that halves the size half-way."""

    def __init__(self, inward: int, outward: int, *, halve: bool, scale: float) -> None:
        """Build the stage, with `scale` as in `_UpStage`."""
        super().__init__()
        self.halves = halve
        self.first = convolution(inward, inward, 3, scale=scale)
        self.second = convolution(inward, outward, 3, scale=_RESIDUAL)
        self.skip = convolution(inward, outward, 1, scale=_STRAIGHT) if inward != outward else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inward, H, W) to (N, outward, H/2, W/2), or without halving to H and W."""
        residual = leaky_relu(x)
        residual = halve(residual, self.first) if self.halves else self.first(residual)
        straight = F.avg_pool2d(x, 2) if self.halves else x
        smaller: Tensor = self.skip(straight) + self.second(leaky_relu(residual))
        return smaller


class Discriminator(nn.Module):
    """Logits (N, 2) of images (N, C, H, W) and classes (N,).

    The first says how real an image is, the second how real as an image of its class.
    """

    def __init__(self, plan: Plan) -> None:
        """Mirror the generator, with a depthwise convolution over the base cells as head."""
        super().__init__()
        frame, recipe = plan.frame, plan.recipe
        self.grid = recipe.grid
        self.classes = len(frame.labels) if len(frame.labels) > 1 else 0
        widths = tuple(reversed(recipe.widths))
        self.from_image = convolution(frame.channels, widths[0], 3)
        scale = len(widths) ** -0.25
        stages = [_DownStage(before, after, halve=True, scale=scale) for before, after in pairwise(widths)]
        self.stages = nn.ModuleList([*stages, _DownStage(widths[-1], widths[-1], halve=False, scale=scale)])
        deepest = widths[-1]
        self.head = nn.Conv2d(deepest, deepest, recipe.base, groups=deepest)  # type: ignore[arg-type]
        self.real = nn.Linear(widths[-1], 1)
        self.embedding = nn.Embedding(max(self.classes, 1), widths[-1])

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """Compute the logits, the second one 0 where there is one class only."""
        x = self.from_image(resample(images, self.grid))
        for stage in self.stages:
            x = stage(x)
        x = self.head(leaky_relu(x)).flatten(1)
        with torch.autocast(x.device.type, enabled=False):
            # Losses compare logits with each other: bf16 would round the difference away.
            return self.logits(x.float(), labels)

    def logits(self, x: Tensor, labels: Tensor) -> Tensor:
        """Logits (N, 2) from the output of the head (N, channels), in fp32."""
        free = self.real(x)
        if not self.classes:
            return torch.cat([free, torch.zeros_like(free)], dim=1)
        y = _embed(self.embedding, labels, noisy=False)
        matched = (x * y).sum(dim=1, keepdim=True) / x.shape[1] ** 0.5
        return torch.cat([free, free + matched], dim=1)
