"""Turn stored values into values in a unit (PS3.3 C.7.6.3, C.11.1, C.11.2).

For each frame this applies the modality transform and the VOI transform; the modality decides what the values
of the scan then mean.
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from medgan.base.errors import ScanError
from medgan.scans.dicom.attributes import (
    Attributes,
    find_malformed,
    get_item,
    get_items,
    get_number,
    get_numbers,
    get_numbers_or_none,
    get_text,
    get_text_or_empty,
    get_texts,
    get_value,
)
from medgan.scans.dicom.frames import FunctionalGroups
from medgan.scans.dicom.header import DicomFile
from medgan.scans.dicom.palette import swap_bytes
from medgan.scans.dicom.pixels import PixelModule
from medgan.scans.intensity import BitLayout, LookUpTable, Window, apply_table, apply_window, invert, rescale
from medgan.scans.scan import Pixels

_PROJECTION = frozenset({"CR", "DX", "MG", "RF", "XA", "IO", "PX"})
"""Modalities whose VOI transform is part of the picture as its maker intended it."""
_CT_CLASSES = frozenset(f"1.2.840.10008.5.1.4.1.1.2{suffix}" for suffix in ("", ".1", ".2"))
_HU_TYPES = frozenset({"", "HU", "US", "HOUNSFIELD UNIT", "HOUNDSFIELD UNIT"})
"""Rescale Types of Hounsfield units in CT. US is "unspecified"; the last one is GE's on reformatted slices.
"""
_RESCALED = _CT_CLASSES | {f"1.2.840.10008.5.1.4.1.1.{suffix}" for suffix in ("128", "128.1", "130")}
"""CT and PET, whose Rescale Slope and Intercept are Type 1 (PS3.3 C.8.2.1, C.8.9.4). Without them the unit is
unknown."""
_BYTE, _WORD = 8, 16  # bits
AIR_HU = -1024.0
"""Background of a padded CT."""


@dataclass(frozen=True, slots=True, eq=False)
class Transform:
    """How the stored values of one frame become output values."""

    slope: float = 1.0
    intercept: float = 0.0
    unit: str = ""
    """Rescale Type or Modality LUT Type."""
    table: LookUpTable | None = None
    """Modality LUT, in place of slope and intercept."""
    voi: Window | LookUpTable | None = None
    """VOI LUT, or the first valid window."""
    given: bool = False
    """Whether the file gives a modality transform at all."""
    complete: bool = False
    """Whether the file gives all of it: a Modality LUT, or both slope and intercept."""

    @property
    def identity(self) -> bool:
        """Whether output values are the stored values."""
        return self.table is None and self.slope == 1 and self.intercept == 0

    def output(self, values: NDArray[Any]) -> Pixels:
        """Apply the modality transform to stored values."""
        if self.table is not None:
            return self.table.look_up(values)
        return rescale(values, self.slope, self.intercept)

    def ends(self, layout: BitLayout) -> tuple[float, float]:
        """Lowest and highest output value that the layout can represent."""
        return self.table.range if self.table is not None else _to_pair(self.output(np.asarray(layout.range)))


def _to_pair(pair: Pixels) -> tuple[float, float]:
    """Two array elements as floats."""
    return float(pair[0]), float(pair[1])


def read_transforms(file: DicomFile, grid: PixelModule) -> list[Transform]:
    """The transform of every frame.

    All frames share one where no frame has functional groups of its own.
    """
    groups = FunctionalGroups(file.dataset, grid.frames)
    described = range(grid.frames if groups.per_frame else 1)
    found = [
        _read_transform(
            groups.macro(frame, "PixelValueTransformationSequence") or file.dataset,
            groups.macro(frame, "FrameVOILUTSequence") or file.dataset,
            file,
            grid,
        )
        for frame in described
    ]
    return found * (grid.frames // len(found))


def _read_transform(modality: Attributes, voi: Attributes, file: DicomFile, grid: PixelModule) -> Transform:
    """Read the transform from the file or its functional group macros.

    Args:
        modality: Holds the modality transform.
        voi: Holds the VOI transform.
        file: The file.
        grid: Its image pixel module.
    """
    lut = get_item(modality, "ModalityLUTSequence")
    table = None if lut is None else _read_look_up_table(lut, file, signed=grid.layout.signed)
    slope, intercept = (1.0, 0.0) if table is not None else _read_rescale(modality)
    stated = [
        lut is not None or bool(get_text(modality, f"Rescale{name}")) for name in ("Slope", "Intercept")
    ]
    return Transform(
        slope=slope,
        intercept=intercept,
        unit=(get_text(modality, "RescaleType") if lut is None else get_text(lut, "ModalityLUTType")).upper(),
        table=table,
        voi=_read_voi(voi, file, signed=grid.layout.signed or intercept < 0),
        given=any(stated),
        complete=all(stated),
    )


def _read_rescale(dataset: Attributes) -> tuple[float, float]:
    """(slope, intercept), 1 or 0 where one is absent or empty."""
    try:
        slope, intercept = (
            get_number(dataset, "RescaleSlope", 1.0),
            get_number(dataset, "RescaleIntercept", 0.0),
        )
    except ScanError as error:
        raise ScanError(error.message, verdict="error:bad-rescale", hint=error.hint) from error
    if slope == 0 or not (math.isfinite(slope) and math.isfinite(intercept)):
        raise ScanError(
            f"has the rescale slope {slope:g} and intercept {intercept:g}, which leave no picture",
            verdict="error:bad-rescale",
            hint="Repair or remove the file.",
        )
    return slope, intercept


def _read_voi(dataset: Attributes, file: DicomFile, *, signed: bool) -> Window | LookUpTable | None:
    """The first sound VOI LUT, else the first valid window.

    PS3.3 C.11.2 allows either. None where neither exists, or where it is not part of the picture.
    """
    if file.modality not in _PROJECTION:
        return None
    for lut in get_items(dataset, "VOILUTSequence"):
        with suppress(ScanError):
            return _read_look_up_table(lut, file, signed=signed)
    function = get_text(dataset, "VOILUTFunction").upper() or "LINEAR"
    centres, widths = (
        get_numbers_or_none(dataset, "WindowCenter"),
        get_numbers_or_none(dataset, "WindowWidth"),
    )
    windows = (Window(centre, width, function) for centre, width in zip(centres, widths, strict=False))
    return next((window for window in windows if window.valid), None)


def _read_look_up_table(lut: Dataset, file: DicomFile, *, signed: bool) -> LookUpTable:
    """A modality or VOI look-up table (PS3.3 C.11.1.1, C.11.2.1.1)."""
    descriptor = [int(entry) for entry in get_numbers(lut, "LUTDescriptor")]
    if len(descriptor) != len(("entries", "first", "bits")):
        raise ScanError("has a look-up table without its descriptor", verdict="error:bad-value")
    count, first, bits = descriptor[0] % (1 << 16) or 1 << 16, descriptor[1], descriptor[2]
    if signed and first >= 1 << 15:  # the VR is US or SS by Pixel Representation, and writers disagree
        first -= 1 << 16
    data = get_value(lut, "LUTData")
    if isinstance(data, bytes) and not file.syntax.is_little_endian:
        data = swap_bytes(data)  # entries of 8 bits come in pairs in 16-bit words, and change places too
    entries = _read_entries(data, count)
    if entries.size == 0 or not 1 <= bits <= _WORD:
        raise ScanError("has an empty look-up table", verdict="error:bad-value")
    return LookUpTable(first, entries)


def _read_entries(data: Any, count: int) -> NDArray[np.float32]:
    """LUT Data as at most `count` numbers.

    The data is little-endian words of 8 or 16 bits, or a list.
    """
    if not isinstance(data, bytes):
        return np.asarray(np.atleast_1d([] if data is None else data), np.int64)[:count].astype(np.float32)
    wide = len(data) >= 2 * count
    return np.frombuffer(
        data, "<u2" if wide else "u1", count=min(count, len(data) // (2 if wide else 1))
    ).astype(np.float32)


def choose_meaning(file: DicomFile, grid: PixelModule, steps: list[Transform]) -> str:
    """The unit of the scan's values: "HU", "display", "stored" or "raw"."""
    if grid.color:
        return "stored"
    if _is_hounsfield(file, grid, steps):
        return "HU"
    if grid.bits <= _BYTE and not grid.layout.signed and all(step.identity for step in steps):
        return "stored"
    shown = grid.bits > _BYTE and file.modality in _PROJECTION and all(step.voi is not None for step in steps)
    return "display" if shown else "raw"


def _is_hounsfield(file: DicomFile, grid: PixelModule, steps: list[Transform]) -> bool:
    """Whether output values are Hounsfield units.

    They are in a CT that says how to rescale, and in a capture of one with more than 8 bits that does.
    """
    if file.modality != "CT" or not all(step.given and step.unit in _HU_TYPES for step in steps):
        return False
    return file.sop_class in _CT_CLASSES or grid.bits > _BYTE


def malformed_value_notes(file: DicomFile) -> tuple[str, ...]:
    """Notes on a padding value, window or VOI LUT that cannot be read.

    Windows and VOI LUTs count where they are part of the picture.
    """
    dataset = file.dataset
    said = find_malformed([dataset], {"PixelPaddingValue": 1, "PixelPaddingRangeLimit": 1})
    if file.modality not in _PROJECTION:
        return said
    for lut in get_items(dataset, "VOILUTSequence"):
        try:
            _read_look_up_table(lut, file, signed=False)
        except ScanError:
            said = (*said, "malformed:VOILUTSequence")
    return (*said, *find_malformed([dataset], {"WindowCenter": 0, "WindowWidth": 0}))


def rescale_notes(file: DicomFile, grid: PixelModule, steps: list[Transform]) -> tuple[str, ...]:
    """What a CT or PET lacks of its rescale, as a note.

    "no-rescale" stands for slope and intercept, "incomplete-rescale" for one of them.
    """
    if file.sop_class not in _RESCALED or grid.color or all(step.complete for step in steps):
        return ()
    return ("incomplete-rescale",) if all(step.given for step in steps) else ("no-rescale",)


def apply_transform(values: NDArray[Any], step: Transform, grid: PixelModule, meaning: str) -> Pixels:
    """Turn one gray frame of stored values into the scan's values, bright on dark.

    Polarity follows the photometric interpretation alone: Presentation LUT Shape INVERSE only repeats it.
    Hounsfield units have a polarity of their own and are never inverted.

    Args:
        values: Stored values.
        step: The transform of the frame.
        grid: The image pixel module of the file.
        meaning: The unit of the scan's values.
    """
    pixels = step.output(values)
    voi = step.voi if meaning == "display" else None
    if isinstance(voi, Window):
        pixels = apply_window(pixels, voi)
    elif voi is not None:
        pixels = apply_table(pixels, voi)
    if grid.photometric != "MONOCHROME1" or meaning == "HU":
        return pixels
    return invert(pixels, *(step.ends(grid.layout) if voi is None else (0.0, 1.0)))


def read_padding_limits(file: DicomFile, grid: PixelModule) -> tuple[int, int] | None:
    """Pixel Padding Value and Range Limit as stored values (PS3.3 C.7.5.1.1.2).

    None where the image is not padded.
    """
    first = get_numbers_or_none(file.dataset, "PixelPaddingValue")
    if not first or grid.color:
        return None
    last = get_numbers_or_none(file.dataset, "PixelPaddingRangeLimit") or first
    ends = (int(first[0]), int(last[0]))
    low, high = (_wrap_padding(end, grid.allocated, signed=grid.layout.signed) for end in ends)
    return low, high


def _wrap_padding(end: int, bits: int, *, signed: bool) -> int:
    """A padding value in the sign of the pixels, whether written as US or SS."""
    end &= (1 << bits) - 1
    return end - (1 << bits) if signed and end >> (bits - 1) else end


def stacking_key(file: DicomFile) -> tuple[str, ...]:
    """What must be equal in the slices of one volume.

    ImageType 3 and 4 must always be equal; echo, time and acquisition only where positions repeat.
    """
    kind = "\\".join(get_texts(file.dataset, "ImageType")[2:4]).upper()
    others = ("EchoNumbers", "TemporalPositionIdentifier", "TriggerTime", "AcquisitionNumber")
    return (kind, *(get_text_or_empty(file.dataset, keyword) for keyword in others))
