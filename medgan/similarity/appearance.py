"""Describe images by layout and texture, without a network.

Layout is a thumbnail, texture are radiomic features. The filter judges realism by these alone, so that
realism needs no weights, gives the same answer on every machine, and does not share the preferences of a
network that a generator may have learned to please.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medgan.similarity.nearest import COARSE, Pixels, to_gray
from medgan.similarity.radiomics import OCTAVES, radiomic_features

Points = NDArray[np.float64]
_TEXTURES = 43
"""Number of texture features, which follow those of layout."""
_FLAT = 1e-6
"""Standard deviation below which a feature counts as constant."""


def layout_texture_features(pixels: Pixels) -> Points:
    """Features (N, D) of images (N, C, H, W) in [0, 1]: gray thumbnail, then texture.

    The thumbnail has at most 16 x 16 pixels.
    """
    small = to_gray(pixels, COARSE)
    return np.concatenate([small.reshape(len(small), -1), _texture(pixels)], axis=1).astype(np.float64)


def _texture(pixels: Pixels) -> NDArray[np.float32]:
    """Radiomic features, after enlarging images too small for the wavelet."""
    times = -(-(2**OCTAVES) // min(pixels.shape[2:]))
    return radiomic_features(pixels.repeat(times, axis=2).repeat(times, axis=3))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FeatureScale:
    """Mean and weight of features, measured on a set of images.

    The weights make layout and texture count alike, whatever the units of single features.
    """

    mean: Points
    """(D,)."""
    weight: Points
    """(D,): 1 / standard deviation, divided by the square root of the number of features of its kind."""

    @classmethod
    def of(cls, points: Points) -> FeatureScale:
        """Measure `points` (N, D).

        All pixels of the thumbnail share one weight, so their relative spread is kept.
        """
        spread, layout = points.std(axis=0), points.shape[1] - _TEXTURES
        weight = np.divide(1, spread, out=np.zeros_like(spread), where=spread > _FLAT)
        thumbnail = np.sqrt((spread[:layout] ** 2).sum())
        weight[:layout] = 1 / thumbnail if thumbnail > _FLAT else 0
        weight[layout:] /= max(np.sqrt((weight[layout:] > 0).sum()), 1)
        return cls(mean=points.mean(axis=0), weight=weight)

    def __call__(self, points: Points) -> Points:
        """Centre and weight points (N, D).

        Over the images that were measured, both kinds of features have a total variance of 1.
        """
        return (points - self.mean) * self.weight
