"""Find the highest value of a data set's deep images, outliers aside.

Outliers are stray pixels and single images far above the others. Deep images have more than 8 bits.
"""

from __future__ import annotations

from collections.abc import Sequence

from medgan.dataset.manifest import Record
from medgan.scans.provenance import BYTE

_MIN_SCANS = 20
"""Scans of a class from which one of them may be an outlier."""
_SCANS_PER_OUTLIER = 50
"""Scans of a class per outlier that is tolerated."""


def _deep_records(records: Sequence[Record]) -> list[Record]:
    """Records of more than 8 bits on a fixed scale.

    Only for them do the values decide the intensity range.
    """
    return [record for record in records if record.meaning == "stored" and record.bits > BYTE]


def usual_maximum(records: Sequence[Record]) -> float:
    """Highest value of the deep records without outliers, class by class.

    The stray pixels of each image are left out, and one image in `_SCANS_PER_OUTLIER` of a class. A rare
    class that is brighter than the others is therefore no outlier. Where there are no deep records, all
    records count.
    """
    tops: dict[str, list[float]] = {}
    for record in _deep_records(records) or records:
        tops.setdefault(record.label, []).append(record.top)
    return max(
        sorted(found)[-1 - max(len(found) // _SCANS_PER_OUTLIER, int(len(found) >= _MIN_SCANS))]
        for found in tops.values()
    )


def bits_needed(top: float, bits: int) -> int:
    """Bits that hold values up to `top`, from 8 to `bits`.

    Images of 12 bits come in files of 16.
    """
    return min(max(int(top).bit_length(), BYTE), bits)


def scans_above_range(records: Sequence[Record]) -> tuple[int, list[Record]]:
    """The highest value of the range of deep records, and the records beyond it."""
    found = _deep_records(records)
    if not found:
        return 0, []
    white = 2 ** bits_needed(usual_maximum(records), max(record.bits for record in found)) - 1
    return white, [record for record in found if record.levels[-1] > white]
