"""An image or volume in [0, 1] with its Form and Mark -> a DICOM file, or a series of one file per slice, that a PACS accepts.

A real image prepared by medgan differs from a synthetic one only where the truth differs.
"""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from medgan import __version__
from medgan.base.errors import PlanError
from medgan.base.files import digest, digest_of, write_bytes
from medgan.scans.dicom.attributes import tag_of
from medgan.scans.dicom.encode import Template, encode_file
from medgan.scans.dicom.sop_classes import (
    PER_IMAGE,
    PER_PLANE,
    PLANAR,
    SOP_CLASSES,
    build_attributes,
    format_decimal,
)
from medgan.scans.geometry import is_orientation, slice_normal, to_image_orientation
from medgan.scans.provenance import BYTE, MAKER, WORD, Stored, slice_gap, stored_values
from medgan.scans.scan import OutputFormat, Pixels, Provenance

SUFFIX = ".dcm"
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://medgan.invalid/dicom")
"""Root of all our UIDs: 2.25 and a version 5 UUID (PS3.5 B.2), so nobody's organisational root is borrowed."""
_PRIVATE_GROUP = 0x4D47
_PRIVATE_CREATOR = "MEDGAN"

_PRIVATE = {
    name: _PRIVATE_GROUP << 16 | 0x1000 | place
    for place, name in enumerate(("model", "seed", "label", "index"), 1)
}
_NOT_TEXT = re.compile(r"[\x00-\x1f\x7f\\]")  # PS3.5 table 6.2-1, LO: no control characters, no backslash
_LONG_STRING = 64


@dataclass(frozen=True, slots=True)
class _Names:
    """Who and which: made from the content alone, so equal content has equal names on every machine."""

    patient: str
    study: str
    series: str
    frame: str
    image: str
    """What the names of the slices are made from."""


@dataclass(frozen=True, slots=True)
class _EncodedTemplate:
    """Everything that files of one Form share, encoded."""

    meta: Template
    dataset: Template
    form: str
    """Digest of the Form."""


def write(path: Path, pixels: Pixels, form: OutputFormat, mark: Provenance) -> None:
    """One image, (H, W) or (H, W, 3) in [0, 1], as a Part 10 file in Explicit VR Little Endian: a series of one.

    Raises:
        PlanError: the form's class cannot be said truthfully of such an image.
        OutputError: SOURCE_DATE_EPOCH is no number, or the disk refuses.
    """
    for data in _encode_slices(pixels[None], form, mark):
        write_bytes(path, data)


def write_volume(path: Path, pixels: Pixels, form: OutputFormat, mark: Provenance) -> tuple[Path, ...]:
    """A volume (Z, Y, X) in [0, 1], slices along their normal (axial: from feet to head), as `<path>/0001.dcm` and so on: one series, one frame of reference.

    Slice k lies k * spacing millimetres from the origin. Single-frame files, for every reader copes with them.

    Raises:
        PlanError: the form's class has no place in space, or the distance between slices is unknown.
        OutputError: SOURCE_DATE_EPOCH is no number, or the disk refuses.
    """
    files = []
    for number, data in enumerate(_encode_slices(pixels, form, mark), start=1):
        files.append(path / f"{number:04d}{SUFFIX}")
        write_bytes(files[-1], data)
    return tuple(files)


def _encode_slices(pixels: Pixels, form: OutputFormat, mark: Provenance) -> Iterator[bytes]:
    """The file of each slice of (Z, Y, X) or (Z, Y, X, 3) in [0, 1]."""
    if len(pixels) > 1 and form.dicom_class not in PLANAR:
        raise PlanError(
            f"a volume cannot be DICOM of class {form.dicom_class}: only ct and mr say where a slice lies",
            hint="Write it as NIfTI.",
        )
    gap = slice_gap(form, len(pixels))
    sides = form.patient_orientation if is_orientation(form.patient_orientation) else "L\\P"
    across = slice_normal(to_image_orientation(sides)).tolist()
    stored = _to_words(stored_values(pixels, form), form)
    blank = _encode_template(form, stored.shape[1:], mark.synthetic, os.environ.get("SOURCE_DATE_EPOCH", ""))
    names = _make_names(stored, blank.form, mark)
    shared = _attribute_values(names, mark)
    for place, words in enumerate(stored):
        own = {
            "SOPInstanceUID": (instance := _make_uid("instance", f"{names.image}|{place}")),
            "InstanceNumber": str(place + 1),
            "ImagePositionPatient": "\\".join(format_decimal(place * gap * side + 0.0) for side in across),
        }
        values = shared | {tag_of(keyword): text.encode() for keyword, text in own.items()}
        values[tag_of("PixelData")] = words.tobytes()
        meta = blank.meta.filled({tag_of("MediaStorageSOPInstanceUID"): instance.encode()})
        yield encode_file(meta, blank.dataset.filled(values))


def _to_words(stored: Stored, form: OutputFormat) -> Stored:
    """Little-endian words; MR has 16 bits allocated, however few it stores (PS3.3 C.8.3.1.1.4)."""
    wide = stored.astype(np.uint16) if form.dicom_class == "mr" else stored
    return wide.astype(wide.dtype.newbyteorder("<"), copy=False)


@lru_cache(maxsize=64)
def _encode_template(
    form: OutputFormat, shape: tuple[int, ...], synthetic: bool, epoch: str
) -> _EncodedTemplate:
    """Encode what all images of this form, shape, origin and date share."""
    del epoch  # read again where it is used; here it only tells one date from another
    bits = BYTE if form.bits <= BYTE and form.unit != "HU" and form.dicom_class != "mr" else WORD
    dataset = Dataset()
    for keyword, value in build_attributes(form, shape, bits, synthetic=synthetic).items():
        setattr(dataset, keyword, value)
    dataset["PixelData"].VR = "OB" if bits == BYTE else "OW"  # PS3.5 A.2
    block = dataset.private_block(_PRIVATE_GROUP, _PRIVATE_CREATOR, create=True)
    for place, name in enumerate(_PRIVATE, start=1):
        if synthetic or name not in {"model", "seed"}:
            block.add_new(place, "LO", "")
    gaps = {tag_of(keyword) for keyword in (*PER_IMAGE, *PER_PLANE)} | set(_PRIVATE.values())
    return _EncodedTemplate(
        meta=Template.of(_file_meta(SOP_CLASSES[form.dicom_class]), {tag_of("MediaStorageSOPInstanceUID")}),
        dataset=Template.of(dataset, gaps),
        form=digest_of(form),
    )


def _file_meta(kind: UID) -> Dataset:
    """PS3.10 7.1 with our own implementation, else pydicom would sign with its version."""
    meta = Dataset()
    meta.FileMetaInformationVersion = b"\0\1"
    meta.MediaStorageSOPClassUID = kind
    meta.MediaStorageSOPInstanceUID = ""
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = _make_uid("implementation", MAKER)
    meta.ImplementationVersionName = f"MEDGAN {__version__}"[:16]  # SH
    return meta


def _make_names(stored: Stored, form: str, mark: Provenance) -> _Names:
    """UIDs and patient of one image or volume.

    Study and series follow the patient: a study may belong to one patient only (PS3.3 A.1.2), and images that are not
    slices of one body must not share a series, or viewers and converters stack them into a volume that never was.
    """
    content = digest(stored.tobytes(), str(stored.shape), form)
    origin = f"synthetic|{mark.model}|{mark.seed}" if mark.synthetic else f"real|{mark.patient}"
    image = f"{origin}|{mark.label}|{mark.index}|{content}"
    person = mark.patient if mark.patient and not mark.synthetic else digest(image)
    return _Names(
        patient=("SYN-" if mark.synthetic else "REAL-") + person[:16].upper(),
        study=_make_uid("study", f"{origin}|{mark.label}|{person}"),
        series=_make_uid("series", image),
        frame=_make_uid("frame of reference", image),
        image=image,
    )


def _attribute_values(names: _Names, mark: Provenance) -> dict[int, bytes]:
    """{tag: value} of what is the same in all slices of an image, and its own.

    Model, seed, label and index stand exactly in private attributes too; a second record only, for de-identification
    removes it.
    """
    label = _text(mark.label)
    public = {
        "PatientName": names.patient.replace("-", "^"),
        "PatientID": names.patient,
        "StudyInstanceUID": names.study,
        "SeriesInstanceUID": names.series,
        "SeriesNumber": str(mark.index),
        "SeriesDescription": _text(f"{'SYNTHETIC' if mark.synthetic else 'RESAMPLED'} {label}"),
        "FrameOfReferenceUID": names.frame,
    }
    seed = "" if mark.seed is None else str(mark.seed)
    private = {"model": _text(mark.model), "seed": seed, "label": label, "index": str(mark.index)}
    said: dict[int, str] = {tag_of(keyword): text for keyword, text in public.items()}
    said |= {_PRIVATE[name]: text for name, text in private.items()}
    return {tag: text.encode() for tag, text in said.items()}


def _make_uid(kind: str, content: str) -> str:
    return f"2.25.{uuid.uuid5(_NAMESPACE, f'{kind}|{content}').int}"


def _text(text: str) -> str:
    """Text as an LO value."""
    return _NOT_TEXT.sub("_", text)[:_LONG_STRING].strip()
