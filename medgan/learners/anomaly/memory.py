"""The memory: features of normal images by place, and the distance of other images to them.

After PatchCore (arXiv 2106.08265), with three changes: the network is the small EfficientNet-Lite0, the core
set is drawn from a random part of the features so that its time does not grow with the data, and a cell is
compared with vectors from about the same place only, for scans show the same body in the same position.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from medgan.scans.scan import Pixels
from medgan.similarity.backbone import LITE0, build_frozen, load_weights, to_network_input

CELLS = 28
"""Cells along a side of an image."""
_WIDTH = 40 + 112
"""Features of a cell: those of EfficientNet-Lite0 at strides 8 and 16."""
_MOST_VECTORS = 4000
"""Vectors that the memory keeps at most."""
_CANDIDATES = 40_000
"""Vectors of normal images, drawn at random, of which those are chosen."""
_PROJECTED = 32
"""Random dimensions in which they are chosen."""
NEAR = 3
"""Cells by which a kept vector may lie apart, in rows and in columns."""
_HIGHEST = 0.02
"""Share of the cells of an image whose mean distance is the score of the image."""
_BATCH = 16

Distances = NDArray[np.float32]
"""(n, CELLS, CELLS): how far each cell of an image is from the nearest kept vector."""


class CellFeatures:
    """Features (n, CELLS, CELLS, 152) of square gray images (n, side, side) by the frozen network."""

    def __init__(self) -> None:
        """Load the weights.

        Raises:
            ModelError: the package of the weights is not installed.
        """
        self._network = build_frozen(load_weights(*LITE0))

    @torch.inference_mode()
    def __call__(self, squares: Pixels) -> Tensor:
        """Mean of 3 x 3 cells at both strides, the coarser one enlarged."""
        batches = []
        for start in range(0, len(squares), _BATCH):
            gray = torch.from_numpy(np.ascontiguousarray(squares[start : start + _BATCH]))[:, None]
            fine, coarse = self._network.levels(to_network_input(gray))[2:4]
            fine, coarse = (
                F.avg_pool2d(level, 3, stride=1, padding=1, count_include_pad=False)
                for level in (fine, coarse)
            )
            coarse = F.interpolate(coarse, size=(CELLS, CELLS), mode="bilinear", align_corners=False)
            batches.append(torch.cat([fine, coarse], dim=1).permute(0, 2, 3, 1))
        return torch.cat(batches)


class Memory:
    """Vectors of normal images with their places, and what standardises features."""

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        """Take the tensors that `tensors` gave.

        Raises:
            ValueError: a tensor is missing, or has another shape.
        """
        count = len(tensors["vectors"]) if "vectors" in tensors else 0
        shapes = {"mean": (_WIDTH,), "scale": (_WIDTH,), "vectors": (count, _WIDTH), "places": (count, 2)}
        for name, shape in shapes.items():
            if name not in tensors or tuple(tensors[name].shape) != shape or not count:
                raise ValueError(f"the tensor {name} is missing or has another shape")
        self._tensors = {name: tensors[name] for name in shapes}
        self.mean, self.scale = tensors["mean"], tensors["scale"]
        self.vectors, self.places = tensors["vectors"], tensors["places"]

    def tensors(self) -> dict[str, Tensor]:
        """{name: tensor} of everything that the memory is."""
        return self._tensors

    @classmethod
    def fit(cls, features: Iterable[Tensor], images: int, seed: int) -> Memory:
        """Choose the vectors that the memory keeps.

        Args:
            features: Those of the normal images, batch by batch (n, CELLS, CELLS, 152).
            images: How many images these are in all.
            seed: Decides which vectors are candidates, and in which dimensions they are chosen.
        """
        # Draw candidates image by image, so that the memory needed does not grow with the data.
        draw = torch.Generator().manual_seed(seed)
        each = max(min(_CANDIDATES // max(images, 1), CELLS * CELLS), 1)
        vectors, places = [], []
        for batch in features:
            for image in batch:
                chosen = torch.randperm(CELLS * CELLS, generator=draw)[:each]
                vectors.append(image.reshape(-1, _WIDTH)[chosen])
                places.append(torch.stack([chosen // CELLS, chosen % CELLS], dim=1))
        candidates, where = torch.cat(vectors), torch.cat(places)
        # Standardise them, and keep those that cover all.
        mean, scale = candidates.mean(dim=0), candidates.std(dim=0).clamp_min(1e-6)
        candidates = (candidates - mean) / scale
        projection = torch.randn(_WIDTH, _PROJECTED, generator=draw) / _PROJECTED**0.5
        kept = choose_centres(candidates @ projection, _MOST_VECTORS)
        return cls(
            {
                "mean": mean,
                "scale": scale,
                "vectors": candidates[kept].contiguous(),
                "places": where[kept].to(torch.int32),
            }
        )

    def distances(self, features: Tensor) -> Distances:
        """Distance of every cell of images to the nearest kept vector of about the same place."""
        cells = ((features - self.mean) / self.scale).reshape(len(features), -1, _WIDTH)
        found = [
            torch.cdist(image, self.vectors).masked_fill_(self._far, math.inf).amin(1) for image in cells
        ]
        return np.asarray(torch.stack(found).reshape(features.shape[:3]).numpy(), np.float32)

    @cached_property
    def _far(self) -> Tensor:
        """(cells, vectors): whether a vector is from another place; never so for the nearest ones."""
        places = torch.cartesian_prod(torch.arange(CELLS), torch.arange(CELLS))
        apart = (places[:, None] - self.places[None]).abs().amax(dim=2)
        return apart > apart.amin(dim=1, keepdim=True).clamp_min(NEAR)


def choose_centres(points: Tensor, count: int) -> Tensor:
    """Choose `count` rows so that every row is near one (greedy k-centre, Gonzalez 1985).

    The first is the one nearest to the mean; each further one is that which is farthest from those before.
    """
    chosen = [int(((points - points.mean(dim=0)) ** 2).sum(dim=1).argmin())]
    nearest = ((points - points[chosen[0]]) ** 2).sum(dim=1)
    while len(chosen) < min(count, len(points)):
        chosen.append(int(nearest.argmax()))
        nearest = torch.minimum(nearest, ((points - points[chosen[-1]]) ** 2).sum(dim=1))
    return torch.tensor(chosen)


def image_scores(distances: Distances) -> NDArray[np.float64]:
    """Score of each image: the mean of its highest 2 % of cells."""
    flat = np.sort(distances.reshape(len(distances), -1), axis=1)
    most = max(round(_HIGHEST * flat.shape[1]), 1)
    return np.asarray(flat[:, -most:].mean(axis=1), np.float64)
