"""Decode and measure every image, by worker processes or from the cache.

No pixels are kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from medgan.base.errors import ScanError
from medgan.base.workers import WorkerPool
from medgan.dataset.checks import MeasuredScan
from medgan.dataset.headers import ParsedFile, crash_error, group_files, reject
from medgan.dataset.load import read_files
from medgan.dataset.manifest import Record
from medgan.dataset.scan_cache import Facts, ScanCache, joint_key
from medgan.dataset.source import FileEntry, relative_name
from medgan.scans import formats, intensity, slices
from medgan.scans.colour import coloured_share
from medgan.scans.scan import Scan
from medgan.scans.verdict import give_verdicts

_Unit = tuple[ParsedFile, ...]
"""Files that are read together, in slice order."""
_PIXEL_FIELDS = (
    "digest",
    "slices",
    "modality",
    "meaning",
    "shape",
    "channels",
    "coloured",
    "bits",
    "spacing_mm",
    "patient_orientation",
    "levels",
    "top",
)
"""Fields of a Record that are measured on the pixels, apart from its notes."""


def measure_scans(
    found: Sequence[_Unit], root: Path, cache: ScanCache, pool: WorkerPool
) -> Iterator[list[MeasuredScan]]:
    """Yield the measured scans of every group of files.

    There are several where a volume had to be taken apart.

    Args:
        found: Groups of files that are read together.
        root: Folder that paths are relative to.
        cache: Knows what was measured on files that have not changed.
        pool: Measures the others.
    """
    # Recall what is known; workers measure the rest.
    keys = [joint_key(file.key for file in unit) for unit in found]
    known = [cache.get(key) for key in keys]
    missing = [unit for unit, facts in zip(found, known, strict=True) if facts is None and unit[0].header]
    fresh = pool.map_ordered(partial(_measure_unit, root=root), missing, partial(_crash_result, root=root))
    for unit, key, facts in zip(found, keys, known, strict=True):
        if unit[0].header is None:
            yield [_scan_without_pixels(unit, root, unit[0].entry)]
        elif facts is not None:
            yield [_scan_with_pixels(unit, root, facts)]
        else:
            made = next(fresh)
            if len(made) == 1 and made[0].record.ok:
                cache.put(key, _pixel_facts(made[0], unit))
            yield made


def _measure_unit(unit: _Unit, root: Path) -> list[MeasuredScan]:
    """Decode and measure a group of files.

    A bad slice must not cost its volume, nor a bad series of frames the others.
    """
    kinds = unit[0].header.kinds if unit[0].header and len(unit) == 1 else 1
    return [draft for kind in range(kinds) for draft in _measure_kind(unit, root, kind)]


def _measure_kind(unit: _Unit, root: Path, kind: int) -> list[MeasuredScan]:
    try:
        scan = read_files(tuple(file.entry.path for file in unit), kind)
        with give_verdicts(unit[0].entry.path):
            facts = measure_pixels(scan)
        return [_scan_with_pixels(unit, root, facts, kind)]
    except ScanError as error:
        return list(_measure_without_bad_slices(unit, error, root, kind))


def _measure_without_bad_slices(
    unit: _Unit, error: ScanError, root: Path, kind: int
) -> Iterator[MeasuredScan]:
    """Measure a volume without its bad slices, grouping the others again."""
    bad = {file.order: problem for file in unit if (problem := _read_error(file))} if len(unit) > 1 else {}
    if not bad:
        yield _scan_without_pixels(unit, root, reject(unit[0].entry, error), kind=kind)
        return
    for file in unit:
        if file.order in bad:
            yield _scan_without_pixels((file,), root, reject(file.entry, bad[file.order]))
    for part in group_files(file for file in unit if file.order not in bad):
        yield from _measure_unit(part, root)


def _read_error(file: ParsedFile) -> ScanError | None:
    try:
        formats.read(file.entry.path)
    except ScanError as error:
        return error
    return None


def _crash_result(unit: _Unit, root: Path) -> list[MeasuredScan]:
    return [_scan_without_pixels(unit, root, reject(unit[0].entry, crash_error(unit[0].entry.path)))]


def pixel_digest(scan: Scan) -> str:
    """SHA-256 of shape and pixels. Equal digests mean exactly the same image."""
    total = hashlib.sha256(repr(scan.pixels.shape).encode())
    total.update(np.ascontiguousarray(scan.pixels).data)
    return total.hexdigest()


def measure_pixels(scan: Scan) -> Facts:
    """Measure the fields of a Record that depend on the pixels.

    Raises:
        ScanError: all pixels have one value, from which nothing can be learned.
    """
    if "constant" in scan.notes:
        raise ScanError("every pixel has the same value", verdict="skip:constant")
    ranked = intensity.sort_pixels(scan.pixels)
    return {
        "digest": pixel_digest(scan),
        "slices": slices.choose_slices(scan),
        "modality": scan.modality,
        "meaning": scan.meaning,
        "shape": scan.pixels.shape[:3],
        "channels": scan.pixels.shape[3] if scan.pixels.ndim > len("ZYX") else 1,
        "coloured": coloured_share(scan),
        "bits": scan.bits,
        "spacing_mm": scan.spacing_mm,
        "patient_orientation": scan.patient_orientation,
        "levels": intensity.percentiles(ranked),
        "top": intensity.robust_maximum(ranked),
        "notes": scan.notes,
    }


def _pixel_facts(draft: MeasuredScan, unit: _Unit) -> Facts:
    """What `measure_pixels` found, without the notes of the header.

    Those are read again every time.
    """
    header = unit[0].header
    facts = {name: getattr(draft.record, name) for name in _PIXEL_FIELDS}
    return facts | {"notes": [note for note in draft.record.notes if header and note not in header.notes]}


def _scan_without_pixels(unit: _Unit, root: Path, entry: FileEntry, **known: Any) -> MeasuredScan:
    """A scan with what is known without its pixels.

    `known` are fields of its record.
    """
    paths = tuple(relative_name(file.entry.path, root) for file in unit)
    record = Record(
        path=paths[0],
        parts=paths if len(paths) > 1 else (),
        label=entry.label,
        split=entry.split,
        verdict=entry.verdict,
        reason=entry.reason,
        **known,
    )
    return MeasuredScan(
        order=min(file.order for file in unit),
        patient=entry.patient,
        series=unit[0].header.series if unit[0].header else "",
        scanner=unit[0].header.scanner if unit[0].header else "",
        record=record,
    )


def _scan_with_pixels(unit: _Unit, root: Path, facts: Facts, kind: int = 0) -> MeasuredScan:
    header = unit[0].header
    assert header is not None, "only opened files have facts"
    notes = tuple(dict.fromkeys((*header.notes, *facts["notes"])))
    known = facts | {
        "format": header.format,
        "body_part": header.body_part,
        "photometric": header.photometric,
        "notes": notes,
        "kind": kind,
    }
    return _scan_without_pixels(unit, root, unit[0].entry, **known)
