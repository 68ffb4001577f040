"""Images of all arms -> what a judge sees of them, prepared once: batches to learn from, and what a network says of images.

A judge is a kind of network with a way to look at images. How it is trained (which rows, how often, what an error costs, how many steps)
is no matter of its eyes, and the same for all.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from medgan.similarity.small_cnn import WEIGHT_DECAY, SmallNet, augment_classically, predict_logits, to_inputs
from medgan.training.runtime import reseed

Array = NDArray[np.float32]
Rows = NDArray[np.int64]


class Eyes(Protocol):
    """What a judge sees of the images that arms learn from (rows 0 to M - 1, real and made) and of those it is asked about (N)."""

    rates: tuple[float, ...]
    """Learning rates worth trying."""
    steps: tuple[int, ...]
    """Numbers of steps worth trying, ascending, each twice the one before."""

    def fresh(self, classes: int, seed: int) -> nn.Module:
        """An untrained network, ready to learn; its weights depend on the seed alone."""
        ...

    def groups(self, network: nn.Module, rate: float) -> list[dict[str, Any]]:
        """The parameter groups of an optimiser, each with its learning rate and weight decay."""
        ...

    def batch(self, rows: Rows, *, views: bool, chance: np.random.Generator) -> Tensor:
        """What `fresh` takes, of learned images; with `views` each is classically augmented, differently each time."""
        ...

    def logits(self, network: nn.Module) -> Array:
        """(N, K): what a network says of all asked images."""
        ...

    def logits_of(self, network: nn.Module, rows: Rows) -> Array:
        """(R, K): what a network says of learned images, as they are."""
        ...


class SmallEyes:
    """Eyes of `SmallNet`, trained from scratch on the images themselves."""

    rates: tuple[float, ...] = (1e-3, 3e-3)
    steps: tuple[int, ...] = (50, 100, 200, 400)

    def __init__(self, learned: Array, asked: Array, *, like: Array, side: int = 48) -> None:
        """Take images (M, C, H, W) and (N, C, H, W) in [0, 1]; they are standardised by `like`, the real ones to learn from.

        The network sees them at `side` pixels a longest side at most.
        """
        self.learned, self.asked = to_inputs(learned, side, like), to_inputs(asked, side, like)

    def fresh(self, classes: int, seed: int) -> nn.Module:
        """See `Eyes`."""
        with torch.random.fork_rng(devices=[]):
            reseed(seed, 0)
            return SmallNet(self.learned.shape[1], classes)

    def groups(self, network: nn.Module, rate: float) -> list[dict[str, Any]]:
        """See `Eyes`: one rate for all weights."""
        return [{"params": list(network.parameters()), "lr": rate, "weight_decay": WEIGHT_DECAY}]

    def batch(self, rows: Rows, *, views: bool, chance: np.random.Generator) -> Tensor:
        """(R, C, H, W); views are made here, anew each time."""
        images = self.learned[torch.from_numpy(rows)]
        return (
            augment_classically(images, torch.Generator().manual_seed(int(chance.integers(2**62))))
            if views
            else images
        )

    def logits(self, network: nn.Module) -> Array:
        """See `Eyes`."""
        return predict_logits(network.eval(), self.asked)

    def logits_of(self, network: nn.Module, rows: Rows) -> Array:
        """See `Eyes`."""
        return predict_logits(network.eval(), self.learned[torch.from_numpy(rows)])
