"""Decide the verdict on usefulness, and say it in a sentence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

HELPS, NO_BENEFIT, HARMS, CANNOT_TELL = "helps", "no-benefit", "harms", "cannot-tell"
LEAST_RARE = 5
"""Patients of each rare class who judge, in a turn: with fewer an interval over patients is too narrow, for few can be drawn again."""
WIDEST = 0.1
"""Widest 95 % interval (of AUPRC) from which a missing benefit is concluded: a wider one also holds gains that would be worth having."""
BEST, WHOLE = "best", "whole"
"""Which comparison a verdict rests on: at the ratio that validation prefers, or with all the images that were given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What is compared in one turn: an arm with synthetic images and one without, each the best to those who chose."""

    arm: str
    ratio: str
    auprc: float
    """Rare-class AUPRC on the patients who judge in this turn."""
    alternative: str
    alternative_ratio: str
    """Of duplicates; empty where nothing is added."""
    alternative_auprc: float

    @property
    def named(self) -> str:
        """The two arms as the table of arms names them."""
        return f"{_arm(self.arm, self.ratio)} against {_arm(self.alternative, self.alternative_ratio)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """An arm with synthetic images beside the best without. Of two turns each may choose other arms: `rounds` tells which."""

    best_arm: str
    ratio: str
    alternative: str
    difference: float
    """Rare-class AUPRC of the arm less that of the alternative, mean over turns."""
    interval: tuple[float, float]
    """95 %, paired."""
    agreed: bool
    """Whether the arms named were chosen in every turn."""
    rounds: tuple[Round, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """The held-out patients of the rare class that has fewest: how much can be told depends on them."""

    label: str
    patients: int
    """Over all turns."""
    fewest: int
    """In the turn that has fewest."""
    turns: int

    @property
    def enough(self) -> bool:
        """Whether an interval over these patients can be trusted."""
        return self.fewest >= LEAST_RARE

    def needed(self, width: float) -> int:
        """About how many such patients would bring an interval of `width` down to WIDEST: widths fall with the root of their number."""
        least = 0 if self.enough else max(LEAST_RARE * self.turns, self.patients + 1)
        return round_up(max(least, math.ceil(self.patients * (width / WIDEST) ** 2)))


def round_up(count: int) -> int:
    """Two digits that matter, for more would feign knowledge."""
    step = int(10 ** max(len(str(count)) - 2, 0))
    return -(-count // step) * step


def conclude(best: Comparison, whole: Comparison, panel: Panel) -> str:
    """The verdict: a difference counts where its interval lies on one side of 0, a missing one where the interval is narrow."""
    if not panel.enough:
        return CANNOT_TELL
    low, high = best.interval
    if low > 0:
        return HELPS
    if whole.interval[1] < 0:
        return HARMS
    return CANNOT_TELL if high > 0 and high - low > WIDEST else NO_BENEFIT


def sentence(verdict: str, shown: Comparison, panel: Panel, rare: Sequence[str], judge: str) -> str:
    """The verdict in words, with the figures of `shown`, the comparison that it rests on."""
    low, high = map(points, shown.interval)
    classes = " and ".join([", ".join(rare[:-1]), rare[-1]] if len(rare) > 1 else rare)
    opening = {
        HELPS: f"Synthetic images help to find {classes} in held-out patients",
        HARMS: f"Synthetic images harm: classifiers that learn from all of them find {classes} less well in held-out patients",
        NO_BENEFIT: f"No benefit: with synthetic images, classifiers find {classes} no better in held-out patients",
    }.get(verdict)
    if opening:
        change = f"{points(shown.difference)} points of AUPRC (95 % interval {low} to {high})"
        return f"{opening}: {change}, {pair_of(shown, judge)}."
    one = panel.patients == 1
    have = f"{panel.patients:,} held-out patient{'' if one else 's'} {'has' if one else 'have'} {panel.label}"
    needed = f"{panel.needed(shown.interval[1] - shown.interval[0]):,}"
    if not panel.enough:
        return f"Cannot tell whether synthetic images help: only {have}; at least {needed} are needed for a verdict."
    return (
        f"Cannot tell whether synthetic images help to find {classes}: the difference is {points(shown.difference)} points of AUPRC,"
        f" but anything from {low} to {high} is plausible (95 % interval). {have};"
        f" about {needed} are needed to narrow that to {100 * WIDEST:.0f} points."
    )


def pair_of(shown: Comparison, judge: str) -> str:
    """What was compared, in the names of the table of arms; turn by turn where the turns chose otherwise."""
    if shown.agreed:
        return f"{shown.rounds[0].named} (judge {judge})"
    told = [f"{one.named} ({points(one.auprc - one.alternative_auprc)})" for one in shown.rounds]
    return f"the mean of two halves of the patients, each judging what the other half chose: {' and '.join(told)} (judge {judge})"


def points(difference: float) -> str:
    """A difference of AUPRC in points, hundredths of it, with its sign."""
    return f"{round(100 * difference, 1) + 0.0:+.1f}"


def _arm(name: str, ratio: str) -> str:
    return f"{name} at ratio {ratio}" if ratio else name
