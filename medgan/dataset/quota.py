"""Counts -> how many images to make per class. Pure arithmetic."""

from __future__ import annotations

import difflib
import math
import statistics
from collections.abc import Mapping

from medgan.errors import PlanError

NO_CLASSES: Mapping[str, int] = {}


def quotas(
    counts: Mapping[str, int],
    target: str | int = "largest",
    per_class: Mapping[str, int] = NO_CLASSES,
    max_ratio: float | None = None,
) -> dict[str, int]:
    """How many images each class lacks.

    Args:
        counts: {label: images there are}.
        target: The number every class should reach: "largest", "median" (rounded up) or a number.
        per_class: {label: number that this class should reach instead}.
        max_ratio: At most this many synthetic images per real one, whatever the target.
    """
    _refuse(counts, per_class, max_ratio)
    goal = _goal(counts, target)
    return {
        label: capped(max(per_class.get(label, goal) - have, 0), have, max_ratio)
        for label, have in sorted(counts.items())
    }


def _goal(counts: Mapping[str, int], target: str | int) -> int:
    if isinstance(target, int):
        if target < 0:
            raise PlanError(
                f"The target {target} is negative", hint="Give the number each class should reach."
            )
        return target
    if target not in {"largest", "median"}:
        raise PlanError(f"The target {target!r} is unknown", hint="Write largest, median or a number.")
    if not counts:
        return 0
    return max(counts.values()) if target == "largest" else math.ceil(statistics.median(counts.values()))


def capped(missing: int, have: int, max_ratio: float | None) -> int:
    """As many of the `missing` as there may be beside `have` real ones."""
    # 100 times 0.29 is 28.999999999999996 to a computer
    return missing if max_ratio is None else min(missing, math.floor(round(have * max_ratio, 6)))


def _refuse(counts: Mapping[str, int], per_class: Mapping[str, int], max_ratio: float | None) -> None:
    for label, goal in per_class.items():
        if label not in counts:
            raise unknown_label(label, tuple(counts))
        if goal < 0:
            raise PlanError(f"The number {goal} for class {label} is negative", hint="Give 0 or more.")
    if max_ratio is not None and not 0 <= max_ratio < math.inf:
        raise PlanError(f"The ratio {max_ratio} is no ratio", hint="Give 0 or more, such as 1.0.")


def unknown_label(label: str, labels: tuple[str, ...]) -> PlanError:
    """The sentence for a class that does not exist, with the nearest that does."""
    near = difflib.get_close_matches(label, labels, n=1)
    meant = f"Did you mean {near[0]}? " if near else ""
    return PlanError(
        f"There is no class {label!r}", hint=f"{meant}The classes are {', '.join(sorted(labels))}."
    )
