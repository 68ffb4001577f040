"""The DICOM class of written files, and their attributes by class.

Classes are CT, MR, CR, DX, US and Secondary Capture. Headers are built from the OutputFormat alone, by an
allow-list; no attribute of a training file is ever copied. Section numbers are those of DICOM PS3.3.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    CTImageStorage,
    DigitalXRayImageStorageForPresentation,
    MRImageStorage,
    SecondaryCaptureImageStorage,
    UltrasoundImageStorage,
)

from medgan import __version__
from medgan.base.errors import OutputError, PlanError
from medgan.scans.dicom.anatomy import UNPAIRED
from medgan.scans.geometry import is_orientation, to_image_orientation
from medgan.scans.provenance import BYTE, MAKER, NOTICES, WORD, stored_range
from medgan.scans.scan import OutputFormat

SOP_CLASSES: Mapping[str, UID] = {
    "ct": CTImageStorage,
    "mr": MRImageStorage,
    "cr": ComputedRadiographyImageStorage,
    "dx": DigitalXRayImageStorageForPresentation,
    "us": UltrasoundImageStorage,
    "sc": SecondaryCaptureImageStorage,
}
"""{`OutputFormat.dicom_class`: SOP class}."""
PLANAR = frozenset({"ct", "mr"})
"""Classes whose images have a position in space (C.7.6.2)."""
_NO_MODALITY = frozenset({"", "OT"})

PER_IMAGE = (
    *("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "SeriesNumber", "InstanceNumber"),
    *("PatientName", "PatientID", "SeriesDescription", "PixelData"),
)
"""Attributes that differ from image to image. All others are the same for all images of an OutputFormat."""
PER_PLANE = ("FrameOfReferenceUID", "ImagePositionPatient")
"""Attributes that also differ, in the planar classes."""

_ALLOWED = frozenset(
    """
    AccessionNumber AcquisitionContextSequence AcquisitionNumber AnatomicRegionSequence BitsAllocated
    BitsStored BodyPartExamined BurnedInAnnotation Columns ContentQualification
    ContributingEquipmentSequence ConversionType DerivationDescription DetectorType EchoTime EchoTrainLength
    FrameOfReferenceUID HighBit ImageComments ImageLaterality ImageOrientationPatient ImagePositionPatient
    ImageType ImagerPixelSpacing InstanceCreationDate InstanceCreationTime InstanceNumber KVP Laterality
    LossyImageCompression MRAcquisitionType Manufacturer ManufacturerModelName Modality PatientBirthDate
    PatientID PatientName PatientOrientation PatientPosition PatientSex PhotometricInterpretation PixelData
    PixelIntensityRelationship PixelIntensityRelationshipSign PixelRepresentation PixelSpacing
    PlanarConfiguration PositionReferenceIndicator PresentationIntentType PresentationLUTShape
    ReferringPhysicianName RepetitionTime RescaleIntercept RescaleSlope RescaleType Rows SOPClassUID
    SOPInstanceUID SamplesPerPixel ScanOptions ScanningSequence SequenceVariant SeriesDescription
    SeriesInstanceUID SeriesNumber SliceThickness SoftwareVersions SpecificCharacterSet StudyDate
    StudyDescription StudyID StudyInstanceUID StudyTime SyntheticData ViewPosition WindowCenter WindowWidth
    """.split()  # noqa: SIM905  # eighty words read better than eighty lines
)
"""All standard attributes that a file of ours may have at its top level."""

_SYNTHESIZING = ("109100", "DCM", "Synthesizing Equipment")  # PS3.16 CID 7005
_PROCESSING = ("109102", "DCM", "Processing Equipment")
_CODE_STRING = re.compile(r"[A-Z0-9 _]{1,16}")  # PS3.5 table 6.2-1, CS

_Attributes = Mapping[str, object]


# --- The class ---


def choose_class(form: OutputFormat) -> tuple[str, str]:
    """The class of the images' modality if it is true of them, else "sc".

    The second value is the reason in words.
    """
    name = form.modality.lower()
    if name not in SOP_CLASSES:
        return "sc", "Secondary Capture, because they share no modality for which medgan has a class"
    reasons = list_obstacles(name, form)
    if reasons:
        return "sc", f"Secondary Capture, because {' and '.join(reasons)}"
    return name, f"DICOM class of their modality, {form.modality}"


def set_class(form: OutputFormat, name: str) -> OutputFormat:
    """The output format in the class asked for, with the modality of that class.

    Raises:
        PlanError: the class does not exist, or would claim what is not true or not known of the images.
    """
    if name not in SOP_CLASSES:
        raise PlanError(
            f"--dicom-class {name!r} is not known",
            hint=f"Give one of auto, {', '.join(SOP_CLASSES)}.",
        )
    reasons = list_obstacles(name, form)
    if reasons:
        raise PlanError(
            f"These images cannot be written as DICOM of class {name}: {'; '.join(reasons)}",
            hint="Remove --dicom-class, or use --dicom-class sc, which fits every image.",
        )
    return replace(form, dicom_class=name, modality=form.modality if name == "sc" else name.upper())


def list_obstacles(name: str, form: OutputFormat) -> list[str]:
    """Why images of this format cannot have a class. Nothing speaks against "sc"."""
    if name == "sc":
        return []
    part = form.body_part.upper() or "an unknown part"
    obstacles = {
        f"their modality is {form.modality}": form.modality not in {*_NO_MODALITY, name.upper()},
        "they have colour": form.channels > 1 and name != "us",
        "their values are not Hounsfield units": name == "ct" and form.unit != "HU",
        "their values are Hounsfield units": name != "ct" and form.unit == "HU",
        f"they have {form.bits} bits, and ultrasound has {BYTE}": name == "us" and form.bits > BYTE,
        # C.7.6.2 and C.8.11.4: Type 1, and an invented number or direction would be believed.
        "the size of their pixels is unknown": name in {*PLANAR, "dx"} and form.spacing_mm is None,
        # C.8.11.2: Image Laterality is Type 1, left, right, both or unpaired.
        "how they lie in the body is unknown": name in {*PLANAR, "dx"}
        and not is_orientation(form.patient_orientation),
        f"they show {part}, which may be left or right": name == "dx" and part not in UNPAIRED,
    }
    return [words for words, holds in obstacles.items() if holds]


# --- The attributes ---


def build_attributes(
    form: OutputFormat, shape: tuple[int, ...], bits_allocated: int, *, synthetic: bool
) -> _Attributes:
    """{keyword: value} of an image. Those that vary from image to image are empty.

    Args:
        form: The output format.
        shape: (H, W) or (H, W, 3).
        bits_allocated: Bits of a stored word.
        synthetic: Whether the images are synthetic or real.

    Raises:
        PlanError: the class of the format is not true of the images.
        OutputError: SOURCE_DATE_EPOCH is not a number.
    """
    # Refuse a class that is not true, then gather what all and what this class's files say.
    set_class(form, form.dicom_class)
    said = {
        "SpecificCharacterSet": "ISO_IR 192",  # UTF-8
        "SOPClassUID": SOP_CLASSES[form.dicom_class],
        **dict.fromkeys(PER_IMAGE, ""),
        **_study(),
        **_series(form),
        **_origin(synthetic),
        **_pixels(form, shape, bits_allocated),
        **_BY_CLASS[form.dicom_class](form),
        **({"ConversionType": "SYN" if synthetic else "WSD"} if form.dicom_class == "sc" else {}),
    }
    assert _ALLOWED.issuperset(said), sorted(set(said) - _ALLOWED)
    return said


def _study() -> _Attributes:
    """Patient, study and dates (C.7.1.1, C.7.2.1, C.12.1).

    What nobody knows is empty (Type 2).
    """
    moment = _moment()
    date, time = (moment.strftime("%Y%m%d"), moment.strftime("%H%M%S")) if moment else ("", "")
    created = {"InstanceCreationDate": date, "InstanceCreationTime": time} if moment else {}
    empty = ("PatientBirthDate", "PatientSex", "StudyID", "AccessionNumber", "ReferringPhysicianName")
    return {"StudyDate": date, "StudyTime": time, **created, **dict.fromkeys(empty, "")}


def _moment() -> datetime | None:
    """The date by SOURCE_DATE_EPOCH, or none, so that equal images have equal bytes.

    https://reproducible-builds.org/specs/source-date-epoch/
    """
    seconds = os.environ.get("SOURCE_DATE_EPOCH", "")
    try:
        return datetime.fromtimestamp(int(seconds), UTC) if seconds else None
    except (ValueError, OverflowError, OSError) as error:
        raise OutputError(
            f"SOURCE_DATE_EPOCH is {seconds!r}, which is not a number of seconds since 1970",
            hint="Unset it, or set it to the output of: date +%s",
        ) from error


def _series(form: OutputFormat) -> _Attributes:
    """Modality, body part and laterality (C.7.3.1).

    Laterality (2C) is there, empty, unless the body part is known to have no left and right.
    """
    part = _code_string(form.body_part)
    return {
        "Modality": _code_string(form.modality) or "OT",
        **({"BodyPartExamined": part} if part else {}),
        **({} if part in UNPAIRED else {"Laterality": ""}),
    }


def _origin(synthetic: bool) -> _Attributes:
    """Where the image comes from, in attributes that de-identification keeps.

    C.12.1 and C.7.5.1. Patient Identity Removed is left out, because nobody was de-identified here. That no
    text is burned in and that no compression lost anything is known of synthetic images only.
    """
    verb = "Synthesized by a generative adversarial network" if synthetic else "Resampled from a real image"
    # The equipment that made the image (C.12.1).
    equipment = Dataset()
    equipment.Manufacturer = MAKER
    equipment.ManufacturerModelName = MAKER
    equipment.SoftwareVersions = __version__
    equipment.ContributionDescription = verb
    equipment.PurposeOfReferenceCodeSequence = [_code(*(_SYNTHESIZING if synthetic else _PROCESSING))]
    return {
        "SyntheticData": "YES" if synthetic else "NO",
        "ImageType": ["DERIVED", "SECONDARY"],
        "ContentQualification": "RESEARCH",
        "ContributingEquipmentSequence": [equipment],
        "Manufacturer": MAKER,
        "ManufacturerModelName": MAKER,
        "SoftwareVersions": __version__,
        "StudyDescription": NOTICES[synthetic],
        "ImageComments": NOTICES[synthetic],
        "DerivationDescription": verb,
        **({"BurnedInAnnotation": "NO", "LossyImageCompression": "00"} if synthetic else {}),
    }


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code


def _pixels(form: OutputFormat, shape: tuple[int, ...], bits_allocated: int) -> _Attributes:
    """Native pixels (C.7.6.3) and what their values mean.

    Hounsfield units are stored as they are (C.11.1, slope 1). Gray images have a window that shows all
    values.
    """
    gray = form.channels == 1
    bits = WORD if form.unit == "HU" else form.bits
    low, high = stored_range(form)
    # C.11.2.1.2.1, LINEAR: black up to centre - 0.5 - (width - 1) / 2,
    # white above centre - 0.5 + (width - 1) / 2.
    width = max(high - low + 1, 1.0)
    window = {"WindowCenter": format_decimal((low + high + 1) / 2), "WindowWidth": format_decimal(width)}
    rescale = {"RescaleIntercept": "0", "RescaleSlope": "1", "RescaleType": "HU"}
    return {
        "SamplesPerPixel": form.channels,
        "PhotometricInterpretation": "MONOCHROME2" if gray else "RGB",
        **({} if gray else {"PlanarConfiguration": 0}),
        "Rows": shape[0],
        "Columns": shape[1],
        "BitsAllocated": bits_allocated,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": int(form.unit == "HU"),
        **(window if gray else {}),
        **(rescale if form.unit == "HU" else {}),
    }


def _ct(form: OutputFormat) -> _Attributes:
    """Attributes of CT (C.8.2.1)."""
    return {
        "ImageType": [
            "DERIVED",
            "SECONDARY",
            "AXIAL" if set(form.patient_orientation) <= set("LRAP\\") else "MPR",
        ],
        "KVP": None,
        "AcquisitionNumber": None,
        **_plane(form),
    }


def _mr(form: OutputFormat) -> _Attributes:
    """Attributes of MR (C.8.3.1).

    RM is Research Mode: no sequence was run.
    """
    empty = ("ScanOptions", "MRAcquisitionType", "RepetitionTime", "EchoTime", "EchoTrainLength")
    return {
        "ImageType": ["DERIVED", "SECONDARY", "OTHER"],
        "ScanningSequence": "RM",
        "SequenceVariant": "NONE",
        **dict.fromkeys(empty),
        **_plane(form),
    }


def _plane(form: OutputFormat) -> _Attributes:
    """A plane in the training images' orientation (C.7.6.2, C.7.4.1).

    It is at the origin of a frame of reference of its own.
    """
    thickness = form.spacing_mm[0] if form.spacing_mm else 0.0
    return {
        **dict.fromkeys(PER_PLANE, ""),
        "PositionReferenceIndicator": "",
        "ImageOrientationPatient": [str(cosine) for cosine in to_image_orientation(form.patient_orientation)],
        "PatientPosition": "",
        "SliceThickness": format_decimal(thickness) if thickness > 0 else None,
        **_spacing(form, "PixelSpacing"),
    }


def _cr(form: OutputFormat) -> _Attributes:
    """Attributes of CR (C.8.1.1, C.8.1.2).

    The pixel size is given at the detector (10.7.1.3), because no calibration is known.
    """
    return {
        "BodyPartExamined": _code_string(form.body_part),
        "ViewPosition": "",
        "PatientOrientation": _sides(form),
        **_spacing(form, "ImagerPixelSpacing"),
    }


def _dx(form: OutputFormat) -> _Attributes:
    """Attributes of DX for presentation (C.8.11.1 to C.8.11.4).

    Values go to the screen as they are. Burned In Annotation and Lossy Image Compression are Type 1 here, so
    real images too say what inputs usually are.
    """
    return {
        "ImageType": ["DERIVED", "SECONDARY", ""],
        "PresentationIntentType": "FOR PRESENTATION",
        "ImageLaterality": "U",
        "AnatomicRegionSequence": [_anatomy(_code_string(form.body_part))],
        "PatientOrientation": _sides(form),
        "PixelIntensityRelationship": "LOG",
        "PixelIntensityRelationshipSign": -1,
        "RescaleIntercept": "0",
        "RescaleSlope": "1",
        "RescaleType": "US",
        "PresentationLUTShape": "IDENTITY",
        "DetectorType": "",
        "BurnedInAnnotation": "NO",
        "LossyImageCompression": "00",
        "AcquisitionContextSequence": [],
        **_spacing(form, "ImagerPixelSpacing"),
    }


def _anatomy(part: str) -> Dataset:
    code, meaning = UNPAIRED[part]
    return _code(code, "SCT", meaning)


def _us(form: OutputFormat) -> _Attributes:
    """Attributes of US (C.8.5.6).

    Pixel Spacing, where known, extends the class: most readers look there before the region calibration.
    """
    return {"PatientOrientation": _sides(form), **_spacing(form, "PixelSpacing")}


def _secondary_capture(form: OutputFormat) -> _Attributes:
    """Attributes of Secondary Capture (C.8.6.1).

    Pixel Spacing is added where it is known (10.7.1.3).
    """
    return {"PatientOrientation": _sides(form), **_spacing(form, "PixelSpacing")}


def _sides(form: OutputFormat) -> str | list[str]:
    """Patient Orientation (C.7.6.1.1.1), empty where it is unknown."""
    return form.patient_orientation.split("\\") if is_orientation(form.patient_orientation) else ""


def _spacing(form: OutputFormat, keyword: str) -> _Attributes:
    """Row spacing, then column spacing (10.7.1.3)."""
    return {keyword: [format_decimal(side) for side in form.spacing_mm[1:]]} if form.spacing_mm else {}


_BY_CLASS: Mapping[str, Callable[[OutputFormat], _Attributes]] = {
    "ct": _ct,
    "mr": _mr,
    "cr": _cr,
    "dx": _dx,
    "us": _us,
    "sc": _secondary_capture,
}


def _code_string(text: str) -> str:
    """Text as a CS value, or "" where it cannot be one."""
    return text.upper() if _CODE_STRING.fullmatch(text.upper()) else ""


def format_decimal(number: float) -> str:
    """Format a number as a DS value of at most 16 characters."""
    return f"{number:.9g}"
