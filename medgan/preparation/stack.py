"""Decode, scale and resize images once, into a memory-mapped cache.

A run that is killed continues where it stopped, and an unfinished cache is never taken for a finished one.
"""

from __future__ import annotations

import mmap
import weakref
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medgan.base.cache import acquire_lock, cache_error, file_lock
from medgan.base.errors import DatasetError, ScanError
from medgan.base.files import digest_of, read_json, write_json
from medgan.base.job import ALONE, Job
from medgan.dataset.extents import has_spacing
from medgan.dataset.load import load
from medgan.dataset.manifest import Manifest, Record, digest_records
from medgan.dataset.measure import pixel_digest
from medgan.plan import Frame
from medgan.preparation.stack_copies import copy_to_caches
from medgan.preparation.stack_file import PIXELS, StackPlace, fill_pixels, map_pixels, open_pixels
from medgan.scans import geometry, intensity
from medgan.scans.colour import LUMA
from medgan.scans.provenance import BYTE
from medgan.scans.scan import Pixels, Scan

_MAX_STORED = 65535
"""The stored value that stands for 1.0."""

_CHUNK = 4
"""Scans sent to a worker at once. Their images come back, up to 32 of each."""

_ROWS_FILE = "rows.json"
"""Class, patient, scan and slice of every row."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stack:
    """Prepared images, one per row, in the order of the records they were prepared from."""

    pixels: NDArray[np.uint16]
    """(N, C, H, W), memory-mapped. 0 stands for `frame.form.low`, 65535 for `frame.form.high`."""
    labels: NDArray[np.int64]
    """(N,): class of each row, as an index into `names`."""
    names: tuple[str, ...]
    """Class names: those of the frame."""
    records: NDArray[np.int64]
    """(N,): position of the row's record among these."""
    patients: NDArray[np.str_]
    """(N,): hash of each row's patient."""
    slices: NDArray[np.int64]
    """(N,): index along Z of each row in its scan."""
    digest: str
    """Key in the cache. Equal data prepared alike has equal keys."""

    def __len__(self) -> int:
        """Number of images."""
        return len(self.labels)

    def images(self, index: NDArray[np.int64] | Sequence[int] | slice) -> Pixels:
        """Rows `index` as (n, C, H, W) float32 in [0, 1]."""
        return np.asarray(self.pixels[index], np.float32) / np.float32(_MAX_STORED)

    def expect(self, rows: NDArray[np.int64]) -> None:
        """Ask the system to load rows that are needed next.

        It does so while other work goes on. Rows that are in memory already cost nothing.
        """
        file: Any = self.pixels.base
        if isinstance(self.pixels, np.memmap) and isinstance(file, mmap.mmap) and hasattr(file, "madvise"):
            first, size = self.pixels.offset % mmap.ALLOCATIONGRANULARITY, self.pixels[0].nbytes
            for start in (first + size * rows).tolist():
                before = start % mmap.PAGESIZE
                file.madvise(mmap.MADV_WILLNEED, start - before, before + size)

    def rows_of(self, label: str) -> NDArray[np.int64]:
        """Row numbers of one class."""
        return np.flatnonzero(self.labels == self.names.index(label))

    def chunks(
        self, rows: NDArray[np.int64] | None = None, size: int = 256
    ) -> Iterator[tuple[NDArray[np.int64], Pixels]]:
        """Yield (row numbers, images) piece by piece, in bounded memory.

        Args:
            rows: Row numbers; by default all.
            size: Images in a piece.
        """
        wanted = np.arange(len(self)) if rows is None else rows
        for start in range(0, len(wanted), size):
            piece = wanted[start : start + size]
            yield piece, self.images(piece)


def prepare(
    manifest: Manifest,
    frame: Frame,
    cache: Path,
    job: Job = ALONE,
    *,
    records: Sequence[Record] | None = None,
) -> Stack:
    """Open a stack of images of a data set, preparing them first if needed.

    Args:
        manifest: The data set.
        frame: Size, geometry, channels and intensity range of the images.
        cache: Folder of prepared images; processes of a job may share it or not.
        job: Its processes divide the scans, and each opens the stack.
        records: Scans of the data set whose images are prepared, sorted by content; None: its training
            images.

    Raises:
        DatasetError: there is no image, or the data does not fit the frame.
        OutputError: the cache cannot be used.
    """
    records = manifest.training() if records is None else records
    here = partial(_prepare_here, records, manifest.root, frame, cache, job)
    if job.alone:
        return here()
    stacks: list[Stack] = []
    job.first(lambda: stacks.append(here()))
    copy_to_caches(stacks[0].pixels if stacks else None, _place_of(records, frame, cache), job)
    return job.each(lambda: stacks[0] if stacks else here())


def _place_of(records: Sequence[Record], frame: Frame, cache: Path) -> StackPlace:
    """Where the images of these records, prepared for a frame, lie in the folder `cache`."""
    key = digest_of([_preparation_settings(frame), [_record_key(record) for record in records]])
    counts = tuple(len(record.slices) for record in records)
    shape = (sum(counts), *frame.shape)
    return StackPlace(digest=key, folder=cache / f"stack-{key[:32]}", counts=counts, shape=shape)


def _prepare_here(records: Sequence[Record], root: Path, frame: Frame, cache: Path, job: Job) -> Stack:
    """Open the stack in the cache of this process, preparing its images first if needed."""
    # Key of the cache: what is prepared, and how.
    _refuse_unfit_data(records, frame)
    place = _place_of(records, frame, cache)
    # Pixels: from the cache, or prepared now.
    read = partial(_read_rows, records, root, frame, job)
    fill = partial(fill_pixels, place.folder, place.counts, place.shape, read, job.tell)
    try:
        with place.reserve():
            pixels = open_pixels(place.folder, place.shape, fill, job.tell)
    except OSError as error:
        raise cache_error(place.folder, error) from error
    # Class, patient and slice of every row.
    places = [(n, z) for n, record in enumerate(records) for z in record.slices]
    rows = {
        "data": digest_records(records),
        "recipe": digest_of(_preparation_settings(frame)),
        "digest": place.digest,
        "labels": [records[n].label for n, _ in places],
        "records": [n for n, _ in places],
        "patients": [records[n].patient for n, _ in places],
        "slices": [z for _, z in places],
    }
    _write_rows_file(rows, place.folder)
    return _stack_of(pixels, rows, frame)


def _stack_of(pixels: NDArray[np.uint16], rows: Mapping[str, Any], frame: Frame) -> Stack:
    """The stack of these pixels, with class, patient, scan and slice as its rows file tells them."""
    return Stack(
        pixels=pixels,
        labels=np.array([frame.labels.index(label) for label in rows["labels"]], np.int64),
        names=frame.labels,
        records=np.array(rows["records"], np.int64),
        patients=np.array(rows["patients"]),
        slices=np.array(rows["slices"], np.int64),
        digest=rows["digest"],
    )


def find_stack(data_digest: str, frame: Frame, cache: Path) -> Stack | None:
    """Find a prepared stack in the cache without reading any scan.

    None where it is missing or incomplete.

    Args:
        data_digest: `Manifest.digest` of the data set.
        frame: The frame for which it was prepared.
        cache: Folder of prepared images.
    """
    # Stacks of other data, or prepared in another way, do not fit.
    wanted = {"data": data_digest, "recipe": digest_of(_preparation_settings(frame))}
    for whole in sorted(path.parent for path in cache.glob(f"stack-*/{_ROWS_FILE}")):
        with file_lock(cache):
            facts = _read_rows_file(whole)
            if wanted.items() <= facts.items() and set(facts["labels"]) <= set(frame.labels):
                pixels = map_pixels(whole, (len(facts["labels"]), *frame.shape))
                if pixels is not None:
                    weakref.finalize(pixels, acquire_lock(whole / PIXELS))
                    return _stack_of(pixels, facts, frame)
    return None


def _write_rows_file(rows: Mapping[str, Any], whole: Path) -> None:
    """Write class, patient hash, scan and slice of every row beside the pixels.

    `find_stack` then needs no scan. No path is written.
    """
    rows = {**rows, "sum": digest_of(rows)}
    if _read_rows_file(whole) != rows:
        with file_lock(whole, alone=True):  # several processes may prepare the same
            write_json(whole / _ROWS_FILE, rows)


def _read_rows_file(whole: Path) -> dict[str, Any]:
    """Read what `_write_rows_file` wrote, or nothing if it is missing or damaged."""
    try:
        facts: dict[str, Any] = read_json(whole / _ROWS_FILE)
        own = {name: value for name, value in facts.items() if name != "sum"}
        return facts if facts["sum"] == digest_of(own) else {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _refuse_unfit_data(records: Sequence[Record], frame: Frame) -> None:
    """Refuse data that does not fit the frame."""
    if not records:
        raise DatasetError(
            "No scan is left to train on",
            hint="Add scans to train whose patients are not in val or test.",
        )
    # Classes that the frame does not have.
    strange = sorted({record.label for record in records} - set(frame.labels))
    if strange:
        raise DatasetError(
            f"The data set has classes that the images lack: {', '.join(strange)}",
            hint="Remove the scans of these classes, or train a new model on this data set.",
        )
    # Values and spacing that the frame cannot use.
    meanings = Counter(record.meaning for record in records)
    if frame.form.unit != "relative" and set(meanings) != {frame.form.unit}:
        table = ", ".join(f"{n} {meaning}" for meaning, n in meanings.most_common())
        raise DatasetError(
            f"mixed-content: the images need scans with {frame.form.unit} values, "
            f"but the values of the scans are: {table}",
            hint="Choose one modality with --modality, or remove the other scans.",
        )
    unsized = next((record for record in records if not has_spacing(record)), None)
    if frame.geometry == "physical" and unsized:
        raise DatasetError(
            f"{unsized.path} does not give its pixel spacing, which images that are true to millimetres need",
            hint="Remove this scan, or train a new model on this data set, which then resizes scans to fill.",
        )


def _preparation_settings(frame: Frame) -> dict[str, object]:
    """The settings of a frame that decide how an image is prepared.

    `version` grows whenever this module prepares images differently.
    """
    return {
        "version": 3,
        "size": frame.size,
        "geometry": frame.geometry,
        "mm_per_pixel": frame.mm_per_pixel,
        "channels": frame.channels,
        "scale": (frame.form.unit, frame.form.low, frame.form.high),
    }


def _record_key(record: Record) -> tuple[object, ...]:
    """The facts of a record that decide its rows."""
    return record.digest, record.label, record.slices, record.meaning, record.spacing_mm, record.bits


# --- From a scan to its rows. ---


def _read_unchanged(root: Path, record: Record) -> Scan:
    try:
        scan = load(root, record)
    except ScanError as error:
        raise _changed_error(record, error.message) from error
    if pixel_digest(scan) != record.digest:
        raise _changed_error(record, "its pixels are different now")
    return scan


def _changed_error(record: Record, words: str) -> DatasetError:
    return DatasetError(
        f"{record.path} has changed since the data set was read: {words}",
        hint="Repeat the command when nothing writes to the data set: all files are checked again.",
    )


def _read_rows(
    records: Sequence[Record], root: Path, frame: Frame, job: Job, done: int
) -> Generator[NDArray[np.uint16]]:
    """Yield the rows of one scan after another, from scan number `done` on."""
    with job.workers() as workers:
        prepare_scan = partial(_prepare_scan, root=root, frame=frame)
        yield from workers.map_ordered(prepare_scan, records[done:], _crash_pixels, chunk=_CHUNK)


def _prepare_scan(record: Record, root: Path, frame: Frame) -> NDArray[np.uint16]:
    """The chosen slices of a scan as (n, C, H, W)."""
    scan, scale = _read_unchanged(root, record), _intensity_range(record, frame)
    return np.stack([_prepare_slice(scan.pixels[z], record, frame, scale) for z in record.slices])


def _crash_pixels(record: Record) -> NDArray[np.uint16]:
    raise _changed_error(record, "the process that read it died")


def _intensity_range(record: Record, frame: Frame) -> tuple[float, float]:
    """The values of a scan that become 0 and 1.

    They are fixed for the data set, or are the scan's own percentiles 0.5 and 99.5. Where 8-bit images lie
    beside deeper ones, each is scaled by its own white: otherwise its depth would give away its class.
    """
    if frame.form.unit == "stored" and record.bits <= BYTE < frame.form.bits:
        return 0.0, 2.0**record.bits - 1
    if frame.form.unit != "relative":
        return frame.form.low, frame.form.high
    return (0.0, 1.0) if record.meaning == "display" else (record.levels[1], record.levels[3])


def _prepare_slice(
    image: Pixels, record: Record, frame: Frame, scale: tuple[float, float]
) -> NDArray[np.uint16]:
    """Scale and resize one slice (Y, X) or (Y, X, 3) to (C, H, W).

    It is clipped before it is resized, so that extremes do not bleed.
    """
    unit = _with_channels(intensity.normalise(image, *scale), frame.channels)
    height, width = frame.size
    if frame.geometry == "physical":
        assert record.spacing_mm is not None, "refused before any scan is read"
        assert frame.mm_per_pixel is not None, "a physical frame has a pixel size"
        _, tall, wide = record.spacing_mm
        fitted = geometry.resample(unit, (tall, wide), frame.mm_per_pixel, (height, width), 0.0)
    else:
        fitted = geometry.resize(unit, (height, width))
    whole = np.rint(np.clip(fitted, 0, 1) * _MAX_STORED).astype("<u2")
    return whole[None] if frame.channels == 1 else np.moveaxis(whole, -1, 0)


def _with_channels(image: Pixels, channels: int) -> Pixels:
    colour = image.ndim > len("YX")
    if colour and channels == 1:
        return np.asarray(image @ LUMA, np.float32)
    return image if colour or channels == 1 else np.repeat(image[..., None], channels, axis=-1)
