"""The nouns of reading and writing: Header (what a file says), Scan (pixels with meaning), Form and Mark (how to write)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a file says of itself before its pixels are decoded."""

    format: str
    """Which reader fits: "dicom", "nifti", "png", "jpeg" or "tiff"."""
    shape: tuple[int, ...]
    """(Z, Y, X): frames or slices, rows, columns, as `read` will give them (NIfTI: after reorientation)."""
    channels: int = 1
    """1 (gray) or 3 (RGB)."""
    bits: int = 8
    """Bits per stored value: DICOM BitsStored, or the data type's width."""
    modality: str = ""
    """DICOM Modality ("CT", "MR", "CR", "US", ...); empty when the file does not say, or says none that the standard defines."""
    spacing_mm: tuple[float, ...] | None = None
    """(Z, Y, X) in millimetres, 0.0 for a Z that has no meaning; None when unknown."""
    patient: str = ""
    """Raw patient identifier (DICOM PatientID and IssuerOfPatientID). Private: never written, only hashed."""
    instance: str = ""
    """DICOM SOPInstanceUID; the same value twice is the same image twice."""
    series: str = ""
    """DICOM SeriesInstanceUID."""
    position: tuple[float, ...] | None = None
    """DICOM ImagePositionPatient (x, y, z) in millimetres, LPS."""
    orientation: tuple[float, ...] | None = None
    """DICOM ImageOrientationPatient (six direction cosines)."""
    stacking: tuple[str, ...] = ()
    """What must also be equal for two files to be slices of one volume (ImageType 3 and 4, echo, acquisition, ...)."""
    instance_number: int = 0
    """DICOM InstanceNumber; breaks ties only, it is no spatial order."""
    label: str = ""
    """Value of the attribute asked for as label (`--label-from-tag`)."""
    body_part: str = ""
    """DICOM BodyPartExamined; empty where it is none of the standard's."""
    photometric: str = ""
    """DICOM PhotometricInterpretation where it is one of the standard's, or Pillow's mode; empty when unknown."""
    scanner: str = ""
    """Raw words of what took or compressed the picture: maker, model, station, institution, quantisation tables of a JPEG. Private: never
    written, only hashed. Empty when unknown."""
    kinds: int = 1
    """How many series its frames are: more than 1 where an enhanced DICOM file holds frames that show different things, or several stacks.
    All else is said of the first."""
    notes: tuple[str, ...] = ()
    """Warnings by code, such as "burned-in-possible", "repaired:no-meta", "no-orientation"."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scan:
    """Pixels with meaning: rescale, VOI and polarity are resolved (bright is bright), padding is background."""

    pixels: Pixels
    """(Z, Y, X) or (Z, Y, X, 3), float32, rows top to bottom, columns left to right as displayed."""
    meaning: str = "raw"
    """"HU"; "raw" (arbitrary units); "stored" (fixed scale 0 .. 2**bits - 1, as in 8-bit images); "display" (0 .. 1, after VOI)."""
    spacing_mm: tuple[float, ...] | None = None
    """(Z, Y, X) in millimetres; None when unknown."""
    patient_orientation: str = ""
    """Where rows and where columns run to in the patient, as in DICOM's Patient Orientation: "L\\P" of an axial slice. Empty where
    the file does not say, or the directions are oblique."""
    modality: str = ""
    """DICOM Modality; empty when unknown."""
    bits: int = 8
    """Bits per stored value."""
    notes: tuple[str, ...] = ()
    """Warnings by code, those of the header and those found while decoding (such as "constant")."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputFormat:
    """How a data set's images are written: one form for all of them, real and synthetic, or a classifier learns the form."""

    format: str
    """"dicom", "nifti" or "png"."""
    low: float
    """The value that pixel 0.0 stands for, in `unit`."""
    high: float
    """The value that pixel 1.0 stands for, in `unit`."""
    unit: str
    """"HU", "stored" (integers low .. high) or "relative" (each scan scaled by its own percentiles)."""
    bits: int = 8
    """Bits per stored value written: 8, 12 or 16."""
    channels: int = 1
    """1 (gray) or 3 (RGB)."""
    modality: str = ""
    """DICOM Modality of the training data when they share one, else empty ("OT" is written)."""
    body_part: str = ""
    """DICOM BodyPartExamined when all training images share it."""
    spacing_mm: tuple[float, ...] | None = None
    """(Z, Y, X) of the written image in millimetres; None when unknown."""
    patient_orientation: str = ""
    """Where rows and columns run to in the patient when all training images share it ("L\\P": axial), else empty: then files claim none."""
    dicom_class: str = "sc"
    """Kind of DICOM object: "ct", "mr", "cr", "dx", "us", or "sc" (Secondary Capture), of which nothing more need be known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What one written image says about where it came from."""

    synthetic: bool
    label: str
    index: int
    """Position in its class, from 1; SeriesNumber in DICOM."""
    seed: int | None = None
    """Seed of a synthetic image."""
    model: str = ""
    """Model digest (sha256 hex) of a synthetic image."""
    patient: str = ""
    """Of a real image: the digest that stands for its patient."""
