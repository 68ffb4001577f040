"""Find the highest value of a data set's deep images, outliers aside.

Outliers are stray pixels and single odd images.
"""

from __future__ import annotations

from collections.abc import Sequence

from medgan.dataset.manifest import Record
from medgan.scans.provenance import BYTE

_MIN_SCANS = 20
"""Scans of a class from which on one of them may be an odd one."""
_SCANS_PER_OUTLIER = 50
"""One scan of as many may be an odd one."""


def _deep_records(records: Sequence[Record]) -> list[Record]:
    """Those of more than 8 bits on a fixed scale: only they have a range that their values must tell."""
    return [record for record in records if record.meaning == "stored" and record.bits > BYTE]


def usual_maximum(records: Sequence[Record]) -> float:
    """Highest value of the deep records, without the stray pixels of each, and without one odd image in `_SCANS_PER_OUTLIER` of a class.

    Class by class, so that a rare class which is brighter than the others is no odd one. Without deep records, of all.
    """
    tops: dict[str, list[float]] = {}
    for record in _deep_records(records) or records:
        tops.setdefault(record.label, []).append(record.top)
    return max(
        sorted(found)[-1 - max(len(found) // _SCANS_PER_OUTLIER, int(len(found) >= _MIN_SCANS))]
        for found in tops.values()
    )


def bits_needed(top: float, bits: int) -> int:
    """Bits that hold values up to `top`, 8 at least and at most `bits`: 12 bits come in files of 16."""
    return min(max(int(top).bit_length(), BYTE), bits)


def scans_above_range(records: Sequence[Record]) -> tuple[int, list[Record]]:
    """The highest value of the range that the deep records share, and those of them that hold higher ones."""
    found = _deep_records(records)
    if not found:
        return 0, []
    white = 2 ** bits_needed(usual_maximum(records), max(record.bits for record in found)) - 1
    return white, [record for record in found if record.levels[-1] > white]
