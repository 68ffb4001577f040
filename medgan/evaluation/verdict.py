"""Decide the verdict on usefulness, and say it in a sentence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

HELPS, NO_DIFFERENCE, HARMS, CANNOT_TELL = "helps", "no-difference", "harms", "cannot-tell"
LEAST_RARE = 5
"""Held-out patients of each rare class: with fewer an interval over patients is too narrow, for few can be drawn again."""
WITHIN = 0.01
"""A difference of AUPRC that makes no difference: one point either way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The arm that was named before the test beside the best without synthetic images."""

    arm: str
    reference: str
    difference: float
    """Rare-class AUPRC of the arm less that of the reference, on held-out patients."""
    interval: tuple[float, float]
    """95 %, paired."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """The held-out patients of the rare class that has fewest: how much can be told depends on them."""

    label: str
    patients: int

    @property
    def enough(self) -> bool:
        """Whether an interval over these patients can be trusted."""
        return self.patients >= LEAST_RARE

    def needed(self, found: Comparison) -> int:
        """About how many such patients would bring a verdict if the difference is what it seems: widths fall with the root of their number.

        The interval has to leave out 0, or to lie within one point on either side of it, whichever takes fewer patients.
        """
        reach = (found.interval[1] - found.interval[0]) / 2
        size = abs(found.difference)
        enough = max(size, WITHIN - size)
        least = self.patients + 1 if self.enough else LEAST_RARE
        return round_up(max(least, math.ceil(self.patients * (reach / enough) ** 2)))


def round_up(count: int) -> int:
    """Two digits that matter, for more would feign knowledge."""
    step = int(10 ** max(len(str(count)) - 2, 0))
    return -(-count // step) * step


def conclude(found: Comparison, panel: Panel) -> str:
    """The verdict: a difference counts where its interval lies on one side of 0, a missing one where it lies within one point of 0."""
    low, high = found.interval
    if not panel.enough:
        return CANNOT_TELL
    if low > 0:
        return HELPS
    if high < 0:
        return HARMS
    return NO_DIFFERENCE if low >= -WITHIN and high <= WITHIN else CANNOT_TELL


def sentence(
    verdict: str, found: Comparison, panel: Panel, rare: Sequence[str], judge: str, whose: str = "held-out"
) -> str:
    """The verdict in words, with its figures and what they rest on: on `whose` patients."""
    low, high = map(points, found.interval)
    classes = join_names(rare)
    opening = {
        HELPS: f"Synthetic images help to find {classes} in {whose} patients",
        HARMS: f"Synthetic images harm: classifiers that learn from them find {classes} less well in {whose} patients",
        NO_DIFFERENCE: f"Synthetic images make no difference: {classes} is found as well without them in {whose} patients",
    }.get(verdict)
    pair = f"{found.arm} against {found.reference} (judge {judge})"
    if opening:
        change = f"{points(found.difference)} points of AUPRC (95 % interval {low} to {high})"
        return f"{opening}: {change}, {pair}."
    one = panel.patients == 1
    have = f"{panel.patients:,} {whose} patient{'' if one else 's'} {'has' if one else 'have'} {panel.label}"
    needed = f"{panel.needed(found):,}"
    if not panel.enough:
        return f"Cannot tell whether synthetic images help: only {have}; a verdict needs at least {needed}."
    return (
        f"Cannot tell whether synthetic images help to find {classes}: the difference is {points(found.difference)} points of AUPRC,"
        f" but anything from {low} to {high} is plausible (95 % interval), {pair}. {have}; a verdict needs about {needed}."
    )


def join_names(names: Sequence[str]) -> str:
    """Names as a sentence lists them."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def points(difference: float) -> str:
    """A difference of AUPRC in points, hundredths of it, with its sign."""
    return f"{round(100 * difference, 1) + 0.0:+.1f}"
