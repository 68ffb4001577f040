"""Decide by what images show whether a data set is one of colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from medgan.dataset.manifest import Record

_COLOURED_SHARE = 0.05
"""Share of its pixels (black ones aside) from which on a scan has colour; less are marks: arrows, calipers, a maker's sign."""
_MARKED_SHARE = 0.0002
"""Share from which on marks are worth a word."""
_RGB = 3


@dataclass(frozen=True, slots=True)
class ColourCounts:
    """Scans that are stored as RGB, by what they show."""

    coloured: int
    """Those that have colour."""
    marked: int
    """Those that are gray but for a few coloured marks."""
    gray: int

    @property
    def stored(self) -> int:
        """All of them."""
        return self.coloured + self.marked + self.gray

    @property
    def prevails(self) -> bool:
        """Whether most of them have colour."""
        return 2 * self.coloured > self.stored


def count_colours(records: Sequence[Record]) -> ColourCounts:
    """Count the scans that are stored as RGB."""
    shares = [record.coloured for record in records if record.channels == _RGB]
    coloured = sum(share > _COLOURED_SHARE for share in shares)
    gray = sum(share < _MARKED_SHARE for share in shares)
    return ColourCounts(coloured=coloured, marked=len(shares) - coloured - gray, gray=gray)
