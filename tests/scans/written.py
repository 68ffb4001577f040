"""Forms of every DICOM class, marks and pictures: what the tests of writing share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from medgan.scans.dicom import write as dicom_write
from medgan.scans.scan import OutputFormat, Provenance

HU: dict[str, Any] = {
    "format": "dicom",
    "low": -1024.0,
    "high": 3071.0,
    "unit": "HU",
    "bits": 16,
    "modality": "CT",
}
BYTES: dict[str, Any] = {"format": "dicom", "low": 0.0, "high": 255.0, "unit": "stored", "bits": 8}
TWELVE: dict[str, Any] = {"format": "dicom", "low": 0.0, "high": 4095.0, "unit": "relative", "bits": 12}
DEEP: dict[str, Any] = {"format": "dicom", "low": 0.0, "high": 65535.0, "unit": "stored", "bits": 16}
PLATE: dict[str, Any] = {"body_part": "CHEST", "spacing_mm": (0.0, 0.143, 0.15)}
AXIAL, SAGITTAL, FRONTAL = ({"patient_orientation": sides} for sides in ("L\\P", "P\\F", "L\\F"))

FORMS = {
    "ct": OutputFormat(**HU, body_part="CHEST", spacing_mm=(5.0, 0.7, 0.8), **AXIAL, dicom_class="ct"),
    "ct-without-thickness": OutputFormat(
        **HU, spacing_mm=(0.0, 0.7123456789012345, 0.7123456789012345), **AXIAL, dicom_class="ct"
    ),
    "ct-sagittal": OutputFormat(**HU, spacing_mm=(5.0, 0.7, 0.8), **SAGITTAL, dicom_class="ct"),
    "mr": OutputFormat(
        **TWELVE, modality="MR", body_part="BREAST", spacing_mm=(3.0, 0.9, 0.9), **AXIAL, dicom_class="mr"
    ),
    "mr-8-bit": OutputFormat(
        **BYTES, modality="MR", body_part="BRAIN", spacing_mm=(0.0, 1.0, 1.0), **SAGITTAL, dicom_class="mr"
    ),
    "cr": OutputFormat(**TWELVE, **PLATE, modality="CR", dicom_class="cr"),
    "cr-8-bit-hand": OutputFormat(**BYTES, modality="CR", body_part="HAND", dicom_class="cr"),
    "dx": OutputFormat(**TWELVE, **PLATE, **FRONTAL, modality="DX", dicom_class="dx"),
    "dx-8-bit": OutputFormat(**BYTES, **PLATE, **FRONTAL, modality="DX", dicom_class="dx"),
    "us": OutputFormat(**BYTES, modality="US", body_part="HEART", dicom_class="us"),
    "us-colour": OutputFormat(
        **BYTES, modality="US", channels=3, spacing_mm=(0.0, 0.3, 0.3), dicom_class="us"
    ),
    "sc": OutputFormat(**BYTES),
    "sc-ct-without-spacing": OutputFormat(**HU, body_part="ABDOMEN"),
    "sc-ct-8-bit": OutputFormat(**BYTES, modality="CT", spacing_mm=(0.0, 1.0, 1.0)),
    "sc-ct-of-unknown-direction": OutputFormat(**HU, spacing_mm=(0.0, 0.7, 0.8)),
    "sc-coronal": OutputFormat(**BYTES, **FRONTAL),
    "sc-hand": OutputFormat(**BYTES, modality="DX", body_part="HAND"),
    "sc-16-bit": OutputFormat(**DEEP),
    "sc-colour": OutputFormat(**BYTES, channels=3),
    "sc-colour-16-bit": OutputFormat(**DEEP, channels=3),
}
"""By class, then what is odd about them."""
SYNTHETIC = Provenance(synthetic=True, label="Größe/x\\y", index=3, seed=7, model="ab" * 32)
REAL = Provenance(synthetic=False, label="normal", index=3, patient="0123456789abcdef")


def picture(form: OutputFormat, rows: int = 33, columns: int = 21) -> np.ndarray:
    """Chance, with black and white in it; an odd number of pixels."""
    shape = (rows, columns) if form.channels == 1 else (rows, columns, 3)
    pixels = np.random.default_rng(5).random(shape, dtype=np.float32)
    pixels.flat[:2] = 0, 1
    return pixels


def block(depth: int = 5, rows: int = 16, columns: int = 12) -> np.ndarray:
    """A volume (Z, Y, X) in which no two slices are alike."""
    return np.random.default_rng(6).random((depth, rows, columns), dtype=np.float32)


def written(
    folder: Path, form: OutputFormat, mark: Provenance = SYNTHETIC, pixels: np.ndarray | None = None
) -> Path:
    """A DICOM file of a picture."""
    path = folder / "image.dcm"
    dicom_write.write(path, picture(form) if pixels is None else pixels, form, mark)
    return path
