"""Where a file's label, patient and split come from, before any file is opened."""

from pathlib import Path

import numpy as np
import pytest

from medgan.base.errors import DatasetError
from medgan.dataset.file_list import _list_arrays, list_files
from medgan.dataset.source import FileEntry, FileList, Source, find_subject, to_valid_text


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def told(listing: FileList) -> dict[str, tuple[str, str]]:
    """{path: (label, split)} of the files that are fine so far."""
    return {
        file.path.relative_to(listing.root).as_posix(): (file.label, file.split)
        for file in listing.entries
        if file.verdict == "ok"
    }


def only(listing: FileList) -> FileEntry:
    (entry,) = listing.entries
    return entry


# --- class folders ---


def test_the_folder_is_the_label_however_deep_the_file(tmp_path):
    listing = list_files(Source(path=touch(tmp_path, "covid/a", "covid/series/b", "normal/x/y/c")))
    assert told(listing) == {
        "covid/a": ("covid", "train"),
        "covid/series/b": ("covid", "train"),
        "normal/x/y/c": ("normal", "train"),
    }


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train", "train"),
        ("Training", "train"),
        ("valid", "val"),
        ("validation", "val"),
        ("VAL", "val"),
        ("testing", "test"),
    ],
)
def test_splits_above_the_classes_are_honoured_whatever_they_are_called(tmp_path, name, split):
    listing = list_files(Source(path=touch(tmp_path, f"{name}/covid/a")))
    assert told(listing) == {f"{name}/covid/a": ("covid", split)}


def test_a_class_below_a_class_may_be_called_like_a_split(tmp_path):
    assert told(list_files(Source(path=touch(tmp_path, "covid/test/a")))) == {
        "covid/test/a": ("covid", "train")
    }


def test_files_above_the_classes_have_no_label(tmp_path):
    listing = list_files(Source(path=touch(tmp_path, "a", "train/b", "train/covid/c")))
    assert told(listing) == {
        "a": ("", "train"),
        "train/b": ("", "train"),
        "train/covid/c": ("covid", "train"),
    }
    assert listing.entries[0].reason == "it is not in a class folder"


def test_empty_class_folders_are_told(tmp_path):
    touch(tmp_path, "train/covid/a", "train/normal/b", "test/covid/c")
    (tmp_path / "test" / "normal").mkdir()
    assert [warning[:36] for warning in list_files(Source(path=tmp_path)).warnings] == [
        "The class folder test/normal is empt"
    ]


def test_odd_class_names_are_kept_as_they_are(tmp_path):
    names = {"with space", "日本", "CON", "x" * 200, "a'b\"c"}
    listing = list_files(Source(path=touch(tmp_path, *(f"{name}/a" for name in names))))
    assert {label for label, _ in told(listing).values()} == names


def test_a_name_that_is_no_utf_8_becomes_a_legible_label(tmp_path):
    raw = b"caf\xe9".decode("utf-8", "surrogateescape")
    touch(tmp_path, f"{raw}/a")
    assert only(list_files(Source(path=tmp_path))).label == "caf�" == to_valid_text(raw)


def test_a_folder_without_classes_is_refused_with_what_to_do(tmp_path):
    with pytest.raises(DatasetError, match="no class sub-folders") as caught:
        list_files(Source(path=touch(tmp_path, "a.dcm", "b.dcm")))
    assert "--labels" in caught.value.hint


def test_splits_without_classes_are_refused(tmp_path):
    with pytest.raises(DatasetError, match="no class sub-folders"):
        list_files(Source(path=touch(tmp_path, "train/a.dcm", "test/b.dcm")))


@pytest.mark.parametrize(
    ("name", "words"), [("nowhere", "does not exist"), ("empty", "is empty"), ("file", "a single file")]
)
def test_a_path_that_is_no_data_set_is_refused(tmp_path, name, words):
    (tmp_path / "empty").mkdir()
    touch(tmp_path, "file")
    with pytest.raises(DatasetError, match=words) as caught:
        list_files(Source(path=tmp_path / name))
    assert caught.value.hint


# --- arrays ---


def test_an_array_is_taken_by_itself_or_from_a_folder_without_sub_folders(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, train_images=np.zeros((1, 4, 4), np.uint8), train_labels=np.zeros((1, 1)))
    assert list_files(Source(path=path)).arrays == (path,)
    assert list_files(Source(path=tmp_path)).arrays == (path,)
    touch(tmp_path, "covid/a")
    assert list_files(Source(path=tmp_path)).arrays == ()


# --- tables ---


def test_a_table_names_label_patient_and_split(tmp_path):
    touch(tmp_path, "scans/a", "scans/deep/b")
    table = tmp_path / "labels.csv"
    table.write_text("path,label,patient,split\na,covid,P1,train\ndeep/b,normal,P2,test\n")
    listing = list_files(Source(path=tmp_path / "scans", labels=table))
    assert told(listing) == {"a": ("covid", "train"), "deep/b": ("normal", "test")}
    assert [entry.patient for entry in listing.entries] == ["P1", "P2"]


def test_paths_may_be_relative_to_the_table(tmp_path):
    touch(tmp_path, "scans/a")
    (tmp_path / "labels.csv").write_text("path,label\nscans/a,covid\n")
    assert told(list_files(Source(path=tmp_path / "scans", labels=tmp_path / "labels.csv"))) == {
        "a": ("covid", "train")
    }


@pytest.mark.parametrize("heading", ["path,label", "path,label,split"])
def test_folders_give_the_split_that_a_row_does_not(tmp_path, heading):
    touch(tmp_path, "scans/train/a/x", "scans/Testing/a/y", "scans/val/z", "scans/other/test/w")
    table = tmp_path / "labels.csv"
    table.write_text(f"{heading}\ntrain,a\nTesting,a\nval/z,a\nother,a\n")
    listing = list_files(Source(path=tmp_path / "scans", labels=table))
    assert {entry.path.name: entry.split for entry in listing.entries if entry.label} == {
        "x": "train",
        "y": "test",
        "z": "val",
        "w": "train",
    }


def test_a_split_of_its_own_goes_before_the_folder(tmp_path):
    touch(tmp_path, "test/x")
    (tmp_path / "labels.csv").write_text("path,label,split\ntest/x,a,train\n")
    listing = list_files(Source(path=tmp_path, labels=tmp_path / "labels.csv"))
    assert told(listing)["test/x"] == ("a", "train")


def test_a_row_may_name_a_folder(tmp_path):
    touch(tmp_path, "P1/a", "P1/s/b", "P2/c")
    (tmp_path / "labels.csv").write_text("path,label\nP1,covid\nP2,normal\n")
    labels = told(list_files(Source(path=tmp_path, labels=tmp_path / "labels.csv")))
    assert labels["P1/s/b"] == ("covid", "train")
    assert labels["P2/c"] == ("normal", "train")


def test_a_row_may_name_a_folder_elsewhere(tmp_path):
    touch(tmp_path, "scans/a", "extra/b", "extra/deep/c")
    (tmp_path / "labels.csv").write_text("path,label\na,covid\nextra,normal\n")
    listing = list_files(Source(path=tmp_path / "scans", labels=tmp_path / "labels.csv"))
    assert [(file.path.name, file.label, file.verdict) for file in listing.entries] == [
        ("a", "covid", "ok"),
        ("b", "normal", "ok"),
        ("c", "normal", "ok"),
    ]


def test_a_file_elsewhere_is_listed_once_by_the_row_that_is_nearest(tmp_path):
    touch(tmp_path, "scans/a", "other/b", "other/sub/c")
    (tmp_path / "labels.csv").write_text("path,label\na,x\nother,x\nother/sub,y\nother/sub/c,z\n")
    listing = list_files(Source(path=tmp_path / "scans", labels=tmp_path / "labels.csv"))
    assert [(file.path.name, file.label) for file in listing.entries] == [
        ("a", "x"),
        ("b", "x"),
        ("c", "z"),
    ]


def test_a_row_may_be_written_as_windows_writes_paths(tmp_path):
    touch(tmp_path, "scans/d/a", "scans/d/b\\c")
    (tmp_path / "labels.csv").write_text("path,label\nd\\a,covid\nd/b\\c,normal\n")
    listing = list_files(Source(path=tmp_path / "scans", labels=tmp_path / "labels.csv"))
    assert told(listing) == {"d/a": ("covid", "train"), "d/b\\c": ("normal", "train")}


def test_a_name_that_is_too_long_for_the_disk_is_told(tmp_path):
    touch(tmp_path, "scans/a")
    (tmp_path / "labels.csv").write_text(f"path,label\na,covid\n{'x' * 300},covid\n")
    listing = list_files(Source(path=tmp_path / "scans", labels=tmp_path / "labels.csv"))
    assert [file.verdict for file in listing.entries] == ["ok", "error:unreadable"]


def test_rows_without_a_file_and_files_without_a_row_are_both_listed(tmp_path):
    touch(tmp_path, "scans/a", "scans/b")
    (tmp_path / "labels.csv").write_text("path,label\na,covid\nc,covid\n")
    listing = list_files(Source(path=tmp_path / "scans", labels=tmp_path / "labels.csv"))
    by_name = {entry.path.name: entry for entry in listing.entries}
    assert by_name["b"].label == ""
    assert by_name["b"].reason == "no row of labels.csv names it"
    assert by_name["c"].verdict == "error:not-found"


def test_two_rows_that_disagree_about_a_file_are_a_conflict(tmp_path):
    touch(tmp_path, "scans/a")
    (tmp_path / "labels.csv").write_text("path,label\na,covid\n./a,normal\n")
    entry = only(list_files(Source(path=tmp_path / "scans", labels=tmp_path / "labels.csv")))
    assert (entry.verdict, entry.reason) == (
        "error:label-conflict",
        "rows 2 and 3 of labels.csv disagree about it",
    )


def test_a_row_that_is_written_twice_counts_once(tmp_path):
    touch(tmp_path, "scans/a")
    (tmp_path / "labels.csv").write_text("path,label\na,covid\na,covid\n")
    assert told(list_files(Source(path=tmp_path / "scans", labels=tmp_path / "labels.csv"))) == {
        "a": ("covid", "train")
    }


def test_a_table_inside_a_class_tree_is_not_used_unless_asked_for(tmp_path):
    touch(tmp_path, "covid/a")
    (tmp_path / "labels.csv").write_text("path,label\ncovid/a,normal\n")
    assert told(list_files(Source(path=tmp_path)))["covid/a"] == ("covid", "train")
    assert told(list_files(Source(path=tmp_path, labels=tmp_path / "labels.csv")))["covid/a"] == (
        "normal",
        "train",
    )


# --- BIDS ---


def bids(root: Path) -> Path:
    touch(root, "sub-01/anat/sub-01_T1w.nii", "sub-02/anat/sub-02_T1w.nii", "derivatives/sub-01/mask.nii")
    (root / "participants.tsv").write_text(
        "participant_id\tgroup\tsex\nsub-01\tcase\tF\n02\tcontrol\tM\nsub-09\tcase\tF\n"
    )
    return root


def test_a_bids_column_labels_the_subjects(tmp_path):
    listing = list_files(Source(path=bids(tmp_path), label_column="group"))
    labelled = {c.path.name: (c.label, c.patient) for c in listing.entries if c.label}
    assert labelled == {"sub-01_T1w.nii": ("case", "sub-01"), "sub-02_T1w.nii": ("control", "sub-02")}


def test_two_rows_that_disagree_about_a_subject_are_a_conflict(tmp_path):
    root = bids(tmp_path)
    with (root / "participants.tsv").open("a") as table:
        table.write("sub-01\tcontrol\tF\nsub-02\tcontrol\tM\n")
    found = {c.path.name: c for c in list_files(Source(path=root, label_column="group")).entries}
    assert found["sub-01_T1w.nii"].verdict == "error:label-conflict"
    assert found["sub-01_T1w.nii"].reason == "rows 2 and 5 of participants.tsv disagree about it"
    assert found["sub-02_T1w.nii"].verdict == "ok"


def test_participants_without_files_are_told(tmp_path):
    warnings = list_files(Source(path=bids(tmp_path), label_column="group")).warnings
    assert warnings == ("1 participants of participants.tsv have no files: sub-09.",)


def test_a_bids_folder_without_a_column_is_refused_with_its_columns(tmp_path):
    with pytest.raises(DatasetError, match="BIDS") as caught:
        list_files(Source(path=bids(tmp_path)))
    assert "participant_id, group, sex" in caught.value.hint


def test_an_unknown_column_is_refused(tmp_path):
    with pytest.raises(DatasetError, match="no column diagnosis"):
        list_files(Source(path=bids(tmp_path), label_column="diagnosis"))


@pytest.mark.parametrize(
    ("path", "who"),
    [
        ("a/sub-01/x.nii", "sub-01"),
        ("a/sub-01_T1w.nii", "sub-01"),
        ("a/sub-01.nii.gz", "sub-01"),
        ("a/sub-/x", ""),
        ("a/x", ""),
    ],
)
def test_the_subject_is_found_in_a_path(path, who):
    assert find_subject(path) == who


def test_a_class_that_is_called_like_a_subject_is_nobody():
    assert find_subject("train/sub-solid/x.png", "sub-solid") == ""
    assert find_subject("sub-solid/sub-solid_1.png", "sub-solid") == ""
    assert find_subject("sub-solid/sub-01/x.png", "sub-solid") == "sub-01"
    assert find_subject("train/sub-solid_nodule/x.png", "sub-solid_nodule") == ""


# --- a header attribute ---


def test_a_label_from_the_header_leaves_the_split_to_the_folders(tmp_path):
    listing = list_files(Source(path=touch(tmp_path, "test/a", "b"), label_tag="BodyPartExamined"))
    assert told(listing) == {"b": ("", "train"), "test/a": ("", "test")}


# --- a list ---


def test_a_line_is_a_path_and_the_folder_its_label(tmp_path, monkeypatch):
    monkeypatch.chdir(touch(tmp_path, "scans/test/covid/a", "b"))
    lines = ("scans/test/covid/a\n", "", f"{tmp_path}/b\tnormal\n")
    assert told(list_files(Source(lines=lines))) == {
        "scans/test/covid/a": ("covid", "test"),
        "b": ("normal", "train"),
    }


def splits_of(root, lines, **more):
    files = list_files(Source(lines=lines, **more)).entries
    return {file.path.relative_to(root).as_posix(): file.split for file in files}


def test_a_line_lies_in_the_nearest_split_folder_above(tmp_path, monkeypatch):
    root = touch(tmp_path / "test", "s/train/a/x", "s/test/a/p/y", "s/test/a/test/z", "s/b/v", "s/val/w")
    monkeypatch.chdir(root)
    lines = ("s/train/a/x\tone", "s/test/a/p/y\tone", "s/test/a/test/z", "s/b/v")
    expected = {"s/train/a/x": "train", "s/test/a/p/y": "test", "s/test/a/test/z": "test", "s/b/v": "train"}
    assert splits_of(root, lines) == expected  # whatever lies above all of them
    tagged = splits_of(root, ("s/val/w", "s/train/a/x"), label_tag="BodyPartExamined")
    assert tagged == {"s/val/w": "val", "s/train/a/x": "train"}


@pytest.mark.parametrize(
    "lines", [("s/test/a/x", "s/test/b/y"), ("s/test/a/x",), ("s/test/x\tone", "s/test/z\ttwo")]
)
def test_a_list_of_test_images_alone_is_not_trained_on(tmp_path, monkeypatch, lines):
    monkeypatch.chdir(touch(tmp_path, "s/test/a/x", "s/test/b/y", "s/test/x", "s/test/z"))
    assert set(splits_of(tmp_path, lines).values()) == {"test"}


def test_a_folder_that_cannot_be_listed_is_no_array(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "iterdir", lambda _: (_ for _ in ()).throw(PermissionError(13, "denied")))
    assert _list_arrays(tmp_path) == ()


def test_a_line_without_a_file_does_not_stop_the_others(tmp_path, monkeypatch):
    monkeypatch.chdir(touch(tmp_path, "x/a"))
    listing = list_files(Source(lines=("x/a", "x/nowhere", "x")))
    assert [entry.verdict for entry in listing.entries] == [
        "ok",
        "error:not-found",
        "skip:special-file",
    ]


def test_a_label_that_is_no_utf_8_becomes_legible(tmp_path, monkeypatch):
    monkeypatch.chdir(touch(tmp_path, "x/a"))
    assert only(list_files(Source(lines=("x/a\tl\udce9sion",)))).label == "l\ufffdsion"


def test_a_path_listed_twice_counts_once_or_is_a_conflict(tmp_path, monkeypatch):
    monkeypatch.chdir(touch(tmp_path, "x/a", "x/b"))
    listing = list_files(Source(lines=("x/a", "x/a", "x/b\tone", "x/b\ttwo")))
    assert [entry.verdict for entry in listing.entries] == [
        "ok",
        "skip:duplicate",
        "error:label-conflict",
        "error:label-conflict",
    ]
    assert listing.entries[3].reason == "it is listed as one and as two"


def test_an_empty_list_is_refused():
    with pytest.raises(DatasetError, match="list of files is empty"):
        list_files(Source(lines=("\n",)))


def test_a_list_may_take_its_labels_from_the_header(tmp_path, monkeypatch):
    monkeypatch.chdir(touch(tmp_path, "a/x"))
    entry = only(list_files(Source(lines=("a/x",), label_tag="BodyPartExamined")))
    assert (entry.label, entry.verdict) == ("", "ok")


def test_a_folder_without_files_is_empty_wherever_labels_come_from(tmp_path):
    with pytest.raises(DatasetError, match="is empty"):
        list_files(Source(path=tmp_path, label_tag="BodyPartExamined"))


# --- the source itself ---


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"path": Path("a"), "lines": ("b",)},
        {"path": Path("a"), "labels": Path("x.csv"), "label_tag": "BodyPartExamined"},
        {"lines": ("b",), "labels": Path("x.csv")},
    ],
)
def test_contradicting_wishes_are_refused_before_any_file_is_touched(options):
    with pytest.raises(DatasetError) as caught:
        Source(**options)
    assert caught.value.hint


def test_output_must_stay_out_of_the_folders_of_a_list(tmp_path):
    assert Source(lines=("a/x", "a/y", "b/z\tlabel")).inputs == (Path("a"), Path("b"))
    assert Source(path=tmp_path).inputs == (tmp_path,)
