"""Images drawn of a class + real ones of that class -> how far apart the two distributions are, as a loss that leaves no mode out.

A discriminator finds what separates real from synthetic, one boundary at a time, and a generator of sixty images evades it by
drawing few images well. A kernel two-sample test asks for the whole distribution at once: in the features of a frozen network,

    2 E||f(x) - f(G(z))|| - E||f(G(z)) - f(G(z'))|| - E||f(x) - f(x')||        (energy distance, Szekely and Rizzo 2013)

is 0 only where the two are alike, and its second term pushes synthetic images of a class apart. Generative moment matching
(arXiv 1502.02761) with the features of generative feature matching (arXiv 1904.02762) and the kernel of Cramer GAN (arXiv 1705.10743).
The features are EfficientNet-Lite0's at five scales; their means and deviations over the image say what is there, their means over a
coarse grid say where: scans are aligned as photographs are not.
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
"""Real images that each group is compared with."""
_GRID = 4
"""Cells per side over which features are averaged."""
_CHUNK = 50
"""Real images looked at at once."""

ClassImages = Callable[[int], NDArray[np.float32]]
"""Class number -> real images of it (N, C, H, W) as the networks see them."""


_FeatureTables = Callable[[Tensor], list[Tensor]]
"""Images -> tables of features."""


class FeatureMatcher:
    """The frozen network, and what it sees in the real images of every class."""

    def __init__(self, plan: Plan, of_class: ClassImages, device: torch.device) -> None:
        """Look at the real images once; ModelError when its package is not installed."""
        self.span, self.group, self.seen_at = plan.span, plan.group, plan.seen_at
        self.network = build_frozen(load_weights(*LITE0)).to(device)
        self.device = device
        known = [self._known(of_class(number)) for number in range(len(plan.labels))]
        together = [torch.cat(level) for level in zip(*known, strict=True)]
        self.means = [level.mean(dim=0) for level in together]
        self.deviations = [level.std(dim=0) + 1e-3 for level in together]
        self.known = self._scaled(together)
        """Per level: features (N, D) of all classes, one after the other, standardised over all of them together."""
        self.counts = [len(levels[0]) for levels in known]
        apart = [[_mean_pair_distance(level) for level in self._scaled(levels)] for levels in known]
        self.spread = torch.stack([torch.stack(levels).mean() for levels in apart])
        """Per class: mean distance of its real images, mean over levels."""

    @torch.no_grad()
    def _known(self, images: NDArray[np.float32]) -> list[Tensor]:
        parts = [
            self.features(torch.as_tensor(images[start : start + _CHUNK], device=self.device))
            for start in range(0, len(images), _CHUNK)
        ]
        return [torch.cat(level) for level in zip(*parts, strict=True)]

    def features(self, images: Tensor) -> list[Tensor]:
        """Images (N, C, H, W) as the networks see them -> ten tables (N, D): per scale what is there, and where."""
        low, high = self.span
        seen: Tensor = _ClampToRange.apply(low + (images.float() + 1) / 2 * (high - low))  # type: ignore[no-untyped-call]
        scale = self.seen_at / max(seen.shape[2:])
        if scale != 1:
            seen = F.interpolate(seen, scale_factor=scale, mode="bilinear", antialias=scale < 1)
        levels = self.network.levels(to_network_input(seen).contiguous(memory_format=torch.channels_last))
        what = [_moments(x) for x in levels]
        where = [
            F.adaptive_avg_pool2d(x, (min(_GRID, x.shape[2]), min(_GRID, x.shape[3]))).flatten(1)
            for x in levels
        ]
        return [*what, *where]

    def _scaled(self, levels: list[Tensor]) -> list[Tensor]:
        return [
            (x - mean) / deviation
            for x, mean, deviation in zip(levels, self.means, self.deviations, strict=True)
        ]

    def distance(
        self, fake: Tensor, labels: Tensor, chance: tuple[int, int], look: _FeatureTables | None = None
    ) -> Tensor:
        """Energy distance of synthetic images (N, C, H, W) to the real ones of their classes (N,), mean over images and levels.

        They are looked at by `look`: `features`, unless a GPU replays what it recorded of that.
        Groups of `plan.group` images follow each other in the batch, each of one class. Which real images they are compared with
        depends on `chance` = (seed, images shown) and the class alone. All groups G are compared at once, level by level; what
        a small class or the end of a batch lacks is filled up with rows that weigh nothing; an image alone at the end, which nothing
        would push away from the middle of its class, weighs nothing beside others.
        """
        classes = labels[:: self.group].tolist()
        real, real_shares = self._chosen(classes, chance)
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
        drawn = self._scaled((look or self.features)(fake))
        for x, known in zip(drawn, self.known, strict=True):
            groups = F.pad(x, (0, 0, 0, lacks)).reshape(len(classes), self.group, -1)
            total = total + 2 * (_distances(groups, known[real]) * pairs).sum()
            total = total - (_distances(groups, groups) * others).sum()
        return total / len(drawn) - (self.spread[classes] * weights[:, 0, 0]).sum()

    def _chosen(self, classes: Sequence[int], chance: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Rows of real images (G, M) for a group of each of `classes`, M at most REALS, and their shares in a mean (G, 1, M)."""
        starts = np.cumsum([0, *self.counts])
        rows = [
            starts[number]
            + np.random.default_rng((*chance, number)).permutation(self.counts[number])[:_REALS_PER_GROUP]
            for number in classes
        ]
        most = max(map(len, rows))
        filled = np.stack([np.resize(row, most) for row in rows])
        shares = np.stack([(np.arange(most) < len(row)) / np.float32(len(row)) for row in rows])[:, None]
        return torch.as_tensor(filled, device=self.device), torch.as_tensor(shares, device=self.device)


class _ClampToRange(torch.autograd.Function):
    """Clamp to [0, 1] from which a slope leads back: a value beyond gets every gradient that calls it nearer, and none that drives it on."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """What is written of x."""
        ctx.save_for_backward(x)
        return x.clamp(0, 1)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Tensor:
        """Descent moves against the slope: x > 1 comes back where it is positive, x < 0 where it is negative."""
        x: Tensor = ctx.saved_tensors[0]
        return slope * ~(((x > 1) & (slope < 0)) | ((x < 0) & (slope > 0)))


def _moments(x: Tensor) -> Tensor:
    """Features (N, C, H, W) -> their means and deviations over the image (N, 2 C), in the layout in which they lie."""
    cells = x.permute(0, 2, 3, 1).flatten(1, 2)  # (N, H W, C)
    mean = cells.mean(dim=1, keepdim=True)
    variance = (cells - mean).square().mean(dim=1)
    deviation = (variance + 1e-12).sqrt()  # a slope at 0, where the plain root has none
    return torch.cat([mean[:, 0], deviation], dim=1)


def _distances(x: Tensor, y: Tensor) -> Tensor:
    """Distances (..., N, M) of features (..., N, D) and (..., M, D), per root of their number, so that every level counts alike."""
    norms = x.square().sum(dim=-1)[..., :, None] + y.square().sum(dim=-1)[..., None, :]
    squares = (norms - 2 * x @ y.mT).clamp(min=0) / x.shape[-1]  # |x - y|^2 = |x|^2 + |y|^2 - 2 x y
    return (squares + 1e-4).sqrt()  # a slope at 0, where the plain root has none


def _mean_pair_distance(x: Tensor) -> Tensor:
    """Mean distance between two different ones of x (N, D); 0 for a single one."""
    count = len(x)
    if count == 1:
        return x.new_zeros(())
    apart = _distances(x, x)
    return (apart.sum() - apart.diagonal().sum()) / (count * (count - 1))
