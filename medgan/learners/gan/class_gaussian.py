"""Class-conditional Gaussian of small training images, where the generator starts.

Learning the mean and covariance of small images takes no discriminator. A generator that starts from such a
sample has the variety of every class before its first step, rare classes included, and only has to learn to
draw it sharply. Covariances are shrunk towards the mean covariance of all classes, the more the fewer images
a class has (after Friedman, Regularized Discriminant Analysis, 1989). A class of twenty images thus borrows
from the others how bodies vary, and its images are not confined to combinations of its own few.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from medgan.learners.gan.layers import class_rows

_BORROWED = 30
"""Number of images at which half of a class's covariance is its own and half is borrowed."""


class ClassGaussian(nn.Module):
    """Samples of a normal distribution per class, small images (N, C, h, w).

    The inputs are latents (N, latent), normalised to length sqrt(latent), and classes (N,). Where classes are
    mixed by weights (N, classes), so are their means and roots: a mixture of roots is the root of a
    covariance, too.
    """

    def __init__(self, shape: tuple[int, int, int], latent: int, classes: int) -> None:
        """Start with the same noise around mid-range for every class, until `measure`."""
        super().__init__()
        self.shape = shape
        pixels = shape[0] * shape[1] * shape[2]
        self.mean = nn.Parameter(torch.zeros(classes, pixels))
        self.directions = nn.Parameter(torch.randn(pixels, latent) * (0.25 / latent**0.5))
        """Principal directions within classes, shared by all classes."""
        self.roots = nn.Parameter(torch.eye(latent).repeat(classes, 1, 1))
        """Symmetric square roots of the covariances along these directions, one per class."""

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """Compute mean + directions root z.

        Its covariance is directions root root' directions'.
        """
        # Not `roots[labels]`: its backward pass adds up the gradients of a class in any order of threads.
        roots = class_rows(self.roots.flatten(1), labels).view(-1, *self.roots.shape[1:])
        along = torch.bmm(roots, z[:, :, None])[:, :, 0]
        mean = class_rows(self.mean, labels)
        return (mean + along @ self.directions.T).reshape(-1, *self.shape)

    @torch.no_grad()
    def measure(self, images: Sequence[NDArray[np.float32]]) -> None:
        """Set mean and covariance of every class from its real images (N, C, h, w)."""
        # Principal directions within classes, every class weighing the same.
        flat = [np.asarray(x, np.float64).reshape(len(x), -1) for x in images]
        means = [x.mean(axis=0) for x in flat]
        within = np.concatenate([(x - mean) / len(x) ** 0.5 for x, mean in zip(flat, means, strict=True)])
        found = np.linalg.svd(within, full_matrices=False)[2][: self.directions.shape[1]]
        directions = np.zeros(self.directions.shape)
        directions[:, : len(found)] = found.T
        # Covariance of every class along these directions, shrunk towards their mean.
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
