"""Learn the normal scans of a data set, or return at once where that is done."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import medgan
from medgan.base.errors import DatasetError
from medgan.base.files import digest_of, from_json, refuse_output_inside, to_json
from medgan.base.progress import OnProgress, ignore, note
from medgan.base.results import TrainResult
from medgan.base.run_folder import VERSION, RunFolder, list_changes
from medgan.commands.job import join_job
from medgan.commands.options import TaskOptions
from medgan.dataset.index import index
from medgan.dataset.manifest import Manifest, Record
from medgan.dataset.source import Source, normalise_label
from medgan.dataset.split import default_holdout_text, hold_out_for_training
from medgan.learners.anomaly.calibration import alarm_sentence
from medgan.learners.anomaly.fit import divide_patients, estimate_seconds, fit_anomaly
from medgan.learners.anomaly.images import CT_RANGE, SIDE
from medgan.learners.anomaly.model import RECORD, AnomalyFacts, AnomalyModel
from medgan.learners.kinds import ANOMALY, require_run_of_kind
from medgan.scans.windows import parse_window


@dataclass(frozen=True, slots=True, kw_only=True)
class _NormalScans:
    """Who is learned from, and how."""

    manifest: Manifest
    records: tuple[Record, ...]
    """Normal scans of train, without leaks."""
    facts: AnomalyFacts

    @property
    def counts(self) -> dict[str, Any]:
        """The key `normal` of the result."""
        learn, calibrate = divide_patients(self.records, self.facts.seed)
        patients = len({record.patient for record in calibrate})
        return {
            "label": self.facts.normal,
            "images": sum(len(record.slices) for record in learn),
            "patients": len({record.patient for record in self.records}),
            "calibration_patients": patients,
            "least_alarms": 1 / (patients + 1),
            "sentence": alarm_sentence(patients),
        }


def train_anomaly(  # noqa: PLR0913  # what the command takes
    source: Source,
    out: Path,
    *,
    options: TaskOptions,
    window: str | None = None,
    seed: int = 0,
    holdout: float | None = None,
    on_progress: OnProgress = ignore,
) -> TrainResult:
    """Learn the normal scans of the train split of `source` into the run folder `out`.

    The same command again returns at once if the run is finished, and else begins it anew. Under torchrun
    the first process does it.

    Args:
        source: Scans and their classes.
        out: A new folder, or the folder of a run to continue.
        options: The normal class, and whether it is a dry run.
        window: Hounsfield units that become black and white.
        seed: Decides who calibrates, and what the memory keeps.
        holdout: Share of the train patients that become val.
        on_progress: Called with every step of progress.
    """
    began = time.monotonic()
    refuse_output_inside(out, source.inputs)
    job = join_job("cpu", on_progress)
    manifest = hold_out_for_training(index(source, job), holdout, seed)
    normal = normalise_label(options.normal)

    def work() -> TrainResult:
        if sentence := default_holdout_text(manifest):
            note(on_progress, sentence)
        scans = _choose_scans(manifest, normal, window, seed)
        return _learn(scans, out, began, dry_run=options.dry_run, on_progress=on_progress)

    return job.first(work)


def _choose_scans(manifest: Manifest, normal: str, window: str | None, seed: int) -> _NormalScans:
    """Choose the normal scans of train; the values of all must have one meaning."""
    records = tuple(record for record in manifest.training() if record.label == normal)
    if not records:
        raise DatasetError(
            f"No scan in train has the class {normal}",
            hint=f"Give --normal one of these: {', '.join(manifest.labels)}.",
        )
    meanings = sorted({record.meaning for record in records})
    if len(meanings) > 1:
        raise DatasetError(
            f"The normal scans have values of several meanings: {', '.join(meanings)}",
            hint="Choose one modality with --modality, or remove the other scans.",
        )
    facts = AnomalyFacts(
        version=VERSION,
        kind=ANOMALY,
        medgan=medgan.__version__,
        digest="",
        calibration_digest="",
        data_digest=manifest.digest,
        normal=normal,
        images=0,
        patients=0,
        calibration_patients=0,
        meaning=meanings[0],
        window=parse_window(window) if window and meanings[0] == "HU" else None,
        holdout=manifest.holdout,
        seed=seed,
    )
    return _NormalScans(manifest=manifest, records=records, facts=facts)


def _learn(
    scans: _NormalScans, out: Path, began: float, *, dry_run: bool, on_progress: OnProgress
) -> TrainResult:
    """Learn, or in a dry run say what would be learned."""
    counts, root = scans.counts, scans.manifest.root
    note(on_progress, counts["sentence"])
    result: dict[str, Any] = {"run": out, "warnings": (), "normal": counts}
    run = RunFolder(path=out, command="train", check=lambda record: _check_record(out, record))
    settings = {
        "command": "train",
        "for": ANOMALY,
        "normal": scans.facts.normal,
        "window": to_json(scans.facts.window),
        "seed": scans.facts.seed,
        "holdout": to_json(scans.facts.holdout),
        "data": digest_of(sorted(record.digest for record in scans.records)),
    }
    before = run.read()
    if before is not None:
        run.refuse_changes(list_changes(before["settings"], settings))
    if dry_run:
        seconds = estimate_seconds(root, scans.records, scans.facts)
        return TrainResult(
            **result,
            images_shown=0,
            seconds=round(time.monotonic() - began, 1),
            model_digest="",
            plan=_explain(scans.facts, counts),
            estimate_seconds=round(seconds, 1),
        )
    with run.lock():
        if (out / "model" / RECORD).exists():
            model = AnomalyModel.load(out)
        else:
            run.begin({"version": VERSION, "kind": ANOMALY, "settings": settings})
            model = fit_anomaly(root, scans.records, scans.facts, out / "model", on_progress)
    return TrainResult(
        **result,
        images_shown=model.facts.images,
        seconds=round(time.monotonic() - began, 1),
        model_digest=model.facts.digest,
    )


def _check_record(out: Path, record: Mapping[str, Any]) -> None:
    """Raise ValueError for a run.json without settings, OutputError for a run of another kind."""
    require_run_of_kind(record, ANOMALY, out)
    from_json(Mapping[str, Any], record.get("settings"), "settings")


def _explain(facts: AnomalyFacts, counts: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Every decision with its reason."""
    window = facts.window or (CT_RANGE if facts.meaning == "HU" else None)
    return {
        "size": {
            "value": (SIDE, SIDE),
            "why": "fixed: what the frozen network tells most in for its time",
        },
        "geometry": {
            "value": "centre square",
            "why": "fixed: stretched or padded, the shape of a picture would pass for a sign of disease",
        },
        "window": {
            "value": window,
            "why": "rule: Hounsfield units, one range for all scans"
            if window
            else f"rule: the values are {facts.meaning}",
        },
        "calibration_patients": {
            "value": counts["calibration_patients"],
            "why": "rule: a fifth of the normal patients, at least 19",
        },
        "seed": {"value": facts.seed, "why": "fixed: 0, or as asked"},
    }
