"""Tables may name files without ending or folder: matched where exactly one file answers to the name."""

import pytest

from medgan.dataset.file_list import list_files
from medgan.dataset.source import Source


def listed(root, rows, *names):
    for name in names:
        (root / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "in" / name).touch()
    (root / "labels.csv").write_text("path,label\n" + "".join(f"{row}\n" for row in rows))
    return list_files(Source(path=root / "in", labels=root / "labels.csv")).entries


def labelled(entries):
    return {file.path.name: file.label for file in entries if file.label}


def test_numbers_without_ending_are_matched(tmp_path):
    names = [f"img{number}.png" for number in range(8)]
    found = listed(tmp_path, [f"img{number},{number % 2}" for number in range(8)], *names)
    assert labelled(found) == {f"img{number}.png": str(number % 2) for number in range(8)}
    assert {file.verdict for file in found} == {"ok"}


@pytest.mark.parametrize("ending", [".dcm", ".nii.gz", ".nii", ".JPG", ".jpeg", ".tif", ".mha"])
def test_whatever_the_ending(tmp_path, ending):
    assert labelled(listed(tmp_path, ["d/case.1,x"], f"d/case.1{ending}")) == {f"case.1{ending}": "x"}


def test_what_only_goes_with_the_image_does_not_count(tmp_path):
    """As the notes of a BIDS data set, and the second file of an image in two."""
    names = (
        "sub-1_T1w.nii.gz",
        "sub-1_T1w.json",
        "pair.hdr",
        "pair.img",
        "meta.mhd",
        "meta.raw",
        "r.png",
        "r.txt",
    )
    found = listed(tmp_path, ["sub-1_T1w,x", "pair,x", "meta,x", "r,x"], *names)
    assert set(labelled(found)) == {"sub-1_T1w.nii.gz", "pair.hdr", "meta.mhd", "r.png"}


def test_a_bare_name_is_found_in_any_folder(tmp_path):
    found = listed(tmp_path, ["00001_000.png,x", "00002_000,y"], "part1/00001_000.png", "part2/00002_000.png")
    assert labelled(found) == {"00001_000.png": "x", "00002_000.png": "y"}


@pytest.mark.parametrize(
    ("row", "names", "told"),
    [
        ("img0", ("img0.png", "img0.jpg"), "img0.jpg or img0.png"),
        ("img0", ("a/img0.png", "b/img0.png", "c/img0.png"), "a/img0.png or b/img0.png (3 in all)"),
        ("img0.png", ("a/img0.png", "b/img0.png"), "a/img0.png or b/img0.png"),
    ],
)
def test_a_number_that_several_files_answer_to_is_told(tmp_path, row, names, told):
    found = listed(tmp_path, [f"{row},x", "other,y"], *names, "other.png")
    (missing,) = (file for file in found if file.verdict == "error:not-found")
    assert (
        missing.reason == f"there is no such file; it could be {told}: write the folder and the ending, too"
    )
    assert labelled(found) == {"img0" if row == "img0" else "img0.png": "x", "other.png": "y"}


def test_the_very_name_goes_first(tmp_path):
    """Files of DICOM often have no ending."""
    found = listed(tmp_path, ["img0,x"], "img0", "img0.png")
    assert labelled(found) == {"img0": "x"}


@pytest.mark.parametrize("row", ["img", "img0.png.bak", "b/img0", "0", "", "img0.jpg"])
def test_nothing_is_guessed(tmp_path, row):
    found = listed(tmp_path, [f"{row},x", "known.png,y"], "a/img0.png", "known.png")
    assert labelled(found).keys() - {row.rpartition("/")[2]} == {"known.png"}


def test_two_rows_that_come_to_one_file_and_disagree_are_a_conflict(tmp_path):
    (file,) = listed(tmp_path, ["img0,x", "img0.png,y"], "img0.png")
    assert file.verdict == "error:label-conflict"
