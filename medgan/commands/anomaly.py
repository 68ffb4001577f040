"""Compare scans with normal ones: scores, alarms, maps and a report."""

from __future__ import annotations

import csv
import heapq
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medgan.base import files
from medgan.base.errors import ScanError
from medgan.base.escape import escape_cell
from medgan.base.progress import OnProgress, Progress, ignore, note
from medgan.base.results import AnomalyResult
from medgan.base.run_folder import VERSION, RunFolder, list_changes
from medgan.commands.job import join_job
from medgan.commands.options import AnomalyOptions
from medgan.dataset.index import index
from medgan.dataset.manifest import ARRAY, Manifest, Record
from medgan.dataset.source import Source
from medgan.dataset.split import hold_out
from medgan.dataset.walk import walk
from medgan.evaluation.anomaly_figures import compare
from medgan.learners.anomaly.calibration import (
    ANOTHER_POPULATION,
    PARTS,
    alarm_sentence,
    combine,
    highest_by_patient,
    p_value,
)
from medgan.learners.anomaly.images import CutScan, cut
from medgan.learners.anomaly.memory import CellFeatures
from medgan.learners.anomaly.model import SHORTCUTS, AnomalyModel, ImageScores
from medgan.pictures.heat import overlay_png
from medgan.reports.anomaly_page import SHOWN, FoundScan, render_anomalies
from medgan.scans import geometry, npz
from medgan.scans.nifti_map import write_map
from medgan.scans.scan import Pixels

SCORES, REPORT = "scores.csv", "report.html"
_UNLABELLED = "unlabelled"
"""The class of files that lie in no class folder."""
_COLUMNS = (
    "path", "label", "patient", "split", "verdict", "reason", "images", "score", "p", "alarm",
    *PARTS, "map", "overlay",
)  # fmt: skip


@dataclass(slots=True, kw_only=True)
class _Row:
    """What is known of one scan."""

    record: Record
    number: int
    parts: Mapping[str, float] = field(default_factory=dict)
    shortcuts: Mapping[str, float] = field(default_factory=dict)
    score: float = 0.0
    p: float = 1.0
    alarm: bool = False
    map: str = ""
    overlay: str = ""


@dataclass(slots=True, kw_only=True)
class _Search:
    """One call of the command: what it compares, and where it writes."""

    out: Path
    model: AnomalyModel
    manifest: Manifest
    options: AnomalyOptions
    rows: list[_Row] = field(default_factory=list)
    highest: list[tuple[float, int, bytes]] = field(default_factory=list)
    """Score, number and picture of the scans with the highest scores."""


def anomaly(
    source: Source,
    out: Path,
    *,
    model: Path,
    options: AnomalyOptions | None = None,
    split: str | None = None,
    on_progress: OnProgress = ignore,
) -> AnomalyResult:
    """Compare the scans of `source` with normal ones, and write what was found into `out`.

    Args:
        source: Scans; classes are not needed.
        out: A new folder, or one that the same command began.
        model: A model of normal scans.
        options: The rate of alarms, and which maps are written.
        split: "train", "val" or "test"; None compares all.
        on_progress: Called with every step of progress.

    Raises:
        DatasetError: there is no scan.
        ModelError: the model cannot be read.
        OutputError: the folder holds something else.
    """
    wish, trained = options or AnomalyOptions(), AnomalyModel.load(model)
    files.refuse_output_inside(out, [*source.inputs, model])
    job = join_job("cpu", on_progress)
    manifest = _divide_as_training(index(_list_unlabelled(source), job), trained)
    chosen = tuple(one for one in manifest.records if split in {None, one.split} or not one.ok)
    search = _Search(out=out, model=trained, manifest=replace(manifest, records=chosen), options=wish)
    return job.first(lambda: _search_folder(search, split or "all", on_progress))


def _list_unlabelled(source: Source) -> Source:
    """The same scans as a list, where they lie in no class folders; all get the class "unlabelled"."""
    path = source.path
    if path is None or not path.exists() or {*source.wishes} - {"--modality"} or npz.is_array_file(path):
        return source
    if path.is_dir() and any(one.is_dir() and not one.name.startswith(".") for one in path.iterdir()):
        return source
    found = [entry.path for entry in walk(path)] if path.is_dir() else [path]
    if any(npz.is_array_file(one) for one in found):
        return source
    return replace(source, path=None, lines=tuple(f"{one}\t{_UNLABELLED}" for one in found))


def _divide_as_training(manifest: Manifest, model: AnomalyModel) -> Manifest:
    """Hold out whom the training held out, if the model learned from this data set."""
    divided = hold_out(manifest, model.facts.holdout, model.facts.seed)
    return divided if divided.digest == model.facts.data_digest else manifest


def _search_folder(search: _Search, split: str, on_progress: OnProgress) -> AnomalyResult:
    """Fill the output folder, or return what is there if it is complete."""
    run = RunFolder(path=search.out, command="anomaly")
    settings = {
        "command": "anomaly",
        "alarms": search.options.alarms,
        "maps": list(search.options.forms),
        "split": split,
        "model": search.model.facts.digest,
        "data": files.digest_of([(one.path, one.digest, one.label) for one in search.manifest.records]),
    }
    before = run.read()
    if before is not None:
        run.refuse_changes(list_changes(before["settings"], settings))
    with run.lock():
        if before is None or "result" not in before:
            run.begin({"version": VERSION, "settings": settings})
            for sentence in _cautions(search, split):
                note(on_progress, sentence)
            _score_scans(search, on_progress)
            result = _summarise(search, split)
            _write_tables(search, result)
            run.finish({"version": VERSION, "settings": settings, "result": result})
            before = {"result": result}
    told: dict[str, Any] = before["result"]
    places = {"out": search.out, "scores": search.out / SCORES, "report": search.out / REPORT}
    return AnomalyResult(**{**told, **places})


def _cautions(search: _Search, split: str) -> Iterator[str]:
    """What the user should know before or beside the result."""
    facts = search.model.facts
    yield alarm_sentence(facts.calibration_patients, search.options.alarms)
    if search.manifest.digest == facts.data_digest and split not in {"val", "test"}:
        yield (
            "The model learned from normal scans among these: their scores are too low. Judge it by "
            "--split val or --split test."
        )


def _score_scans(search: _Search, on_progress: OnProgress) -> None:
    """Score every scan; a scan that cannot be used gets a verdict."""
    features, records = CellFeatures(), search.manifest.records
    for number, record in enumerate(records, start=1):
        row = _Row(record=record, number=number)
        if record.ok and record.meaning != search.model.facts.meaning:
            words = f"its values are {record.meaning}, those of the normal scans {search.model.facts.meaning}"
            row.record = replace(record, verdict="skip:other-values", reason=words)
        elif record.ok:
            try:
                shown = cut(search.manifest.root, record, search.model.facts.window)
                _score_scan(search, row, shown, search.model.score(shown.squares, features))
            except ScanError as error:
                row.record = replace(record, verdict=error.verdict, reason=error.message)
        search.rows.append(row)
        on_progress(Progress("comparing", number, len(records), "scans"))
    _alarm_patients(search)


def _score_scan(search: _Search, row: _Row, shown: CutScan, found: ImageScores) -> None:
    """Note the scores of one scan, and write its map and overlay."""
    row.parts = {part: float(scores.max()) for part, scores in found.parts.items()}
    row.shortcuts = {
        **{name: float(scores.max()) for name, scores in found.shortcuts.items()},
        "brightness": float(shown.squares.mean()),
        "picture shape": float(np.log(row.record.shape[1] / row.record.shape[2])),
    }
    calibration = search.model.calibration
    images = combine(calibration, found.parts)
    row.score = float(combine(calibration, {part: np.array([row.parts[part]]) for part in PARTS})[0])
    surprise = search.model.scale.surprise(found.distances)
    if "nifti" in search.options.forms:
        row.map = f"maps/{row.number:06d}.nii.gz"
        values = np.zeros(shown.scan.pixels.shape[:3], np.float32)
        for place, cells in zip(row.record.slices, surprise, strict=True):
            values[place] = _lay(cells, shown)
        whole = tuple(search.manifest.root / part for part in row.record.parts or (row.record.path,))
        write_map(search.out / row.map, values, shown.scan, () if row.record.format == ARRAY else whole)
    highest = len(search.highest) < SHOWN or row.score > search.highest[0][0]
    if "png" in search.options.forms or highest:
        top = int(images.argmax())
        picture = overlay_png(shown.gray[top], _lay(surprise[top], shown))
        if "png" in search.options.forms:
            row.overlay = f"overlay/{row.number:06d}.png"
            files.write_bytes(search.out / row.overlay, picture)
        heapq.heappush(search.highest, (row.score, -row.number, picture))
        if len(search.highest) > SHOWN:
            heapq.heappop(search.highest)


def _lay(cells: NDArray[np.float32], shown: CutScan) -> Pixels:
    """A map of cells at the size of the image; 0 outside the centre square, where nothing was compared."""
    heat = np.zeros(shown.gray.shape[1:], np.float32)
    part = heat[shown.box]
    part[...] = geometry.resize(cells, (part.shape[0], part.shape[1]))
    return heat


def _alarm_patients(search: _Search) -> None:
    """Give every patient a p-value by their highest score in each part."""
    rows = list(filter(_is_scored, search.rows))
    patients = [row.record.patient for row in rows]
    highest = {
        part: highest_by_patient(patients, np.array([row.parts[part] for row in rows], np.float64))
        for part in PARTS
    }
    values = {
        who: p_value(search.model.calibration, {part: highest[part][who] for part in PARTS})
        for who in set(patients)
    }
    for row in rows:
        row.p = values[row.record.patient]
        row.alarm = row.p <= search.options.alarms


def _is_scored(row: _Row) -> bool:
    """Whether a scan was compared."""
    return bool(row.parts)


def _summarise(search: _Search, split: str) -> dict[str, Any]:
    """The result as plain data, without the places of files."""
    rows = list(filter(_is_scored, search.rows))
    patients = {row.record.patient: row.alarm for row in rows}
    alarms = sum(patients.values())
    files_seen = replace(search.manifest, records=tuple(row.record for row in search.rows))
    notes = list(_cautions(search, split))
    if alarms > ANOTHER_POPULATION * search.options.alarms * len(patients):
        notes.append(
            f"{alarms} of {len(patients)} patients alarm, more than {ANOTHER_POPULATION:g} times what chance "
            "allows. If most of these scans should be normal, they are another population (another scanner, "
            "age or projection), and not all of them are ill."
        )
    return {
        "version": VERSION,
        "scans": len(rows),
        "patients": len(patients),
        "alarms": alarms,
        "asked": search.options.alarms,
        "calibration_patients": search.model.facts.calibration_patients,
        "verdicts": files_seen.verdicts(),
        "figures": _figures(search.model.facts.normal, rows),
        "notes": notes,
    }


def _figures(normal: str, rows: Sequence[_Row]) -> tuple[Mapping[str, Any], ...]:
    """How well each score tells the other classes from the normal one, where classes are known."""
    rows = [row for row in rows if row.record.label != _UNLABELLED]
    sick = np.array([row.record.label != normal for row in rows], np.bool_)
    names = (*SHORTCUTS, "brightness", "picture shape")
    scores = {name: np.array([row.shortcuts[name] for row in rows]) for name in names}
    scores |= {part: np.array([row.parts[part] for row in rows]) for part in PARTS}
    return compare(sick, {**scores, "score": np.array([row.score for row in rows])})


def _write_tables(search: _Search, result: Mapping[str, Any]) -> None:
    """Write scores.csv and report.html."""
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for row in search.rows:
        writer.writerow(escape_cell(text) for text in _cells(row))
    files.write_text(search.out / SCORES, table.getvalue())
    by_number = {row.number: row for row in search.rows}
    found = [
        FoundScan(
            name=by_number[-number].record.path,
            score=score,
            p=by_number[-number].p,
            alarm=by_number[-number].alarm,
            picture=picture,
        )
        for score, number, picture in sorted(search.highest, reverse=True)
    ]
    files.write_text(search.out / REPORT, render_anomalies(result, found))


def _cells(row: _Row) -> tuple[str, ...]:
    """A line of scores.csv as text; a scan that was not compared has no scores."""
    record = row.record
    label = "" if record.label == _UNLABELLED else record.label
    known = (record.path, label, record.patient, record.split, record.verdict, record.reason)
    if not _is_scored(row):
        return (*known, str(len(record.slices)), "", "", "", *("" for _ in PARTS), "", "")
    scores = (f"{row.score:.6g}", f"{row.p:.6g}", "yes" if row.alarm else "no")
    parts = (f"{row.parts[part]:.6g}" for part in PARTS)
    return (*known, str(len(record.slices)), *scores, *parts, row.map, row.overlay)
