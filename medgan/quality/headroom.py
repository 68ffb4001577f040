"""The reference arm, trained with fewer patients of the rare classes (and with more, where there are some) -> what real scans would bring."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medgan.quality.contest import Round, Rung
from medgan.quality.endpoints import interval, rare_auprc
from medgan.quality.standings import Bench, Entry
from medgan.quality.verdict import listed, points


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """What the reference comes to with so many patients of the rare classes."""

    patients: int
    auprc: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Headroom:
    """What more real patients of the rare classes would bring: nobody can expect more of synthetic images."""

    sentence: str
    levels: tuple[Level, ...]
    """By the reference arm, fewest patients first."""
    doubled: float
    """AUPRC that twice as many patients would add, by the line through the levels: AUPRC = a + b log2(patients)."""
    interval: tuple[float, float]
    """95 %, over held-out patients and over seeds, each of which leaves out other patients."""
    ceiling: Level | None = None
    """Measured with more real patients, where there were some."""
    recovered: float | None = None
    """Share of the gain from those patients that the named arm brings without them; None where they bring none."""


def headroom(
    bench: Bench, told: Round, named: Entry, reference: Entry, rare: Sequence[str]
) -> Headroom | None:
    """Fit the line; None where fewer patients were not tried, or there are too few to leave some out."""
    patients = np.log2([rung.patients for rung in told.rungs]) if told.rungs else np.zeros(0)
    if len(np.unique(patients)) < 2:
        return None
    slope = (patients - patients.mean()) / ((patients - patients.mean()) ** 2).sum()
    levels = tuple(_level(bench, rung) for rung in told.rungs)
    doubled = float(slope @ np.array([level.auprc for level in levels]))
    low, high = interval(slope @ np.stack([bench.resampled(rung.logits)[0] for rung in told.rungs]))
    ceiling = _level(bench, told.ceiling) if told.ceiling else None
    gain = ceiling.auprc - reference.arm.auprc if ceiling else 0.0
    recovered = round((named.arm.auprc - reference.arm.auprc) / gain, 3) if gain > 0 else None
    words = (
        f"Even twice as many real patients with {listed(rare)} would bring about {points(doubled)} points of AUPRC"
        f" (95 % interval {points(low)} to {points(high)}), an estimate from training with half, three quarters and all of those there are."
    )
    if ceiling:
        share = "" if recovered is None else f", {recovered:.0%} of which synthetic images recover"
        words += f" Measured with {ceiling.patients:,} in the place of {levels[-1].patients:,}: {points(gain)} points{share}."
    return Headroom(
        sentence=words,
        levels=levels,
        doubled=round(doubled, 5),
        interval=(round(low, 5), round(high, 5)),
        ceiling=ceiling,
        recovered=recovered,
    )


def _level(bench: Bench, rung: Rung) -> Level:
    each = [rare_auprc(one, bench.held_out.labels, bench.rare) for one in rung.logits]
    return Level(patients=rung.patients, auprc=round(float(np.mean(each)), 5))
