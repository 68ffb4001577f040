"""An image in [0, 1] with its Form and Mark -> a DICOM file: CT Image where that can be said truthfully, else Secondary Capture.

Headers are built from nothing but Form and Mark, by an allow-list; no attribute of a training file is ever copied. A real
image prepared by medgan differs from a synthetic one only where the truth differs.
"""

from __future__ import annotations

import io
import os
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from medgan.errors import OutputError
from medgan.files import digest, digest_of, write_bytes
from medgan.scans.provenance import BYTE, MAKER, NOTICES, Stored, stored_range, stored_values, version
from medgan.scans.scan import Form, Mark, Pixels

SUFFIX = ".dcm"
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://medgan.invalid/dicom")
"""Root of all our UIDs: 2.25 and a version 5 UUID (PS3.5 B.2), so nobody's organisational root is borrowed."""
PRIVATE_GROUP = 0x4D47
PRIVATE_CREATOR = "MEDGAN"
ALLOWED = frozenset(
    [
        "AccessionNumber",
        "AcquisitionNumber",
        "BitsAllocated",
        "BitsStored",
        "BodyPartExamined",
        "Columns",
        "ContentQualification",
        "ContributingEquipmentSequence",
        "ConversionType",
        "DerivationDescription",
        "FrameOfReferenceUID",
        "HighBit",
        "ImageComments",
        "ImageOrientationPatient",
        "ImagePositionPatient",
        "ImageType",
        "InstanceCreationDate",
        "InstanceCreationTime",
        "InstanceNumber",
        "KVP",
        "Laterality",
        "Manufacturer",
        "ManufacturerModelName",
        "Modality",
        "PatientBirthDate",
        "PatientID",
        "PatientName",
        "PatientOrientation",
        "PatientPosition",
        "PatientSex",
        "PhotometricInterpretation",
        "PixelData",
        "PixelRepresentation",
        "PixelSpacing",
        "PlanarConfiguration",
        "PositionReferenceIndicator",
        "ReferringPhysicianName",
        "RescaleIntercept",
        "RescaleSlope",
        "RescaleType",
        "Rows",
        "SOPClassUID",
        "SOPInstanceUID",
        "SamplesPerPixel",
        "SeriesDescription",
        "SeriesInstanceUID",
        "SeriesNumber",
        "SliceThickness",
        "SoftwareVersions",
        "SpecificCharacterSet",
        "StudyDate",
        "StudyDescription",
        "StudyID",
        "StudyInstanceUID",
        "StudyTime",
        "SyntheticData",
        "WindowCenter",
        "WindowWidth",
    ]
)
"""Every standard attribute that a file of ours may have at its top level."""

_UNPAIRED = frozenset(
    [
        "ABDOMEN",
        "BLADDER",
        "BRAIN",
        "CHEST",
        "CSPINE",
        "HEAD",
        "HEART",
        "LIVER",
        "LSPINE",
        "NECK",
        "PELVIS",
        "SKULL",
        "SPINE",
        "TSPINE",
    ]
)
_SYNTHESIZING = ("109100", "DCM", "Synthesizing Equipment")  # PS3.16 CID 7005
_PROCESSING = ("109102", "DCM", "Processing Equipment")
_GRAY_AXES = 2
_CODE_STRING = re.compile(r"[A-Z0-9 _]{1,16}")  # PS3.5 table 6.2-1, CS
_NOT_TEXT = re.compile(r"[\x00-\x1f\x7f\\]")  # PS3.5 table 6.2-1, LO: no control characters, no backslash
_LONG_STRING = 64

Attributes = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class _Names:
    """Who and which: made from the content alone, so equal content has equal names on every machine."""

    patient: str
    study: UID
    series: UID
    frame: UID
    instance: UID


def write(path: Path, pixels: Pixels, form: Form, mark: Mark) -> None:
    """One image, (H, W) or (H, W, 3) in [0, 1], as a Part 10 file in Explicit VR Little Endian.

    Raises:
        OutputError: SOURCE_DATE_EPOCH is no number, or the disk refuses.
    """
    stored = stored_values(pixels, form)
    dataset = _dataset(stored, form, mark)
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, dataset, enforce_file_format=True)
    write_bytes(path, buffer.getvalue())


def sop_class(form: Form, stored: Stored) -> UID:
    """CT Image Storage for gray HU of known pixel size, else Secondary Capture Image Storage.

    A CT Image must say its pixel spacing (PS3.3 C.7.6.2, Type 1). Where it is unknown an invented number would be
    measured with, so the HU then travel in a Secondary Capture with Rescale Type HU and no spacing.
    """
    truthful = form.modality == "CT" and form.unit == "HU" and form.spacing_mm is not None
    return CTImageStorage if truthful and stored.ndim == _GRAY_AXES else SecondaryCaptureImageStorage


def _dataset(stored: Stored, form: Form, mark: Mark) -> Dataset:
    names = _names(stored, form, mark)
    kind = sop_class(form, stored)
    attributes: dict[str, object] = {
        "SpecificCharacterSet": "ISO_IR 192",  # UTF-8
        "SOPClassUID": kind,
        "SOPInstanceUID": names.instance,
        **_patient_and_study(names),
        **_series(form, mark, names),
        **_origin(mark),
        **_pixel_attributes(stored),
        **_values(stored, form),
        **(_ct(form, names) if kind == CTImageStorage else _secondary_capture(form, mark)),
    }
    assert ALLOWED.issuperset(attributes), sorted(set(attributes) - ALLOWED)
    dataset = Dataset()
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    dataset["PixelData"].VR = "OB" if stored.dtype.itemsize == 1 else "OW"  # PS3.5 A.2
    _private(dataset, mark)
    dataset.file_meta = _file_meta(kind, names.instance)
    return dataset


def _names(stored: Stored, form: Form, mark: Mark) -> _Names:
    """UIDs and patient of one image.

    Study and series follow the patient: a study may belong to one patient only (PS3.3 A.1.2), and images that are not
    slices of one body must not share a series, or viewers and converters stack them into a volume that never was.
    """
    content = digest(stored.tobytes(), str(stored.shape), digest_of(form))
    origin = f"synthetic|{mark.model}|{mark.seed}" if mark.synthetic else f"real|{mark.patient}"
    image = f"{origin}|{mark.label}|{mark.index}|{content}"
    person = mark.patient if mark.patient and not mark.synthetic else digest(image)
    study = f"{origin}|{mark.label}|{person}"
    return _Names(
        patient=("SYN-" if mark.synthetic else "REAL-") + person[:16].upper(),
        study=_uid("study", study),
        series=_uid("series", image),
        frame=_uid("frame of reference", image),
        instance=_uid("instance", image),
    )


def _uid(kind: str, content: str) -> UID:
    return UID(f"2.25.{uuid.uuid5(NAMESPACE, f'{kind}|{content}').int}")


def _patient_and_study(names: _Names) -> Attributes:
    """PS3.3 C.7.1.1, C.7.2.1, and the dates of C.12.1; what nobody knows is empty (Type 2)."""
    moment = _moment()
    date, time = (moment.strftime("%Y%m%d"), moment.strftime("%H%M%S")) if moment else ("", "")
    created = {"InstanceCreationDate": date, "InstanceCreationTime": time} if moment else {}
    empty = dict.fromkeys(
        ("PatientBirthDate", "PatientSex", "StudyID", "AccessionNumber", "ReferringPhysicianName"), ""
    )
    return {
        "PatientName": names.patient.replace("-", "^"),
        "PatientID": names.patient,
        "StudyInstanceUID": names.study,
        "StudyDate": date,
        "StudyTime": time,
        **created,
        **empty,
    }


def _moment() -> datetime | None:
    """SOURCE_DATE_EPOCH (https://reproducible-builds.org/specs/source-date-epoch/); without it, no date: equal bytes always."""
    seconds = os.environ.get("SOURCE_DATE_EPOCH", "")
    try:
        return datetime.fromtimestamp(int(seconds), UTC) if seconds else None
    except (ValueError, OverflowError, OSError) as error:
        raise OutputError(
            f"SOURCE_DATE_EPOCH is {seconds!r}, which is no number of seconds since 1970",
            hint="Unset it, or set it to the output of: date +%s",
        ) from error


def _series(form: Form, mark: Mark, names: _Names) -> Attributes:
    """PS3.3 C.7.3.1; Laterality (2C) is there, empty, unless the body part is known to have no pair."""
    part = _code_string(form.body_part)
    return {
        "Modality": _code_string(form.modality) or "OT",
        "SeriesInstanceUID": names.series,
        "SeriesNumber": 1,
        "InstanceNumber": mark.index,
        "SeriesDescription": _text(mark.label),
        **({"BodyPartExamined": part} if part else {}),
        **({} if part in _UNPAIRED else {"Laterality": ""}),
    }


def _origin(mark: Mark) -> Attributes:
    """Where the image comes from, in attributes that de-identification keeps (PS3.3 C.12.1, C.7.5.1) and in words.

    Patient Identity Removed is left out: nobody was de-identified here.
    """
    purpose = _SYNTHESIZING if mark.synthetic else _PROCESSING
    verb = (
        "Synthesized by a generative adversarial network" if mark.synthetic else "Resampled from a real image"
    )
    equipment = Dataset()
    equipment.Manufacturer = MAKER
    equipment.ManufacturerModelName = MAKER
    equipment.SoftwareVersions = version()
    equipment.ContributionDescription = verb
    equipment.PurposeOfReferenceCodeSequence = [_code(*purpose)]
    return {
        "SyntheticData": "YES" if mark.synthetic else "NO",
        "ContentQualification": "RESEARCH",
        "ContributingEquipmentSequence": [equipment],
        "Manufacturer": MAKER,
        "ManufacturerModelName": MAKER,
        "SoftwareVersions": version(),
        "StudyDescription": NOTICES[mark.synthetic],
        "ImageComments": NOTICES[mark.synthetic],
        "DerivationDescription": verb,
    }


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code


def _pixel_attributes(stored: Stored) -> Attributes:
    """PS3.3 C.7.6.3, native; Pixel Data has an even number of bytes (PS3.5 8.1.1)."""
    gray = stored.ndim == _GRAY_AXES
    little = stored.astype(stored.dtype.newbyteorder("<")).tobytes()
    return {
        "SamplesPerPixel": 1 if gray else stored.shape[2],
        "PhotometricInterpretation": "MONOCHROME2" if gray else "RGB",
        **({} if gray else {"PlanarConfiguration": 0}),
        "Rows": stored.shape[0],
        "Columns": stored.shape[1],
        "BitsAllocated": stored.dtype.itemsize * BYTE,
        "PixelRepresentation": int(stored.dtype.kind == "i"),
        "PixelData": little + b"\0" * (len(little) % 2),
    }


def _values(stored: Stored, form: Form) -> Attributes:
    """What stored values mean: HU as they are (PS3.3 C.11.1, slope 1), and for gray the window that shows them all."""
    bits = stored.dtype.itemsize * BYTE if form.unit == "HU" else form.bits
    depth: dict[str, object] = {"BitsStored": bits, "HighBit": bits - 1}
    if stored.ndim != _GRAY_AXES:
        return depth
    low, high = stored_range(form)
    # PS3.3 C.11.2.1.2.1, LINEAR: black up to centre - 0.5 - (width - 1) / 2, white above centre - 0.5 + (width - 1) / 2
    width = max(high - low + 1, 1.0)
    window = {"WindowCenter": _decimal((low + high + 1) / 2), "WindowWidth": _decimal(width)}
    rescale = {"RescaleIntercept": "0", "RescaleSlope": "1", "RescaleType": "HU"} if form.unit == "HU" else {}
    return depth | window | rescale


def _secondary_capture(form: Form, mark: Mark) -> Attributes:
    """PS3.3 C.8.6.1 with SYN (Synthetic Image) or WSD (Workstation); Pixel Spacing by 10.7.1.3 when known."""
    return {
        "ImageType": ["DERIVED", "SECONDARY"],
        "ConversionType": "SYN" if mark.synthetic else "WSD",
        "PatientOrientation": "",
        **_spacing(form),
    }


def _ct(form: Form, names: _Names) -> Attributes:
    """PS3.3 C.8.2.1, C.7.6.2, C.7.4.1: an axial plane at the origin of a frame of reference of its own.

    No real coordinates are known, and Form tells no plane, so coronal and sagittal training images are written so too.
    """
    thickness = form.spacing_mm[0] if form.spacing_mm else 0.0
    return {
        "ImageType": ["DERIVED", "SECONDARY", "AXIAL"],
        "FrameOfReferenceUID": names.frame,
        "PositionReferenceIndicator": "",
        "ImageOrientationPatient": ["1", "0", "0", "0", "1", "0"],
        "ImagePositionPatient": ["0", "0", "0"],
        "PatientPosition": "",
        "SliceThickness": _decimal(thickness) if thickness > 0 else None,
        "KVP": None,
        "AcquisitionNumber": None,
        **_spacing(form),
    }


def _spacing(form: Form) -> Attributes:
    """PixelSpacing is row spacing, then column spacing (PS3.3 10.7.1.3)."""
    return {"PixelSpacing": [_decimal(side) for side in form.spacing_mm[1:]]} if form.spacing_mm else {}


def _private(dataset: Dataset, mark: Mark) -> None:
    """Model, seed, label, index, exactly; a second record only, for de-identification removes it."""
    block = dataset.private_block(PRIVATE_GROUP, PRIVATE_CREATOR, create=True)
    if mark.synthetic:
        block.add_new(0x01, "LO", _text(mark.model))
        block.add_new(0x02, "LO", "" if mark.seed is None else str(mark.seed))
    block.add_new(0x03, "LO", _text(mark.label))
    block.add_new(0x04, "LO", str(mark.index))


def _file_meta(kind: UID, instance: UID) -> FileMetaDataset:
    """PS3.10 7.1 with our own implementation, else pydicom would sign with its version."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = kind
    meta.MediaStorageSOPInstanceUID = instance
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = _uid("implementation", MAKER)
    meta.ImplementationVersionName = f"MEDGAN {version()}"[:16]  # SH
    return meta


def _code_string(text: str) -> str:
    """Text as a CS value, empty when it cannot be one."""
    return text.upper() if _CODE_STRING.fullmatch(text.upper()) else ""


def _text(text: str) -> str:
    """Text as an LO value."""
    return _NOT_TEXT.sub("_", text)[:_LONG_STRING].strip()


def _decimal(number: float) -> str:
    """A DS value: at most 16 characters."""
    return f"{number:.9g}"
