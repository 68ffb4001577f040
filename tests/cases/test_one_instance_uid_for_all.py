"""Identifiers that a converter wrote alike into every file name nothing, and cost no image."""

from collections import Counter
from pathlib import Path

import pytest

from medgan.dataset.advice import data_warnings
from medgan.dataset.index import index
from medgan.dataset.source import Source
from tests.dataset.conftest import capture, ct, noise

ONE = "1.2.3.4.5"


@pytest.fixture
def image(tmp_path):
    """Write a capture without PatientID: image("a/0.dcm", seed, ...keywords)."""
    return capture.__wrapped__(tmp_path)


@pytest.fixture
def sliced(tmp_path):
    """Write a CT slice: sliced("a/0.dcm", seed, z=0.0, ...keywords)."""
    return ct.__wrapped__(tmp_path)


def verdicts(root: Path) -> Counter:
    return Counter(record.verdict for record in index(Source(path=root)).records)


def told(root: Path) -> str:
    return "\n".join(data_warnings(index(Source(path=root))))


@pytest.mark.parametrize("shared", ["all", "class"])
def test_images_of_one_uid_are_used_where_their_pixels_differ(image, tmp_path, shared):
    for number in range(10):
        label = "ab"[number % 2]
        uid = ONE if shared == "all" else f"{ONE}.{number % 2 + 1}"
        image(f"{label}/{number}.dcm", number, SOPInstanceUID=uid, SeriesInstanceUID="1.2.3")
    assert verdicts(tmp_path) == {"ok": 10}
    assert "Scans with the note shared-instance-uid: 10" in told(tmp_path)


def test_slices_of_one_uid_still_make_a_volume(sliced, tmp_path):
    for number in range(5):
        sliced(f"a/{number}.dcm", number, z=2.0 * number, series="s", SOPInstanceUID=ONE)
    (volume,) = index(Source(path=tmp_path)).usable()
    assert len(volume.parts) == 5


def test_the_same_image_twice_is_still_a_duplicate_and_under_two_labels_a_conflict(image, tmp_path):
    for name, seed in {"a/0": 0, "a/1": 0, "a/2": 1, "a/3": 2, "b/0": 2, "b/1": 3}.items():
        image(f"{name}.dcm", seed, SOPInstanceUID=ONE)
    found = {record.path: record.verdict for record in index(Source(path=tmp_path)).records}
    assert found == {
        "a/0.dcm": "ok",
        "a/1.dcm": "skip:duplicate",
        "a/2.dcm": "ok",
        "a/3.dcm": "error:label-conflict",
        "b/0.dcm": "error:label-conflict",
        "b/1.dcm": "ok",
    }


@pytest.mark.parametrize("label", ["a", "b"])
def test_an_image_of_one_value_takes_no_good_one_with_its_uid_along(sliced, tmp_path, label):
    flat = (noise(0) * 0).astype("<i2").tobytes()
    sliced("a/0.dcm", SOPInstanceUID=ONE, PixelData=flat)
    sliced(f"{label}/1.dcm", 1, SOPInstanceUID=ONE)
    assert verdicts(tmp_path) == {"ok": 1, "skip:constant": 1}
    assert "shared-instance-uid" not in told(tmp_path)


def test_a_cut_file_takes_no_good_one_with_its_uid_along(sliced, tmp_path):
    cut = sliced("a/0.dcm", 1, SOPInstanceUID=ONE)
    sliced("a/1.dcm", 1, SOPInstanceUID=ONE)
    cut.write_bytes(cut.read_bytes()[:-50])
    assert verdicts(tmp_path)["ok"] == 1


def test_twins_are_told_apart_again_when_they_are_known(image, tmp_path):
    """The second look recalls what the first one measured."""
    for number in range(4):
        image(f"a/{number}.dcm", number // 2, SOPInstanceUID=ONE)
    assert verdicts(tmp_path) == verdicts(tmp_path) == {"ok": 2, "skip:duplicate": 2}


def test_one_series_for_a_whole_class_is_told(image, tmp_path):
    for number in range(24):
        label = "ab"[number % 2]
        image(f"{label}/{number}.dcm", number, SeriesInstanceUID=f"1.2.{number % 2}")
    text = told(tmp_path)
    assert "All 12 scans of class a that name no patient are of one DICOM series" in text
    assert "All 12 scans of class b" in text


def test_one_patient_for_a_whole_data_set_is_told(image, tmp_path):
    for number in range(6):
        image(f"{'ab'[number % 2]}/{number}.dcm", number, PatientID="ANON")
    assert "All 6 scans carry the same patient identifier" in told(tmp_path)


def test_one_patient_for_most_of_a_class_is_told(image, tmp_path):
    for number in range(30):
        image(f"a/{number}.dcm", number, PatientID="ANON" if number < 19 else f"P{number}")
        image(f"b/{number}.dcm", 100 + number, PatientID=f"Q{number}")
    text = told(tmp_path)
    assert "19 of the 30 scans of class a carry the same patient identifier" in text
    assert "of class b carry" not in text
