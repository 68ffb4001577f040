"""Choose a few of many images, from many patients and at varying slice positions."""

from __future__ import annotations

from collections.abc import Sequence

_GOLDEN = (5**0.5 - 1) / 2
"""Steps of this share of a circle never return to a point (three-distance theorem), so they do not resonate
with a periodic pattern in the data."""


def choose_spread(groups: Sequence[str], count: int) -> list[int]:
    """Choose at most `count` positions in `groups`, ascending and deterministic.

    `groups` names the patient or volume of each image. Groups take turns, and each turn takes another place
    within its group: even steps over volumes of equal depth would choose the same slice of every volume.
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
    """Position on a circle of length 1 after so many golden steps."""
    return step * _GOLDEN % 1
