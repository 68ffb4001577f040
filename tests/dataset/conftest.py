"""Phantom data sets: small PNG images and CT slices made on the spot."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

Place = Callable[..., Path]


def noise(seed: int, shape: tuple[int, ...] = (12, 10)) -> np.ndarray:
    """An 8-bit image that no other seed gives."""
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.fixture
def png(tmp_path: Path) -> Place:
    """Write an image: png("a/x.png", seed)."""

    def write(name: str, seed: int = 0, shape: tuple[int, ...] = (12, 10)) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise(seed, shape)).save(path, format="PNG")
        return path

    return write


@pytest.fixture
def ct(tmp_path: Path) -> Place:
    """Write a CT slice: ct("a/1.dcm", seed, z=0.0, series="s", patient="P", ...keywords)."""

    def write(name: str, seed: int = 0, *, z: float = 0.0, series: str = "", **keywords: object) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        dataset = Dataset()
        dataset.SOPClassUID = CTImageStorage
        dataset.SOPInstanceUID = generate_uid(entropy_srcs=[name])
        dataset.SeriesInstanceUID = generate_uid(entropy_srcs=[series or name])
        dataset.Modality = "CT"
        dataset.PatientID = "P1"
        dataset.Rows, dataset.Columns = 12, 10
        dataset.BitsAllocated = dataset.BitsStored = 16
        dataset.HighBit, dataset.PixelRepresentation = 15, 1
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = "1", "-1024", "HU"
        dataset.PixelSpacing = ["0.5", "0.5"]
        dataset.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
        dataset.ImagePositionPatient = ["0", "0", str(z)]
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        dataset.PixelData = (noise(seed).astype("<i2") * 8).tobytes()
        for keyword, value in keywords.items():
            setattr(dataset, keyword, value)
        save(dataset, path)
        return path

    return write


@pytest.fixture
def capture(tmp_path: Path) -> Place:
    """Write an 8-bit secondary capture with Modality CT, as a dose report: capture("a/report.dcm", seed)."""

    def write(name: str, seed: int = 0, **keywords: object) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        dataset = Dataset()
        dataset.SOPClassUID = SecondaryCaptureImageStorage
        dataset.SOPInstanceUID = generate_uid(entropy_srcs=[name])
        dataset.Modality = "CT"
        dataset.Rows, dataset.Columns = 12, 10
        dataset.BitsAllocated = dataset.BitsStored = 8
        dataset.HighBit, dataset.PixelRepresentation = 7, 0
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.PixelData = noise(seed).tobytes()
        for keyword, value in keywords.items():
            setattr(dataset, keyword, value)
        save(dataset, path)
        return path

    return write


def save(dataset: Dataset, path: Path) -> None:
    """Write a conformant DICOM file."""
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.save_as(path, enforce_file_format=True)
