"""Compute how many images of each class are repeated and how many are synthetic.

Pure arithmetic on numbers of images.
"""

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
    """The number of images of each kind in one class of a balanced folder."""

    real: int
    """Different real images."""
    repeated: int = 0
    """Real images that occur a second time or more."""
    made: int = 0
    """Synthetic images."""

    @property
    def body(self) -> int:
        """Real images including repeats."""
        return self.real + self.repeated

    @property
    def share(self) -> float:
        """Share of synthetic images in the class, 0 if it is empty."""
        return self.made / max(self.body + self.made, 1)


Quotas = Mapping[str, Quota]
"""{label: number of images of each kind}."""


def quotas(
    counts: Mapping[str, int],
    target: str | int = "largest",
    per_class: Mapping[str, int] = NO_CLASSES,
    max_ratio: float | None = None,
) -> dict[str, int]:
    """How many images each class lacks.

    Args:
        counts: {label: number of images}.
        target: The number every class should reach: "largest", "median" (rounded up) or a number.
        per_class: {label: number that this class should reach instead}.
        max_ratio: Most synthetic images per real one, whatever the target.
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
    """Fill every class with repeats, and give each the same share of synthetic images.

    A class of R images gets round(R * share / (1 - share)) synthetic ones. A class without a real image gets
    none, because being synthetic would give the class away.

    Args:
        counts: {label: real images}.
        lacking: {label: images it lacks}, as `quotas` gives them without a limit.
        share: Share of synthetic images in a class, from 0 to below 1.
        max_ratio: Most synthetic images per (different) real one. The class that may have the fewest for its
            size limits all.
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
    """Fill the classes that lack images with synthetic ones, and only those.

    Where `max_ratio` allows no more synthetic images, repeats of real images take their place.
    """
    _refuse_invalid(counts, NO_CLASSES, max_ratio)
    wanted = {label: Quota(real=have, made=lacking[label]) for label, have in sorted(counts.items())}
    return fill_with_repeats(wanted, allowed_synthetic(wanted, max_ratio))


def allowed_synthetic(wanted: Quotas, max_ratio: float | None) -> dict[str, int]:
    """{label: synthetic images allowed beside the different real ones}."""
    return {label: _cap_missing(quota.made, quota.real, max_ratio) for label, quota in wanted.items()}


def scarcest_class(wanted: Quotas, available: Mapping[str, int]) -> str | None:
    """The class with the fewest synthetic images for its size, if any lacks some.

    None where every class can have as many as it should.
    """
    short = [label for label, quota in wanted.items() if available[label] < quota.made]
    return min(short, key=lambda label: available[label] / wanted[label].body, default=None)


def level_shares(wanted: Quotas, available: Mapping[str, int]) -> dict[str, Quota]:
    """Lower the synthetic images of all classes to a share that every class can have."""
    label = scarcest_class(wanted, available)
    if label is None:
        return dict(wanted)
    least = available[label] / wanted[label].body
    return {
        name: replace(quota, made=min(round(quota.body * least), quota.made, available[name]))
        for name, quota in wanted.items()
    }


def fill_with_repeats(wanted: Quotas, available: Mapping[str, int]) -> dict[str, Quota]:
    """Repeat real images in place of synthetic ones that are not available."""
    return {
        label: replace(
            quota,
            made=min(quota.made, available[label]),
            repeated=quota.repeated + (max(quota.made - available[label], 0) if quota.real else 0),
        )
        for label, quota in wanted.items()
    }


def synthetic_share(whole: Quotas) -> float:
    """Share of synthetic images over all classes."""
    total = sum(quota.body + quota.made for quota in whole.values())
    return sum(quota.made for quota in whole.values()) / max(total, 1)


def _target_count(counts: Mapping[str, int], target: str | int) -> int:
    if isinstance(target, int):
        if target < 0:
            raise PlanError(
                f"--target must be at least 0, not {target}",
                hint="Give the number of images that each class should reach.",
            )
        return target
    if target not in {"largest", "median"}:
        raise PlanError(f"--target {target!r} is not known", hint="Give largest, median or a number.")
    if not counts:
        return 0
    return max(counts.values()) if target == "largest" else math.ceil(statistics.median(counts.values()))


def _cap_missing(missing: int, have: int, max_ratio: float | None) -> int:
    """As many of the `missing` images as `max_ratio` allows beside `have` real ones."""
    # In floating point, 100 * 0.29 is 28.999999999999996.
    return missing if max_ratio is None else min(missing, math.floor(round(have * max_ratio, 6)))


def _refuse_invalid(counts: Mapping[str, int], per_class: Mapping[str, int], max_ratio: float | None) -> None:
    for label, goal in per_class.items():
        if label not in counts:
            raise unknown_class_error(label, tuple(counts))
        if goal < 0:
            raise PlanError(
                f"The number for class {label} must be at least 0, not {goal}", hint="Give 0 or more."
            )
    if max_ratio is not None and not 0 <= max_ratio < math.inf:
        raise PlanError(f"The ratio must be at least 0, not {max_ratio}", hint="Give 0 or more, such as 1.0.")


def unknown_class_error(label: str, labels: tuple[str, ...]) -> PlanError:
    """The error for a class that does not exist, suggesting the nearest one."""
    near = difflib.get_close_matches(label, labels, n=1)
    meant = f"Did you mean {near[0]}? " if near else ""
    return PlanError(
        f"There is no class {label!r}", hint=f"{meant}The classes are {', '.join(sorted(labels))}."
    )
