"""Put features of different units on one scale."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_Array = NDArray[np.float32]

_CONSTANT = 1e-6
"""Deviation up to which a feature is constant."""
_FARTHEST = 5.0
"""Deviations at which a standardised feature is cut off."""


def standardise(features: _Array, like: _Array) -> _Array:
    """Standardise features (N, D) by their mean and deviation over `like` (M, D), and cut them off.

    A network has features that are 0 in nearly every image of one kind. Over a few dozen images their
    deviation is 0 or almost so, and an image that has them would lie a million deviations away, where it
    alone decides what a linear classifier or a kernel finds. A constant feature keeps its unit.
    """
    mean, deviation = like.mean(axis=0), like.std(axis=0)
    deviation = np.where(deviation > _CONSTANT, deviation, 1)
    return np.asarray(((features - mean) / deviation).clip(-_FARTHEST, _FARTHEST), np.float32)
