"""Source -> Inspection: what a data set holds, what was skipped and why, and what `train` would decide."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medgan.base.errors import MedganError
from medgan.base.files import to_json
from medgan.base.progress import OnProgress, ignore
from medgan.dataset.fingerprint import Fingerprint, measure
from medgan.dataset.index import index
from medgan.dataset.load import array_place
from medgan.dataset.manifest import ARRAY, Manifest, Record
from medgan.dataset.source import Source, to_valid_text
from medgan.dataset.split import default_holdout_text, hold_out_for_training
from medgan.plan import Overrides, Plan, decide, explain
from medgan.plan.rules import missing_features_warning

VERSION = 1
"""Of the report; a key may be added under the same number, but none is taken away or changes its meaning."""

AS_DECIDED = Overrides()
LEAST, MOST, ALL = 20, 100, 1000
"""Patients of a class from which on it says how far a network tells it apart; patients of a class, and in all, of whom an image is looked at."""
UNTOLD = "which classes a frozen network can tell apart was not measured"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """A data set, looked at."""

    manifest: Manifest
    fingerprint: Fingerprint
    plan: Plan | None
    """None when the rules can make no plan of this data set; the last warning then says why."""
    warnings: tuple[str, ...]
    told_apart: Mapping[str, Any]
    """Which classes a frozen network can tell apart: the documented JSON."""

    def report(self, files: bool = False) -> dict[str, Any]:
        """The documented JSON: counts, images and patients per split and label, verdicts, plan; `files` lists each."""
        report = {
            "version": VERSION,
            "counts": to_json(self.fingerprint.counts),
            "images": to_json(self.fingerprint.images),
            "patients": to_json(self.fingerprint.patients),
            "rare": to_json(self.fingerprint.rare),
            "verdicts": to_json(self.fingerprint.verdicts),
            "plan": None if self.plan is None else explain(self.plan),
            "warnings": list(self.warnings),
            "told_apart": dict(self.told_apart),
        }
        return report | ({"files": list(_files(self.manifest))} if files else {})


def inspect(
    source: Source,
    *,
    holdout: float | None = None,
    overrides: Overrides = AS_DECIDED,
    on_progress: OnProgress = ignore,
) -> Inspection:
    """Look at every file of `source`, part of it held out as `train` would; a data set that cannot be trained on is still described."""
    found = index(source, on_progress=on_progress)
    manifest = hold_out_for_training(found, holdout, overrides.seed or 0)
    fingerprint = measure(manifest)
    warnings = (*filter(None, [default_holdout_text(manifest)]), *fingerprint.warnings)
    try:
        plan = decide(fingerprint, overrides)
        warnings = (*filter(None, [missing_features_warning()]), *warnings)
    except MedganError as error:
        plan = None
        warnings = (*warnings, f"train would refuse this data set: {error.message}. {error.hint}".strip())
    return Inspection(
        manifest=manifest,
        fingerprint=fingerprint,
        plan=plan,
        warnings=warnings,
        told_apart=measure_separability(manifest, plan, on_progress),
    )


def measure_separability(manifest: Manifest, plan: Plan | None, on_progress: OnProgress) -> dict[str, Any]:
    """Which classes a frozen network can tell apart, or in a sentence why that was not measured."""
    patients = people(manifest)
    if len(manifest.labels) < 2:
        why = "there is one class only"
    elif plan is None:
        why = "train would refuse the data set"
    elif len(patients) < 2:
        why = f"it takes two classes with {LEAST} patients in train"
    elif missing_features_warning():
        why = "the network is not installed"
    else:
        from medgan.filtering.before_training import measure_separability  # noqa: PLC0415  # loads torch, which nothing else here needs

        return measure_separability(manifest, plan, patients, on_progress=on_progress)
    return {"labels": [], "pairs": [], "sentence": f"{UNTOLD}: {why}"}


def people(manifest: Manifest) -> dict[str, list[str]]:
    """{class: at most MOST of its train patients} of the classes that have LEAST."""
    own: dict[str, set[str]] = {}
    for record in manifest.training():
        own.setdefault(record.label, set()).add(record.patient)
    large = {label: sorted(known) for label, known in sorted(own.items()) if len(known) >= LEAST}
    most = min(MOST, ALL // max(len(large), 1))
    return {label: known[: max(most, LEAST)] for label, known in large.items()}


def _files(manifest: Manifest) -> Iterator[dict[str, str]]:
    """Every file, the slices of a volume one by one, with its path relative to the data set's folder and from the root of the disk."""
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
