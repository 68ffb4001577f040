"""DICOM phantoms: small files made from arrays, sound by default, with any attribute set wrong on request."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, generate_uid

SYNTAX = ExplicitVRLittleEndian


def ramp(rows: int = 8, columns: int = 8, *, start: int = 0, dtype: Any = np.uint16) -> np.ndarray:
    """An image of consecutive numbers: no two pixels are alike, so any scrambling shows."""
    return (np.arange(rows * columns).reshape(rows, columns) + start).astype(dtype)


def dataset(pixels: np.ndarray, **attributes: Any) -> Dataset:
    """A sound CT slice around `pixels`; `attributes` replace or, when None, remove."""
    colour = pixels.ndim > 2 and pixels.shape[-1] == 3
    frames = pixels.ndim - (3 if colour else 2)
    made = Dataset()
    defaults = {
        "SOPClassUID": CTImageStorage,
        "SOPInstanceUID": uid_without("7350"),
        "SeriesInstanceUID": "1.2.3.4",
        "Modality": "CT",
        "PatientID": "P1",
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "Rows": pixels.shape[frames],
        "Columns": pixels.shape[frames + 1],
        "SamplesPerPixel": 3 if colour else 1,
        "PhotometricInterpretation": "RGB" if colour else "MONOCHROME2",
        "BitsAllocated": 8 * pixels.itemsize,
        "BitsStored": 8 * pixels.itemsize,
        "HighBit": 8 * pixels.itemsize - 1,
        "PixelRepresentation": int(np.issubdtype(pixels.dtype, np.signedinteger)),
        "PlanarConfiguration": 0 if colour else None,
        "NumberOfFrames": pixels.shape[0] if frames else None,
        "PixelData": pixels.tobytes() + b"\0" * (pixels.nbytes % 2),
    }
    if attributes.get("SOPClassUID", CTImageStorage) == CTImageStorage:
        defaults |= {"RescaleSlope": 1, "RescaleIntercept": 0}  # both Type 1 there
    for keyword, value in (defaults | attributes).items():
        if value is not None:
            setattr(made, keyword, value)
    if "PixelData" in made:
        made["PixelData"].VR = "OB" if made.BitsAllocated <= 8 else "OW"
    return made


def save(made: Dataset, path: Path, *, syntax: str = SYNTAX, prefix: bool = True) -> Path:
    """Write a data set; without `prefix` there is neither preamble nor file meta."""
    implicit, little = syntax == "1.2.840.10008.1.2", syntax != "1.2.840.10008.1.2.2"
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = UID(syntax)
    made.file_meta.MediaStorageSOPClassUID = made.get("SOPClassUID", "")
    made.file_meta.MediaStorageSOPInstanceUID = made.get("SOPInstanceUID", "")
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if prefix:
            made.save_as(path, enforce_file_format=True)
        else:
            del made.file_meta
            made.save_as(path, implicit_vr=implicit, little_endian=little)
    return path


def write(path: Path, pixels: np.ndarray, **attributes: Any) -> Path:
    """A phantom in Explicit VR Little Endian."""
    return save(dataset(pixels, **attributes), path)


def uid_without(digits: str) -> UID:
    """A new UID without these digits, which tests look for in the file to change them."""
    while digits in (uid := generate_uid()):
        continue
    return uid


def patch(path: Path, old: bytes, new: bytes) -> Path:
    """Replace bytes that occur once: for values that pydicom refuses to write."""
    data = path.read_bytes()
    assert data.count(old) == 1
    path.write_bytes(data.replace(old, new))
    return path


def slices(folder: Path, places: list[float], **attributes: Any) -> list[Path]:
    """One CT series with a slice at each `places` (z in mm); InstanceNumber runs against the position."""
    attributes = {"ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "PixelSpacing": [1, 1]} | attributes
    return [
        write(
            folder / f"{k:03d}.dcm",
            ramp(start=1000 + round(10 * z)),
            ImagePositionPatient=[0, 0, z],
            InstanceNumber=len(places) - k,
            **attributes,
        )
        for k, z in enumerate(places)
    ]


def wheel(name: str) -> Path:
    """A file from pydicom's own wheel."""
    found = get_testdata_file(name, download=False)
    assert isinstance(found, str), name
    return Path(found)
