"""Manifest -> Fingerprint: the measured facts on which every decision of the plan stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Counts = Mapping[str, Mapping[str, int]]
"""{split: {label: n}}."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """What was measured on a data set. Sizes are in pixels, spacing in millimetres."""

    version: int = 1
    counts: Counts
    """Scans."""
    images: Counts
    """2-D images the scans yield."""
    patients: Counts
    training: Mapping[str, int]
    """{label: images} that the generator may learn from: the train split less leaks."""
    rare: Mapping[str, int]
    """{label: images missing to the largest class of the train split}; classes that miss none are absent."""
    patients_known: bool
    formats: Mapping[str, int]
    """{format: scans}, and likewise below."""
    modalities: Mapping[str, int]
    meanings: Mapping[str, int]
    channels: Mapping[str, int]
    bits: int
    """Largest BitsStored."""
    body_part: str
    """BodyPartExamined where all scans share it, else empty."""
    rows: tuple[int, ...]
    """Minimum, median, maximum."""
    columns: tuple[int, ...]
    spacing_mm: tuple[float, ...] | None
    """Median (Z, Y, X) over scans; None unless every scan knows its in-plane spacing."""
    field_of_view_mm: tuple[float, ...] | None
    """95th percentile of (Y, X) extents; None unless every scan knows its spacing."""
    levels: tuple[float, ...]
    """Medians over scans of the percentiles 0, 0.5, 50, 99.5 and 100, each in its own meaning."""
    extremes: tuple[float, float]
    """Lowest and highest value met."""
    duplicates: int
    """Scans whose very pixels occur earlier under the same label in the same split (kept, but told)."""
    leaks: int
    """Train scans set aside because their patient or pixels are also in val or test."""
    verdicts: Mapping[str, int]
    warnings: tuple[str, ...]
    digest: str
    """The manifest's data digest."""
