"""Counts -> how many images of each class are repeated and made. Pure arithmetic."""

from __future__ import annotations

import difflib
import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, replace

from medgan.base.errors import PlanError

NO_CLASSES: Mapping[str, int] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """What one class of a balanced folder is made up of, in images."""

    real: int
    """Different real images."""
    repeated: int = 0
    """Real images once more."""
    made: int = 0
    """Synthetic images."""

    @property
    def body(self) -> int:
        """Real images, repeats included."""
        return self.real + self.repeated

    @property
    def share(self) -> float:
        """Synthetic images among all; 0 of a class without any image."""
        return self.made / max(self.body + self.made, 1)


Quotas = Mapping[str, Quota]
"""{label: what the class is made up of}."""


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
    _refuse_invalid(counts, per_class, max_ratio)
    goal = _target_count(counts, target)
    return {
        label: _cap_missing(max(per_class.get(label, goal) - have, 0), have, max_ratio)
        for label, have in sorted(counts.items())
    }


def same_share(
    counts: Mapping[str, int], lacking: Mapping[str, int], share: float, max_ratio: float | None = None
) -> dict[str, Quota]:
    """Fill every class up with repeats, and let so many made images join that their share of each class is the same.

    A class R large then gets round(R * share / (1 - share)) of them. A class without a real image gets nothing: made images alone
    would be its sign.

    Args:
        counts: {label: real images}.
        lacking: {label: images it lacks}, as `quotas` gives them without a limit.
        share: Made images among all of a class, from 0 to below 1.
        max_ratio: At most this many made images per (different) real one; the class that may have fewest for its size limits all.
    """
    _refuse_invalid(counts, NO_CLASSES, max_ratio)
    full = {
        label: Quota(real=have, repeated=lacking[label] if have else 0)
        for label, have in sorted(counts.items())
    }
    wanted = {
        label: replace(quota, made=round(quota.body * share / (1 - share))) for label, quota in full.items()
    }
    return level_shares(wanted, allowed_synthetic(wanted, max_ratio))


def top_up(
    counts: Mapping[str, int], lacking: Mapping[str, int], max_ratio: float | None = None
) -> dict[str, Quota]:
    """Fill up with made images the classes that lack some, and only these; with repeats where `max_ratio` allows no more made ones."""
    _refuse_invalid(counts, NO_CLASSES, max_ratio)
    wanted = {label: Quota(real=have, made=lacking[label]) for label, have in sorted(counts.items())}
    return fill_with_repeats(wanted, allowed_synthetic(wanted, max_ratio))


def allowed_synthetic(wanted: Quotas, max_ratio: float | None) -> dict[str, int]:
    """{label: made images that it may have beside its different real ones}."""
    return {label: _cap_missing(quota.made, quota.real, max_ratio) for label, quota in wanted.items()}


def scarcest_class(wanted: Quotas, available: Mapping[str, int]) -> str | None:
    """The class that can have the fewest of its made images for its size; None where all can have what they should."""
    short = [label for label, quota in wanted.items() if available[label] < quota.made]
    return min(short, key=lambda label: available[label] / wanted[label].body, default=None)


def level_shares(wanted: Quotas, available: Mapping[str, int]) -> dict[str, Quota]:
    """Lower the made images in every class alike where one cannot have as many as it should: their share stays the same in all."""
    label = scarcest_class(wanted, available)
    if label is None:
        return dict(wanted)
    least = available[label] / wanted[label].body
    return {
        name: replace(quota, made=min(round(quota.body * least), quota.made, available[name]))
        for name, quota in wanted.items()
    }


def fill_with_repeats(wanted: Quotas, available: Mapping[str, int]) -> dict[str, Quota]:
    """Repeat real images in the place of made ones that cannot be had, class by class."""
    return {
        label: replace(
            quota,
            made=min(quota.made, available[label]),
            repeated=quota.repeated + (max(quota.made - available[label], 0) if quota.real else 0),
        )
        for label, quota in wanted.items()
    }


def synthetic_share(whole: Quotas) -> float:
    """Made images among all, over all classes."""
    total = sum(quota.body + quota.made for quota in whole.values())
    return sum(quota.made for quota in whole.values()) / max(total, 1)


def _target_count(counts: Mapping[str, int], target: str | int) -> int:
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


def _cap_missing(missing: int, have: int, max_ratio: float | None) -> int:
    """As many of the `missing` as there may be beside `have` real ones."""
    # 100 times 0.29 is 28.999999999999996 to a computer
    return missing if max_ratio is None else min(missing, math.floor(round(have * max_ratio, 6)))


def _refuse_invalid(counts: Mapping[str, int], per_class: Mapping[str, int], max_ratio: float | None) -> None:
    for label, goal in per_class.items():
        if label not in counts:
            raise unknown_class_error(label, tuple(counts))
        if goal < 0:
            raise PlanError(f"The number {goal} for class {label} is negative", hint="Give 0 or more.")
    if max_ratio is not None and not 0 <= max_ratio < math.inf:
        raise PlanError(f"The ratio {max_ratio} is no ratio", hint="Give 0 or more, such as 1.0.")


def unknown_class_error(label: str, labels: tuple[str, ...]) -> PlanError:
    """The sentence for a class that does not exist, with the nearest that does."""
    near = difflib.get_close_matches(label, labels, n=1)
    meant = f"Did you mean {near[0]}? " if near else ""
    return PlanError(
        f"There is no class {label!r}", hint=f"{meant}The classes are {', '.join(sorted(labels))}."
    )
