"""Feature matching: a loss on the whole distribution of each class.

A discriminator finds what separates real from synthetic images one boundary at a time, and a generator
trained on sixty images evades it by drawing few images well. A kernel two-sample test asks for the whole
distribution at once. In the features f of a frozen network, the energy distance (Szekely and Rizzo 2013)

    2 E||f(x) - f(G(z))|| - E||f(G(z)) - f(G(z'))|| - E||f(x) - f(x')||

is 0 only where the two distributions are equal, and its second term pushes synthetic images of a class apart.
It combines generative moment matching (arXiv 1502.02761) with the features of generative feature matching
(arXiv 1904.02762) and the kernel of Cramer GAN (arXiv 1705.10743).

The features are those of EfficientNet-Lite0 at five scales. Their means and deviations over the image say
what is in it, and their means over a coarse grid say where: unlike photographs, scans are aligned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from medgan.plan import Plan
from medgan.similarity.backbone import LITE0, build_frozen, load_weights, to_network_input

_REALS_PER_GROUP = 64
"""Number of real images that each group of synthetic ones is compared with."""
_GRID = 4
"""Cells per side over which features are averaged."""
_CHUNK = 50
"""Number of real images that pass through the network at once."""

ClassImages = Callable[[int], NDArray[np.float32]]
"""Returns the real images (N, C, H, W) of a class number, as the networks see them."""


_FeatureTables = Callable[[Tensor], list[Tensor]]
"""Images to tables of features, one table per level."""


class FeatureMatcher:
    """The frozen network, and its features of the real images of every class."""

    def __init__(self, plan: Plan, of_class: ClassImages, device: torch.device) -> None:
        """Compute the features of the real images once.

        Raises:
            ModelError: the package of the network is not installed.
        """
        self.span, self.group = plan.frame.span, plan.recipe.group
        self.resolution = plan.recipe.feature_resolution
        self.network = build_frozen(load_weights(*LITE0)).to(device)
        self.device = device
        known = [self._features_of(of_class(number)) for number in range(len(plan.frame.labels))]
        together = [torch.cat(level) for level in zip(*known, strict=True)]
        self.means = [level.mean(dim=0) for level in together]
        self.deviations = [level.std(dim=0) + 1e-3 for level in together]
        self.known = self._standardise(together)
        """Per level: features (N, D) of all classes, one class after the other, standardised over all of them
        together."""
        self.counts = [len(levels[0]) for levels in known]
        apart = [[_mean_pair_distance(level) for level in self._standardise(levels)] for levels in known]
        self.spread = torch.stack([torch.stack(levels).mean() for levels in apart])
        """Per class: mean distance between its real images, averaged over levels."""

    @torch.no_grad()
    def _features_of(self, images: NDArray[np.float32]) -> list[Tensor]:
        parts = [
            self.features(torch.as_tensor(images[start : start + _CHUNK], device=self.device))
            for start in range(0, len(images), _CHUNK)
        ]
        return [torch.cat(level) for level in zip(*parts, strict=True)]

    def features(self, images: Tensor) -> list[Tensor]:
        """Ten tables of features (N, D): per scale what is in the image, and where.

        The images (N, C, H, W) are as the networks see them.
        """
        low, high = self.span
        values = low + (images.float() + 1) / 2 * (high - low)
        seen: Tensor = _ClampToRange.apply(values)  # type: ignore[no-untyped-call]
        scale = self.resolution / max(seen.shape[2:])
        if scale != 1:
            seen = F.interpolate(seen, scale_factor=scale, mode="bilinear", antialias=scale < 1)
        levels = self.network.levels(to_network_input(seen).contiguous(memory_format=torch.channels_last))
        what = [_moments(x) for x in levels]
        where = [
            F.adaptive_avg_pool2d(x, (min(_GRID, x.shape[2]), min(_GRID, x.shape[3]))).flatten(1)
            for x in levels
        ]
        return [*what, *where]

    def _standardise(self, levels: list[Tensor]) -> list[Tensor]:
        return [
            (x - mean) / deviation
            for x, mean, deviation in zip(levels, self.means, self.deviations, strict=True)
        ]

    def distance(
        self, fake: Tensor, labels: Tensor, position: tuple[int, int], features: _FeatureTables | None = None
    ) -> Tensor:
        """Energy distance of synthetic images to real ones, mean over images and levels.

        Successive groups, whose size the recipe gives, are of one class each. All G groups are compared at
        once, level by level: a small class, or an incomplete group at the end of the batch, is padded with
        rows of weight 0. A single image at the end weighs 0 beside other groups, because nothing would push
        it away from the middle of its class.

        Args:
            fake: (N, C, H, W) synthetic images.
            labels: (N,) their classes.
            position: (seed, images shown), which together with the class decides the real images of the
                comparison.
            features: replaces `self.features`, as where a GPU replays a recording of it.
        """
        classes = labels[:: self.group].tolist()
        real, real_shares = self._choose_reals(classes, position)
        lacks = len(classes) * self.group - len(labels)
        there = F.pad(torch.ones_like(labels, dtype=fake.dtype), (0, lacks)).reshape(-1, self.group, 1)
        counts = there.sum(dim=1, keepdim=True)
        pairs = there / counts * real_shares  # (G, group, REALS)
        others = there * there.mT * (1 - torch.eye(self.group, device=self.device))
        others = others / (counts * (counts - 1)).clamp(min=1)  # (G, group, group)
        weights = counts * (counts >= min(self.group, 2)) if len(classes) > 1 else counts  # (G, 1, 1)
        weights = weights / weights.sum()
        pairs, others = pairs * weights, others * weights
        total = fake.new_zeros(())
        drawn = self._standardise((features or self.features)(fake))
        for x, known in zip(drawn, self.known, strict=True):
            groups = F.pad(x, (0, 0, 0, lacks)).reshape(len(classes), self.group, -1)
            total = total + 2 * (_distances(groups, known[real]) * pairs).sum()
            total = total - (_distances(groups, groups) * others).sum()
        return total / len(drawn) - (self.spread[classes] * weights[:, 0, 0]).sum()

    def _choose_reals(self, classes: Sequence[int], position: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Choose real images for groups of the given classes.

        Returns:
            Their rows (G, M), with M at most _REALS_PER_GROUP, and their shares in a mean (G, 1, M).
        """
        starts = np.cumsum([0, *self.counts])
        rows = [
            starts[number]
            + np.random.default_rng((*position, number)).permutation(self.counts[number])[:_REALS_PER_GROUP]
            for number in classes
        ]
        most = max(map(len, rows))
        filled = np.stack([np.resize(row, most) for row in rows])
        shares = np.stack([(np.arange(most) < len(row)) / np.float32(len(row)) for row in rows])[:, None]
        return torch.as_tensor(filled, device=self.device), torch.as_tensor(shares, device=self.device)


class _ClampToRange(torch.autograd.Function):
    """Clamp to [0, 1], with gradients that lead back into the range.

    A value beyond an end keeps every gradient that moves it towards the range, and none that moves it away.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """Clamp x."""
        ctx.save_for_backward(x)
        return x.clamp(0, 1)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Tensor:
        """Drop the gradients that would move a value further out.

        Descent moves against the gradient: x > 1 comes back where it is positive, x < 0 where it is negative.
        """
        x: Tensor = ctx.saved_tensors[0]
        return slope * ~(((x > 1) & (slope < 0)) | ((x < 0) & (slope > 0)))


def _moments(x: Tensor) -> Tensor:
    """Means and deviations over the image (N, 2 C) of features (N, C, H, W).

    They are computed in the channels-last layout in which the features lie.
    """
    cells = x.permute(0, 2, 3, 1).flatten(1, 2)  # (N, H W, C)
    mean = cells.mean(dim=1, keepdim=True)
    variance = (cells - mean).square().mean(dim=1)
    deviation = (variance + 1e-12).sqrt()  # a slope at 0, where the plain root has none
    return torch.cat([mean[:, 0], deviation], dim=1)


def _distances(x: Tensor, y: Tensor) -> Tensor:
    """Distances (..., N, M) of features (..., N, D) and (..., M, D).

    They are divided by sqrt(D), so that every level counts the same.
    """
    norms = x.square().sum(dim=-1)[..., :, None] + y.square().sum(dim=-1)[..., None, :]
    squares = (norms - 2 * x @ y.mT).clamp(min=0) / x.shape[-1]  # |x - y|^2 = |x|^2 + |y|^2 - 2 x y
    return (squares + 1e-4).sqrt()  # a slope at 0, where the plain root has none


def _mean_pair_distance(x: Tensor) -> Tensor:
    """Mean distance between two different rows of x (N, D), or 0 for a single row."""
    count = len(x)
    if count == 1:
        return x.new_zeros(())
    apart = _distances(x, x)
    return (apart.sum() - apart.diagonal().sum()) / (count * (count - 1))
