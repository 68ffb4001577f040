"""Decide by what the images show whether a data set is in colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from medgan.dataset.manifest import Record

_COLOURED_SHARE = 0.05
"""Share of coloured pixels (black ones aside) from which a scan is in colour. Below it the colour is that of
marks: arrows, calipers, a manufacturer's logo."""
_MARKED_SHARE = 0.0002
"""Share of coloured pixels from which a gray scan has marks worth a warning."""
_RGB = 3


@dataclass(frozen=True, slots=True)
class ColourCounts:
    """Scans stored as RGB, counted by what they show."""

    coloured: int
    """Scans in colour."""
    marked: int
    """Scans that are gray except for a few coloured marks."""
    gray: int

    @property
    def stored(self) -> int:
        """All scans stored as RGB."""
        return self.coloured + self.marked + self.gray

    @property
    def prevails(self) -> bool:
        """Whether most of the scans stored as RGB are in colour."""
        return 2 * self.coloured > self.stored


def count_colours(records: Sequence[Record]) -> ColourCounts:
    """Count the scans stored as RGB by what they show."""
    shares = [record.coloured for record in records if record.channels == _RGB]
    coloured = sum(share > _COLOURED_SHARE for share in shares)
    gray = sum(share < _MARKED_SHARE for share in shares)
    return ColourCounts(coloured=coloured, marked=len(shares) - coloured - gray, gray=gray)
