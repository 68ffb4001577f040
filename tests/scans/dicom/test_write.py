"""Written DICOM: pixels and names. That others accept it is proven in test_dicom_accepted.py."""

from __future__ import annotations

import io
import os
import re
from dataclasses import replace

import numpy as np
import pydicom
import pytest

from medgan.base.errors import OutputError, PlanError
from medgan.scans.dicom import read as dicom_read
from medgan.scans.dicom import write as dicom_write
from medgan.scans.scan import Provenance
from tests.scans.written import FORMS, REAL, SYNTHETIC, block, picture, written


@pytest.fixture(autouse=True)
def _no_date(monkeypatch):
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)


def test_hounsfield_units_are_stored_as_they_are(tmp_path):
    pixels = np.array([[0.0, 1.0], [0.25, 1024 / 4095]], dtype=np.float32)
    dataset = pydicom.dcmread(written(tmp_path, FORMS["ct"], pixels=pixels))
    assert dataset.pixel_array.tolist() == [[-1024, 3071], [0, 0]]
    assert (dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType) == (1, 0, "HU")
    assert (dataset.PixelRepresentation, dataset.BitsStored) == (1, 16)


@pytest.mark.parametrize("name", ["mr", "cr", "dx"])
def test_twelve_bits_lie_low_in_unsigned_words(tmp_path, name):
    dataset = pydicom.dcmread(written(tmp_path, FORMS[name]))
    assert (dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit) == (16, 12, 11)
    assert dataset.PixelRepresentation == 0
    assert (dataset.pixel_array.min(), dataset.pixel_array.max()) == (0, 4095)


def test_mr_has_sixteen_bits_allocated_even_for_eight_stored(tmp_path):
    dataset = pydicom.dcmread(written(tmp_path, FORMS["mr-8-bit"]))
    assert (dataset.BitsAllocated, dataset.BitsStored) == (16, 8)
    assert dataset["PixelData"].VR == "OW"


def test_odd_number_of_bytes_is_padded(tmp_path):
    dataset = pydicom.dcmread(written(tmp_path, FORMS["sc"], pixels=np.full((3, 5), 0.5, np.float32)))
    assert len(dataset.PixelData) == 16
    assert (dataset.pixel_array == 128).all()


def test_same_image_gives_the_same_bytes_in_whatever_order(tmp_path):
    first = written(tmp_path, FORMS["ct"]).read_bytes()
    written(tmp_path, FORMS["ct"], REAL)
    dicom_write._encode_template.cache_clear()
    assert written(tmp_path, FORMS["ct"]).read_bytes() == first


def test_uids_are_ours_and_change_with_pixels_seed_model_label_and_form(tmp_path):
    form = FORMS["ct"]
    other = picture(form)
    other[5, 5] = 1 - other[5, 5]
    cases = [
        (form, SYNTHETIC, None),
        (form, SYNTHETIC, other),
        (form, Provenance(synthetic=True, label="b", index=3, seed=7, model="ab" * 32), None),
        (form, Provenance(synthetic=True, label="b", index=3, seed=8, model="ab" * 32), None),
        (form, Provenance(synthetic=True, label="b", index=3, seed=8, model="cd" * 32), None),
        (replace(form, body_part="BRAIN"), SYNTHETIC, None),
    ]
    datasets = [pydicom.dcmread(written(tmp_path, form, mark, pixels)) for form, mark, pixels in cases]
    keywords = ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID", "PatientID")
    for keyword in keywords:
        assert len({dataset[keyword].value for dataset in datasets}) == len(cases)
    for dataset in datasets:
        for keyword in keywords[:4]:
            assert re.fullmatch(r"2\.25\.[1-9]\d{0,38}", dataset[keyword].value)
        assert dataset.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID
        assert dataset.file_meta.ImplementationClassUID.startswith("2.25.")


def test_real_images_of_one_patient_share_a_study_but_no_series(tmp_path):
    again = replace(REAL, index=4)
    first, second = (pydicom.dcmread(written(tmp_path, FORMS["ct"], mark)) for mark in (REAL, again))
    assert (first.PatientID, first.StudyInstanceUID) == (second.PatientID, second.StudyInstanceUID)
    assert first.SeriesInstanceUID != second.SeriesInstanceUID
    assert first.FrameOfReferenceUID != second.FrameOfReferenceUID
    assert (first.SeriesNumber, second.SeriesNumber) == (3, 4)
    assert (first.InstanceNumber, second.InstanceNumber) == (1, 1)


def test_a_broken_disk_leaves_no_partial_file(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="full"):
        written(tmp_path, FORMS["ct"])
    assert list(tmp_path.iterdir()) == []


def test_file_is_read_by_content_alone(tmp_path):
    data = written(tmp_path, FORMS["ct"]).read_bytes()
    assert data[128:132] == b"DICM"
    assert pydicom.dcmread(io.BytesIO(data)).file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"


# --- volumes ---


@pytest.mark.parametrize("name", ["ct", "mr"])
def test_a_volume_is_one_series_in_one_frame_of_reference(tmp_path, name):
    paths = dicom_write.write_volume(tmp_path / "v", block(), FORMS[name], SYNTHETIC)
    assert [path.name for path in paths] == ["0001.dcm", "0002.dcm", "0003.dcm", "0004.dcm", "0005.dcm"]
    files = [pydicom.dcmread(path) for path in paths]
    gap = (FORMS[name].spacing_mm or ())[0]
    for place, file in enumerate(files):
        assert list(file.ImagePositionPatient) == [0, 0, place * gap]
        assert file.InstanceNumber == place + 1
        assert file.SliceThickness == gap
    shared = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "SeriesNumber")
    for keyword in shared:
        assert len({file[keyword].value for file in files}) == 1
    assert len({file.SOPInstanceUID for file in files}) == 5


def test_two_volumes_share_neither_series_nor_frame_of_reference(tmp_path):
    first, second = block(), block()
    second[4, 0, 0] = 1 - second[4, 0, 0]
    files = [
        pydicom.dcmread(dicom_write.write_volume(tmp_path / str(number), volume, FORMS["ct"], SYNTHETIC)[0])
        for number, volume in enumerate((first, second))
    ]
    for keyword in ("SeriesInstanceUID", "FrameOfReferenceUID", "SOPInstanceUID"):
        assert len({file[keyword].value for file in files}) == 2


def test_a_volume_comes_back_whole_in_order_and_with_its_spacing(tmp_path):
    form = FORMS["ct"]
    paths = dicom_write.write_volume(tmp_path / "v", block(), form, REAL)
    scan = dicom_read.read_series(paths)
    assert scan.spacing_mm == form.spacing_mm
    np.testing.assert_array_equal(scan.pixels, np.rint(-1024 + block().astype(float) * 4095))


def test_an_image_is_a_volume_of_one_slice(tmp_path):
    image = written(tmp_path, FORMS["ct"]).read_bytes()
    (path,) = dicom_write.write_volume(tmp_path / "v", picture(FORMS["ct"])[None], FORMS["ct"], SYNTHETIC)
    assert path.read_bytes() == image


def test_a_volume_of_a_class_without_a_place_in_space_is_refused(tmp_path):
    with pytest.raises(PlanError, match="class cr") as refused:
        dicom_write.write_volume(tmp_path / "v", block(), FORMS["cr"], SYNTHETIC)
    assert "NIfTI" in refused.value.hint
    assert not (tmp_path / "v").exists()


def test_a_volume_without_a_distance_between_its_slices_is_refused(tmp_path):
    with pytest.raises(PlanError, match="distance between its slices"):
        dicom_write.write_volume(tmp_path / "v", block(), FORMS["ct-without-thickness"], SYNTHETIC)
    assert not (tmp_path / "v").exists()
