"""The table of odd scans, rows 36 to 40, 47, 49, 50, 71 and 72: kinds of object, and what headers warn of."""

from __future__ import annotations

import warnings
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.uid import UID

from medgan.scans import formats
from tests.scans.odd import MR, SC, Seen, Table, check
from tests.scans.phantoms import dataset, ramp, save, slices, write

TABLE = Table()
case, shipped = TABLE.case, TABLE.shipped


@pytest.mark.parametrize(("make", "expected"), TABLE)
def test_odd_object(make, expected, tmp_path):
    check(make(tmp_path), expected)


# --- 36 to 42, 47 to 51: kinds of object ---


PLACES = [10.0, 0.0, 5.0, 15.0]
ENHANCED = [ramp(start=1000 + round(10 * PLACES[k])) * (1 + k) - 1024 + k for k in np.argsort(PLACES)]


def enhanced(folder: Path) -> Path:
    """A legacy-converted enhanced CT with a slope of its own per frame, its frames shuffled."""
    study = {
        "StudyInstanceUID": "1.2.3",
        "FrameOfReferenceUID": "1.2.5",
        "StudyID": "1",
        "StudyDate": "20200101",
        "StudyTime": "120000",
        "SeriesNumber": 1,
        "AccessionNumber": "",
        "PatientName": "A^B",
        "PatientBirthDate": "",
        "PatientSex": "",
        "ReferringPhysicianName": "",
        "Manufacturer": "M",
        "SliceThickness": 5,
        "PixelSpacing": [0.5, 0.5],
        "PatientPosition": "HFS",
        "PositionReferenceIndicator": "",
        "KVP": 120,
        "AcquisitionNumber": 1,
        "WindowCenter": 40,
        "WindowWidth": 400,
    }
    paths = slices(folder, PLACES, **study)
    parts = []
    for k, path in enumerate(paths):
        part = pydicom.dcmread(path)
        part.RescaleSlope, part.RescaleIntercept, part.RescaleType = 1 + k, -1024 + k, "HU"
        part.InstanceNumber = k + 1
        part.save_as(path)
        parts.append(part)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = highdicom.legacy.LegacyConvertedEnhancedCTImage(parts, "1.2.9", 1, "1.2.9.1", 1)
        made.save_as(folder / "enhanced.dcm", enforce_file_format=True)
    return folder / "enhanced.dcm"


@case(36, "own-slope-per-frame-ordered-by-position", Seen(ENHANCED, "HU"))
def _(folder):
    return enhanced(folder)


def test_36_enhanced_ct_agrees_with_highdicom(tmp_path):
    path = enhanced(tmp_path)
    scan = formats.read(path)
    assert scan.spacing_mm == pytest.approx((5, 0.5, 0.5))
    volume = highdicom.imread(path).get_volume(dtype=np.float32)
    assert np.array_equal(scan.pixels, volume.array) or np.array_equal(scan.pixels, volume.array[::-1])


shipped(37, "examples_ybr_color.dcm", Seen(shape=(30, 240, 320, 3)))


@case(37, "gray-cine", Seen(np.stack([ramp(dtype=np.uint8), ramp(start=64, dtype=np.uint8)]), "stored"))
def _(folder):
    frames = np.stack([ramp(dtype=np.uint8), ramp(start=64, dtype=np.uint8)])
    return write(folder / "a.dcm", frames, SOPClassUID="1.2.840.10008.5.1.4.1.1.3.1", Modality="US")


@case(38, "float-pixels", "skip:not-image")
def _(folder):
    made = dataset(ramp(), **SC, PixelData=None)
    made.FloatPixelData = ramp().astype(np.float32).tobytes()
    return save(made, folder / "a.dcm")


for name in ("liver_1frame.dcm", "rtplan.dcm", "rtplan_truncated.dcm", "reportsi.dcm", "waveform_ecg.dcm"):
    shipped(39, name, "skip:not-image")
for uid in ("1.2.840.10008.5.1.4.1.1.88.59", "1.2.840.10008.5.1.4.1.1.104.1", "1.2.840.10008.5.1.4.1.1.11.1"):

    @case(39, UID(uid).name.replace(" ", "-"), "skip:not-image")
    def _(folder, uid=uid):
        return write(folder / "a.dcm", ramp(), SOPClassUID=uid)


shipped(40, "rtdose.dcm", "skip:not-image")


@case(47, "aspect-ratio-only", Seen(shape=(1, 16, 8), note="resampled-aspect"))
def _(folder):
    return write(folder / "a.dcm", ramp(), **MR, PixelAspectRatio=[2, 1])


@case(49, "mosaic", "skip:mosaic")
def _(folder):
    return write(folder / "a.dcm", ramp(), **MR | {"ImageType": ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]})


@case(50, "burned-in", Seen(note="burned-in"))
def _(folder):
    return write(folder / "a.dcm", ramp(dtype=np.uint8), **SC, BurnedInAnnotation="YES")


@case(50, "burned-in-possible", Seen(note="burned-in-possible"))
def _(folder):
    return write(folder / "a.dcm", ramp(dtype=np.uint8), **SC)


@pytest.mark.parametrize(
    ("tags", "row"),
    [
        ({"PixelSpacing": [0.5, 1], "ImagerPixelSpacing": [2, 2]}, (0.5, 1)),
        ({"ImagerPixelSpacing": [0.2, 0.1]}, (0.2, 0.1)),
        ({"NominalScannedPixelSpacing": [3, 4]}, (3, 4)),
        ({"PixelSpacing": [0, 0], "ImagerPixelSpacing": [2, 2]}, (2, 2)),
        ({"PixelSpacing": ""}, None),
    ],
)
def test_47_spacing_is_taken_from_the_best_attribute_that_has_it(tags, row, tmp_path):
    header = formats.read_header(write(tmp_path / "a.dcm", ramp(), **tags))
    assert header.spacing_mm == (None if row is None else (0.0, *row))


@case(71, "synthetic-input", Seen(note="synthetic"))
def _(folder):
    return write(folder / "a.dcm", ramp(), SyntheticData="YES")


for form in ("png", "jpeg", "tiff"):

    @case(72, form, Seen(meaning="stored", shape=(1, 8, 8)))
    def _(folder, form=form):
        path = folder / f"a.{form}"
        Image.fromarray(ramp(dtype=np.uint8)).save(path)
        return path
