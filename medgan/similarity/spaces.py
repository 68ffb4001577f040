"""The feature spaces of scores by name, each built from the real train split."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from medgan.preparation.images import LabelledImages
from medgan.similarity import domain_features, features, radiomics
from medgan.similarity.features import FeatureFunction
from medgan.similarity.standardise import standardise

_Maker = Callable[[LabelledImages, int], FeatureFunction]
"""(real train split, seed) to a feature function. It raises MedganError where that is impossible: missing
weights, one class only."""


def _standardise_space(plain: FeatureFunction, train: LabelledImages) -> FeatureFunction:
    """Standardise every feature over `train`, because none should outweigh the others by its unit."""
    known = plain(train.pixels)

    def function(images: NDArray[np.float32]) -> NDArray[np.float32]:
        return standardise(plain(images), known)

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
