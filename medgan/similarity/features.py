"""Features of ImageNet networks: `lite2` for scores, `lite0` for the filter."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from medgan.similarity.backbone import LITE0, LITE2, build_frozen, load_weights, to_network_input

_SIDE = 128
"""Side in pixels to which images are resized before a network sees them."""

_Features = NDArray[np.float32]
FeatureFunction = Callable[[NDArray[np.float32]], _Features]
"""Images (N, C, H, W) in [0, 1] to features (N, D), each image independently of the others."""


def lite2_features() -> FeatureFunction:
    """Load the feature space `lite2`: EfficientNet-Lite2, (N, C, H, W) to (N, 1280)."""
    return _network_features(*LITE2)


def lite0_features() -> FeatureFunction:
    """Load the features of EfficientNet-Lite0.

    They may serve training and filtering, so they are never used for scores.
    """
    return _network_features(*LITE0)


def _network_features(package: str, sha256: str) -> FeatureFunction:
    """Load the network with these weights.

    Raises:
        ModelError: the weights package is not installed.
    """
    network = build_frozen(load_weights(package, sha256))

    @torch.inference_mode()
    def features(images: NDArray[np.float32]) -> _Features:
        rows = []
        for start in range(0, len(images), 64):
            batch = torch.from_numpy(np.ascontiguousarray(images[start : start + 64]))
            batch = F.interpolate(batch, size=(_SIDE, _SIDE), mode="bilinear", antialias=True)
            rows.append(network(to_network_input(batch)).numpy())
        return np.concatenate(rows)

    return features
