"""What commands and the verbs of Python give back: the documented JSON, key by key.

Places are paths and lists are tuples; what lies below the first level is plain data, as docs/json.md
describes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from medgan.base.files import to_json

Counts = Mapping[str, Mapping[str, int]]
"""{split: {class: number}}, or other names in the place of splits."""
Facts = Mapping[str, Any]
"""Plain data."""
Decisions = Mapping[str, Facts]
"""{field of the plan: {"value", "why"}}."""

CLASSES_NOT_CHECKED: Facts = {"labels": [], "pairs": [], "sentences": []}
"""The `class_check` of a filter report where classes were not checked."""
FILTER_OFF: Facts = {
    "on": False,
    "compared_with": "",
    "checks": [],
    "class_check": CLASSES_NOT_CHECKED,
    "counts": {},
}
"""The filter report where nothing was filtered."""


class Result:
    """What a command found or did."""

    def as_json(self) -> dict[str, Any]:
        """The documented JSON: without optional keys that were not asked for."""
        own = fields(self)  # type: ignore[arg-type]  # each result is a dataclass
        optional = {field.name for field in own if field.default is None}
        return {
            name: value for name, value in to_json(self).items() if value is not None or name not in optional
        }


@dataclass(frozen=True, kw_only=True)
class InspectResult(Result):
    """A data set, looked at."""

    version: int
    counts: Counts
    """Scans that can be used."""
    images: Counts
    """The 2-D images that they yield."""
    patients: Counts
    rare: Mapping[str, int]
    """{class: images missing to the largest one}."""
    measured: Facts
    """Formats, sizes, spacing and intensities of the scans in train."""
    verdicts: Mapping[str, int]
    """{verdict: files}."""
    plan: Decisions | None
    """What `train` would decide; None where it would refuse the data set."""
    warnings: tuple[str, ...]
    told_apart: Facts
    """Which classes a frozen network can tell apart."""
    files: tuple[Mapping[str, str], ...] | None = None
    """Every file with its verdict; None unless asked for."""
    pairs: Facts | None = None
    """How many scans have a mask that fits; None without masks."""
    regions: Mapping[str, Facts] | None = None
    """{region: how often and how large it is in train}; None without masks."""


@dataclass(frozen=True, kw_only=True)
class TrainResult(Result):
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
    normal: Facts | None = None
    """Of a model of normal scans: who learned, who calibrates, and which alarms that allows."""


@dataclass(frozen=True, kw_only=True)
class AnomalyResult(Result):
    """Scans that `anomaly` compared with normal ones."""

    version: int
    out: Path
    scores: Path
    """Where scores.csv lies."""
    report: Path
    """Where report.html lies."""
    scans: int
    """Scans that were scored."""
    patients: int
    alarms: int
    """Patients that alarm."""
    asked: float
    """Largest share of new normal patients that may alarm."""
    calibration_patients: int
    verdicts: Mapping[str, int]
    """{verdict: files}."""
    figures: tuple[Facts, ...]
    """How well each part and each shortcut tells the other classes from the normal one."""
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class WriteResult(Result):
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
    films: tuple[Path, ...] | None = None
    """Where the animations of `sample` lie; None unless asked for."""


@dataclass(frozen=True, kw_only=True)
class BalanceForecast(Result):
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
class EvaluateResult(Result):
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
    """Sentences on what limits the evidence, and on why a part could not be measured."""
    filter: Facts | None
    """Summary of the filter for a model's images; None for a folder, which is judged as it is."""
    giveaways: Facts | None
    usefulness: Facts | None
    shortcut: Facts | None
    privacy: Facts | None
    quiz: Facts | None = None
    """The page on which a reader tells real from synthetic images; None unless asked for."""


@dataclass(frozen=True, kw_only=True)
class ReportResult(Result):
    """A page that was written."""

    report: Path
