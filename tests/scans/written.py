"""Forms of every DICOM class, marks and pictures: what the tests of writing share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from medgan.scans.dicom import write as dicom_write
from medgan.scans.scan import Form, Mark

HU: dict[str, Any] = {
    "format": "dicom", "low": -1024.0, "high": 3071.0, "unit": "HU", "bits": 16, "modality": "CT",
}  # fmt: skip
BYTES: dict[str, Any] = {"format": "dicom", "low": 0.0, "high": 255.0, "unit": "stored", "bits": 8}
TWELVE: dict[str, Any] = {"format": "dicom", "low": 0.0, "high": 4095.0, "unit": "relative", "bits": 12}
DEEP: dict[str, Any] = {"format": "dicom", "low": 0.0, "high": 65535.0, "unit": "stored", "bits": 16}
PLATE: dict[str, Any] = {"body_part": "CHEST", "spacing_mm": (0.0, 0.143, 0.15)}
AXIAL, SAGITTAL, FRONTAL = ({"patient_orientation": sides} for sides in ("L\\P", "P\\F", "L\\F"))

FORMS = {
    "ct": Form(**HU, body_part="CHEST", spacing_mm=(5.0, 0.7, 0.8), **AXIAL, dicom_class="ct"),
    "ct-without-thickness": Form(**HU, spacing_mm=(0.0, 0.7123456789012345, 0.7123456789012345), **AXIAL, dicom_class="ct"),
    "ct-sagittal": Form(**HU, spacing_mm=(5.0, 0.7, 0.8), **SAGITTAL, dicom_class="ct"),
    "mr": Form(**TWELVE, modality="MR", body_part="BREAST", spacing_mm=(3.0, 0.9, 0.9), **AXIAL, dicom_class="mr"),
    "mr-8-bit": Form(**BYTES, modality="MR", body_part="BRAIN", spacing_mm=(0.0, 1.0, 1.0), **SAGITTAL, dicom_class="mr"),
    "cr": Form(**TWELVE, **PLATE, modality="CR", dicom_class="cr"),
    "cr-8-bit-hand": Form(**BYTES, modality="CR", body_part="HAND", dicom_class="cr"),
    "dx": Form(**TWELVE, **PLATE, **FRONTAL, modality="DX", dicom_class="dx"),
    "dx-8-bit": Form(**BYTES, **PLATE, **FRONTAL, modality="DX", dicom_class="dx"),
    "us": Form(**BYTES, modality="US", body_part="HEART", dicom_class="us"),
    "us-colour": Form(**BYTES, modality="US", channels=3, spacing_mm=(0.0, 0.3, 0.3), dicom_class="us"),
    "sc": Form(**BYTES),
    "sc-ct-without-spacing": Form(**HU, body_part="ABDOMEN"),
    "sc-ct-8-bit": Form(**BYTES, modality="CT", spacing_mm=(0.0, 1.0, 1.0)),
    "sc-ct-of-unknown-direction": Form(**HU, spacing_mm=(0.0, 0.7, 0.8)),
    "sc-coronal": Form(**BYTES, **FRONTAL),
    "sc-hand": Form(**BYTES, modality="DX", body_part="HAND"),
    "sc-16-bit": Form(**DEEP),
    "sc-colour": Form(**BYTES, channels=3),
    "sc-colour-16-bit": Form(**DEEP, channels=3),
}  # fmt: skip
"""By class, then what is odd about them."""
SYNTHETIC = Mark(synthetic=True, label="Größe/x\\y", index=3, seed=7, model="ab" * 32)
REAL = Mark(synthetic=False, label="normal", index=3, patient="0123456789abcdef")


def picture(form: Form, rows: int = 33, columns: int = 21) -> np.ndarray:
    """Chance, with black and white in it; an odd number of pixels."""
    shape = (rows, columns) if form.channels == 1 else (rows, columns, 3)
    pixels = np.random.default_rng(5).random(shape, dtype=np.float32)
    pixels.flat[:2] = 0, 1
    return pixels


def block(depth: int = 5, rows: int = 16, columns: int = 12) -> np.ndarray:
    """A volume (Z, Y, X) in which no two slices are alike."""
    return np.random.default_rng(6).random((depth, rows, columns), dtype=np.float32)


def written(folder: Path, form: Form, mark: Mark = SYNTHETIC, pixels: np.ndarray | None = None) -> Path:
    """A DICOM file of a picture."""
    path = folder / "image.dcm"
    dicom_write.write(path, picture(form) if pixels is None else pixels, form, mark)
    return path
