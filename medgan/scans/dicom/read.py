"""Read DICOM files: the header alone, or the pixels in a meaningful unit.

The steps, in order: checks on the header, decoding, bits, padding, modality transform, VOI by modality,
polarity, colour, frame order, square pixels, background. They are implemented in the modules beside this one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medgan.base.errors import ScanError
from medgan.scans.dicom.attributes import (
    get_integer,
    get_label,
    get_numbers_or_none,
    get_scanner,
    get_text,
    get_text_or_empty,
    get_texts,
)
from medgan.scans.dicom.frames import (
    SPACINGS,
    Placement,
    group_frames,
    is_capture,
    malformed_geometry_notes,
    place_frames,
)
from medgan.scans.dicom.header import DicomFile, load_file
from medgan.scans.dicom.pixels import PixelModule, decode_frames, has_excess_bytes, read_pixel_module
from medgan.scans.dicom.plain import PlainAttributes
from medgan.scans.dicom.terms import BODY_PARTS, PHOTOMETRICS, defined_term
from medgan.scans.dicom.values import (
    AIR_HU,
    Transform,
    apply_transform,
    choose_meaning,
    malformed_value_notes,
    read_padding_limits,
    read_transforms,
    rescale_notes,
    stacking_key,
)
from medgan.scans.finite import fill_non_finite
from medgan.scans.geometry import (
    is_orientation,
    resize,
    slice_distances,
    square_shape,
    to_patient_orientation,
)
from medgan.scans.intensity import fill_padding, find_padding
from medgan.scans.scan import Header, Pixels, Scan
from medgan.scans.verdict import give_verdicts

_TEXT_PRONE = frozenset({"US", "SC", "XA", "RF", "OT", "IVUS"})
"""Modalities whose pictures often contain burned-in text."""


@dataclass(frozen=True, slots=True, eq=False)
class _FrameSeries:
    """Frames of one file that belong together.

    An enhanced file may hold several series.
    """

    count: int
    """Number of series in the file."""
    frames: tuple[int, ...]
    """Numbers of the frames, as stored."""
    steps: list[Transform]
    """How each frame becomes values."""
    place: Placement


def _select_series(file: DicomFile, found: PixelModule, kind: int = 0) -> _FrameSeries:
    """The series of a file with the given number."""
    steps = read_transforms(file, found)
    each = group_frames(file, found.frames, [step.unit for step in steps])
    if kind >= len(each):
        raise ScanError(f"holds {len(each)} kinds of frames, not {kind + 1}", verdict="error:malformed")
    frames = each[kind]
    return _FrameSeries(
        len(each), frames, [steps[k] for k in frames], place_frames(file, found.frames, frames)
    )


def read_header(path: Path, *, label_tag: str = "") -> Header:
    """What a file says, without decoding its pixels.

    `label_tag` is the keyword or "gggg,eeee" of the attribute with the label.
    """
    with give_verdicts(path):
        file = load_file(path, whole=False, plain=not label_tag)  # a label may be any attribute
        found = read_pixel_module(file)
        return _build_header(file, found, _select_series(file, found), label_tag)


def read(path: Path, kind: int = 0) -> Scan:
    """Read all frames of one file, decoded, resolved and in order.

    `kind` selects one of several series in the file (`Header.kinds`).
    """
    with give_verdicts(path):
        return _build_scan(load_file(path, whole=True), kind)[0]


def read_series(paths: Sequence[Path]) -> Scan:
    """Read a volume from the files of its slices, given in slice order."""
    slices: list[Scan] = []
    positions: list[tuple[float, ...]] = []
    orientation: tuple[float, ...] = ()
    for path in paths:
        with give_verdicts(path):
            one, place = _build_scan(load_file(path, whole=True))
            if place.position is None or place.orientation is None or len(one.pixels) != 1:
                raise ScanError("has no place in a volume", verdict="error:irregular-spacing")
            if slices and (one.pixels.shape, one.meaning) != (slices[0].pixels.shape, slices[0].meaning):
                raise ScanError(
                    "differs in size or unit from the slices before it", verdict="error:mixed-content"
                )
        slices.append(one)
        positions.append(place.position)
        orientation = orientation or place.orientation
    gaps = np.diff(slice_distances(positions, orientation)) if len(paths) > 1 else np.zeros(1)
    return _stack_slices(slices, abs(float(np.median(gaps))))


def _stack_slices(slices: Sequence[Scan], gap: float) -> Scan:
    """Stack single slices to a volume with `gap` millimetres between them."""
    first = slices[0]
    notes = {note: None for one in slices for note in one.notes if note != "constant"}
    pixels = np.concatenate([one.pixels for one in slices])
    return Scan(
        pixels=pixels,
        meaning=first.meaning,
        spacing_mm=None if first.spacing_mm is None else (gap, *first.spacing_mm[1:]),
        patient_orientation=first.patient_orientation,
        modality=first.modality,
        bits=max(one.bits for one in slices),
        notes=(*notes, *_constant_note(pixels)),
    )


def _build_header(file: DicomFile, found: PixelModule, series: _FrameSeries, label_tag: str = "") -> Header:
    """The facts of a parsed file, for its first series where they differ."""
    # The issuer makes a patient's identifier unique across hospitals.
    dataset, place = file.dataset, series.place
    issuer = get_text(dataset, "IssuerOfPatientID")
    patient = get_text(dataset, "PatientID")
    return Header(
        format="dicom",
        shape=(len(series.frames), *square_shape((found.rows, found.columns), place.aspect)),
        channels=3 if found.color else 1,
        bits=found.bits,
        modality=file.modality,
        spacing_mm=place.spacing_mm,
        patient=f"{patient}\\{issuer}" if patient and issuer else patient,
        instance=get_text(dataset, "SOPInstanceUID"),
        series=get_text(dataset, "SeriesInstanceUID"),
        position=place.position if found.frames == 1 else None,
        orientation=place.orientation,
        stacking=stacking_key(file),
        instance_number=_instance_number(file),
        photometric=defined_term(found.photometric, PHOTOMETRICS),
        scanner=get_scanner(dataset),
        label="" if isinstance(dataset, PlainAttributes) else get_label(dataset, label_tag),
        body_part=defined_term(get_text(dataset, "BodyPartExamined"), BODY_PARTS),
        kinds=series.count,
        notes=_header_notes(file, found, series),
    )


def _instance_number(file: DicomFile) -> int:
    """InstanceNumber, 0 where it is absent or malformed: it only breaks ties."""
    try:
        return get_integer(file.dataset, "InstanceNumber", 0)
    except ScanError:
        return 0


def _header_notes(file: DicomFile, found: PixelModule, series: _FrameSeries) -> tuple[str, ...]:
    """Warnings by code that follow from the header alone."""
    dataset, place = file.dataset, series.place
    burned = get_text(dataset, "BurnedInAnnotation").upper()
    kind = " ".join(get_texts(dataset, "ImageType")).upper()
    prone = file.modality in _TEXT_PRONE or is_capture(file) or "SAVE" in kind or "SCREEN" in kind
    said = {
        "burned-in": burned == "YES",
        "burned-in-possible": not burned and prone,
        "synthetic": get_text(dataset, "SyntheticData").upper() == "YES",
        "secondary-capture": is_capture(file),
        "localizer": "LOCALIZER" in kind,
        "no-sop-class": not file.sop_class,
        "excess-pixels": has_excess_bytes(file, found),
        "impossible-spacing": place.spacing_mm is None
        and any(get_numbers_or_none(dataset, word) for word in SPACINGS),
        "resampled-aspect": square_shape((found.rows, found.columns), place.aspect)
        != (found.rows, found.columns),
    }
    holding = (note for note, holds in said.items() if holds)
    unread = (*malformed_geometry_notes(file, found.frames, series.frames), *malformed_value_notes(file))
    return (*file.notes, *holding, *rescale_notes(file, found, series.steps), *dict.fromkeys(unread))


def _build_scan(file: DicomFile, kind: int = 0) -> tuple[Scan, Placement]:
    """Decode and resolve one series of a parsed file."""
    found = read_pixel_module(file)
    series = _select_series(file, found, kind)
    place = series.place
    pixels, means = _resolve_values(file, found, series)
    if place.order != tuple(range(len(series.frames))):
        pixels = pixels[list(place.order)]
    size = square_shape((found.rows, found.columns), place.aspect)
    if size != (found.rows, found.columns):
        pixels = np.stack([resize(frame, size) for frame in pixels])
    pixels, holes = fill_non_finite(pixels, Path("pixels"))
    made = Scan(
        pixels=pixels,
        meaning=means,
        spacing_mm=place.spacing_mm,
        patient_orientation=_patient_orientation(file, place),
        modality=file.modality,
        bits=found.bits,
        notes=(*_header_notes(file, found, series), *holes, *_constant_note(pixels)),
    )
    return made, place


def _patient_orientation(file: DicomFile, place: Placement) -> str:
    """Where rows and columns run to in the patient.

    Image Orientation (Patient) decides, else Patient Orientation. Empty where neither says or it is oblique.
    """
    if place.orientation is not None:
        return to_patient_orientation(place.orientation)
    said = get_text_or_empty(file.dataset, "PatientOrientation").upper()
    return said if is_orientation(said) else ""


def _resolve_values(file: DicomFile, found: PixelModule, series: _FrameSeries) -> tuple[Pixels, str]:
    """The frames of a series as values, in stored order, and the unit of the values.

    Padding is filled with background.
    """
    means, count = choose_meaning(file, found, series.steps), len(series.frames)
    limits = read_padding_limits(file, found)
    pixels: Pixels | None = None
    padded: NDArray[np.bool_] | None = None
    wanted = {frame: k for k, frame in enumerate(series.frames)}
    for number, (stored, values) in enumerate(decode_frames(file, found)):
        if (k := wanted.get(number)) is None:
            continue
        color = found.color
        frame = (
            np.asarray(values, np.float32)
            if color
            else apply_transform(values, series.steps[k], found, means)
        )
        pixels = _put_frame(pixels, k, frame, count)
        if limits:
            padded = _put_frame(padded, k, find_padding(stored, values, *limits), count)
    assert pixels is not None, "a file without frames is refused by its grid"
    # Last, so that the background is the lowest value as displayed, whatever polarity did to it.
    if padded is not None:
        pixels = fill_padding(pixels, padded, AIR_HU if means == "HU" else None)
    return pixels, means


def _put_frame(stack: NDArray[Any] | None, k: int, frame: NDArray[Any], count: int) -> NDArray[Any]:
    """Put frame `k` into a stack of `count` frames. A single frame is not copied."""
    if count == 1:
        return frame[None]
    if stack is None:
        stack = np.empty((count, *frame.shape), frame.dtype)
    stack[k] = frame
    return stack


def _constant_note(pixels: Pixels) -> tuple[str, ...]:
    """The note on a picture with a single value."""
    if pixels.size and pixels.flat[0] != pixels.flat[pixels.size // 2]:  # nearly always
        return ()
    return ("constant",) if pixels.size == 0 or pixels.min() == pixels.max() else ()
