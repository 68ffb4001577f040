"""The Gaussian: how improbable a small image is among normal ones.

The score is the Mahalanobis distance. The covariance is shrunk toward a multiple of the identity by the
oracle approximating shrinkage of Chen et al. (IEEE Trans. Signal Processing 58 (2010) 5016), so that it can
be inverted where there are fewer images than pixels.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from medgan.scans.scan import Pixels

_SIDE = 32
"""Side of the small images in pixels."""
_PIXELS = _SIDE * _SIDE
_FLAT = 1e-6
"""Least variance of a pixel, where all images are equal."""

Scores = NDArray[np.float64]
"""(n,): one per image, higher where it is less normal."""


def shrink_images(squares: Pixels) -> NDArray[np.float64]:
    """Means over areas of square images (n, side, side), as rows of 32 x 32 pixels."""
    small = F.interpolate(
        torch.from_numpy(np.ascontiguousarray(squares))[:, None], size=(_SIDE, _SIDE), mode="area"
    )
    return np.asarray(small.numpy().reshape(len(squares), _PIXELS), np.float64)


class Gaussian:
    """Mean and principal directions of small normal images, with the variance along each."""

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        """Take the tensors that `tensors` gave.

        Raises:
            ValueError: a tensor is missing, or has another shape.
        """
        count = len(tensors["directions"]) if "directions" in tensors else 0
        shapes = {"centre": (_PIXELS,), "directions": (count, _PIXELS), "variances": (count,), "floor": (1,)}
        for name, shape in shapes.items():
            if name not in tensors or tuple(tensors[name].shape) != shape:
                raise ValueError(f"the tensor {name} is missing or has another shape")
        self._tensors = {name: tensors[name] for name in shapes}
        self.centre, self.directions, self.variances = (
            np.asarray(tensors[name].numpy(), np.float64) for name in ("centre", "directions", "variances")
        )
        self.floor = float(tensors["floor"])
        if not (self.floor > 0 and (self.variances > 0).all()):
            raise ValueError("a variance is not positive")

    def tensors(self) -> dict[str, Tensor]:
        """{name: tensor} of everything that the Gaussian is."""
        return self._tensors

    @classmethod
    def fit(cls, small: NDArray[np.float64]) -> Gaussian:
        """Estimate mean and covariance of small images (n, 1024)."""
        count, width = small.shape
        centre = small.mean(axis=0)
        _, lengths, directions = np.linalg.svd(small - centre, full_matrices=False)
        variances = lengths**2 / count
        # Shrinkage, equation 23 of the paper.
        trace, squared = variances.sum(), (variances**2).sum()
        above = (1 - 2 / width) * squared + trace**2
        below = (count + 1 - 2 / width) * (squared - trace**2 / width)
        share = min(above / below, 1.0) if below > 0 else 1.0
        floor = max(share * trace / width, _FLAT)
        arrays = {
            "centre": centre,
            "directions": directions,
            "variances": (1 - share) * variances + floor,
            "floor": np.array([floor]),
        }
        return cls(
            {name: torch.from_numpy(np.asarray(array, np.float32)).clone() for name, array in arrays.items()}
        )

    def scores(self, small: NDArray[np.float64]) -> Scores:
        """Mahalanobis distance of small images (n, 1024)."""
        apart = small - self.centre
        along = apart @ self.directions.T
        rest = ((apart - along @ self.directions) ** 2).sum(axis=1)
        return np.asarray(np.sqrt((along**2 / self.variances).sum(axis=1) + rest / self.floor))

    def residuals(self, small: NDArray[np.float64], components: int) -> Scores:
        """Length of what the mean and the first principal components leave; 0 components: the mean alone."""
        apart = small - self.centre
        first = self.directions[:components]
        return np.asarray(np.linalg.norm(apart - apart @ first.T @ first, axis=1))
