"""Feature spaces by name: the real train split -> a function from images (N, C, H, W) in [0, 1] to features (N, D)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from medgan.prepare.images import LabelledImages
from medgan.similarity import domain_features, features, radiomics

_Features = NDArray[np.float32]
FeatureFunction = Callable[[NDArray[np.float32]], _Features]
_Maker = Callable[[LabelledImages, int], FeatureFunction]
"""(real train split, seed) -> the function. What cannot be made here raises MedganError: no weights, one class only."""


_FARTHEST = 5.0
"""Deviations at which a standardised feature is cut: beyond, a cubic kernel would hear of the farthest image alone."""


def _standardise_space(plain: FeatureFunction, train: LabelledImages) -> FeatureFunction:
    """Every feature with mean 0 and deviation 1 over `train`, cut at `_FARTHEST`: their units differ, and none should drown the others."""
    known = plain(train.pixels)
    mean, deviation = known.mean(axis=0), known.std(axis=0)
    deviation = np.where(deviation > 1e-6, deviation, 1)  # noqa: PLR2004 a feature that never changes

    def function(images: NDArray[np.float32]) -> _Features:
        return np.asarray(((plain(images) - mean) / deviation).clip(-_FARTHEST, _FARTHEST), np.float32)

    return function


SPACES: dict[str, _Maker] = {
    "lite2": lambda train, seed: features.lite2_features(),  # noqa: ARG005 trained elsewhere
    "domain": lambda train, seed: _standardise_space(
        domain_features.learn_domain_features(train, seed), train
    ),
    "radiomics": lambda train, seed: _standardise_space(radiomics.radiomic_features, train),  # noqa: ARG005 not learned
}
"""`lite2` as published, so that its KID can be set beside others; the other two standardised by the train split."""
