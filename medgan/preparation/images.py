"""A set of images in memory, with the class, patient and source of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_Rows = NDArray[np.int64] | NDArray[np.bool_] | Sequence[int]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelledImages:
    """N images of equal size. Sets that are compared share `names`.

    Equal numbers then mean equal classes.
    """

    pixels: NDArray[np.float32]
    """(N, C, H, W) in [0, 1]; C is 1 or 3."""
    labels: NDArray[np.int64]
    """(N,): class of each image, as an index into `names`."""
    names: tuple[str, ...]
    """Class names. A class may have no image here."""
    patients: NDArray[np.str_]
    """(N,): hash of the patient. A synthetic image has none; it gets a word of its own."""
    sources: NDArray[np.str_]
    """(N,): where an image comes from, to show to a person: the path of a file, or the seed of a synthetic
    image."""

    def __post_init__(self) -> None:
        """Check what the code that builds a set must guarantee."""
        assert self.pixels.ndim == len("NCHW"), self.pixels.shape
        assert self.pixels.dtype == np.float32, self.pixels.dtype
        assert len(self.pixels) == len(self.labels) == len(self.patients) == len(self.sources)
        assert not len(self) or 0 <= self.labels.min() <= self.labels.max() < len(self.names)

    def __len__(self) -> int:
        """Number of images."""
        return len(self.pixels)

    @property
    def counts(self) -> dict[str, int]:
        """{class: number of images} for every class."""
        tally = np.bincount(self.labels, minlength=len(self.names))
        return dict(zip(self.names, tally.tolist(), strict=True))

    def rows_of(self, label: str) -> NDArray[np.int64]:
        """Row numbers of one class."""
        return np.flatnonzero(self.labels == self.names.index(label))

    def of(self, label: str) -> LabelledImages:
        """The images of one class."""
        return self.take(self.rows_of(label))

    def take(self, rows: _Rows) -> LabelledImages:
        """The images in `rows`, in that order.

        `rows` are row numbers, which may repeat, or a mask.
        """
        chosen = np.asarray(rows, None if len(rows) else np.int64)
        return LabelledImages(
            pixels=self.pixels[chosen],
            labels=self.labels[chosen],
            names=self.names,
            patients=self.patients[chosen],
            sources=self.sources[chosen],
        )


def concatenate_images(first: LabelledImages, *others: LabelledImages) -> LabelledImages:
    """Join several sets in order.

    They must have images of one size and the same classes.
    """
    sets = (first, *others)
    assert {one.names for one in sets} == {first.names}
    return LabelledImages(
        pixels=np.concatenate([one.pixels for one in sets]),
        labels=np.concatenate([one.labels for one in sets]),
        names=first.names,
        patients=np.concatenate([one.patients for one in sets]),
        sources=np.concatenate([one.sources for one in sets]),
    )
