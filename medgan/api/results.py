"""What the verbs of Python give back: the documented JSON of a command, key by key.

Places are paths and lists are tuples; what lies below the first level is plain data, as docs/json.md
describes it.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

R = TypeVar("R")

Counts = Mapping[str, Mapping[str, int]]
"""{split: {class: number}}, or other names in the place of splits."""
Facts = Mapping[str, Any]
"""Plain data."""
Decisions = Mapping[str, Facts]
"""{field of the plan: {"value", "why"}}."""


@dataclass(frozen=True, kw_only=True)
class InspectResult:
    """A data set, looked at."""

    version: int
    counts: Counts
    """Scans that can be used."""
    images: Counts
    """The 2-D images that they yield."""
    patients: Counts
    rare: Mapping[str, int]
    """{class: images missing to the largest one}."""
    verdicts: Mapping[str, int]
    """{verdict: files}."""
    plan: Decisions | None
    """What `train` would decide; None where it would refuse the data set."""
    warnings: tuple[str, ...]
    told_apart: Facts
    """Which classes a frozen network can tell apart."""
    files: tuple[Mapping[str, str], ...] | None = None
    """Every file with its verdict; None unless asked for."""


@dataclass(frozen=True, kw_only=True)
class TrainResult:
    """A training run."""

    run: Path
    """The run folder, from which `Model.load` reads the model."""
    images_shown: int
    seconds: float
    model_digest: str
    """Empty after a dry run."""
    warnings: tuple[str, ...]
    plan: Decisions | None = None
    """After a dry run: what would be done, and why."""
    estimate_seconds: float | None = None
    """After a dry run: how long it would take on this machine."""


@dataclass(frozen=True, kw_only=True)
class WriteResult:
    """A folder of images that `sample`, `balance` or `prepare` wrote."""

    version: int
    out: Path
    counts: Counts
    """{"before", "after": {class: training images}}."""
    real: str
    """How real images came there: "prepared", "link" or "none"."""
    written: Mapping[str, int]
    """{class: synthetic images}."""
    repeated: Mapping[str, int]
    """{class: real images that are there once more}."""
    share: Facts
    """The share of synthetic images: as asked for, as reached, and why."""
    notes: tuple[str, ...]
    filter: Facts
    """What was compared and what was rejected."""
    manifest: Path
    """Where manifest.csv lies."""


@dataclass(frozen=True, kw_only=True)
class BalanceForecast:
    """A balanced folder that is not written yet."""

    version: int
    out: Path
    before: Mapping[str, int]
    missing: Mapping[str, int]
    repeated: Mapping[str, int]
    share: Facts
    notes: tuple[str, ...]
    at_most: bool
    """Whether validation patients may choose fewer synthetic images."""
    real: str
    trains: bool
    """Whether a model would be trained first."""
    estimate_seconds: float
    plan: Decisions


@dataclass(frozen=True, kw_only=True)
class EvaluateResult:
    """An evaluation: the verdict first, then all that it rests on. What was not measured is None."""

    version: int
    verdict: str | None
    """"helps", "no-difference", "harms" or "cannot-tell"."""
    sentence: str | None
    """The verdict in words."""
    judge: str | None
    arm: str | None
    reference: str | None
    difference: float | None
    interval: tuple[float, ...] | None
    patients_needed: int | None
    headroom: Facts | None
    care: str | None
    external: Facts | None
    answers: tuple[Facts, ...]
    classes: tuple[Facts, ...]
    arms: tuple[Facts, ...]
    scores: tuple[Facts, ...]
    giveaways: Facts | None
    usefulness: Facts | None
    shortcut: Facts | None
    privacy: Facts | None
    medgan: str
    """The version that measured."""
    out: Path
    command: str
    """The command that makes it again."""
    counts: Counts
    patients: Mapping[str, int]
    unseen: str
    """Whether the generator is known never to have seen the held-out patients."""
    sources: Mapping[str, str]
    settings: Facts
    notes: tuple[str, ...]
    filter: Facts | None


@dataclass(frozen=True, kw_only=True)
class ReportResult:
    """A page that was written."""

    report: Path


def as_result(kind: type[R], report: Mapping[str, Any]) -> R:
    """The documented JSON of a command as its dataclass."""
    kinds = typing.get_type_hints(kind)
    return kind(**{name: _as_field(kinds[name], value) for name, value in report.items()})


def _as_field(kind: Any, value: Any) -> Any:
    """A value of JSON as a field of a result has it."""
    if kind is Path:
        return Path(value)
    return tuple(value) if isinstance(value, list) else value
