"""Write images and volumes as DICOM files that a PACS accepts.

A volume is a series of one file per slice. A real image prepared by medgan differs from a synthetic one only
where the truth differs.
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
"""Root of all our UIDs: 2.25 and a version 5 UUID (PS3.5 B.2), so that no organisation's root is used."""
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
    """Names of patient, study, series and image.

    They are derived from the content alone, so equal content has equal names on every machine.
    """

    patient: str
    study: str
    series: str
    frame: str
    image: str
    """Text from which the names of the slices are derived."""


@dataclass(frozen=True, slots=True)
class _EncodedTemplate:
    """Everything that files of one OutputFormat share, encoded."""

    meta: Template
    dataset: Template
    form: str
    """Digest of the OutputFormat."""


def write(path: Path, pixels: Pixels, form: OutputFormat, mark: Provenance) -> None:
    """Write one image, (H, W) or (H, W, 3) in [0, 1], as a DICOM file.

    It is a Part 10 file in Explicit VR Little Endian, and a series of its own.

    Raises:
        PlanError: the DICOM class is not true of such an image.
        OutputError: SOURCE_DATE_EPOCH is not a number, or the disk refuses to write.
    """
    for data in _encode_slices(pixels[None], form, mark):
        write_bytes(path, data)


def write_volume(path: Path, pixels: Pixels, form: OutputFormat, mark: Provenance) -> tuple[Path, ...]:
    """Write a volume (Z, Y, X) in [0, 1] as `<path>/0001.dcm` and so on.

    Slices follow each other along their normal (axial: from feet to head), in one series and one frame of
    reference. Slice k is k * spacing millimetres from the origin. Files have a single frame, which every
    reader supports.

    Raises:
        PlanError: the DICOM class has no position in space, or the distance between slices is unknown.
        OutputError: SOURCE_DATE_EPOCH is not a number, or the disk refuses to write.
    """
    files = []
    for number, data in enumerate(_encode_slices(pixels, form, mark), start=1):
        files.append(path / f"{number:04d}{SUFFIX}")
        write_bytes(files[-1], data)
    return tuple(files)


def _encode_slices(pixels: Pixels, form: OutputFormat, mark: Provenance) -> Iterator[bytes]:
    """Encode the file of each slice of (Z, Y, X) or (Z, Y, X, 3) in [0, 1]."""
    if len(pixels) > 1 and form.dicom_class not in PLANAR:
        raise PlanError(
            f"A volume cannot be DICOM of class {form.dicom_class}: only ct and mr give a slice's position",
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
        meta = blank.meta.fill({tag_of("MediaStorageSOPInstanceUID"): instance.encode()})
        yield encode_file(meta, blank.dataset.fill(values))


def _to_words(stored: Stored, form: OutputFormat) -> Stored:
    """Little-endian words.

    MR has 16 bits allocated, however few it stores (PS3.3 C.8.3.1.1.4).
    """
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
    """The file meta group (PS3.10 7.1), naming medgan as the implementation.

    Otherwise pydicom would sign with its own version.
    """
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

    Study and series follow the patient: a study may belong to one patient only (PS3.3 A.1.2), and images that
    are not slices of one body must not share a series, or viewers and converters stack them into a volume
    that never was.
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
    """{tag: value} of what all slices of an image share.

    Model, seed, label and index are in private attributes as well, in full. They are a second record only,
    because de-identification removes them.
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
