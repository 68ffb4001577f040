"""The fine-tuned judge: EfficientNet-Lite1, its last two stages trained.

It learns as users would train it.

The stages before are frozen, so each image and each augmented view of it passes them once for all classifiers
of all arms. On one core that takes 4 to 5 ms per image at 128 pixels and 14 to 22 ms at 224. A classifier of
100 steps of 32 images, which only pass the last stages, takes 14 to 22 s and 50 to 55 s (AMD EPYC with
AVX-512, fp32).
"""

from __future__ import annotations

from collections.abc import Iterable
from threading import Lock
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from medgan.base.files import digest
from medgan.similarity.backbone import LITE1, EfficientNetLite, build_frozen, load_weights, to_network_input
from medgan.similarity.small_cnn import EPSILON, WEIGHT_DECAY, augment_classically
from medgan.training.runtime import reseed

_STAGE = 6
"""The first of EfficientNet's seven stages that is trained."""
SMALLEST = 128
"""Smallest longest side in pixels that the network gets; smaller images are enlarged."""
LARGEST = 224
"""Largest longest side in pixels that the network gets; larger images are reduced."""
_FEWEST_VIEWS = 2
"""Augmented views per image, at least."""
_MOST_VIEWS = 8
"""Augmented views per image, at most."""
_VIEWS_IN_ALL = 8000
"""Augmented views of all images, about; time and memory grow with them."""
_LINEAR_RATE = 20
"""Learning rate of the new linear layer as a multiple of that of the pretrained stages."""
_FROZEN_BATCH = 4
"""Images that pass the frozen stages at a time: few, so that their maps stay in the processor's cache."""
_PREDICT_BATCH = 32
"""Images that pass the trained stages at a time when they are predicted."""

_Array = NDArray[np.float32]
_Rows = NDArray[np.int64]


class _Tail(nn.Module):
    """The trained part: the last stages, a mean over positions and a linear layer; (N, C, h, w) to (N, K)."""

    def __init__(self, lite: EfficientNetLite, classes: int) -> None:
        """Start from pretrained stages and a linear layer of small random weights."""
        super().__init__()
        self.stages = lite.tail(_STAGE)
        self.linear = nn.Linear(len(lite.get_buffer("head_bias")), classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of each image, independent of the batch: norms are folded, and there is no dropout."""
        logits: Tensor = self.linear(self.stages.after(x, _STAGE))
        return logits


class FineTunedInputs:
    """Inputs of `_Tail`: output of the frozen stages, computed when first needed and kept in memory.

    It is kept as float16: 14 kB per image or view at 128 pixels, 43 kB at 224. All arithmetic is in fp32;
    bf16 is faster on some processors and slower on others, and a judge must not depend on that.
    """

    rates: tuple[float, ...] = (3e-5, 1e-4, 3e-4)
    steps: tuple[int, ...] = (25, 50, 100, 200)

    def __init__(
        self,
        learned: _Array,
        asked: _Array,
        *,
        like: _Array,
        seed: int,
        side: int = LARGEST,
    ) -> None:
        """Take images; nothing is computed yet.

        Args:
            learned: (M, C, H, W) in [0, 1]: images to learn from.
            asked: (N, C, H, W) in [0, 1]: images to predict.
            like: Real images whose deviation scales changes of brightness.
            seed: Decides the augmented views.
            side: Longest side in pixels that the network gets.

        Raises:
            ModelError: the weights are not installed.
        """
        self._lite = build_frozen(load_weights(*LITE1))
        self._learned, self._asked = learned, asked
        self._deviation = float(like.std()) + EPSILON
        self._side, self._count, self._seed = side, views_of(len(learned)), seed
        self._portions: dict[int, Tensor] = {}
        self._views: dict[int, Tensor] = {}
        self._questions: list[Tensor] = []
        self._asking = Lock()  # classifiers are trained several at once, and end about together

    def fresh(self, classes: int, seed: int) -> nn.Module:
        """See `NetworkInputs`: only the weights of the linear layer are random."""
        with torch.random.fork_rng(devices=[]):
            reseed(seed, 0)
            return _Tail(self._lite, classes)

    def groups(self, network: nn.Module, rate: float) -> list[dict[str, Any]]:
        """See `NetworkInputs`: `rate` is that of the pretrained stages."""
        assert isinstance(network, _Tail)
        parts = ((network.stages, rate), (network.linear, _LINEAR_RATE * rate))
        return [
            {"params": list(part.parameters()), "lr": speed, "weight_decay": WEIGHT_DECAY}
            for part, speed in parts
        ]

    def batch(self, rows: _Rows, *, views: bool, rng: np.random.Generator) -> Tensor:
        """(R, 112, h, w), with h and w a sixteenth of the sides; of each image one view is drawn."""
        if not views:
            return torch.stack([self._plain(row) for row in rows.tolist()]).float()
        drawn = rng.integers(self._count, size=len(rows)).tolist()
        return torch.stack(
            [self._vary(row)[view] for row, view in zip(rows.tolist(), drawn, strict=True)]
        ).float()

    def logits(self, network: nn.Module) -> _Array:
        """See `NetworkInputs`."""
        with self._asking:
            if not self._questions:
                self._questions = self._look_at_questions()
        return _answers(network, self._questions)

    def _look_at_questions(self) -> list[Tensor]:
        """Output of the frozen stages for the images to predict, in batches for the trained stages."""
        starts = range(0, len(self._asked), _FROZEN_BATCH)
        looked = [
            self._look(_resize_for_network(self._asked[start : start + _FROZEN_BATCH], self._side))
            for start in starts
        ]
        together = _PREDICT_BATCH // _FROZEN_BATCH
        return [torch.cat(looked[start : start + together]) for start in range(0, len(looked), together)]

    def logits_of(self, network: nn.Module, rows: _Rows) -> _Array:
        """See `NetworkInputs`."""
        pieces = (
            rows[start : start + _PREDICT_BATCH].tolist() for start in range(0, len(rows), _PREDICT_BATCH)
        )
        return _answers(network, (torch.stack([self._plain(row) for row in piece]) for piece in pieces))

    def _plain(self, row: int) -> Tensor:
        """Output of the frozen stages for an image, always computed in the same batch for equal rounding."""
        portion, place = divmod(row, _FROZEN_BATCH)
        if portion not in self._portions:
            self._portions[portion] = self._look(
                _resize_for_network(
                    self._learned[portion * _FROZEN_BATCH : (portion + 1) * _FROZEN_BATCH], self._side
                )
            )
        return self._portions[portion][place]

    def _vary(self, row: int) -> Tensor:
        """Output of the frozen stages for the views of an image; they depend on its row and the seed."""
        if row not in self._views:
            rng = torch.Generator().manual_seed(int(digest(f"{self._seed}", f"{row}")[:15], 16))
            image = _resize_for_network(self._learned[row : row + 1], self._side) / self._deviation
            views = augment_classically(image.expand(self._count, -1, -1, -1), rng) * self._deviation
            self._views[row] = torch.cat([self._look(some) for some in torch.split(views, _FROZEN_BATCH)])
        return self._views[row]

    @torch.inference_mode()
    def _look(self, images: Tensor) -> Tensor:
        seen = to_network_input(images).contiguous(memory_format=torch.channels_last)
        return self._lite.before(seen, _STAGE).half()


def views_of(count: int) -> int:
    """Views of each of `count` images; of many, each is drawn seldom, and few views are enough."""
    return min(max(_VIEWS_IN_ALL // max(count, 1), _FEWEST_VIEWS), _MOST_VIEWS)


def _resize_for_network(images: _Array, largest: int = LARGEST) -> Tensor:
    """Resize images (N, C, H, W) so that their longest side has from `SMALLEST` to `largest` pixels."""
    pixels = torch.from_numpy(np.ascontiguousarray(images))
    height, width = pixels.shape[2:]
    longest = max(height, width)
    side = min(max(longest, SMALLEST), largest)
    shape = [max(round(length * side / longest), 1) for length in (height, width)]
    return F.interpolate(pixels, size=shape, mode="bilinear", antialias=True)


@torch.inference_mode()
def _answers(network: nn.Module, pieces: Iterable[Tensor]) -> _Array:
    told = [network(piece.float()).numpy() for piece in pieces]
    return np.concatenate(told) if told else np.zeros((0, 0), np.float32)
