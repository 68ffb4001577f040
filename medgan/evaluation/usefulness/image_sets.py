"""The sets of images that evidence is taken from.

They lie in one row, of which classifiers may learn from parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medgan.evaluation.usefulness.arms import COMPOSED, MADE, REAL, Learned
from medgan.evaluation.usefulness.composites import Composites
from medgan.preparation.images import LabelledImages

_Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """The three sets of images that evidence compares, all of the same classes."""

    train: LabelledImages
    """Real images that the generator may have learned from."""
    held_out: LabelledImages
    """Real images of patients whom nothing learned from."""
    synthetic: LabelledImages

    def __post_init__(self) -> None:
        """Check that the class names agree."""
        assert self.train.names == self.held_out.names == self.synthetic.names


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sets:
    """All images of a comparison, in one order: real, synthetic, composed, further real."""

    train: LabelledImages
    held_out: LabelledImages
    pixels: tuple[_Array, ...]
    """Pixels of the real, synthetic, composed and further real images."""
    learned: Learned
    usual: NDArray[np.bool_]
    """(N,): all but the further real images."""
    whose: NDArray[np.str_]
    """(N,): patients; empty for synthetic and composed images."""
    rare: tuple[int, ...]
    """Numbers of the rare classes."""

    @classmethod
    def of(cls, split: Split, more: LabelledImages, composed: Composites, rare: Sequence[str]) -> Sets:
        """Put all images that classifiers may learn from in one order.

        Args:
            split: Real, held-out and synthetic images.
            more: Further real images of rare classes; may be empty.
            composed: Images composed of two real ones.
            rare: Names of the rare classes.
        """
        train, synthetic = split.train, split.synthetic
        own = np.arange(len(train) + len(synthetic) + len(composed.labels) + len(more))
        parents = np.stack([own, own], axis=1)
        start = len(train) + len(synthetic)
        parents[start : start + len(composed.labels)] = composed.parents
        sizes = len(train), len(synthetic), len(composed.labels), len(more)
        learned = Learned(
            names=train.names,
            labels=np.concatenate([train.labels, synthetic.labels, composed.labels, more.labels]),
            origins=np.repeat([REAL, MADE, COMPOSED, REAL], sizes),
            parents=parents,
        )
        return cls(
            train=train,
            held_out=split.held_out,
            pixels=(train.pixels, synthetic.pixels, composed.pixels, more.pixels),
            learned=learned,
            usual=own < len(own) - len(more),
            whose=np.concatenate([train.patients, np.full(sizes[1] + sizes[2], ""), more.patients]),
            rare=tuple(train.names.index(label) for label in rare),
        )

    def fewer(self, share: float, seed: int) -> NDArray[np.bool_]:
        """(N,): the images to learn from if only a share of the patients of each rare class is kept."""
        rng = np.random.default_rng((seed, round(100 * share)))
        gone: set[str] = set()
        for number in self.rare:
            own = rng.permutation(np.unique(self.train.patients[self.train.labels == number]))
            gone |= set(own[max(round(share * len(own)), 1) :].tolist())
        scarce = np.isin(self.train.labels, self.rare) & np.isin(self.train.patients, sorted(gone))
        real = np.zeros(len(self.learned), bool)
        real[: len(self.train)] = ~scarce
        return self.learned.beside(real) & self.usual

    def patients(self, side: NDArray[np.bool_]) -> int:
        """Count the patients of rare classes among the real images in `side`."""
        scarce = side & (self.learned.origins == REAL) & np.isin(self.learned.labels, self.rare)
        return len(np.unique(self.whose[scarce]))
