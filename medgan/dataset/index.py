"""Read every file of a data set, give each a verdict, and build the manifest.

Each process holds one scan in memory at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from medgan.base.errors import DatasetError, ScanError
from medgan.base.job import ALONE, Job
from medgan.base.progress import OnProgress, Progress
from medgan.dataset.checks import MeasuredScan, finalise_manifest
from medgan.dataset.duplicates import refuse_duplicates
from medgan.dataset.file_list import list_files
from medgan.dataset.headers import group_files, open_headers
from medgan.dataset.manifest import ARRAY, Manifest, Record
from medgan.dataset.measure import measure_pixels, measure_scans
from medgan.dataset.scan_cache import ScanCache
from medgan.dataset.source import FileList, Source, normalise_label, relative_name, to_valid_text
from medgan.scans import npz

_T = TypeVar("_T")

_REPORT_EVERY = 25
"""Files between two reports of progress."""


def index(source: Source, job: Job = ALONE) -> Manifest:
    """Read every file of a data set.

    Args:
        source: The data set.
        job: Its processes divide the files; it is told of the progress every few files.

    Raises:
        DatasetError: not a single scan can be used.
    """
    return job.first(lambda: _index(source, job))


def _index(source: Source, job: Job) -> Manifest:
    """Read every file in this process, with the workers of the job."""
    listing = list_files(source)
    made = list(
        _measure_arrays(listing, job.tell) if listing.arrays else _measure_files(listing, source, job)
    )
    manifest = finalise_manifest(listing.root, made)
    if not any(manifest.usable()):
        raise _no_usable_scan_error(manifest)
    return replace(manifest, warnings=(*listing.warnings, *manifest.warnings))


def _measure_files(listing: FileList, source: Source, job: Job) -> Iterator[MeasuredScan]:
    """Measure the scans of files, first their headers and then their pixels."""
    root, total = listing.root, len(listing.entries)
    with closing(ScanCache()) as cache:
        with job.workers() as pool:
            headers = open_headers(listing.entries, source, root, cache, pool)
            files = _count_items(headers, total, "headers", job.tell, cache)
            found = group_files(refuse_duplicates(files, root, cache, pool))
            for made in _count_items(
                measure_scans(found, root, cache, pool), len(found), "pixels", job.tell, cache
            ):
                yield from made
        cache.flush()


def _count_items(
    items: Iterable[_T], total: int, words: str, on_progress: OnProgress, cache: ScanCache | None = None
) -> Iterator[_T]:
    before = 0 if cache is None else cache.found
    for n, item in enumerate(items, start=1):
        yield item
        if n % _REPORT_EVERY == 0 or n == total:
            cached = {} if cache is None else {"cached": cache.found - before}
            on_progress(Progress("reading", n, total, words, cached))


def _measure_arrays(listing: FileList, on_progress: OnProgress) -> Iterator[MeasuredScan]:
    """Measure every image of MedMNIST-style arrays, which do not name patients."""
    order = 0
    for path in listing.arrays:
        name = relative_name(path, listing.root)
        try:
            rows = [
                (split, n, label)
                for split, names in npz.read_labels(path).items()
                for n, label in enumerate(names)
            ]
        except ScanError as error:
            yield MeasuredScan(
                order=order, record=Record(path=name, verdict=error.verdict, reason=error.message)
            )
            continue
        for split, n, label in _count_items(rows, len(rows), "images", on_progress):
            order += 1
            record = Record(
                path=f"{name}#{split}/{n}", label=normalise_label(label), split=split, format=ARRAY
            )
            yield MeasuredScan(order=order, record=_measure_row(path, record, split, n))


def _measure_row(path: Path, record: Record, split: str, n: int) -> Record:
    try:
        return replace(record, **measure_pixels(npz.read(path, split, n)))
    except ScanError as error:
        return replace(record, verdict=error.verdict, reason=error.message)


def _no_usable_scan_error(manifest: Manifest) -> DatasetError:
    verdicts = ", ".join(f"{n} {verdict}" for verdict, n in manifest.verdicts().items())
    first = manifest.records[0]
    reason = next((record for record in manifest.records if record.verdict.startswith("error:")), first)
    return DatasetError(
        f"{to_valid_text(str(manifest.root))} has no usable scan: {verdicts}. For example "
        f"{to_valid_text(reason.path)}: {to_valid_text(reason.reason)}",
        hint="Correct the files or labels, or give another folder. "
        "medgan reads DICOM, NIfTI, PNG, JPEG and TIFF.",
    )
