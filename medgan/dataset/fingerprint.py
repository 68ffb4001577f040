"""Measure the facts about a data set on which every decision of the plan rests."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from medgan.dataset.advice import count_duplicates, data_warnings
from medgan.dataset.colour import ColourCounts, count_colours
from medgan.dataset.extents import Extents, has_spacing, measure_extents
from medgan.dataset.manifest import Manifest, Record
from medgan.dataset.outliers import usual_maximum
from medgan.dataset.quota import quotas

_Counts = Mapping[str, Mapping[str, int]]
"""{split: {label: n}}."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """What was measured on a data set. Sizes are in pixels, spacing in millimetres."""

    version: int = 1
    counts: _Counts
    """Scans."""
    images: _Counts
    """2-D images that the scans give."""
    patients: _Counts
    training: Mapping[str, int]
    """{label: images} that the generator may learn from: the train split without leaks."""
    rare: Mapping[str, int]
    """{label: how many images the class has less than the largest one}, counted in `training`. The largest
    class is absent."""
    patients_known: bool
    formats: Mapping[str, int]
    """{format: scans}, and likewise below."""
    modalities: Mapping[str, int]
    meanings: Mapping[str, int]
    channels: Mapping[str, int]
    colours: ColourCounts
    """Scans stored as RGB, by what they show."""
    bits: int
    """Largest BitsStored."""
    body_part: str
    """BodyPartExamined where all scans share it, else empty."""
    rows: tuple[int, ...]
    """Minimum, median, maximum."""
    columns: tuple[int, ...]
    spacing_mm: tuple[float, ...] | None
    """Median (Z, Y, X) over scans; None unless every scan knows its in-plane spacing."""
    patient_orientation: str
    r"""Where rows and columns run to in the patient ("L\\P": axial) where all scans agree, else empty."""
    field_of_view_mm: tuple[float, ...] | None
    """95th percentile of the extents (Y, X); None unless every scan knows its spacing."""
    extents: Extents | None
    """How far scans differ in millimetres; None unless every scan knows its spacing."""
    levels: tuple[float, ...]
    """Medians over scans of the percentiles 0, 0.5, 50, 99.5 and 100, in the unit of each scan."""
    extremes: tuple[float, float]
    """Lowest and highest value of all scans."""
    top: float
    """Highest value without stray pixels and outlying images."""
    duplicates: int
    """Scans whose pixels occur earlier in the same class and split. They are used, with a warning."""
    leaks: int
    """Train scans set aside because their patient or pixels are also in val or test."""
    verdicts: Mapping[str, int]
    warnings: tuple[str, ...]
    digest: str
    """The manifest's data digest."""


def measure(manifest: Manifest) -> Fingerprint:
    """Measure the data set.

    Sizes, spacing and intensity are measured on the scans that the generator may learn from. Validation and
    test images do not take part in these, so that no decision can have seen them.
    """
    # Scans to measure: those of the generator, or all where it has none.
    records = manifest.training()
    measured = records or tuple(manifest.usable())
    training = _training_images(manifest)
    return Fingerprint(
        counts=manifest.counts(),
        images=manifest.images(),
        patients=manifest.patients(),
        training=training,
        rare={label: missing for label, missing in quotas(training).items() if missing},
        patients_known=manifest.patients_known,
        formats=_tally(measured, lambda record: record.format),
        modalities=_tally(measured, lambda record: record.modality),
        meanings=_tally(measured, lambda record: record.meaning),
        channels=_tally(measured, lambda record: str(record.channels)),
        colours=count_colours(measured),
        bits=max(record.bits for record in measured),
        body_part=_common_value([record.body_part for record in measured]),
        rows=_min_median_max([record.shape[1] for record in measured]),
        columns=_min_median_max([record.shape[2] for record in measured]),
        spacing_mm=_spacing(measured),
        patient_orientation=_common_value([record.patient_orientation for record in measured]),
        field_of_view_mm=_field_of_view(measured),
        extents=measure_extents(measured),
        levels=tuple(np.median([record.levels for record in measured], axis=0).tolist()),
        extremes=(
            min(record.levels[0] for record in measured),
            max(record.levels[-1] for record in measured),
        ),
        top=usual_maximum(measured),
        duplicates=count_duplicates(manifest),
        leaks=sum(True for _ in manifest.usable("train")) - len(records),
        verdicts=manifest.verdicts(),
        warnings=(*manifest.warnings, *data_warnings(manifest)),
        digest=manifest.digest,
    )


def _training_images(manifest: Manifest) -> dict[str, int]:
    """{label: images} for the classes of the train split.

    A class that only test patients have cannot be learned.
    """
    there = sorted({record.label for record in manifest.usable("train")})
    return dict.fromkeys(there or manifest.labels, 0) | manifest.training_counts()


def _tally(records: Sequence[Record], fact: Callable[[Record], str]) -> dict[str, int]:
    return dict(sorted(Counter(fact(record) for record in records).items()))


def _common_value(values: Sequence[str]) -> str:
    return values[0] if len(set(values)) == 1 else ""


def _min_median_max(values: Sequence[int]) -> tuple[int, ...]:
    return min(values), round(statistics.median(values)), max(values)


def _spacing(records: Sequence[Record]) -> tuple[float, ...] | None:
    if not all(has_spacing(record) for record in records):
        return None
    return tuple(np.median([record.spacing_mm for record in records], axis=0).tolist())


def _field_of_view(records: Sequence[Record]) -> tuple[float, ...] | None:
    if not all(has_spacing(record) for record in records):
        return None
    extents = [np.multiply(record.shape[1:], (record.spacing_mm or ())[1:]) for record in records]
    return tuple(np.percentile(extents, 95, axis=0).tolist())
