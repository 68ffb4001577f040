"""Choose a few of many images: of many patients, and of varying slices."""

from __future__ import annotations

from collections.abc import Sequence

_GOLDEN = (5**0.5 - 1) / 2
"""Steps of this share of a circle never come round to where they were (three-distance theorem), so no pattern of the data is hit upon."""


def choose_spread(groups: Sequence[str], count: int) -> list[int]:
    """At most `count` positions in `groups`, ascending; equal for equal groups.

    `groups` says whose each image is: its patient or volume. Groups take turns, and each turn takes another place within its group: with
    even steps over volumes of one depth, every image would be the same slice of another volume.
    """
    of: dict[str, list[int]] = {}
    for position, group in enumerate(groups):
        of.setdefault(group, []).append(position)
    order = sorted(range(len(of)), key=lambda place: _golden_position(place + 1))
    members = list(of.values())
    turns = [members[place] for place in order]
    found: list[int] = []
    while turns and len(found) < count:
        for own in turns[: count - len(found)]:
            found.append(own.pop(int(_golden_position(len(found) + 1) * len(own))))
        turns = [own for own in turns if own]
    return sorted(found)


def _golden_position(step: int) -> float:
    """Where on a circle of length 1 so many golden steps lead."""
    return step * _GOLDEN % 1
