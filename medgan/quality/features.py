"""Images (N, C, H, W) in [0, 1] -> feature vectors (N, D) of a network trained elsewhere: the feature space `lite2`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from medgan.learn.backbone import LITE2, as_seen, frozen, pretrained

SIDE = 128
"""Side in pixels to which images are brought before the network sees them."""

Features = NDArray[np.float32]


def lite2() -> Callable[[NDArray[np.float32]], Features]:
    """The feature space `lite2` (EfficientNet-Lite2, ImageNet): (N, C, H, W) in [0, 1] -> (N, 1280)."""
    network = frozen(pretrained(*LITE2))

    @torch.inference_mode()
    def features(images: NDArray[np.float32]) -> Features:
        rows = []
        for start in range(0, len(images), 64):
            batch = torch.from_numpy(np.ascontiguousarray(images[start : start + 64]))
            batch = F.interpolate(batch, size=(SIDE, SIDE), mode="bilinear", antialias=True)
            rows.append(network(as_seen(batch)).numpy())
        return np.concatenate(rows)

    return features
