"""Images (N, C, H, W) in [0, 1] -> what they look like in numbers (N, D): layout (a thumbnail) and texture (radiomics). No network.

The sieve describes images by this alone, so that it needs no weights, gives the same answer on every machine, and does not share the
taste of a network that a generator may have learned to please.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medgan.similarity.nearest import COARSE, Pixels, to_gray
from medgan.similarity.radiomics import OCTAVES, radiomic_features

Points = NDArray[np.float64]
_TEXTURES = 43
"""Features of texture, which follow those of layout."""
_FLAT = 1e-6
"""Deviation below which a feature does not vary."""


def layout_texture_features(pixels: Pixels) -> Points:
    """A row per image: the gray thumbnail (at most 16 x 16), then texture."""
    small = to_gray(pixels, COARSE)
    return np.concatenate([small.reshape(len(small), -1), _texture(pixels)], axis=1).astype(np.float64)


def _texture(pixels: Pixels) -> NDArray[np.float32]:
    """Radiomics; images too small for its wavelet are enlarged by whole numbers first."""
    times = -(-(2**OCTAVES) // min(pixels.shape[2:]))
    return radiomic_features(pixels.repeat(times, axis=2).repeat(times, axis=3))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FeatureScale:
    """How the numbers of some images spread, so that layout and texture weigh alike and no unit drowns another."""

    mean: Points
    """(D,)."""
    weight: Points
    """(D,): 1 / deviation, times 1 / root of the number of features of its kind."""

    @classmethod
    def of(cls, points: Points) -> FeatureScale:
        """Measured on `points` (N, D); the pixels of the thumbnail keep their spread among each other."""
        spread, layout = points.std(axis=0), points.shape[1] - _TEXTURES
        weight = np.divide(1, spread, out=np.zeros_like(spread), where=spread > _FLAT)
        thumbnail = np.sqrt((spread[:layout] ** 2).sum())
        weight[:layout] = 1 / thumbnail if thumbnail > _FLAT else 0
        weight[layout:] /= max(np.sqrt((weight[layout:] > 0).sum()), 1)
        return cls(mean=points.mean(axis=0), weight=weight)

    def __call__(self, points: Points) -> Points:
        """(N, D) -> (N, D): centred, both kinds with total variance 1 over the images that were measured."""
        return (points - self.mean) * self.weight
