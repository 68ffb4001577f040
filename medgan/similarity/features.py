"""Images (N, C, H, W) in [0, 1] -> feature vectors (N, D) of networks trained elsewhere: `lite2_features`, which judges, and `lite0_features`, which filters."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from medgan.similarity.backbone import LITE0, LITE2, build_frozen, load_weights, to_network_input

_SIDE = 128
"""Side in pixels to which images are brought before a network sees them."""

_Features = NDArray[np.float32]
FeatureFunction = Callable[[NDArray[np.float32]], _Features]
"""Images (N, C, H, W) in [0, 1] -> features (N, D), those of an image whatever its company."""


def lite2_features() -> FeatureFunction:
    """The feature space `lite2_features` (EfficientNet-Lite2, ImageNet): (N, C, H, W) in [0, 1] -> (N, 1280)."""
    return _network_features(*LITE2)


def lite0_features() -> FeatureFunction:
    """The same of EfficientNet-Lite0, which may teach a generator and filter what it draws, and so never scores it."""
    return _network_features(*LITE0)


def _network_features(package: str, sha256: str) -> FeatureFunction:
    """How the network with these weights sees images; ModelError where the package is absent."""
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
