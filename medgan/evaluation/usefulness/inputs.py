"""The inputs of a judge's networks, prepared once for all arms.

They are batches to learn from, and images to predict.

A judge is a kind of network with its own way to prepare images. How it is trained (which images, how often,
weights of errors, steps) is the same for all judges and decided elsewhere.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from medgan.similarity.small_cnn import WEIGHT_DECAY, SmallNet, augment_classically, predict_logits, to_inputs
from medgan.training.runtime import reseed

_Array = NDArray[np.float32]
_Rows = NDArray[np.int64]


class NetworkInputs(Protocol):
    """Prepares images for one kind of network: M images to learn from and N images to predict."""

    rates: tuple[float, ...]
    """Learning rates to try."""
    steps: tuple[int, ...]
    """Numbers of steps to try, ascending, each twice the one before."""

    def fresh(self, classes: int, seed: int) -> nn.Module:
        """Build an untrained network; its weights depend only on the seed."""
        ...

    def groups(self, network: nn.Module, rate: float) -> list[dict[str, Any]]:
        """The parameter groups of an optimiser, each with its learning rate and weight decay."""
        ...

    def batch(self, rows: _Rows, *, views: bool, rng: np.random.Generator) -> Tensor:
        """The input of the network for some images; with `views` each one is augmented anew."""
        ...

    def logits(self, network: nn.Module) -> _Array:
        """(N, K): predictions for all images that are not learned from."""
        ...

    def logits_of(self, network: nn.Module, rows: _Rows) -> _Array:
        """(R, K): predictions for some images to learn from, not augmented."""
        ...


class SmallNetInputs:
    """Inputs of `SmallNet`, which is trained from scratch."""

    rates: tuple[float, ...] = (1e-3, 3e-3)
    steps: tuple[int, ...] = (50, 100, 200, 400)

    def __init__(self, learned: _Array, asked: _Array, *, like: _Array, side: int = 48) -> None:
        """Prepare images.

        Args:
            learned: (M, C, H, W) in [0, 1]: images to learn from.
            asked: (N, C, H, W) in [0, 1]: images to predict.
            like: Real images whose mean and deviation standardise all of them.
            side: Longest side in pixels that the network gets.
        """
        self.learned, self.asked = to_inputs(learned, side, like), to_inputs(asked, side, like)

    def fresh(self, classes: int, seed: int) -> nn.Module:
        """See `NetworkInputs`."""
        with torch.random.fork_rng(devices=[]):
            reseed(seed, 0)
            return SmallNet(self.learned.shape[1], classes)

    def groups(self, network: nn.Module, rate: float) -> list[dict[str, Any]]:
        """See `NetworkInputs`: one rate for all weights."""
        return [{"params": list(network.parameters()), "lr": rate, "weight_decay": WEIGHT_DECAY}]

    def batch(self, rows: _Rows, *, views: bool, rng: np.random.Generator) -> Tensor:
        """(R, C, H, W); augmented anew each time if `views`."""
        images = self.learned[torch.from_numpy(rows)]
        return (
            augment_classically(images, torch.Generator().manual_seed(int(rng.integers(2**62))))
            if views
            else images
        )

    def logits(self, network: nn.Module) -> _Array:
        """See `NetworkInputs`."""
        return predict_logits(network.eval(), self.asked)

    def logits_of(self, network: nn.Module, rows: _Rows) -> _Array:
        """See `NetworkInputs`."""
        return predict_logits(network.eval(), self.learned[torch.from_numpy(rows)])
