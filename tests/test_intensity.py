"""A scan read, prepared at its own size, written and read again has its values, clipped to the window."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    MRImageStorage,
    UltrasoundImageStorage,
)

from medgan.base import cache
from medgan.commands.draw_into import resolve_form
from medgan.dataset.fingerprint import measure
from medgan.dataset.index import index
from medgan.dataset.load import load
from medgan.dataset.source import Source
from medgan.plan import Overrides, decide
from medgan.preparation.stack import prepare
from medgan.scans import formats
from medgan.scans.provenance import stored_range
from medgan.scans.scan import Provenance
from tests.scans import phantoms

SHAPE = (16, 24)
PLACED = {"PixelSpacing": [1, 1], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0]}
PLATE = {
    "PixelSpacing": None,
    "ImagerPixelSpacing": [1, 1],
    "BodyPartExamined": "CHEST",
    "PatientOrientation": ["L", "F"],
    "BitsStored": 12,
    "HighBit": 11,
}
WINDOW = {"WindowCenter": 1800, "WindowWidth": 2400}


def dicom(low, high, dtype=np.uint16, colour=(), **attributes):
    """A writer of DICOM images of chance from `low` to `high`."""

    def write(path, chance, number):
        pixels = chance.integers(low, high, (*SHAPE, *colour), endpoint=True).astype(dtype)
        phantoms.write(
            path.with_suffix(".dcm"),
            pixels,
            PatientID=f"P{number}",
            SeriesInstanceUID=f"1.2.{number + 1}",
            **attributes,
        )

    return write


def deep_png(path, chance, number):
    del number
    pixels = chance.integers(0, 65535, SHAPE, endpoint=True).astype(np.uint16)
    Image.fromarray(pixels).save(path.with_suffix(".png"))


SCANS = {
    "ct": (dicom(-2000, 4000, np.int16, RescaleSlope=1, RescaleIntercept=0, **PLACED), "ct", {}),
    "ct in a window": (
        dicom(-2000, 4000, np.int16, RescaleSlope=1, RescaleIntercept=0, **PLACED),
        "ct",
        {"window": "lung"},
    ),
    "mr": (
        dicom(0, 3000, SOPClassUID=MRImageStorage, Modality="MR", BitsStored=12, HighBit=11, **PLACED),
        "mr",
        {},
    ),
    "cr": (
        dicom(0, 4095, SOPClassUID=ComputedRadiographyImageStorage, Modality="CR", **PLATE, **WINDOW),
        "cr",
        {},
    ),
    "dx": (
        dicom(0, 4095, SOPClassUID=DigitalXRayImageStorageForPresentation, Modality="DX", **PLATE, **WINDOW),
        "dx",
        {},
    ),
    "cr of 8 bits": (
        dicom(0, 255, np.uint8, SOPClassUID=ComputedRadiographyImageStorage, Modality="CR"),
        "cr",
        {},
    ),
    "us": (dicom(0, 255, np.uint8, SOPClassUID=UltrasoundImageStorage, Modality="US"), "us", {}),
    "us in colour": (
        dicom(0, 255, np.uint8, (3,), SOPClassUID=UltrasoundImageStorage, Modality="US"),
        "us",
        {},
    ),
    "png of 16 bits": (deep_png, "sc", {}),
}
"""{what: (writer, the class in which its images are written, overrides)}."""


@pytest.mark.parametrize("written", formats.WRITERS)
@pytest.mark.parametrize("what", SCANS)
def test_values_come_back_within_one_step(tmp_path, what, written):
    write, dicom_class, wish = SCANS[what]
    chance = np.random.default_rng(0)
    for number in range(4):
        folder = tmp_path / "scans" / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        write(folder / f"{number}", chance, number)
    manifest = index(Source(path=tmp_path / "scans"))
    plan = decide(measure(manifest), Overrides(effort="smoke", size=SHAPE, **wish))
    assert plan.frame.form.dicom_class == dicom_class
    form = resolve_form(plan.frame.form, written)
    stack = prepare(manifest, plan.frame, cache.stacks_folder())
    records = manifest.training()
    assert len(stack) == 4
    for row, position in enumerate(stack.records.tolist()):
        image = stack.images([row])[0]
        image = image[0] if form.channels == 1 else np.moveaxis(image, 0, -1)
        mark = Provenance(synthetic=True, label="a", index=row + 1, seed=row, model="ab")
        again = formats.read(formats.write(tmp_path / "out" / str(row), image, form, mark))
        record, original = records[position], load(manifest.root, records[position])
        low, high = ends(form, record, original)
        found = low + unit(again, form, written) * (high - low)
        step = (high - low) / min(2.0**form.bits - 1, 4095 if form.unit == "HU" else 65535)
        expected = np.clip(original.pixels.astype(float), low, high)
        assert np.ptp(expected) > 0.9 * (high - low)
        assert np.abs(found - expected).max() <= step


def ends(form, record, original):
    """The values of the original that black and white stand for."""
    if form.unit != "relative":
        return form.low, form.high
    return (0.0, 1.0) if original.meaning == "display" else (record.levels[1], record.levels[3])


def unit(scan, form, written):
    """What was read, in [0, 1]."""
    low, high = stored_range(form)
    if scan.meaning == "display":
        low, high = 0.0, 1.0
    elif written == "png" and form.unit != "stored":
        low, high = 0.0, 2.0**scan.bits - 1
    return (scan.pixels.astype(float) - low) / (high - low)
