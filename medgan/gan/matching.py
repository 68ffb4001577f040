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

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from medgan.learn.backbone import LITE0, as_seen, frozen, pretrained
from medgan.plan import Plan

REALS = 64
"""Real images that each group is compared with."""
GRID = 4
"""Cells per side over which features are averaged."""
LEAST, MOST = 48, 128
"""Sides in pixels between which the frozen network sees images: smaller ones are doubled, larger ones halved."""
CHUNK = 50
"""Real images looked at at once."""

OfClass = Callable[[int], NDArray[np.float32]]
"""Class number -> real images of it (N, C, H, W) as the networks see them."""


class Matcher:
    """The frozen network, and what it sees in the real images of every class."""

    def __init__(self, plan: Plan, of_class: OfClass, device: torch.device) -> None:
        """Look at the real images once; ModelError when the extra `pretrained` is not installed."""
        self.span, self.group = plan.span, plan.group
        self.network = frozen(pretrained(*LITE0)).to(device)
        self.device = device
        known = [self._known(of_class(number)) for number in range(len(plan.labels))]
        together = [torch.cat(level) for level in zip(*known, strict=True)]
        self.means = [level.mean(dim=0) for level in together]
        self.deviations = [level.std(dim=0) + 1e-3 for level in together]
        self.known = [self._scaled(level) for level in known]
        """Per class, per level: features (N, D), standardised over all classes together."""
        self.spread = [[_spread(level) for level in levels] for levels in self.known]

    @torch.no_grad()
    def _known(self, images: NDArray[np.float32]) -> list[Tensor]:
        parts = [
            self.features(torch.as_tensor(images[start : start + CHUNK], device=self.device))
            for start in range(0, len(images), CHUNK)
        ]
        return [torch.cat(level) for level in zip(*parts, strict=True)]

    def features(self, images: Tensor) -> list[Tensor]:
        """Images (N, C, H, W) as the networks see them -> ten tables (N, D): per scale what is there, and where."""
        low, high = self.span
        seen = as_seen((low + (images.float() + 1) / 2 * (high - low)).clamp(0, 1))
        longest = max(seen.shape[2:])
        if longest < LEAST:
            seen = F.interpolate(seen, scale_factor=2.0, mode="bilinear", align_corners=False)
        while max(seen.shape[2:]) > MOST:
            seen = F.avg_pool2d(seen, 2)
        levels = self.network.levels(seen.contiguous(memory_format=torch.channels_last))
        what = [torch.cat([x.mean(dim=(2, 3)), x.std(dim=(2, 3), unbiased=False)], dim=1) for x in levels]
        where = [
            F.adaptive_avg_pool2d(x, (min(GRID, x.shape[2]), min(GRID, x.shape[3]))).flatten(1)
            for x in levels
        ]
        return [*what, *where]

    def _scaled(self, levels: list[Tensor]) -> list[Tensor]:
        return [
            (x - mean) / deviation
            for x, mean, deviation in zip(levels, self.means, self.deviations, strict=True)
        ]

    def distance(self, fake: Tensor, labels: Tensor, chance: tuple[int, int]) -> Tensor:
        """Energy distance of synthetic images (N, C, H, W) to the real ones of their classes (N,), mean over groups and levels.

        Groups of `plan.group` images follow each other in the batch, each of one class. Which real images they are compared with
        depends on `chance` = (seed, images shown) and the class alone.
        """
        drawn = self._scaled(self.features(fake))
        classes = labels[:: self.group].tolist()
        total = fake.new_zeros(())
        for group, number in enumerate(classes):
            rows = slice(group * self.group, (group + 1) * self.group)
            count = len(self.known[number][0])
            chosen = np.random.default_rng((*chance, number)).permutation(count)[:REALS]
            real_rows = torch.as_tensor(chosen, device=self.device)
            for level, x in enumerate(drawn):
                across = _apart(x[rows], self.known[number][level][real_rows]).mean()
                total = total + 2 * across - _spread(x[rows]) - self.spread[number][level]
        return total / (len(classes) * len(drawn))


def _apart(x: Tensor, y: Tensor) -> Tensor:
    """Distances (N, M) between features, per root of their number, so that every level counts alike."""
    squares = torch.cdist(x, y).square() / x.shape[1]
    return (squares + 1e-4).sqrt()  # a slope at 0, where the plain root has none


def _spread(x: Tensor) -> Tensor:
    """Mean distance between two different ones of x (N, D); 0 for a single one."""
    count = len(x)
    if count == 1:
        return x.new_zeros(())
    apart = _apart(x, x)
    return (apart.sum() - apart.diagonal().sum()) / (count * (count - 1))
