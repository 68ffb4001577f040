"""Sets of images -> one row of all that classifiers may learn from, and who may be learned from in a part of a contest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medgan.evaluation.arms import COMPOSED, MADE, REAL, Learned
from medgan.evaluation.composites import Children
from medgan.prepare.images import LabelledImages

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sets:
    """All images of a contest, in one order."""

    train: LabelledImages
    held_out: LabelledImages
    pixels: tuple[Array, ...]
    """Of real, made, composed and further real images."""
    learned: Learned
    usual: NDArray[np.bool_]
    """(N,): all but the further real images."""
    whose: NDArray[np.str_]
    """(N,): patients; of made and composed images an empty word."""
    rare: tuple[int, ...]
    """Numbers of the rare classes."""

    @classmethod
    def of(  # the sets of images are no noun
        cls,
        train: LabelledImages,
        held_out: LabelledImages,
        synthetic: LabelledImages,
        more: LabelledImages,
        composed: Children,
        rare: Sequence[str],
    ) -> Sets:
        """Everything in one row."""
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
            held_out=held_out,
            pixels=(train.pixels, synthetic.pixels, composed.pixels, more.pixels),
            learned=learned,
            usual=own < len(own) - len(more),
            whose=np.concatenate([train.patients, np.full(sizes[1] + sizes[2], ""), more.patients]),
            rare=tuple(train.names.index(label) for label in rare),
        )

    def fewer(self, share: float, seed: int) -> NDArray[np.bool_]:
        """(N,): images that may be learned from where of each rare class only `share` of the patients, drawn by `seed`, are there."""
        chance = np.random.default_rng((seed, round(100 * share)))
        gone: set[str] = set()
        for number in self.rare:
            own = chance.permutation(np.unique(self.train.patients[self.train.labels == number]))
            gone |= set(own[max(round(share * len(own)), 1) :].tolist())
        scarce = np.isin(self.train.labels, self.rare) & np.isin(self.train.patients, sorted(gone))
        real = np.zeros(len(self.learned), bool)
        real[: len(self.train)] = ~scarce
        return self.learned.beside(real) & self.usual

    def patients(self, side: NDArray[np.bool_]) -> int:
        """Patients of the rare classes among the real images in `side`."""
        scarce = side & (self.learned.origins == REAL) & np.isin(self.learned.labels, self.rare)
        return len(np.unique(self.whose[scarce]))
