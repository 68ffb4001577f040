"""Decide the verdict on usefulness, and word it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

HELPS = "helps"
NO_DIFFERENCE = "no-difference"
HARMS = "harms"
CANNOT_TELL = "cannot-tell"
LEAST_RARE = 5
"""Held-out patients of each rare class from which on an interval over patients can be trusted."""
WITHIN = 0.01
"""Difference of AUPRC that counts as no difference: one point either way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The arm that was named before the test, compared with the best without synthetic images."""

    arm: str
    reference: str
    difference: float
    """Rare-class AUPRC of the arm less that of the reference, on held-out patients."""
    interval: tuple[float, float]
    """95 %, paired."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """The held-out patients of the rare class with the fewest, who limit what can be told."""

    label: str
    patients: int

    @property
    def enough(self) -> bool:
        """Whether an interval over these patients can be trusted."""
        return self.patients >= LEAST_RARE

    def patients_needed(self, found: Comparison) -> int:
        """About how many such patients a verdict needs, if the difference is as measured.

        The width of an interval falls with the square root of their number. The interval must exclude 0 or
        lie within one point of it, whichever takes fewer patients.
        """
        reach = (found.interval[1] - found.interval[0]) / 2
        size = abs(found.difference)
        enough = max(size, WITHIN - size)
        least = self.patients + 1 if self.enough else LEAST_RARE
        return round_up(max(least, math.ceil(self.patients * (reach / enough) ** 2)))


def round_up(count: int) -> int:
    """Round up to two significant digits; more would suggest too much precision."""
    step = int(10 ** max(len(str(count)) - 2, 0))
    return -(-count // step) * step


def conclude(found: Comparison, panel: Panel) -> str:
    """The verdict: a difference if its interval excludes 0, none if it lies within one point of 0."""
    low, high = found.interval
    if not panel.enough:
        return CANNOT_TELL
    if low > 0:
        return HELPS
    if high < 0:
        return HARMS
    return NO_DIFFERENCE if low >= -WITHIN and high <= WITHIN else CANNOT_TELL


def verdict_text(
    verdict: str, found: Comparison, panel: Panel, rare: Sequence[str], judge: str, whose: str = "held-out"
) -> str:
    """Word the verdict with its figures.

    Args:
        verdict: What was concluded.
        found: The two arms and their difference.
        panel: The held-out patients of the scarcest rare class.
        rare: Names of the rare classes.
        judge: The judge that gives the verdict.
        whose: "held-out" or "external" patients.
    """
    # A verdict on the difference.
    low, high = map(points, found.interval)
    classes = join_names(rare)
    opening = {
        HELPS: f"Synthetic images help to find {classes} in {whose} patients",
        HARMS: f"Synthetic images harm: classifiers that learn from them find {classes} less well"
        f" in {whose} patients",
        NO_DIFFERENCE: f"Synthetic images make no difference: {classes} is found as well without them"
        f" in {whose} patients",
    }.get(verdict)
    pair = f"{found.arm} against {found.reference} (judge {judge})"
    if opening:
        change = f"{points(found.difference)} points of AUPRC (95 % interval {low} to {high})"
        return f"{opening}: {change}, {pair}."

    # No verdict: say how many patients it needs.
    one = panel.patients == 1
    have = f"{panel.patients:,} {whose} patient{'' if one else 's'} {'has' if one else 'have'} {panel.label}"
    needed = f"{panel.patients_needed(found):,}"
    if not panel.enough:
        return f"Cannot tell whether synthetic images help: only {have}; a verdict needs at least {needed}."
    return (
        f"Cannot tell whether synthetic images help to find {classes}: the difference is"
        f" {points(found.difference)} points of AUPRC, but anything from {low} to {high} is plausible"
        f" (95 % interval), {pair}. {have}; a verdict needs about {needed}."
    )


def join_names(names: Sequence[str]) -> str:
    """Join names as a sentence lists them."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def points(difference: float) -> str:
    """Format a difference of AUPRC in points (hundredths), with its sign."""
    return f"{round(100 * difference, 1) + 0.0:+.1f}"
