"""Estimate what more real scans of rare classes would bring.

That is a ceiling for synthetic images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medgan.evaluation.endpoints import interval, rare_auprc
from medgan.evaluation.usefulness.arm_scores import Bench, Entry
from medgan.evaluation.usefulness.trials import Round, Rung
from medgan.evaluation.usefulness.verdict import join_names, points


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
    recovered: float | None = None
    """Share of their gain that the named arm reaches without them; None if they bring no gain."""


def headroom(
    bench: Bench, told: Round, named: Entry, reference: Entry, rare: Sequence[str]
) -> Headroom | None:
    """Extrapolate to twice as many patients, and measure the ceiling; None if neither was tried.

    Args:
        bench: Held-out images and resamples.
        told: Predictions of the first judge.
        named: The arm that gives the verdict.
        reference: The arm that it is compared with.
        rare: Names of the rare classes.
    """
    # Twice as many patients, by a line through the levels.
    line = _extrapolate(bench, told.rungs)
    ceiling = _level(bench, told.ceiling) if told.ceiling else None
    if line is None and ceiling is None:
        return None
    words = []
    if line:
        words.append(
            f"Even twice as many real patients with {join_names(rare)} would bring about"
            f" {points(line[0])} points of AUPRC"
            f" (95 % interval {points(line[1][0])} to {points(line[1][1])}), an estimate from training with"
            " half, three quarters and all of those there are."
        )

    # Further real patients, if the caller has some.
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


def _extrapolate(bench: Bench, rungs: Sequence[Rung]) -> tuple[float, tuple[float, float]] | None:
    """AUPRC that twice as many patients add, by a line through the rungs; None with one rung only."""
    if len({rung.patients for rung in rungs}) < 2:
        return None
    patients = np.log2([rung.patients for rung in rungs])
    slope = (patients - patients.mean()) / ((patients - patients.mean()) ** 2).sum()
    found = slope @ np.array([_level(bench, rung).auprc for rung in rungs])
    return float(found), interval(slope @ np.stack([bench.resampled(rung.logits)[0] for rung in rungs]))


def _level(bench: Bench, rung: Rung) -> Level:
    each = [rare_auprc(one, bench.held_out.labels, bench.rare) for one in rung.logits]
    return Level(patients=rung.patients, auprc=round(float(np.mean(each)), 5))
