"""The feature spaces of scores by name, each built from the real train split."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from medgan.preparation.images import LabelledImages
from medgan.similarity import domain_features, features, radiomics
from medgan.similarity.features import FeatureFunction

_Maker = Callable[[LabelledImages, int], FeatureFunction]
"""(real train split, seed) to a feature function. It raises MedganError where that is impossible: missing
weights, one class only."""


_FARTHEST = 5.0
"""Deviations at which a standardised feature is cut off. Beyond, a cubic kernel would be dominated by the
farthest image."""


def _standardise_space(plain: FeatureFunction, train: LabelledImages) -> FeatureFunction:
    """Standardise every feature over `train`, and cut it off at `_FARTHEST`.

    The features have different units, and none should outweigh the others.
    """
    known = plain(train.pixels)
    mean, deviation = known.mean(axis=0), known.std(axis=0)
    deviation = np.where(deviation > 1e-6, deviation, 1)  # noqa: PLR2004  # constant features

    def function(images: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(((plain(images) - mean) / deviation).clip(-_FARTHEST, _FARTHEST), np.float32)

    return function


SPACES: dict[str, _Maker] = {
    "lite2": lambda train, seed: features.lite2_features(),  # noqa: ARG005  # trained elsewhere
    "domain": lambda train, seed: _standardise_space(
        domain_features.learn_domain_features(train, seed), train
    ),
    "radiomics": lambda train, seed: _standardise_space(radiomics.radiomic_features, train),  # noqa: ARG005
}
"""`lite2` is used as published, so that its KID can be compared with others; the other two are standardised
over the train split."""
