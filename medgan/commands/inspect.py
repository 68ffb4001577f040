"""Report what a data set holds, what was skipped and why, and what `train` would decide."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from medgan.base.errors import MedganError
from medgan.base.files import to_json
from medgan.base.job import Job
from medgan.base.progress import OnProgress, ignore
from medgan.base.results import InspectResult
from medgan.commands.job import join_job
from medgan.dataset.fingerprint import measure
from medgan.dataset.index import index
from medgan.dataset.load import array_place
from medgan.dataset.manifest import ARRAY, Manifest, Record
from medgan.dataset.regions import inspect_regions
from medgan.dataset.source import Source, to_valid_text
from medgan.dataset.split import default_holdout_text, hold_out_for_training
from medgan.plan import Overrides, Plan, decide, explain
from medgan.plan.rules import missing_features_warning

_VERSION = 1
"""Version of the report: a key may be added under the same number, none removed or redefined."""

_NO_OVERRIDES = Overrides()
_MEASURED = (
    "formats", "modalities", "meanings", "bits", "channels", "rows", "columns", "spacing_mm", "levels",
    "duplicates", "leaks",
)  # fmt: skip
"""Facts of the fingerprint that the report names."""
_LEAST_PATIENTS = 20
"""Patients that a class needs before its separability is measured."""
_MOST_PER_CLASS = 100
"""Patients of one class whose images are measured at most."""
_MOST_IN_ALL = 1000
"""Patients in all whose images are measured at most."""
_NOT_MEASURED = "which classes a frozen network can tell apart was not measured"


def inspect(
    source: Source,
    *,
    holdout: float | None = None,
    overrides: Overrides = _NO_OVERRIDES,
    files: bool = False,
    masks: Path | None = None,
    on_progress: OnProgress = ignore,
) -> InspectResult:
    """Read every file of `source`, and decide what `train` would.

    A data set that cannot be trained on is described all the same. Under torchrun every process calls this
    with the same arguments; they divide the files among them, and each gets the same result.

    Args:
        source: Scans and their classes.
        holdout: Share of the patients held out as val; None follows the default rule.
        overrides: Settings of the training that the user decides.
        files: Whether the report lists every file.
        masks: A folder of masks; the report tells which scans have one, and counts their regions.
        on_progress: Called with every step of progress.
    """
    job = join_job("cpu", on_progress)
    return job.first(lambda: _inspect(source, holdout, overrides, job, files=files, masks=masks))


def _inspect(  # what the command takes
    source: Source, holdout: float | None, overrides: Overrides, job: Job, *, files: bool, masks: Path | None
) -> InspectResult:
    """Inspect in one process, with the workers of the job; see `inspect`."""
    # Read the files and hold patients out as `train` does.
    found = _leave_out_masks(index(source, job), masks)
    manifest = hold_out_for_training(found, holdout, overrides.seed or 0)
    fingerprint = measure(manifest)
    warnings = (*filter(None, [default_holdout_text(manifest)]), *fingerprint.warnings)

    # Make the plan that `train` would make, or say why it would refuse.
    try:
        plan = decide(fingerprint, overrides)
        warnings = (*filter(None, [missing_features_warning()]), *warnings)
    except MedganError as error:
        plan = None
        warnings = (*warnings, f"train would refuse this data set: {error.message}. {error.hint}".strip())

    # Pair scans with masks, where there are any.
    seen = None
    if masks is not None:
        seen = inspect_regions(manifest, masks, partial(_pixel_area, plan), job)
        warnings = (*seen.warnings, *warnings)
    return InspectResult(
        version=_VERSION,
        counts=fingerprint.counts,
        images=fingerprint.images,
        patients=fingerprint.patients,
        rare=fingerprint.rare,
        measured={name: value for name, value in to_json(fingerprint).items() if name in _MEASURED},
        verdicts=fingerprint.verdicts,
        plan=None if plan is None else explain(plan),
        warnings=warnings,
        told_apart=_measure_separability(manifest, plan, job),
        files=tuple(_files(manifest)) if files else None,
        pairs=None if seen is None else seen.pairs,
        regions=None if seen is None else seen.regions,
    )


def _leave_out_masks(manifest: Manifest, masks: Path | None) -> Manifest:
    """The manifest without files that lie in the folder of masks and are no scans: nobody misses them."""
    if masks is None:
        return manifest
    place = masks.resolve()
    root = manifest.root.resolve()
    if not place.is_relative_to(root):
        return manifest
    within = place.relative_to(root)
    kept = (one for one in manifest.records if one.ok or not Path(one.path).is_relative_to(within))
    return replace(manifest, records=tuple(kept))


def _pixel_area(plan: Plan | None, record: Record) -> float | None:
    """How many pixels of a training image show one pixel of a scan; None where no size is decided."""
    if plan is None:
        return None
    frame = plan.frame
    if frame.mm_per_pixel is None or record.spacing_mm is None:
        return math.prod(frame.size) / math.prod(record.shape[1:])
    return math.prod(record.spacing_mm[1:]) / frame.mm_per_pixel**2


def _measure_separability(manifest: Manifest, plan: Plan | None, job: Job) -> dict[str, Any]:
    """Measure which classes a frozen network can tell apart, or say why that was not measured."""
    patients = _select_patients(manifest)
    if len(manifest.labels) < 2:
        why = "there is only one class"
    elif plan is None:
        why = "train would refuse the data set"
    elif len(patients) < 2:
        why = f"two classes with {_LEAST_PATIENTS} patients each in train are needed"
    elif missing_features_warning():
        why = "the network is not installed"
    else:
        from medgan.filtering.before_training import measure_separability  # noqa: PLC0415  # loads torch

        return measure_separability(manifest, plan.frame, patients, job)
    return {"labels": [], "pairs": [], "sentence": f"{_NOT_MEASURED}: {why}"}


def _select_patients(manifest: Manifest) -> dict[str, list[str]]:
    """{class: some of its training patients}, for the classes that have enough of them."""
    own: dict[str, set[str]] = {}
    for record in manifest.training():
        own.setdefault(record.label, set()).add(record.patient)
    large = {label: sorted(known) for label, known in sorted(own.items()) if len(known) >= _LEAST_PATIENTS}
    most = min(_MOST_PER_CLASS, _MOST_IN_ALL // max(len(large), 1))
    return {label: known[: max(most, _LEAST_PATIENTS)] for label, known in large.items()}


def _files(manifest: Manifest) -> Iterator[dict[str, str]]:
    """Every file, slices of a volume one by one, with its relative and absolute path."""
    root = manifest.root.absolute()
    for record in manifest.records:
        for path in record.parts or (record.path,):
            yield _file(path, record, root)


def _file(path: str, record: Record, root: Path) -> dict[str, str]:
    file = array_place(root, path)[0] if record.format == ARRAY else root / path
    return {
        "path": to_valid_text(path),
        "file": to_valid_text(str(file)),
        "label": record.label,
        "patient": record.patient,
        "split": record.split,
        "verdict": record.verdict,
        "reason": to_valid_text(record.reason),
    }
