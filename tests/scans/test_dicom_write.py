"""Written DICOM: valid by dciodvfy and the standard's tables, equal in four readers, marked, deterministic, leaking nothing."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.datadict import tag_for_keyword
from pydicom.uid import CTImageStorage, SecondaryCaptureImageStorage

from medgan.errors import OutputError
from medgan.scans import dicom_write
from medgan.scans.provenance import stored_values
from medgan.scans.scan import Form, Mark

UNKNOWN_TO_DCIODVFY = (
    "Error - Attribute with an even group number is not a recognized standard attribute - (0x0008,0x001c)"
)
HU: dict[str, Any] = {
    "format": "dicom",
    "low": -1024.0,
    "high": 3071.0,
    "unit": "HU",
    "bits": 16,
    "modality": "CT",
}
BYTES: dict[str, Any] = {"format": "dicom", "low": 0.0, "high": 255.0, "unit": "stored", "bits": 8}
FORMS = {
    "ct": Form(**HU, body_part="CHEST", spacing_mm=(5.0, 0.7, 0.8)),
    "ct-without-thickness": Form(**HU, spacing_mm=(0.0, 0.7123456789012345, 0.7123456789012345)),
    "ct-without-spacing": Form(**HU, body_part="ABDOMEN"),
    "ct-secondary-8-bit": Form(**BYTES, modality="CT", spacing_mm=(0.0, 1.0, 1.0)),
    "cr": Form(**BYTES, modality="CR", body_part="CHEST", spacing_mm=(0.0, 0.143, 0.143)),
    "hand": Form(**BYTES, modality="DX", body_part="HAND"),
    "no-modality": Form(**BYTES),
    "mr-12-bit": Form(
        format="dicom", low=0, high=4095, unit="relative", bits=12, modality="MR", body_part="BREAST"
    ),
    "stored-16-bit": Form(format="dicom", low=0, high=65535, unit="stored", bits=16),
    "us-colour": Form(**BYTES, modality="US", channels=3),
    "colour-16-bit": Form(format="dicom", low=0, high=65535, unit="stored", bits=16, channels=3),
}
SYNTHETIC = Mark(synthetic=True, label="Größe/x\\y", index=3, seed=7, model="ab" * 32)
REAL = Mark(synthetic=False, label="normal", index=3, patient="0123456789abcdef")


@pytest.fixture(autouse=True)
def _no_date(monkeypatch):
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)


def picture(form: Form, rows=33, columns=21):
    shape = (rows, columns) if form.channels == 1 else (rows, columns, 3)
    pixels = np.random.default_rng(5).random(shape, dtype=np.float32)
    pixels.flat[:2] = 0, 1
    return pixels


def written(folder: Path, form: Form, mark: Mark = SYNTHETIC, pixels=None) -> Path:
    path = folder / "image.dcm"
    dicom_write.write(path, picture(form) if pixels is None else pixels, form, mark)
    return path


every_form = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
both_marks = pytest.mark.parametrize("mark", [SYNTHETIC, REAL], ids=["synthetic", "real"])


@every_form
@both_marks
def test_dciodvfy_finds_no_error(tmp_path, form, mark):
    if not shutil.which("dciodvfy"):
        pytest.skip("dciodvfy is not installed (Debian package dicom3tools)")
    done = subprocess.run(
        ["dciodvfy", str(written(tmp_path, form, mark))], capture_output=True, text=True, check=False
    )
    said = (done.stdout + done.stderr).splitlines()
    assert "CTImage" in said or "SCImage" in said
    assert [
        line for line in said if line.startswith("Error") and not line.startswith(UNKNOWN_TO_DCIODVFY)
    ] == []


@every_form
@both_marks
def test_mandatory_modules_have_their_type_1_and_2_attributes(tmp_path, form, mark):
    highdicom = pytest.importorskip("highdicom")
    tables = Path(highdicom.__file__).parent / "_standard"
    names = ("sop_class_iod_map", "iod_module_map", "module_attribute_map")
    iods, modules, attributes = (json.loads((tables / f"{name}.json").read_text()) for name in names)
    dataset = pydicom.dcmread(written(tmp_path, form, mark))
    wanted = [module["key"] for module in modules[iods[dataset.SOPClassUID]] if module["usage"] == "M"]
    missing = [
        (key, keyword)
        for key in wanted
        for entry in attributes[key]
        if entry["type"] in {"1", "2"}
        for keyword in [entry["keyword"]]
        for place in reached(dataset, entry["path"])
        if keyword not in place or (entry["type"] == "1" and place[keyword].is_empty)
    ]
    assert len(wanted) > 5
    assert missing == []


def reached(dataset, path):
    """The data sets at the end of a path of sequences; none where a sequence is absent."""
    places = [dataset]
    for keyword in path:
        places = [item for place in places for item in place.get(keyword) or []]
    return places


@every_form
def test_pixels_come_back_equal_through_pydicom_simpleitk_and_highdicom(tmp_path, form):
    path = written(tmp_path, form)
    expected = stored_values(picture(form), form)
    found = pydicom.dcmread(path).pixel_array
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)
    sitk = pytest.importorskip("SimpleITK")
    np.testing.assert_array_equal(np.squeeze(sitk.GetArrayFromImage(sitk.ReadImage(str(path)))), expected)
    highdicom = pytest.importorskip("highdicom")
    frame = highdicom.imread(path).get_frame(1, apply_icc_profile=False)
    np.testing.assert_array_equal(frame, expected)


@every_form
def test_medgans_own_reader_gives_back_what_was_written(tmp_path, form):
    dicom_read = pytest.importorskip("medgan.scans.dicom_read")
    pixels = picture(form)
    scan = dicom_read.read(written(tmp_path, form, REAL, pixels))
    expected = stored_values(pixels, form).astype(np.float32)
    scale = 1.0 if scan.meaning != "display" else 2.0**form.bits - 1
    np.testing.assert_allclose(scan.pixels[0] * scale, expected, atol=0.01)
    assert scan.modality in {form.modality, "OT"}
    assert (scan.meaning == "HU") == (form.unit == "HU")


def test_hounsfield_units_are_stored_as_they_are(tmp_path):
    form = FORMS["ct"]
    pixels = np.array([[0.0, 1.0], [0.25, 1024 / 4095]], dtype=np.float32)
    dataset = pydicom.dcmread(written(tmp_path, form, pixels=pixels))
    assert dataset.pixel_array.tolist() == [[-1024, 3071], [0, 0]]
    assert (dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType) == (1, 0, "HU")
    assert (dataset.PixelRepresentation, dataset.BitsStored) == (1, 16)


def test_hounsfield_units_come_back_through_simpleitk_and_the_modality_lut(tmp_path):
    sitk = pytest.importorskip("SimpleITK")
    for name in ("ct", "ct-without-spacing"):
        array = sitk.GetArrayFromImage(sitk.ReadImage(str(written(tmp_path, FORMS[name]))))
        assert (array.min(), array.max()) == (-1024, 3071)


def test_window_shows_exactly_the_range_of_the_form(tmp_path):
    dataset = pydicom.dcmread(written(tmp_path, FORMS["ct"]))
    centre, width = dataset.WindowCenter, dataset.WindowWidth
    # PS3.3 C.11.2.1.2.1, LINEAR
    assert centre - 0.5 - (width - 1) / 2 == -1024
    assert centre - 0.5 + (width - 1) / 2 == 3071


def test_ct_class_needs_hounsfield_units_gray_and_spacing(tmp_path):
    classes = {name: pydicom.dcmread(written(tmp_path, form)).SOPClassUID for name, form in FORMS.items()}
    ct = {name for name, kind in classes.items() if kind == CTImageStorage}
    assert ct == {"ct", "ct-without-thickness"}
    assert set(classes.values()) == {CTImageStorage, SecondaryCaptureImageStorage}


def test_spacing_is_row_then_column_and_absent_when_unknown(tmp_path):
    dataset = pydicom.dcmread(written(tmp_path, FORMS["ct"]))
    assert (list(dataset.PixelSpacing), dataset.SliceThickness) == ([0.7, 0.8], 5.0)
    dataset = pydicom.dcmread(written(tmp_path, FORMS["ct-without-spacing"]))
    assert "PixelSpacing" not in dataset
    assert dataset.Modality == "CT"


def test_odd_number_of_bytes_is_padded(tmp_path):
    form = FORMS["no-modality"]
    dataset = pydicom.dcmread(written(tmp_path, form, pixels=np.full((3, 5), 0.5, np.float32)))
    assert len(dataset.PixelData) == 16
    assert (dataset.pixel_array == 128).all()


def test_unpaired_body_part_has_no_laterality_and_any_other_an_empty_one(tmp_path):
    assert "Laterality" not in pydicom.dcmread(written(tmp_path, FORMS["cr"]))
    assert pydicom.dcmread(written(tmp_path, FORMS["hand"])).Laterality == ""


def test_synthetic_markers_are_all_there(tmp_path):
    dataset = pydicom.dcmread(written(tmp_path, FORMS["cr"]))
    assert dataset.SyntheticData == "YES"
    assert dataset.ConversionType == "SYN"
    assert list(dataset.ImageType)[:2] == ["DERIVED", "SECONDARY"]
    assert dataset.ContentQualification == "RESEARCH"
    assert dataset.PatientID.startswith("SYN-")
    assert str(dataset.PatientName).startswith("SYN")
    assert "SYNTHETIC" in dataset.ImageComments
    equipment = dataset.ContributingEquipmentSequence[0]
    assert equipment.PurposeOfReferenceCodeSequence[0].CodeValue == "109100"
    block = dataset.private_block(dicom_write.PRIVATE_GROUP, dicom_write.PRIVATE_CREATOR)
    assert [block[element].value for element in (1, 2, 3, 4)] == ["ab" * 32, "7", "Größe/x_y", "3"]
    assert "PatientIdentityRemoved" not in dataset


def test_real_image_differs_only_where_the_truth_differs(tmp_path):
    form = FORMS["cr"]
    synthetic = pydicom.dcmread(written(tmp_path, form, SYNTHETIC))
    real = pydicom.dcmread(written(tmp_path, form, REAL))
    assert real.SyntheticData == "NO"
    assert (real.PatientID, real.ConversionType) == ("REAL-0123456789ABCDEF", "WSD")
    keywords = {element.keyword for element in real if not element.tag.is_private}
    assert keywords == {element.keyword for element in synthetic if not element.tag.is_private}
    alike = {keyword for keyword in keywords if real[keyword].value == synthetic[keyword].value}
    assert keywords - alike == {
        "SyntheticData", "ConversionType", "ContributingEquipmentSequence", "DerivationDescription", "ImageComments",
        "StudyDescription", "SeriesDescription", "PatientID", "PatientName", "SOPInstanceUID", "StudyInstanceUID",
        "SeriesInstanceUID",
    }  # fmt: skip
    block = real.private_block(dicom_write.PRIVATE_GROUP, dicom_write.PRIVATE_CREATOR)
    assert 1 not in block
    assert 2 not in block


@every_form
@both_marks
def test_every_tag_is_on_the_allow_list(tmp_path, form, mark, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    dataset = pydicom.dcmread(written(tmp_path, form, mark))
    public = {element.keyword for element in dataset if not element.tag.is_private}
    assert public <= dicom_write.ALLOWED
    assert all(tag_for_keyword(keyword) for keyword in dicom_write.ALLOWED)
    assert {element.tag.group for element in dataset if element.tag.is_private} == {dicom_write.PRIVATE_GROUP}


def test_same_image_gives_the_same_bytes(tmp_path):
    form = FORMS["ct"]
    first = written(tmp_path, form).read_bytes()
    assert written(tmp_path, form).read_bytes() == first


def test_dates_are_empty_unless_source_date_epoch_is_set(tmp_path, monkeypatch):
    dataset = pydicom.dcmread(written(tmp_path, FORMS["ct"]))
    assert (dataset.StudyDate, dataset.StudyTime) == ("", "")
    assert "InstanceCreationDate" not in dataset
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    dataset = pydicom.dcmread(written(tmp_path, FORMS["ct"]))
    assert (dataset.StudyDate, dataset.StudyTime) == ("20231114", "221320")
    assert dataset.InstanceCreationDate == "20231114"


def test_nonsense_in_source_date_epoch_is_explained(tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    with pytest.raises(OutputError, match="yesterday") as raised:
        written(tmp_path, FORMS["ct"])
    assert "date +%s" in raised.value.hint
    assert list(tmp_path.iterdir()) == []


def test_uids_are_ours_and_change_with_pixels_seed_model_and_label(tmp_path):
    form = FORMS["ct"]
    other = picture(form)
    other[5, 5] = 1 - other[5, 5]
    cases = [
        (SYNTHETIC, None),
        (SYNTHETIC, other),
        (Mark(synthetic=True, label="b", index=3, seed=7, model="ab" * 32), None),
        (Mark(synthetic=True, label="b", index=3, seed=8, model="ab" * 32), None),
        (Mark(synthetic=True, label="b", index=3, seed=8, model="cd" * 32), None),
    ]
    datasets = [pydicom.dcmread(written(tmp_path, form, mark, pixels)) for mark, pixels in cases]
    keywords = ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID", "PatientID")
    for keyword in keywords:
        assert len({dataset[keyword].value for dataset in datasets}) == len(cases)
    for dataset in datasets:
        for keyword in keywords[:4]:
            assert re.fullmatch(r"2\.25\.[1-9]\d{0,38}", dataset[keyword].value)
        assert dataset.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID
        assert dataset.file_meta.ImplementationClassUID.startswith("2.25.")


def test_real_images_of_one_patient_share_a_study_but_no_series(tmp_path):
    form = FORMS["ct"]
    again = Mark(synthetic=False, label="normal", index=4, patient="0123456789abcdef")
    first, second = (pydicom.dcmread(written(tmp_path, form, mark)) for mark in (REAL, again))
    assert (first.PatientID, first.StudyInstanceUID) == (second.PatientID, second.StudyInstanceUID)
    assert first.SeriesInstanceUID != second.SeriesInstanceUID
    assert first.FrameOfReferenceUID != second.FrameOfReferenceUID


def test_a_modality_or_body_part_that_is_no_code_string_is_not_written(tmp_path):
    form = Form(**BYTES, modality="x" * 20, body_part="the left\\hand")
    dataset = pydicom.dcmread(written(tmp_path, form))
    assert dataset.Modality == "OT"
    assert "BodyPartExamined" not in dataset


def test_a_broken_disk_leaves_no_partial_file(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match="full"):
        written(tmp_path, FORMS["ct"])
    assert list(tmp_path.iterdir()) == []


def test_file_is_read_by_content_alone(tmp_path):
    data = written(tmp_path, FORMS["ct"]).read_bytes()
    assert data[128:132] == b"DICM"
    assert pydicom.dcmread(io.BytesIO(data)).file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
