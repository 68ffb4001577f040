"""Measure scans in millimetres and judge whether their headers can be believed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from medgan.dataset.manifest import Record

NOTABLE_FACTOR = 2.0
"""Ratio of the sizes of scans in millimetres from which there is a warning."""
_IMPLAUSIBLE_FACTOR = 4.0
"""Ratio of sizes that scans of one kind do not have. From there the headers of some must be wrong, or one
scan would be a dot where another fills the image."""
_PLACEHOLDER_MM = 1.0
"""Side of a pixel in millimetres that converters write when they do not know it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extents:
    """Sizes of scans in millimetres, where every scan gives its pixel spacing.

    The size of a scan is the geometric mean of its height and width.
    """

    smallest: float
    """5th percentile."""
    largest: float
    """95th percentile."""
    classes: Mapping[str, float]
    """Median per class."""
    placeholders: int
    """Scans with pixels of exactly 1 x 1 mm, where others have other pixels."""
    odd: int
    """Scans that are `_IMPLAUSIBLE_FACTOR` times larger or smaller than the median."""

    @property
    def factor(self) -> float:
        """Ratio of large to small scans, or of the class of the largest to the smallest."""
        return max(self.largest / self.smallest, max(self.classes.values()) / min(self.classes.values()))

    @property
    def doubtful(self) -> bool:
        """Whether the headers are probably wrong.

        Images that keep their millimetres would then show some scans as dots.
        """
        return self.factor > (NOTABLE_FACTOR if self.placeholders else _IMPLAUSIBLE_FACTOR)


def has_spacing(record: Record) -> bool:
    """Whether the scan gives the size of its pixels."""
    return record.spacing_mm is not None and min(record.spacing_mm[1:]) > 0


def measure_extents(records: Sequence[Record]) -> Extents | None:
    """Measure the scans in millimetres, or return None if one lacks its spacing."""
    if not records or not all(has_spacing(record) for record in records):
        return None
    sizes: dict[str, list[float]] = {}
    for record in records:
        sizes.setdefault(record.label, []).append(_extent(record))
    every = np.concatenate(list(sizes.values()))
    smallest, middle, largest = np.percentile(every, (5, 50, 95)).tolist()
    placeholders = sum(set((record.spacing_mm or ())[1:]) == {_PLACEHOLDER_MM} for record in records)
    return Extents(
        smallest=smallest,
        largest=largest,
        classes={label: float(np.median(found)) for label, found in sorted(sizes.items())},
        placeholders=placeholders if placeholders < len(records) else 0,
        odd=int(
            np.count_nonzero((every > _IMPLAUSIBLE_FACTOR * middle) | (every < middle / _IMPLAUSIBLE_FACTOR))
        ),
    )


def _extent(record: Record) -> float:
    _, tall, wide = record.spacing_mm or (0.0, 0.0, 0.0)
    return math.sqrt(record.shape[1] * tall * record.shape[2] * wide)
