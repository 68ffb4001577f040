"""Other software accepts written DICOM files.

It is a validator, the standard's tables, other readers, a converter and a receiving server.
"""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest

from medgan.scans.dicom import read as dicom_read
from medgan.scans.dicom import write as dicom_write
from medgan.scans.dicom.anatomy import UNPAIRED
from medgan.scans.provenance import stored_values
from tests.scans.strangers import serving, tool
from tests.scans.written import FORMS, REAL, SYNTHETIC, block, picture, written

UNKNOWN_TO_DCIODVFY = (
    "Error - Attribute with an even group number is not a recognized standard attribute - (0x0008,0x001c)"
)
IODS = {
    "ct": "CTImage",
    "mr": "MRImage",
    "cr": "CRImage",
    "dx": "DXImageForPresentation",
    "us": "USImage",
    "sc": "SCImage",
}
every_form = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
both_marks = pytest.mark.parametrize("mark", [SYNTHETIC, REAL], ids=["synthetic", "real"])


def verdict(path):
    """The lines that dciodvfy writes on a file."""
    dciodvfy = tool("dciodvfy", "dicom3tools")
    done = subprocess.run([dciodvfy, str(path)], capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).splitlines()


def errors(lines):
    """The errors among them, but for the attribute that is younger than the program."""
    return [line for line in lines if line.startswith("Error") and not line.startswith(UNKNOWN_TO_DCIODVFY)]


@every_form
@both_marks
@pytest.mark.parametrize("epoch", ["", "1700000000"], ids=["undated", "dated"])
def test_dciodvfy_finds_no_error(tmp_path, form, mark, epoch, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
    lines = verdict(written(tmp_path, form, mark))
    assert IODS[form.dicom_class] in lines
    assert errors(lines) == []


@pytest.mark.parametrize("part", UNPAIRED)
def test_dciodvfy_agrees_which_parts_have_no_pair(tmp_path, part):
    assert errors(verdict(written(tmp_path, replace(FORMS["cr"], body_part=part)))) == []


@pytest.mark.parametrize(
    "part", ["", "BREAST", "HAND", "KIDNEY", "KNEE", "LUNG", "SHOULDER", "SOMETHINGELSE"]
)
def test_dciodvfy_agrees_which_parts_have_a_pair(tmp_path, part):
    assert errors(verdict(written(tmp_path, replace(FORMS["cr"], body_part=part)))) == []


def test_dciodvfy_would_find_one(tmp_path):
    dataset = pydicom.dcmread(written(tmp_path, FORMS["ct"]))
    del dataset.ImageOrientationPatient
    dataset.save_as(tmp_path / "broken.dcm")
    assert "ImageOrientationPatient" in "".join(errors(verdict(tmp_path / "broken.dcm")))


# --- the standard's own tables, as highdicom carries them ---


def lacking(dataset):
    """(module, keyword) of every missing Type 1 or 2 attribute of mandatory modules, in items too."""
    highdicom = pytest.importorskip("highdicom")
    tables = Path(highdicom.__file__).parent / "_standard"
    names = ("sop_class_iod_map", "iod_module_map", "module_attribute_map")
    iods, modules, attributes = (json.loads((tables / f"{name}.json").read_text()) for name in names)
    wanted = [module["key"] for module in modules[iods[dataset.SOPClassUID]] if module["usage"] == "M"]
    assert len(wanted) > 5
    return [
        (module, entry["keyword"])
        for module in wanted
        for entry in attributes[module]
        if entry["type"] in {"1", "2"}
        for place in reached(dataset, entry["path"])
        if entry["keyword"] not in place or (entry["type"] == "1" and place[entry["keyword"]].is_empty)
    ]


def reached(dataset, path):
    """The data sets at the end of a path of sequences; none where a sequence is absent."""
    places = [dataset]
    for keyword in path:
        places = [item for place in places for item in place.get(keyword) or []]
    return places


@every_form
@both_marks
def test_mandatory_modules_have_their_type_1_and_2_attributes(tmp_path, form, mark):
    assert lacking(pydicom.dcmread(written(tmp_path, form, mark))) == []


def test_a_missing_attribute_of_a_sequence_item_would_be_found(tmp_path):
    dataset = pydicom.dcmread(written(tmp_path, FORMS["dx"]))
    del dataset.AnatomicRegionSequence[0].CodeMeaning
    del dataset.ImagerPixelSpacing
    assert {("dx-anatomy-imaged", "CodeMeaning"), ("dx-detector", "ImagerPixelSpacing")} <= set(
        lacking(dataset)
    )


# --- readers ---


@every_form
def test_pixels_come_back_equal_through_pydicom_simpleitk_and_highdicom(tmp_path, form):
    path = written(tmp_path, form)
    expected = stored_values(picture(form), form)
    np.testing.assert_array_equal(pydicom.dcmread(path).pixel_array, expected)
    sitk = pytest.importorskip("SimpleITK")
    np.testing.assert_array_equal(np.squeeze(sitk.GetArrayFromImage(sitk.ReadImage(str(path)))), expected)
    highdicom = pytest.importorskip("highdicom")
    frame = highdicom.imread(path).get_frame(1, apply_icc_profile=False)
    np.testing.assert_array_equal(frame, expected)


@pytest.mark.parametrize("name", [name for name, form in FORMS.items() if form.spacing_mm])
def test_spacing_comes_back_through_simpleitk(tmp_path, name):
    sitk = pytest.importorskip("SimpleITK")
    form = FORMS[name]
    _, tall, wide = form.spacing_mm
    found = sitk.ReadImage(str(written(tmp_path, form))).GetSpacing()
    assert found[:2] == pytest.approx((wide, tall))


@every_form
def test_medgans_own_reader_gives_back_values_meaning_and_spacing(tmp_path, form):
    scan = dicom_read.read(written(tmp_path, form, REAL))
    expected = stored_values(picture(form), form).astype(np.float32)
    display = form.bits > 8 and form.modality in {"CR", "DX"}
    np.testing.assert_allclose(scan.pixels[0] * (2.0**form.bits - 1 if display else 1), expected, atol=0.01)
    stored = "stored" if form.bits <= 8 or form.channels == 3 else "raw"
    assert scan.meaning == ("HU" if form.unit == "HU" else "display" if display else stored)
    assert scan.modality == (form.modality or "OT")
    assert scan.bits == form.bits
    assert scan.spacing_mm == (None if form.spacing_mm is None else pytest.approx(form.spacing_mm))


@pytest.mark.parametrize("name", ["ct", "mr"])
def test_a_series_is_one_volume_to_simpleitk_and_highdicom(tmp_path, name):
    sitk, highdicom = pytest.importorskip("SimpleITK"), pytest.importorskip("highdicom")
    form, volume = FORMS[name], block()
    paths = dicom_write.write_volume(tmp_path / "series", volume, form, SYNTHETIC)
    expected, (z, y, x) = stored_values(volume, form), form.spacing_mm or ()
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp_path / "series")))
    image = reader.Execute()
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), expected)
    assert image.GetSpacing() == pytest.approx((x, y, z))
    whole = highdicom.get_volume_from_series(
        [pydicom.dcmread(path) for path in reversed(paths)]
    ).to_patient_orientation("HPL")
    np.testing.assert_array_equal(whole.array, expected)
    assert whole.spacing == pytest.approx((z, y, x))


# --- a converter ---


def test_dcm2niix_makes_one_volume_with_hounsfield_units_and_spacing(tmp_path):
    dcm2niix, nib = tool("dcm2niix", "dcm2niix"), pytest.importorskip("nibabel")
    form, volume = FORMS["ct"], block(rows=32, columns=24)
    dicom_write.write_volume(tmp_path / "series", volume, form, SYNTHETIC)
    (tmp_path / "out").mkdir()
    subprocess.run(
        [dcm2niix, "-z", "n", "-f", "volume", "-o", str(tmp_path / "out"), str(tmp_path / "series")],
        check=True,
        capture_output=True,
    )
    (path,) = (tmp_path / "out").glob("*.nii")
    image = nib.load(path)
    assert image.header.get_zooms() == pytest.approx((0.8, 0.7, 5.0))
    ras = nib.as_closest_canonical(image)
    shown = np.asarray(ras.dataobj)[::-1, ::-1].transpose(
        2, 1, 0
    )  # RAS to rows backward, columns to the left
    np.testing.assert_array_equal(shown, stored_values(volume, form))


# --- a server that receives ---


def test_a_server_takes_every_class_and_keeps_it_equal(tmp_path):
    storescu, folder = tool("storescu", "dcmtk"), tmp_path / "received"
    sent = {}
    for number, (name, form) in enumerate(FORMS.items()):
        path = written(tmp_path, form, SYNTHETIC if number % 2 else REAL).rename(tmp_path / f"{name}.dcm")
        sent[pydicom.dcmread(path).SOPInstanceUID] = path
    with serving(folder) as port:
        done = subprocess.run(
            [storescu, "-v", "-R", "127.0.0.1", str(port), *map(str, sent.values())],
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"\(Success\)", done.stdout + done.stderr)) == len(sent)
    arrived = [pydicom.dcmread(path) for path in folder.iterdir()]
    assert {file.SOPInstanceUID for file in arrived} == set(sent)
    for file in arrived:
        assert file == pydicom.dcmread(sent[file.SOPInstanceUID])
