"""The feature space `domain`, learned by classifying the real train split.

The small network has seen nothing but this data set, so it knows what matters here and nothing of ImageNet.
It never sees held-out or synthetic images.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from medgan.base.errors import DatasetError
from medgan.base.threads import use_threads
from medgan.preparation.images import LabelledImages
from medgan.similarity.small_cnn import WEIGHT_DECAY, pooled_convolutions, reduce_images

_Features = NDArray[np.float32]

DOMAIN_SIDE = 64
"""Longest side in pixels that the network sees; larger images are reduced."""
_WIDTHS = (16, 32, 64, 64)
"""Channels of the four convolutions, each of stride 2."""
_FEATURES = 64
DOMAIN_STEPS = 300
_BATCH = 32
_RATE = 2e-3
"""Learning rate at the start; it follows half a cosine to 0."""
_SHIFT = 16
"""Images are shifted at random by up to 1 / _SHIFT of their side, so that pixel positions are not
memorised."""
_CHUNK = 256


class _DomainNet(nn.Module):
    """Images (N, C, H, W) to features (N, 64) to a logit per class."""

    def __init__(self, channels: int, classes: int) -> None:
        """Build four strided convolutions, a mean over positions and one hidden layer."""
        super().__init__()
        self.body = nn.Sequential(*pooled_convolutions(channels, _WIDTHS))
        self.hidden = nn.Linear(_WIDTHS[-1], _FEATURES)
        self.head = nn.Linear(_FEATURES, classes)

    def features(self, x: Tensor) -> Tensor:
        """Features of the penultimate layer."""
        return F.relu(self.hidden(self.body(x)))

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, classes)."""
        logits: Tensor = self.head(self.features(x))
        return logits


def learn_domain_features(
    train: LabelledImages, seed: int, steps: int | None = None
) -> Callable[[NDArray[np.float32]], _Features]:
    """Train the network on `train` and return the function that computes its features.

    Equal images and an equal seed give equal features. Both use one core, whatever torch may use.

    Args:
        train: Real images to learn from.
        seed: Decides starting weights and draws.
        steps: Training steps; DOMAIN_STEPS unless a trial asks for fewer.

    Raises:
        DatasetError: there is one class only.
    """
    present = np.flatnonzero(np.bincount(train.labels, minlength=len(train.names)))
    if len(present) < 2:
        raise DatasetError(
            "the feature space domain needs scans of at least two classes",
            hint="Add scans of another class.",
        )
    classes = np.searchsorted(present, train.labels)
    with use_threads(1):
        network = _train_network(train, classes, seed, DOMAIN_STEPS if steps is None else steps)

    @use_threads(1)
    @torch.inference_mode()
    def features(images: NDArray[np.float32]) -> _Features:
        pieces = [
            network.features(_to_network_input(images[start : start + _CHUNK])).numpy()
            for start in range(0, len(images), _CHUNK)
        ]
        return np.concatenate(pieces)

    return features


def _train_network(train: LabelledImages, classes: NDArray[np.int64], seed: int, steps: int) -> _DomainNet:
    """Train the network, showing every class equally often."""
    count = int(classes.max()) + 1
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _DomainNet(train.pixels.shape[1], count)
    rng = np.random.default_rng(seed)
    of_class = [np.flatnonzero(classes == number) for number in range(count)]
    shift = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(network.parameters(), lr=_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        chosen = np.array([rng.choice(of_class[number]) for number in rng.integers(count, size=_BATCH)])
        x = _shift_randomly(_to_network_input(train.pixels[chosen]), shift)
        loss = F.cross_entropy(network(x), torch.from_numpy(classes[chosen]), label_smoothing=0.1)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    return network.eval().requires_grad_(False)


def _to_network_input(images: NDArray[np.float32]) -> Tensor:
    """Rescale images to [-1, 1], with no side longer than DOMAIN_SIDE."""
    return reduce_images(images, DOMAIN_SIDE) * 2 - 1


def _shift_randomly(x: Tensor, rng: torch.Generator) -> Tensor:
    """Shift all images of a batch by the same few pixels, repeating their edges."""
    reach_y, reach_x = (max(side // _SHIFT, 1) for side in x.shape[2:])
    y, left = (int(torch.randint(2 * reach + 1, (1,), generator=rng)) for reach in (reach_y, reach_x))
    padded = F.pad(x, (reach_x, reach_x, reach_y, reach_y), mode="replicate")
    return padded[:, :, y : y + x.shape[2], left : left + x.shape[3]]
