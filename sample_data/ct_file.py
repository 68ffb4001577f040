"""CT slices as DICOM files, with the words that a scanner writes and a patient who says to be a phantom."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

STEP, INTERCEPT, PADDING = 4, -1024, -2000
"""HU = STEP * stored + INTERCEPT, in steps far below the noise, so that the files stay small.

Where the scanner saw nothing, PADDING is stored, a value that no tissue has.
"""


@dataclass(frozen=True)
class Place:
    """Whose slice it is, and where it lies."""

    patient: str
    number: int
    """Of the slice among those of the patient, from 1."""
    z: float
    """Towards the head, in mm."""
    thickness: float
    mm: float
    """Per pixel."""


def write_ct(
    path: Path, hounsfield: NDArray[np.int16], padded: NDArray[np.bool_], place: Place, plain: bool
) -> None:
    """Write one slice, deflated unless `plain`."""
    dataset = Dataset()
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = _uid("instance", path.stem)
    dataset.StudyInstanceUID = _uid("study", place.patient)
    dataset.SeriesInstanceUID = _uid("series", place.patient)
    dataset.FrameOfReferenceUID = _uid("frame", place.patient)
    for keyword, value in (_SCANNER | _words(place, hounsfield.shape[0])).items():
        setattr(dataset, keyword, value)
    stored = np.where(padded, PADDING, (hounsfield - INTERCEPT + STEP // 2) // STEP)
    dataset.Rows, dataset.Columns = stored.shape
    dataset.PixelData = stored.astype("<i2").tobytes()
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian if plain else DeflatedExplicitVRLittleEndian
    meta.ImplementationClassUID = _uid("medgan sample data")
    meta.ImplementationVersionName = "SAMPLE_DATA"  # not pydicom's own, which changes with its version
    dataset.file_meta = meta
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)


def _words(place: Place, side: int) -> dict[str, object]:
    """What differs between slices."""
    corner = -place.mm * (side - 1) / 2
    return {
        "PatientName": f"Phantom^{place.patient}",
        "PatientID": place.patient,
        "InstanceNumber": str(place.number),
        "SliceThickness": f"{place.thickness:g}",
        "SliceLocation": f"{place.z:g}",
        "ImagePositionPatient": [corner, corner, place.z],
        "PixelSpacing": [place.mm, place.mm],
        "ReconstructionDiameter": f"{place.mm * side:g}",
    }


_SCANNER: dict[str, object] = {
    "ImageType": ["DERIVED", "SECONDARY", "AXIAL"],
    "StudyDate": "20260301",
    "StudyTime": "",
    "AccessionNumber": "",
    "Modality": "CT",
    "Manufacturer": "sample_data/make.py",
    "ReferringPhysicianName": "",
    "PatientBirthDate": "",
    "PatientSex": "",
    "BodyPartExamined": "CHEST",
    "KVP": "120",
    "ConvolutionKernel": "STANDARD",
    "GantryDetectorTilt": "0",
    "PatientPosition": "HFS",
    "StudyID": "",
    "SeriesNumber": "1",
    "AcquisitionNumber": "1",
    "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
    "PositionReferenceIndicator": "",
    "ImageComments": "Generated phantom, no patient",
    "SamplesPerPixel": 1,
    "PhotometricInterpretation": "MONOCHROME2",
    "BitsAllocated": 16,
    "BitsStored": 16,
    "HighBit": 15,
    "PixelRepresentation": 1,
    "PixelPaddingValue": PADDING,
    "BurnedInAnnotation": "NO",
    "WindowCenter": "-600",
    "WindowWidth": "1500",
    "RescaleIntercept": str(INTERCEPT),
    "RescaleSlope": str(STEP),
    "RescaleType": "HU",
}
"""What all slices say."""


def _uid(*words: str) -> UID:
    """A UID under 2.25 (PS3.5 B.2: a 128-bit number) that depends on these words alone."""
    number = hashlib.sha256("/".join(["sample_data", *words]).encode()).digest()[:16]
    return UID(f"2.25.{int.from_bytes(number, 'big')}")
