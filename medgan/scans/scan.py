"""Header, Scan, OutputFormat and Provenance: the classes of reading and writing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a file says about itself before its pixels are decoded."""

    format: str
    """The reader for the file: "dicom", "nifti", "png", "jpeg" or "tiff"."""
    shape: tuple[int, ...]
    """(Z, Y, X): frames or slices, rows, columns, as `read` returns them (NIfTI: after reorientation)."""
    channels: int = 1
    """1 (gray) or 3 (RGB)."""
    bits: int = 8
    """Bits per stored value: DICOM BitsStored, or the data type's width."""
    modality: str = ""
    """DICOM Modality ("CT", "MR", "CR", "US", ...). Empty where the file gives none, or none that the
    standard defines."""
    spacing_mm: tuple[float, ...] | None = None
    """(Z, Y, X) in millimetres, with 0.0 for a Z without meaning; None when unknown."""
    patient: str = ""
    """Raw patient identifier (DICOM PatientID and IssuerOfPatientID). Private: it is only hashed, never
    written."""
    instance: str = ""
    """DICOM SOPInstanceUID. Two files with the same value hold the same image."""
    series: str = ""
    """DICOM SeriesInstanceUID."""
    position: tuple[float, ...] | None = None
    """DICOM ImagePositionPatient (x, y, z) in millimetres, LPS."""
    orientation: tuple[float, ...] | None = None
    """DICOM ImageOrientationPatient (six direction cosines)."""
    stacking: tuple[str, ...] = ()
    """Values that must also be equal for two files to be slices of one volume (ImageType 3 and 4, echo,
    acquisition, ...)."""
    instance_number: int = 0
    """DICOM InstanceNumber. It only breaks ties, because it is not a spatial order."""
    label: str = ""
    """Value of the attribute that holds the label (`--label-from-tag`)."""
    body_part: str = ""
    """DICOM BodyPartExamined; empty where the standard does not define the value."""
    photometric: str = ""
    """DICOM PhotometricInterpretation where the standard defines it, or Pillow's mode; empty when unknown."""
    scanner: str = ""
    """Raw text about what took or compressed the picture: maker, model, station, institution, quantisation
    tables of a JPEG. Private: it is only hashed, never written. Empty when unknown."""
    kinds: int = 1
    """Number of series among the frames. It is more than 1 where an enhanced DICOM file holds frames that
    show different things, or several stacks; all other fields then describe the first series."""
    notes: tuple[str, ...] = ()
    """Warnings by code, such as "burned-in-possible", "repaired:no-meta", "no-orientation"."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scan:
    """Pixels in a meaningful unit.

    Rescale, VOI and polarity are resolved (bright is bright), and padding is background.
    """

    pixels: Pixels
    """(Z, Y, X) or (Z, Y, X, 3), float32, rows top to bottom, columns left to right as displayed."""
    meaning: str = "raw"
    """"HU"; "raw" (arbitrary units); "stored" (fixed scale 0 .. 2**bits - 1, as in 8-bit images); "display"
    (0 .. 1, after the VOI transform)."""
    spacing_mm: tuple[float, ...] | None = None
    """(Z, Y, X) in millimetres; None when unknown."""
    patient_orientation: str = ""
    r"""Where rows and columns run to in the patient, as in DICOM's Patient Orientation: "L\\P" for an axial
    slice. Empty where the file does not say, or the directions are oblique."""
    modality: str = ""
    """DICOM Modality; empty when unknown."""
    bits: int = 8
    """Bits per stored value."""
    notes: tuple[str, ...] = ()
    """Warnings by code, those of the header and those found while decoding (such as "constant")."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputFormat:
    """How the images of a data set are written.

    All of them, real and synthetic, are written alike. Otherwise a classifier would learn the format.
    """

    format: str
    """"dicom", "nifti" or "png"."""
    low: float
    """The value that pixel 0.0 stands for, in `unit`."""
    high: float
    """The value that pixel 1.0 stands for, in `unit`."""
    unit: str
    """"HU", "stored" (integers low .. high) or "relative" (each scan scaled by its own percentiles)."""
    bits: int = 8
    """Bits per written value: 8, 12 or 16."""
    channels: int = 1
    """1 (gray) or 3 (RGB)."""
    modality: str = ""
    """DICOM Modality of the training data where they share one, else empty ("OT" is written)."""
    body_part: str = ""
    """DICOM BodyPartExamined where all training images share it."""
    spacing_mm: tuple[float, ...] | None = None
    """(Z, Y, X) of the written image in millimetres; None when unknown."""
    patient_orientation: str = ""
    r"""Where rows and columns run to in the patient ("L\\P": axial) where all training images share it;
    otherwise empty, and files give none."""
    dicom_class: str = "sc"
    """Kind of DICOM object: "ct", "mr", "cr", "dx", "us", or "sc" (Secondary Capture), which needs no further
    facts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where one written image comes from."""

    synthetic: bool
    label: str
    index: int
    """Position in its class, from 1. It becomes SeriesNumber in DICOM."""
    seed: int | None = None
    """Seed of a synthetic image."""
    model: str = ""
    """Digest of the model (SHA-256, hex) of a synthetic image."""
    patient: str = ""
    """Digest that stands for the patient of a real image."""
