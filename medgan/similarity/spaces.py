"""Feature spaces by name: the real train split -> a function from images (N, C, H, W) in [0, 1] to features (N, D)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from medgan.prepare.images import LabelledImages
from medgan.similarity import domain_features, features, radiomics

Features = NDArray[np.float32]
FeatureFunction = Callable[[NDArray[np.float32]], Features]
Maker = Callable[[LabelledImages, int], FeatureFunction]
"""(real train split, seed) -> the function. What cannot be made here raises MedganError: no weights, one class only."""


FARTHEST = 5.0
"""Deviations at which a standardised feature is cut: beyond, a cubic kernel would hear of the farthest image alone."""


def standardise_space(plain: FeatureFunction, train: LabelledImages) -> FeatureFunction:
    """Every feature with mean 0 and deviation 1 over `train`, cut at `FARTHEST`: their units differ, and none should drown the others."""
    known = plain(train.pixels)
    mean, deviation = known.mean(axis=0), known.std(axis=0)
    deviation = np.where(deviation > 1e-6, deviation, 1)  # noqa: PLR2004 a feature that never changes

    def function(images: NDArray[np.float32]) -> Features:
        return np.asarray(((plain(images) - mean) / deviation).clip(-FARTHEST, FARTHEST), np.float32)

    return function


SPACES: dict[str, Maker] = {
    "lite2": lambda train, seed: features.lite2(),  # noqa: ARG005 trained elsewhere
    "domain": lambda train, seed: standardise_space(domain_features.domain(train, seed), train),
    "radiomics": lambda train, seed: standardise_space(radiomics.radiomics, train),  # noqa: ARG005 not learned
}
"""`lite2` as published, so that its KID can be set beside others; the other two standardised by the train split."""
