"""Manifest + Plan -> Stack: every training image decoded, scaled and resized once, memory-mapped from a private cache.

A killed run goes on where it was; nothing is taken for whole before it is.
"""

from __future__ import annotations

import math
import mmap
import os
import weakref
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from medgan.base.cache import VARIABLE, acquire_lock, cache_error, file_lock
from medgan.base.errors import DatasetError, OutputError, ScanError
from medgan.base.files import digest_of, read_json, write_json
from medgan.base.progress import OnProgress, Progress, ignore, warn
from medgan.base.workers import WorkerPool
from medgan.dataset.extents import has_spacing
from medgan.dataset.load import load
from medgan.dataset.manifest import Manifest, Record
from medgan.dataset.measure import pixel_digest
from medgan.plan import Plan
from medgan.scans import geometry, intensity
from medgan.scans.provenance import BYTE
from medgan.scans.scan import Pixels, Scan

_MAX_STORED = 65535
"""The stored value that stands for 1.0."""

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""Weights of red, green and blue in gray (ITU-R BT.601)."""

_CHECKSUM = np.dtype("<u4")
"""CRC-32 of a row."""

_REPORT_EVERY = 25
"""Scans between two reports of progress."""

_CHUNK = 4
"""Scans sent to a worker at once: their images come back, up to 32 of each."""

PIXELS, _PARTIAL_FILE, _CHECKSUM_FILE, _ROWS_FILE = "pixels.npy", "pixels.npy.partial", "sums", "rows.json"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stack:
    """Prepared training images, one row each, in the order of `Manifest.training()`."""

    pixels: NDArray[np.uint16]
    """(N, C, H, W), memory-mapped; 0 stands for `plan.form.low`, 65535 for `plan.form.high`."""
    labels: NDArray[np.int64]
    """(N,): index into `names`."""
    names: tuple[str, ...]
    """Class names: those of the plan."""
    records: NDArray[np.int64]
    """(N,): position of the row's record in `Manifest.training()`."""
    patients: NDArray[np.str_]
    """(N,): the digest that stands for the row's patient."""
    slices: NDArray[np.int64]
    """(N,): which slice (index along Z) of its scan the row is."""
    digest: str
    """Key of the cache: equal for equal data, prepared alike."""

    def __len__(self) -> int:
        """Number of images."""
        return len(self.labels)

    def images(self, index: NDArray[np.int64] | Sequence[int] | slice) -> Pixels:
        """Rows `index` as (n, C, H, W) float32 in [0, 1]."""
        return np.asarray(self.pixels[index], np.float32) / np.float32(_MAX_STORED)

    def expect(self, rows: NDArray[np.int64]) -> None:
        """Have the system read rows that are wanted next while something else is done; a row that is in memory costs nothing."""
        file: Any = self.pixels.base
        if isinstance(self.pixels, np.memmap) and isinstance(file, mmap.mmap) and hasattr(file, "madvise"):
            first, size = self.pixels.offset % mmap.ALLOCATIONGRANULARITY, self.pixels[0].nbytes
            for start in (first + size * rows).tolist():
                before = start % mmap.PAGESIZE
                file.madvise(mmap.MADV_WILLNEED, start - before, before + size)

    def rows_of(self, label: str) -> NDArray[np.int64]:
        """The rows of one class."""
        return np.flatnonzero(self.labels == self.names.index(label))

    def chunks(
        self, rows: NDArray[np.int64] | None = None, size: int = 256
    ) -> Iterator[tuple[NDArray[np.int64], Pixels]]:
        """(rows, images) piece by piece: `rows` (default: all) in bounded memory."""
        wanted = np.arange(len(self)) if rows is None else rows
        for start in range(0, len(wanted), size):
            piece = wanted[start : start + size]
            yield piece, self.images(piece)


def prepare(manifest: Manifest, plan: Plan, cache: Path, *, on_progress: OnProgress = ignore) -> Stack:
    """Open the stack of `manifest` under `plan` in the folder `cache`, preparing it first where it is not there yet."""
    records = manifest.training()
    _refuse_unfit_data(records, plan)
    key = digest_of([_preparation_settings(plan), [_record_key(record) for record in records]])
    whole = cache / f"stack-{key[:32]}"
    try:
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        with file_lock(cache):  # so that nobody clears it meanwhile
            whole.mkdir(mode=0o700, exist_ok=True)
            shape, rows = _stack_shape(records, plan), partial(_prepare_scan, root=manifest.root, plan=plan)
            fill = partial(_fill_cache, whole, records, shape, rows, on_progress)
            pixels = _open_pixels(whole, shape, fill, on_progress)
    except OSError as error:
        raise cache_error(whole, error) from error
    places = [(n, z) for n, record in enumerate(records) for z in record.slices]
    stack = Stack(
        pixels=pixels,
        labels=np.array([plan.labels.index(records[n].label) for n, _ in places], np.int64),
        names=plan.labels,
        records=np.array([n for n, _ in places], np.int64),
        patients=np.array([records[n].patient for n, _ in places]),
        slices=np.array([z for _, z in places], np.int64),
        digest=key,
    )
    _write_rows_file(
        stack, {"data": manifest.digest, "recipe": digest_of(_preparation_settings(plan))}, whole
    )
    return stack


def find_stack(data_digest: str, plan: Plan, cache: Path) -> Stack | None:
    """The stack in `cache` of the data with this digest (`Manifest.digest`), prepared for `plan`; None where it is not there, or not whole."""
    wanted = {"data": data_digest, "recipe": digest_of(_preparation_settings(plan))}
    for whole in sorted(path.parent for path in cache.glob(f"stack-*/{_ROWS_FILE}")):
        with file_lock(cache):
            facts = _read_rows_file(whole)
            if wanted.items() <= facts.items() and set(facts["labels"]) <= set(plan.labels):
                pixels = _map_pixels(whole, (len(facts["labels"]), plan.channels, *plan.size))
                if pixels is not None:
                    weakref.finalize(pixels, acquire_lock(whole / PIXELS))
                    return Stack(
                        pixels=pixels,
                        labels=np.array([plan.labels.index(label) for label in facts["labels"]], np.int64),
                        names=plan.labels,
                        records=np.array(facts["records"], np.int64),
                        patients=np.array(facts["patients"]),
                        slices=np.array(facts["slices"], np.int64),
                        digest=facts["digest"],
                    )
    return None


def _write_rows_file(stack: Stack, facts: Mapping[str, str], whole: Path) -> None:
    """Write what the rows are beside the pixels, so that `find_stack` needs no scan: classes, hashes of patients, no path."""
    told = {
        **facts,
        "digest": stack.digest,
        "labels": [stack.names[number] for number in stack.labels],
        "records": stack.records.tolist(),
        "patients": stack.patients.tolist(),
        "slices": stack.slices.tolist(),
    }
    told["sum"] = digest_of(told)
    if _read_rows_file(whole) != told:
        with file_lock(whole, alone=True):  # several processes may prepare the same
            write_json(whole / _ROWS_FILE, told)


def _read_rows_file(whole: Path) -> dict[str, Any]:
    """What `_write_rows_file` wrote; nothing where that is absent or damaged."""
    try:
        facts: dict[str, Any] = read_json(whole / _ROWS_FILE)
        own = {name: value for name, value in facts.items() if name != "sum"}
        return facts if facts["sum"] == digest_of(own) else {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _refuse_unfit_data(records: Sequence[Record], plan: Plan) -> None:
    """Refuse data that this plan cannot bring into one form."""
    if not records:
        raise DatasetError(
            "No scan is left to train on", hint="Put scans into train whose patients are not in val or test."
        )
    strange = sorted({record.label for record in records} - set(plan.labels))
    if strange:
        raise DatasetError(
            f"The plan knows no class {', '.join(strange)}", hint="Plan anew for this data set."
        )
    meanings = Counter(record.meaning for record in records)
    if plan.form.unit != "relative" and set(meanings) != {plan.form.unit}:
        table = ", ".join(f"{n} {meaning}" for meaning, n in meanings.most_common())
        raise DatasetError(
            f"mixed-content: the scans' values are of different kinds ({table}), the plan expects {plan.form.unit}",
            hint="Choose one modality with --modality, or move the others away.",
        )
    unsized = next((record for record in records if not has_spacing(record)), None)
    if plan.geometry == "physical" and unsized:
        raise DatasetError(
            f"{unsized.path} does not say how large its pixels are",
            hint="Plan without millimetres (geometry stretch).",
        )


def _stack_shape(records: Sequence[Record], plan: Plan) -> tuple[int, ...]:
    return sum(len(record.slices) for record in records), plan.channels, *plan.size


def _preparation_settings(plan: Plan) -> dict[str, object]:
    """What of the plan decides how an image is prepared; `version` grows when this module decides otherwise."""
    return {
        "version": 3,
        "size": plan.size,
        "geometry": plan.geometry,
        "mm_per_pixel": plan.mm_per_pixel,
        "channels": plan.channels,
        "scale": (plan.form.unit, plan.form.low, plan.form.high),
    }


def _record_key(record: Record) -> tuple[object, ...]:
    """What of a record decides its rows."""
    return record.digest, record.label, record.slices, record.meaning, record.spacing_mm, record.bits


# --- the cache on disk: rows are appended, so that a full disk is an error and no crash, as it would be in a memory map ---


def _open_pixels(
    whole: Path, shape: tuple[int, ...], fill: Callable[[], None], on_progress: OnProgress
) -> NDArray[np.uint16]:
    """The pixels in the folder `whole`, which nobody can clear while they are used; where they are missing or damaged, `fill` comes first."""
    pixels = _map_pixels(whole, shape)
    if pixels is None:
        with file_lock(whole, alone=True):  # another process that prepares the same is waited for
            pixels = _map_pixels(whole, shape)
            if pixels is None:
                if (whole / PIXELS).exists():
                    warn(on_progress, "The prepared images in the cache are damaged: they are prepared anew.")
                fill()
        pixels = _map_pixels(whole, shape) if pixels is None else pixels
    if pixels is None:
        raise OutputError(
            f"{whole}: what was written to the cache a moment ago is not what the disk gives back",
            hint=f"Check the disk, or set {VARIABLE} to a folder on another one.",
        )
    weakref.finalize(pixels, acquire_lock(whole / PIXELS))
    os.utime(whole)  # last used now
    return pixels


_VERIFIED: set[tuple[object, ...]] = set()
"""Files whose rows this process has compared with their sums, as they lay there then."""


def _map_pixels(whole: Path, shape: tuple[int, ...]) -> NDArray[np.uint16] | None:
    """The pixels that lie in `whole`, memory-mapped; None where they are missing or damaged.

    Every row is read and compared with its sum (CRC-32) once in a process: a pass in the order of the disk, in bounded memory.
    """
    try:
        pixels: NDArray[np.uint16] = np.load(whole / PIXELS, mmap_mode="r")
        facts = (whole / PIXELS).stat()
        sums = np.fromfile(whole / _CHECKSUM_FILE, _CHECKSUM)
    except (OSError, ValueError, EOFError):
        return None
    if pixels.shape != shape or pixels.dtype != np.uint16:
        return None
    seen = (str(whole), facts.st_ino, facts.st_mtime_ns, facts.st_ctime_ns, sums.tobytes())
    if seen not in _VERIFIED:
        if len(sums) != len(pixels) or not all(map(_matches_checksum, np.asarray(pixels), sums.tolist())):
            return None
        _VERIFIED.add(seen)
    return pixels


def _matches_checksum(row: NDArray[np.uint16], total: int) -> bool:
    return zlib.crc32(row.data) == total


def _fill_cache(
    whole: Path,
    records: Sequence[Record],
    shape: tuple[int, ...],
    rows: Callable[[Record], NDArray[np.uint16]],
    on_progress: OnProgress,
) -> None:
    """Append the rows of every scan that is not there yet to the partial array in `whole`; then it takes its name."""
    (whole / PIXELS).unlink(missing_ok=True)
    done, there = _count_done(whole, records, shape)
    modes = "r+b" if done else "w+b"
    with (
        (whole / _PARTIAL_FILE).open(modes) as stream,
        (whole / _CHECKSUM_FILE).open(modes) as sums,
        WorkerPool() as crew,
    ):
        header = {"descr": "<u2", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(stream, header)
        stream.seek(there * 2 * math.prod(shape[1:]), os.SEEK_CUR)
        stream.truncate()
        sums.seek(there * _CHECKSUM.itemsize)
        sums.truncate()
        fresh: list[int] = []
        for n, made in enumerate(
            crew.ordered(rows, records[done:], _crash_pixels, chunk=_CHUNK), start=done + 1
        ):
            stream.write(made.tobytes())
            fresh.extend(zlib.crc32(row.data) for row in np.ascontiguousarray(made))
            if n % _REPORT_EVERY == 0 or n == len(records):
                _flush(stream)
                sums.write(np.array(fresh, _CHECKSUM).tobytes())  # a sum says that its row is surely there
                _flush(sums)
                fresh.clear()
                on_progress(Progress("preparing", n, len(records), "scans"))
    (whole / _PARTIAL_FILE).replace(whole / PIXELS)


def _count_done(whole: Path, records: Sequence[Record], shape: tuple[int, ...]) -> tuple[int, int]:
    """How many scans, and rows of them, a killed run has written: those whose rows are what their sums say."""
    size = 2 * math.prod(shape[1:])
    there = 0
    try:
        with (whole / _PARTIAL_FILE).open("rb") as stream:
            np.lib.format.read_magic(stream)
            if np.lib.format.read_array_header_1_0(stream)[0] == shape:
                for total in np.fromfile(whole / _CHECKSUM_FILE, _CHECKSUM).tolist():
                    if zlib.crc32(row := stream.read(size)) != total or len(row) < size:
                        break
                    there += 1
    except (OSError, ValueError):
        return 0, 0
    ends = np.cumsum([len(record.slices) for record in records])
    done = int(np.searchsorted(ends, there, side="right"))
    return done, int(ends[done - 1]) if done else 0


def _flush(stream: IO[bytes]) -> None:
    stream.flush()
    os.fsync(stream.fileno())


# --- from scan to rows ---


def _read_unchanged(root: Path, record: Record) -> Scan:
    try:
        scan = load(root, record)
    except ScanError as error:
        raise _changed_error(record, error.message) from error
    if pixel_digest(scan) != record.digest:
        raise _changed_error(record, "its pixels are others now")
    return scan


def _changed_error(record: Record, words: str) -> DatasetError:
    return DatasetError(
        f"{record.path} has changed since the data set was inspected: {words}",
        hint="Repeat the command when nobody writes to the data set; it is inspected anew.",
    )


def _prepare_scan(record: Record, root: Path, plan: Plan) -> NDArray[np.uint16]:
    """The chosen slices of a scan as (n, C, H, W)."""
    scan, scale = _read_unchanged(root, record), _intensity_range(record, plan)
    return np.stack([_prepare_slice(scan.pixels[z], record, plan, scale) for z in record.slices])


def _crash_pixels(record: Record) -> NDArray[np.uint16]:
    raise _changed_error(record, "the process that read it died")


def _intensity_range(record: Record, plan: Plan) -> tuple[float, float]:
    """The values of a scan that become 0 and 1: fixed for the data set, or the scan's own percentiles 0.5 and 99.5.

    Where 8-bit images lie beside deeper ones, each is scaled by its own white, or depth would tell the classes apart.
    """
    if plan.form.unit == "stored" and record.bits <= BYTE < plan.form.bits:
        return 0.0, 2.0**record.bits - 1
    if plan.form.unit != "relative":
        return plan.form.low, plan.form.high
    return (0.0, 1.0) if record.meaning == "display" else (record.levels[1], record.levels[3])


def _prepare_slice(
    image: Pixels, record: Record, plan: Plan, scale: tuple[float, float]
) -> NDArray[np.uint16]:
    """One slice (Y, X) or (Y, X, 3) as (C, H, W); clipped before it is resized, so that extremes do not bleed."""
    unit = _with_channels(intensity.normalise(image, *scale), plan.channels)
    height, width = plan.size
    if plan.geometry == "physical":
        assert record.spacing_mm is not None, "refused before any scan is read"
        assert plan.mm_per_pixel is not None, "a physical plan has a pixel size"
        _, tall, wide = record.spacing_mm
        fitted = geometry.resample(unit, (tall, wide), plan.mm_per_pixel, (height, width), 0.0)
    else:
        fitted = geometry.resize(unit, (height, width))
    whole = np.rint(np.clip(fitted, 0, 1) * _MAX_STORED).astype("<u2")
    return whole[None] if plan.channels == 1 else np.moveaxis(whole, -1, 0)


def _with_channels(image: Pixels, channels: int) -> Pixels:
    colour = image.ndim > len("YX")
    if colour and channels == 1:
        return np.asarray(image @ _LUMA, np.float32)
    return image if colour or channels == 1 else np.repeat(image[..., None], channels, axis=-1)
