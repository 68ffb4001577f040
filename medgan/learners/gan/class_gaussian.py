"""Latent and class -> a small, blurred image: a draw from the normal distribution that the real images of the class have at few pixels.

Mean and covariance of small images need no adversary to learn them. A generator that starts from such a draw has the variety of
every class before its first step, rare ones included, and only learns to draw it sharply. Covariances are shrunk towards the mean
covariance of all classes, the more the fewer images a class has (after Friedman, Regularized Discriminant Analysis, 1989), so that a
class of twenty images borrows how bodies vary from the others, and no image of it is spanned by its own few.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

_BORROWED = 30
"""Images for which half of a class's covariance is its own and half is borrowed."""


class ClassGaussian(nn.Module):
    """Latent (N, latent), normalised to length sqrt(latent), and class (N,) -> images (N, C, h, w)."""

    def __init__(self, shape: tuple[int, int, int], latent: int, classes: int) -> None:
        """Until `measure` is called, every class is the same noise around mid-range."""
        super().__init__()
        self.shape = shape
        pixels = shape[0] * shape[1] * shape[2]
        self.mean = nn.Parameter(torch.zeros(classes, pixels))
        self.directions = nn.Parameter(torch.randn(pixels, latent) * (0.25 / latent**0.5))
        """Principal directions within classes, shared by all of them."""
        self.roots = nn.Parameter(torch.eye(latent).repeat(classes, 1, 1))
        """Symmetric roots of the covariances along the directions."""

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """Mean of the class + directions root z: covariance directions root root' directions'."""
        # Not `roots[labels]`: on the way back threads would add the gradients of a class up in an order of their own.
        roots = F.embedding(labels, self.roots.flatten(1)).view(-1, *self.roots.shape[1:])
        along = torch.bmm(roots, z[:, :, None])[:, :, 0]
        mean = F.embedding(labels, self.mean)
        return (mean + along @ self.directions.T).reshape(-1, *self.shape)

    @torch.no_grad()
    def measure(self, images: Sequence[NDArray[np.float32]]) -> None:
        """Take mean and covariance of every class from its real images (N, C, h, w)."""
        flat = [np.asarray(x, np.float64).reshape(len(x), -1) for x in images]
        means = [x.mean(axis=0) for x in flat]
        within = np.concatenate([(x - mean) / len(x) ** 0.5 for x, mean in zip(flat, means, strict=True)])
        found = np.linalg.svd(within, full_matrices=False)[2][: self.directions.shape[1]]
        directions = np.zeros(self.directions.shape)
        directions[:, : len(found)] = found.T
        own = [
            ((x - mean) @ directions).T @ ((x - mean) @ directions) / max(len(x) - 1, 1)
            for x, mean in zip(flat, means, strict=True)
        ]
        shared = np.mean(own, axis=0)
        for number, (x, mean, covariance) in enumerate(zip(flat, means, own, strict=True)):
            borrowed = _BORROWED / (_BORROWED + len(x))
            values, vectors = np.linalg.eigh((1 - borrowed) * covariance + borrowed * shared)
            root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
            self.roots[number] = torch.from_numpy(root)
            self.mean[number] = torch.from_numpy(mean)
        self.directions.copy_(torch.from_numpy(directions))
