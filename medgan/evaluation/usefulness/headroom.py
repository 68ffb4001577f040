"""Estimate what more real scans of rare classes would bring.

That is a ceiling for synthetic images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medgan.evaluation.bootstrap import percentile_interval
from medgan.evaluation.endpoints import rare_auprc
from medgan.evaluation.usefulness.arm_scores import BootstrapSet, Entry
from medgan.evaluation.usefulness.trials import Round, Rung
from medgan.evaluation.usefulness.verdict import CANNOT_TELL, LEAST_RARE, WITHIN, join_names, points

RISING = "rising"
FLAT = "flat"
FALLING = "falling"


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """AUPRC of the reference arm with some number of patients of the rare classes."""

    patients: int
    auprc: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Headroom:
    """What more real patients of rare classes would bring; synthetic images can hardly bring more."""

    sentence: str
    levels: tuple[Level, ...]
    """Levels of the reference arm, fewest patients first; empty if fewer patients were not tried."""
    doubled: float | None
    """AUPRC that twice as many patients would add, by a fit AUPRC = a + b log2(patients)."""
    interval: tuple[float, float] | None
    """95 %, over held-out patients and over seeds, each of which leaves out other patients."""
    ceiling: Level | None = None
    """Measured with further real patients, if there are some."""
    trend: str = ""
    """"rising", "flat", "falling" or "cannot-tell"; empty if fewer patients were not tried."""
    recovered: float | None = None
    """Share of their gain that the named arm reaches without them; None if they bring no gain."""


def headroom(
    test_set: BootstrapSet, told: Round, named: Entry, reference: Entry, rare: Sequence[str]
) -> Headroom | None:
    """Extrapolate to twice as many patients, and measure the ceiling; None if neither was tried.

    Args:
        test_set: Held-out images and resamples.
        told: Predictions of the first judge.
        named: The arm that gives the verdict.
        reference: The arm that it is compared with.
        rare: Names of the rare classes.
    """
    # Twice as many patients, by a line through the levels.
    line = _extrapolate(test_set, told.rungs)
    ceiling = _level(test_set, told.ceiling) if told.ceiling else None
    if line is None and ceiling is None:
        return None
    judged = min(len(np.unique(test_set.held_out.of(label).patients)) for label in rare)
    trend = _trend(line[1], judged) if line else ""
    words = [_trend_text(trend, *line, judged, rare)] if line else []

    # Further real patients, if the caller has some.
    recovered = None
    if ceiling:
        gain = ceiling.auprc - reference.arm.auprc
        recovered = round((named.arm.auprc - reference.arm.auprc) / gain, 3) if gain > 0 else None
        words.append(f"Measured with {ceiling.patients:,} such patients: {_gain_text(gain, recovered)}.")
    return Headroom(
        sentence=" ".join(words),
        levels=tuple(_level(test_set, rung) for rung in told.rungs),
        doubled=line and line[0],
        interval=line and line[1],
        ceiling=ceiling,
        trend=trend,
        recovered=recovered,
    )


def _trend(interval: tuple[float, float], judged: int) -> str:
    """Whether the learning curve rises, is flat within one point, or falls, by what doubling adds.

    Args:
        interval: 95 % interval of what twice as many patients add.
        judged: Held-out patients of the scarcest rare class.
    """
    low, high = interval
    if judged < LEAST_RARE:
        return CANNOT_TELL
    if low > 0:
        return RISING
    if high < 0:
        return FALLING
    return FLAT if high <= WITHIN else CANNOT_TELL


def _trend_text(
    trend: str, doubled: float, interval: tuple[float, float], judged: int, rare: Sequence[str]
) -> str:
    """Word what twice as many real patients would bring, with its interval."""
    classes, low, high = join_names(rare), *map(points, interval)
    spread = f"95 % interval {low} to {high}"
    figure = f"(twice as many: {points(doubled)} points of AUPRC, {spread})"
    doubt = f"Cannot tell whether more real patients with {classes} would help:"
    words = {
        CANNOT_TELL: f"{doubt} twice as many may change the AUPRC by anything from {low} to {high} points"
        f" (95 % interval; estimate {points(doubled)}), by training with half, three quarters and all of"
        " those there are.",
        RISING: f"Even twice as many real patients with {classes} would bring about {points(doubled)} points"
        f" of AUPRC ({spread}), an estimate from training with half, three quarters and all of those there"
        " are.",
        FLAT: f"The learning curve is flat: more real patients with {classes} are not expected to help at"
        f" this size {figure}.",
        FALLING: f"The learning curve falls: classifiers found {classes} better with fewer real patients of"
        f" it {figure}. More are not expected to help; look for wrong labels, or scans unlike those of the"
        " held-out patients.",
    }
    if judged < LEAST_RARE:
        have = f"{judged} held-out patient{' has' if judged == 1 else 's have'}"
        which = classes if len(rare) == 1 else "one of them"
        return f"{doubt} only {have} {which}, and at least {LEAST_RARE} are needed."
    return words[trend]


def _gain_text(gain: float, recovered: float | None) -> str:
    """Word what further real patients bring, and how much of it synthetic images bring without them."""
    if recovered is None:
        return f"{points(gain)} points"
    share = f"{recovered:.0%}" if recovered > 0 else "none"
    return f"{points(gain)} points, {share} of which synthetic images recover"


def _extrapolate(test_set: BootstrapSet, rungs: Sequence[Rung]) -> tuple[float, tuple[float, float]] | None:
    """AUPRC that twice as many patients add, by a line through the rungs; None with one rung only."""
    if len({rung.patients for rung in rungs}) < 2:
        return None
    patients = np.log2([rung.patients for rung in rungs])
    slope = (patients - patients.mean()) / ((patients - patients.mean()) ** 2).sum()
    found = slope @ np.array([_level(test_set, rung).auprc for rung in rungs])
    low, high = percentile_interval(slope @ np.stack([test_set.resample(rung.logits)[0] for rung in rungs]))
    return _round(found), (_round(low), _round(high))


def _round(value: float) -> float:
    """Round to the digits that are stored, without a negative zero."""
    return round(float(value), 5) + 0.0


def _level(test_set: BootstrapSet, rung: Rung) -> Level:
    each = [rare_auprc(one, test_set.held_out.labels, test_set.rare) for one in rung.logits]
    return Level(patients=rung.patients, auprc=round(float(np.mean(each)), 5))
