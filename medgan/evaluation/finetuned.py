"""Images -> the eyes of the judge that stands for what users do: a pretrained EfficientNet-Lite1 whose last two stages are fine-tuned.

The stages before those do not learn, so each image and each classically augmented view of it goes through them once, for all
classifiers of all arms. On one core that takes 4 to 5 ms an image at 128 pixels and 14 to 22 at 224; a classifier of 100 steps of 32
images, which run through the last stages alone, 14 to 22 s and 50 to 55 s (AMD EPYC with AVX-512, fp32).
"""

from __future__ import annotations

from collections.abc import Iterable
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

STAGE = 6
"""The first stage that learns, of EfficientNet's seven."""
SMALLEST, LARGEST = 128, 224
"""Longest side in pixels at which the network sees an image: what is smaller is enlarged, what is larger made smaller."""
FEWEST, MOST, ALTOGETHER = 2, 8, 8000
"""Augmented views of an image at least and at most, and of all learned images, about: time and memory grow with them."""
FASTER = 20
"""How many times as fast the new linear layer learns as the pretrained stages do."""
LOOKED, ASKED = 4, 32
"""Images at a time: of few, what the wide early stages pass on stays in the processor's cache."""

Array = NDArray[np.float32]
Rows = NDArray[np.int64]


class Tail(nn.Module):
    """What goes into the stages that learn, (N, C, h, w), -> logits (N, K): these stages, a mean over places, one linear layer."""

    def __init__(self, lite: EfficientNetLite, classes: int) -> None:
        """Begin with pretrained stages and a linear layer of small random weights."""
        super().__init__()
        self.stages = lite.tail(STAGE)
        self.linear = nn.Linear(len(lite.get_buffer("head_bias")), classes)

    def forward(self, x: Tensor) -> Tensor:
        """Norms are folded and nothing is dropped: an image's logits depend on no other image of its batch."""
        logits: Tensor = self.linear(self.stages.after(x, STAGE))
        return logits


class FineEyes:
    """Eyes of `Tail`: what the frozen stages say of an image or view is kept in memory from when it is first asked for.

    Kept as float16: 14 kB for an image and for each of its views at 128 pixels, 43 kB at 224. All arithmetic is in fp32; in bf16 the
    frozen stages are quicker on some processors and the others slower, and a judge should not depend on which.
    """

    rates: tuple[float, ...] = (3e-5, 1e-4, 3e-4)
    steps: tuple[int, ...] = (25, 50, 100, 200)

    def __init__(
        self,
        learned: Array,
        asked: Array,
        *,
        like: Array,
        seed: int,
        side: int = LARGEST,
    ) -> None:
        """Take images (M, C, H, W) and (N, C, H, W) in [0, 1], whose longest side is seen at `side` pixels at most.

        Views depend on `seed` and vary in brightness by deviations of `like`, the real images to learn from.

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

    def fresh(self, classes: int, seed: int) -> nn.Module:
        """See `Eyes`: only the linear layer's weights are by chance."""
        with torch.random.fork_rng(devices=[]):
            reseed(seed, 0)
            return Tail(self._lite, classes)

    def groups(self, network: nn.Module, rate: float) -> list[dict[str, Any]]:
        """See `Eyes`: `rate` is that of the pretrained stages."""
        assert isinstance(network, Tail)
        parts = ((network.stages, rate), (network.linear, FASTER * rate))
        return [
            {"params": list(part.parameters()), "lr": speed, "weight_decay": WEIGHT_DECAY}
            for part, speed in parts
        ]

    def batch(self, rows: Rows, *, views: bool, chance: np.random.Generator) -> Tensor:
        """(R, 112, h, w), h and w a sixteenth of the sides; `chance` picks one of each image's views."""
        if not views:
            return torch.stack([self._plain(row) for row in rows.tolist()]).float()
        drawn = chance.integers(self._count, size=len(rows)).tolist()
        return torch.stack(
            [self._varied(row)[view] for row, view in zip(rows.tolist(), drawn, strict=True)]
        ).float()

    def logits(self, network: nn.Module) -> Array:
        """See `Eyes`."""
        if not self._questions:
            starts = range(0, len(self._asked), LOOKED)
            looked = [
                self._look(resize_for_network(self._asked[start : start + LOOKED], self._side))
                for start in starts
            ]
            together = ASKED // LOOKED
            self._questions = [
                torch.cat(looked[start : start + together]) for start in range(0, len(looked), together)
            ]
        return _answers(network, self._questions)

    def logits_of(self, network: nn.Module, rows: Rows) -> Array:
        """See `Eyes`."""
        pieces = (rows[start : start + ASKED].tolist() for start in range(0, len(rows), ASKED))
        return _answers(network, (torch.stack([self._plain(row) for row in piece]) for piece in pieces))

    def _plain(self, row: int) -> Tensor:
        """What is before the stages that learn, of a learned image; always looked at in the same company, as figures round by that."""
        portion, place = divmod(row, LOOKED)
        if portion not in self._portions:
            self._portions[portion] = self._look(
                resize_for_network(self._learned[portion * LOOKED : (portion + 1) * LOOKED], self._side)
            )
        return self._portions[portion][place]

    def _varied(self, row: int) -> Tensor:
        """The same of its views; they depend on its row and the seed, not on who asks first."""
        if row not in self._views:
            chance = torch.Generator().manual_seed(int(digest(f"{self._seed}", f"{row}")[:15], 16))
            image = resize_for_network(self._learned[row : row + 1], self._side) / self._deviation
            views = augment_classically(image.expand(self._count, -1, -1, -1), chance) * self._deviation
            self._views[row] = torch.cat([self._look(some) for some in torch.split(views, LOOKED)])
        return self._views[row]

    @torch.inference_mode()
    def _look(self, images: Tensor) -> Tensor:
        seen = to_network_input(images).contiguous(memory_format=torch.channels_last)
        return self._lite.before(seen, STAGE).half()


def views_of(count: int) -> int:
    """Views of each of `count` learned images; a classifier meets an image in one of them at a time.

    Where there are many images, each is met seldom, and few views of it are enough.
    """
    return min(max(ALTOGETHER // max(count, 1), FEWEST), MOST)


def resize_for_network(images: Array, largest: int = LARGEST) -> Tensor:
    """Images (N, C, H, W), made larger or smaller where their longest side is not from `SMALLEST` to `largest` pixels."""
    pixels = torch.from_numpy(np.ascontiguousarray(images))
    height, width = pixels.shape[2:]
    longest = max(height, width)
    side = min(max(longest, SMALLEST), largest)
    shape = [max(round(length * side / longest), 1) for length in (height, width)]
    return F.interpolate(pixels, size=shape, mode="bilinear", antialias=True)


@torch.inference_mode()
def _answers(network: nn.Module, pieces: Iterable[Tensor]) -> Array:
    told = [network(piece.float()).numpy() for piece in pieces]
    return np.concatenate(told) if told else np.zeros((0, 0), np.float32)
