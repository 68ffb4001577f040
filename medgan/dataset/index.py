"""Source -> Manifest: every file looked at, with a verdict; one scan per process in memory at a time, none kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from medgan.base.errors import DatasetError, ScanError
from medgan.base.progress import OnProgress, Progress, ignore
from medgan.base.workers import Crew
from medgan.dataset.checks import Draft, settle
from medgan.dataset.duplicates import without_twins
from medgan.dataset.file_list import survey
from medgan.dataset.headers import open_headers, units
from medgan.dataset.manifest import ARRAY, Manifest, Record
from medgan.dataset.measure import drafts, measure_pixels
from medgan.dataset.scan_cache import Store
from medgan.dataset.source import Listing, Source, label_of, legible, relative
from medgan.scans import npz

T = TypeVar("T")

EVERY = 25
"""Files between two reports of progress."""


def index(source: Source, *, on_progress: OnProgress = ignore) -> Manifest:
    """Look at every file of `source`; refuse only when not one of them can be used."""
    listing = survey(source)
    made = list(_arrays(listing, on_progress) if listing.arrays else _files(listing, source, on_progress))
    manifest = settle(listing.root, made)
    if not any(manifest.usable()):
        raise _nothing_usable(manifest)
    return replace(manifest, warnings=(*listing.warnings, *manifest.warnings))


def _files(listing: Listing, source: Source, on_progress: OnProgress) -> Iterator[Draft]:
    """Headers first, then pixels."""
    root, total = listing.root, len(listing.candidates)
    with closing(Store()) as store:
        with Crew() as crew:
            headers = open_headers(listing.candidates, source, root, store, crew)
            files = _count_items(headers, total, "headers", on_progress, store)
            found = units(without_twins(files, root, store, crew))
            for made in _count_items(
                drafts(found, root, store, crew), len(found), "pixels", on_progress, store
            ):
                yield from made
        store.flush()


def _count_items(
    items: Iterable[T], total: int, words: str, on_progress: OnProgress, store: Store | None = None
) -> Iterator[T]:
    before = 0 if store is None else store.found
    for n, item in enumerate(items, start=1):
        yield item
        if n % EVERY == 0 or n == total:
            cached = {} if store is None else {"cached": store.found - before}
            on_progress(Progress("reading", n, total, words, cached))


def _arrays(listing: Listing, on_progress: OnProgress) -> Iterator[Draft]:
    """Every image of every MedMNIST-style array; it knows no patients."""
    order = 0
    for path in listing.arrays:
        name = relative(path, listing.root)
        try:
            rows = [
                (split, n, label)
                for split, names in npz.labels(path).items()
                for n, label in enumerate(names)
            ]
        except ScanError as error:
            yield Draft(order=order, record=Record(path=name, verdict=error.verdict, reason=error.message))
            continue
        for split, n, label in _count_items(rows, len(rows), "images", on_progress):
            order += 1
            record = Record(path=f"{name}#{split}/{n}", label=label_of(label), split=split, format=ARRAY)
            yield Draft(order=order, record=_row(path, record, split, n))


def _row(path: Path, record: Record, split: str, n: int) -> Record:
    try:
        return replace(record, **measure_pixels(npz.read(path, split, n)))
    except ScanError as error:
        return replace(record, verdict=error.verdict, reason=error.message)


def _nothing_usable(manifest: Manifest) -> DatasetError:
    verdicts = ", ".join(f"{n} {verdict}" for verdict, n in manifest.verdicts().items())
    first = manifest.records[0]
    reason = next((record for record in manifest.records if record.verdict.startswith("error:")), first)
    return DatasetError(
        f"{legible(str(manifest.root))} has no usable scan: {verdicts}. For example "
        f"{legible(reason.path)}: {legible(reason.reason)}",
        hint="Mend the files or labels, or point at another folder; supported are DICOM, NIfTI, PNG, JPEG, TIFF.",
    )
