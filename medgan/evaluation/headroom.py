"""The reference arm, trained with fewer patients of the rare classes (and with more, where there are some) -> what real scans would bring."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medgan.evaluation.arm_scores import Bench, Entry
from medgan.evaluation.endpoints import interval, rare_auprc
from medgan.evaluation.trials import Round, Rung
from medgan.evaluation.verdict import join_names, points


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
    """By the reference arm, fewest patients first; empty where fewer were not tried."""
    doubled: float | None
    """AUPRC that twice as many patients would add, by the line through the levels: AUPRC = a + b log2(patients)."""
    interval: tuple[float, float] | None
    """95 %, over held-out patients and over seeds, each of which leaves out other patients."""
    ceiling: Level | None = None
    """Measured with more real patients, where there were some."""
    recovered: float | None = None
    """Share of the gain from those patients that the named arm brings without them; None where they bring none."""


def headroom(
    bench: Bench, told: Round, named: Entry, reference: Entry, rare: Sequence[str]
) -> Headroom | None:
    """Fit the line, and measure the ceiling; None where neither fewer patients were tried nor more."""
    line = doubling(bench, told.rungs)
    ceiling = _level(bench, told.ceiling) if told.ceiling else None
    if line is None and ceiling is None:
        return None
    words = []
    if line:
        words.append(
            f"Even twice as many real patients with {join_names(rare)} would bring about {points(line[0])} points of AUPRC"
            f" (95 % interval {points(line[1][0])} to {points(line[1][1])}), an estimate from training with half, three quarters and all"
            " of those there are."
        )
    recovered = None
    if ceiling:
        gain = ceiling.auprc - reference.arm.auprc
        recovered = round((named.arm.auprc - reference.arm.auprc) / gain, 3) if gain > 0 else None
        share = "" if recovered is None else f", {recovered:.0%} of which synthetic images recover"
        words.append(f"Measured with {ceiling.patients:,} such patients: {points(gain)} points{share}.")
    return Headroom(
        sentence=" ".join(words),
        levels=tuple(_level(bench, rung) for rung in told.rungs),
        doubled=line and round(line[0], 5),
        interval=line and (round(line[1][0], 5), round(line[1][1], 5)),
        ceiling=ceiling,
        recovered=recovered,
    )


def doubling(bench: Bench, rungs: Sequence[Rung]) -> tuple[float, tuple[float, float]] | None:
    """What twice as many patients add by a line through the rungs, and its interval; None without two numbers of patients."""
    if len({rung.patients for rung in rungs}) < 2:
        return None
    patients = np.log2([rung.patients for rung in rungs])
    slope = (patients - patients.mean()) / ((patients - patients.mean()) ** 2).sum()
    found = slope @ np.array([_level(bench, rung).auprc for rung in rungs])
    return float(found), interval(slope @ np.stack([bench.resampled(rung.logits)[0] for rung in rungs]))


def _level(bench: Bench, rung: Rung) -> Level:
    each = [rare_auprc(one, bench.held_out.labels, bench.rare) for one in rung.logits]
    return Level(patients=rung.patients, auprc=round(float(np.mean(each)), 5))
