"""Decide by what images show whether a data set is one of colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from medgan.dataset.manifest import Record

COLOURED = 0.05
"""Share of its pixels (black ones aside) from which on a scan has colour; less are marks: arrows, calipers, a maker's sign."""
MARKED = 0.0002
"""Share from which on marks are worth a word."""
RGB = 3


@dataclass(frozen=True, slots=True)
class Colours:
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


def colours_of(records: Sequence[Record]) -> Colours:
    """Count the scans that are stored as RGB."""
    shares = [record.coloured for record in records if record.channels == RGB]
    coloured = sum(share > COLOURED for share in shares)
    gray = sum(share < MARKED for share in shares)
    return Colours(coloured=coloured, marked=len(shares) - coloured - gray, gray=gray)
