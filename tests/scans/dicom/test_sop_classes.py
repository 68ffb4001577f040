"""Which DICOM class is true of a form, and what its files say."""

from __future__ import annotations

from dataclasses import replace

import pydicom
import pytest
from pydicom.datadict import tag_for_keyword

from medgan.base.errors import OutputError, PlanError
from medgan.scans.dicom import sop_classes
from medgan.scans.dicom import write as dicom_write
from medgan.scans.dicom.sop_classes import SOP_CLASSES, choose_class, list_obstacles, set_class
from tests.scans.written import FORMS, REAL, SYNTHETIC, written

every_form = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
both_marks = pytest.mark.parametrize("mark", [SYNTHETIC, REAL], ids=["synthetic", "real"])
ONE_EACH = {name: FORMS[name] for name in SOP_CLASSES}


@every_form
def test_a_form_is_of_its_own_class_by_itself(form):
    assert choose_class(replace(form, dicom_class="sc"))[0] == form.dicom_class


@pytest.mark.parametrize(
    ("name", "change", "why"),
    [
        ("ct", {"spacing_mm": None}, "size of their pixels is unknown"),
        ("ct", {"channels": 3}, "colour"),
        ("ct", {"unit": "stored", "low": 0, "high": 255, "bits": 8}, "not Hounsfield units"),
        ("mr", {"spacing_mm": None}, "size of their pixels is unknown"),
        ("mr", {"channels": 3}, "colour"),
        ("mr", {"modality": "CT"}, "modality is CT"),
        ("mr", {"unit": "HU"}, "are Hounsfield units"),
        ("cr", {"channels": 3}, "colour"),
        ("cr", {"modality": "DX"}, "modality is DX"),
        ("dx", {"spacing_mm": None}, "size of their pixels is unknown"),
        ("dx", {"body_part": "HAND"}, "HAND, which may be left or right"),
        ("dx", {"body_part": ""}, "unknown part"),
        ("us", {"bits": 12, "unit": "relative"}, "12 bits"),
    ],
)
def test_a_class_that_would_not_be_true_is_refused_and_never_chosen(name, change, why):
    form = replace(ONE_EACH[name], **change, dicom_class="sc")
    with pytest.raises(PlanError, match=why) as refused:
        set_class(form, name)
    assert "--dicom-class sc" in refused.value.hint
    chosen, reason = choose_class(form)
    assert chosen != name
    assert (why in reason) == (form.modality == ONE_EACH[name].modality)
    assert set_class(form, "sc") == form


@pytest.mark.parametrize("name", SOP_CLASSES)
def test_images_of_no_modality_take_that_of_the_class_asked_for(name):
    form = replace(ONE_EACH[name], modality="", dicom_class="sc")
    assert choose_class(form)[0] == "sc"
    made = set_class(form, name)
    assert (made.dicom_class, made.modality) == (name, "" if name == "sc" else name.upper())
    assert list_obstacles(name, replace(form, modality="OT")) == []


def test_an_unknown_class_is_answered_with_the_known_ones():
    with pytest.raises(PlanError, match="'mg'") as refused:
        set_class(FORMS["cr"], "mg")
    assert "auto, ct, mr, cr, dx, us, sc" in refused.value.hint


def test_no_file_is_written_in_a_class_that_is_not_true(tmp_path):
    with pytest.raises(PlanError, match="unknown"):
        written(tmp_path, replace(FORMS["ct"], spacing_mm=None))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", SOP_CLASSES)
def test_every_class_is_written_as_its_sop_class(tmp_path, name):
    dataset = pydicom.dcmread(written(tmp_path, FORMS[name]))
    assert dataset.SOPClassUID == dataset.file_meta.MediaStorageSOPClassUID == SOP_CLASSES[name]
    assert dataset.Modality == (FORMS[name].modality or "OT")


@every_form
@both_marks
def test_every_tag_is_on_the_allow_list(tmp_path, form, mark, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    dataset = pydicom.dcmread(written(tmp_path, form, mark))
    public = {element.keyword for element in dataset if not element.tag.is_private}
    assert public <= sop_classes._ALLOWED
    assert {element.tag.group for element in dataset if element.tag.is_private} == {
        dicom_write._PRIVATE_GROUP
    }


def test_every_word_of_the_allow_list_is_an_attribute_that_some_class_has(tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    used = {e.keyword for form in FORMS.values() for e in pydicom.dcmread(written(tmp_path, form))}
    assert used - {""} == sop_classes._ALLOWED
    assert all(tag_for_keyword(keyword) for keyword in sop_classes._ALLOWED)


@every_form
def test_every_synthetic_marker_is_in_every_class(tmp_path, form):
    dataset = pydicom.dcmread(written(tmp_path, form))
    assert dataset.SyntheticData == "YES"
    assert list(dataset.ImageType)[:2] == ["DERIVED", "SECONDARY"]
    assert dataset.get("ConversionType", "SYN") == "SYN"
    assert ("ConversionType" in dataset) == (form.dicom_class == "sc")
    assert dataset.ContentQualification == "RESEARCH"
    assert (dataset.BurnedInAnnotation, dataset.LossyImageCompression) == ("NO", "00")
    assert (dataset.Manufacturer, dataset.ManufacturerModelName) == ("medgan", "medgan")
    assert dataset.PatientID.startswith("SYN-")
    assert str(dataset.PatientName).startswith("SYN^")
    for keyword in ("SeriesDescription", "StudyDescription", "ImageComments"):
        assert dataset[keyword].value.startswith("SYNTHETIC")
    assert dataset.DerivationDescription.startswith("Synthesized")
    (equipment,) = dataset.ContributingEquipmentSequence
    assert equipment.PurposeOfReferenceCodeSequence[0].CodeValue == "109100"
    assert equipment.Manufacturer == "medgan"
    assert equipment.SoftwareVersions == dataset.SoftwareVersions
    private = dataset.private_block(dicom_write._PRIVATE_GROUP, dicom_write._PRIVATE_CREATOR)
    assert [private[element].value for element in (1, 2, 3, 4)] == ["ab" * 32, "7", "Größe/x_y", "3"]
    assert "PatientIdentityRemoved" not in dataset


@every_form
def test_a_real_image_differs_only_where_the_truth_differs(tmp_path, form):
    synthetic = pydicom.dcmread(written(tmp_path, form, SYNTHETIC))
    real = pydicom.dcmread(written(tmp_path, form, REAL))
    assert (real.SyntheticData, real.PatientID) == ("NO", "REAL-0123456789ABCDEF")
    said = {element.keyword for element in synthetic if not element.tag.is_private}
    keywords = {element.keyword for element in real if not element.tag.is_private}
    known = set() if form.dicom_class == "dx" else {"BurnedInAnnotation", "LossyImageCompression"}
    assert said - keywords == known
    assert keywords <= said
    alike = {keyword for keyword in keywords if real[keyword].value == synthetic[keyword].value}
    differs = {
        "SyntheticData",
        "ContributingEquipmentSequence",
        "DerivationDescription",
        "ImageComments",
        "StudyDescription",
        "SeriesDescription",
        "PatientID",
        "PatientName",
        "SOPInstanceUID",
        "StudyInstanceUID",
        "SeriesInstanceUID",
    }
    plane = {"FrameOfReferenceUID"}
    differs |= {"ct": plane, "mr": plane, "sc": {"ConversionType"}}.get(form.dicom_class, set())
    assert keywords - alike == differs
    private = real.private_block(dicom_write._PRIVATE_GROUP, dicom_write._PRIVATE_CREATOR)
    assert 1 not in private
    assert 2 not in private


def test_dates_are_empty_unless_source_date_epoch_is_set(tmp_path, monkeypatch):
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
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


def test_window_shows_exactly_the_range_of_the_form(tmp_path):
    dataset = pydicom.dcmread(written(tmp_path, FORMS["ct"]))
    centre, width = dataset.WindowCenter, dataset.WindowWidth
    # PS3.3 C.11.2.1.2.1, LINEAR
    assert centre - 0.5 - (width - 1) / 2 == -1024
    assert centre - 0.5 + (width - 1) / 2 == 3071


def test_spacing_is_row_then_column_and_absent_when_unknown(tmp_path):
    dataset = pydicom.dcmread(written(tmp_path, FORMS["ct"]))
    assert (list(dataset.PixelSpacing), dataset.SliceThickness) == ([0.7, 0.8], 5.0)
    dataset = pydicom.dcmread(written(tmp_path, FORMS["sc-ct-without-spacing"]))
    assert "PixelSpacing" not in dataset
    assert dataset.Modality == "CT"


@pytest.mark.parametrize("name", ["cr", "dx"])
def test_spacing_of_a_plate_is_claimed_at_the_detector_only(tmp_path, name):
    dataset = pydicom.dcmread(written(tmp_path, FORMS[name]))
    assert list(dataset.ImagerPixelSpacing) == [0.143, 0.15]
    assert "PixelSpacing" not in dataset


def test_unpaired_body_part_has_no_laterality_and_any_other_an_empty_one(tmp_path):
    assert "Laterality" not in pydicom.dcmread(written(tmp_path, FORMS["cr"]))
    assert pydicom.dcmread(written(tmp_path, FORMS["sc-hand"])).Laterality == ""


def test_a_modality_or_body_part_that_is_no_code_string_is_not_written(tmp_path):
    form = replace(FORMS["sc"], modality="x" * 20, body_part="the left\\hand")
    dataset = pydicom.dcmread(written(tmp_path, form))
    assert dataset.Modality == "OT"
    assert "BodyPartExamined" not in dataset
