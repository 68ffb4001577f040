"""A CT or PET that does not say how its values are rescaled: no unit is claimed, and a warning says so."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from medgan.dataset.advice import data_warnings
from medgan.dataset.fingerprint import measure
from medgan.dataset.index import index
from medgan.dataset.source import Source
from medgan.plan import Overrides, decide
from medgan.scans import formats
from medgan.scans.dicom import read as dicom_read
from medgan.scans.dicom import series
from tests.scans.phantoms import ramp, slices, write

NEITHER = {"RescaleSlope": None, "RescaleIntercept": None}
PET = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.128", "Modality": "PT", "Units": "BQML"}
ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"


@pytest.mark.parametrize("dtype", [np.uint16, np.uint8])
def test_a_data_set_without_rescale_is_not_planned_in_hounsfield_units_and_warns(dtype, tmp_path):
    for k in range(6):
        picture = np.random.default_rng(k).integers(0, 255, (16, 16)).astype(dtype)
        write(tmp_path / "ab"[k % 2] / f"{k}.dcm", picture, SeriesInstanceUID=f"1.2.{k}", **NEITHER)
    manifest = index(Source(path=tmp_path))
    assert {record.meaning for record in manifest.usable()} == {"raw" if dtype == np.uint16 else "stored"}
    (said,) = (words for words in data_warnings(manifest) if "no-rescale" in words)
    assert "6" in said
    assert "Rescale Slope and Intercept" in said
    assert decide(measure(manifest), Overrides(effort="smoke")).frame.form.unit != "HU"


@pytest.mark.parametrize("value", [None, ""], ids=["absent", "empty"])
@pytest.mark.parametrize("present", ["RescaleSlope", "RescaleIntercept"])
def test_half_a_rescale_is_used_and_noted(present, value, tmp_path):
    absent = "RescaleIntercept" if present == "RescaleSlope" else "RescaleSlope"
    scan = formats.read(write(tmp_path / "a.dcm", ramp(), **{present: 2, absent: value}))
    assert scan.meaning == "HU"
    assert "incomplete-rescale" in scan.notes
    assert np.array_equal(scan.pixels[0], 2 * ramp() if present == "RescaleSlope" else ramp() + 2)


def test_a_whole_rescale_is_noted_by_nobody(tmp_path):
    scan = formats.read(write(tmp_path / "a.dcm", ramp()))
    assert (scan.meaning, [note for note in scan.notes if "rescale" in note]) == ("HU", [])


def test_a_pet_without_its_units_is_noted(tmp_path):
    assert "no-rescale" in formats.read(write(tmp_path / "a.dcm", ramp(), **PET)).notes
    whole = write(tmp_path / "b.dcm", ramp(), **PET, RescaleSlope=2, RescaleIntercept=0)
    assert "no-rescale" not in formats.read(whole).notes


def test_a_frame_of_an_enhanced_ct_that_is_not_rescaled_is_a_series_of_its_own_and_no_hounsfield(tmp_path):
    groups = [Dataset() for _ in range(3)]
    for group in groups[:2]:
        item = Dataset()
        item.RescaleSlope, item.RescaleIntercept, item.RescaleType = 1, -1024, "HU"
        group.PixelValueTransformationSequence = Sequence([item])
    frames = np.stack([ramp(start=100 * k) for k in range(3)])
    path = write(
        tmp_path / "a.dcm", frames, SOPClassUID=ENHANCED_CT, PerFrameFunctionalGroupsSequence=Sequence(groups)
    )
    scans = [formats.read(path, kind) for kind in range(formats.read_header(path).kinds)]
    told = [(scan.meaning, "no-rescale" in scan.notes, len(scan.pixels)) for scan in scans]
    assert told == [("HU", False, 2), ("raw", True, 1)]


def test_slices_without_rescale_are_parted_from_those_of_their_series_with_it(tmp_path):
    paths = slices(tmp_path / "with", [0, 1, 2, 3]) + slices(tmp_path / "without", [4, 5, 6, 7], **NEITHER)
    found = series.group_slices([(path, formats.read_header(path)) for path in paths])
    assert [len(volume) for volume in found.volumes] == [4, 4]
    assert [dicom_read.read_series(volume).meaning for volume in found.volumes] == ["HU", "raw"]
