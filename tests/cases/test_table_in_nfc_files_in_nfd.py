"""A name is the same in every Unicode form: a Mac stores letters and accents apart, most tables together."""

import unicodedata

import pytest

from medgan.commands.sample import _labels_to_draw
from medgan.commands.values import as_quota
from medgan.dataset.file_list import list_files
from medgan.dataset.index import index
from medgan.dataset.source import Source
from medgan.dataset.tables import read_labels

FORMS = ["NFC", "NFD", "NFKD"]


def labelled(root, rows):
    """{(path, label, verdict)} of files that a table with these rows names, and of rows without a file."""
    (root / "labels.csv").write_text("path,label\n" + "".join(f"{row}\n" for row in rows), encoding="utf-8")
    listing = list_files(Source(path=root / "in", labels=root / "labels.csv"))
    return {
        (file.path.relative_to(root / "in").as_posix(), file.label, file.verdict)
        for file in listing.entries
        if file.label
    }


@pytest.mark.parametrize("disk", FORMS)
@pytest.mark.parametrize("table", FORMS)
@pytest.mark.parametrize("name", ["Müll_0.png", "Löschen/Ärzte/é.png", "가나다.png", "Ångström.dcm"])
def test_a_row_names_its_file_in_whatever_form(tmp_path, disk, table, name):
    there = unicodedata.normalize(disk, name)
    (tmp_path / "in" / there).parent.mkdir(parents=True)
    (tmp_path / "in" / there).touch()
    assert labelled(tmp_path, [f"{unicodedata.normalize(table, name)},a"]) == {(there, "a", "ok")}


def test_a_folder_in_one_form_and_a_file_in_the_other(tmp_path):
    folder, name = unicodedata.normalize("NFD", "Fälle"), unicodedata.normalize("NFC", "Müll.png")
    (tmp_path / "in" / folder).mkdir(parents=True)
    (tmp_path / "in" / folder / name).touch()
    assert labelled(tmp_path, ["Fälle/Mu\u0308ll.png,a"]) == {(f"{folder}/{name}", "a", "ok")}
    assert labelled(tmp_path, ["Fälle,b"]) == {(f"{folder}/{name}", "b", "ok")}  # a row may name a folder


def test_the_very_name_goes_before_one_in_another_form(tmp_path):
    (tmp_path / "in").mkdir()
    for form, text in (("NFC", "together"), ("NFD", "apart")):
        (tmp_path / "in" / unicodedata.normalize(form, "ü.png")).write_text(text)
    rows = [f"{unicodedata.normalize(form, 'ü.png')},{form}" for form in ("NFC", "NFD")]
    assert {(len(path), label) for path, label, _ in labelled(tmp_path, rows)} == {(5, "NFC"), (6, "NFD")}


def test_a_table_from_windows_need_not_heed_case(tmp_path):
    (tmp_path / "in" / "Scans").mkdir(parents=True)
    (tmp_path / "in" / "Scans" / "IMG_1.PNG").touch()
    assert labelled(tmp_path, ["scans\\img_1.png,a"]) == {("Scans/IMG_1.PNG", "a", "ok")}


def test_a_name_that_two_files_answer_to_is_told(tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("A.png", "a.PNG"):
        (tmp_path / "in" / name).touch()
    (tmp_path / "labels.csv").write_text("path,label\na.png,x\n")
    listing = list_files(Source(path=tmp_path / "in", labels=tmp_path / "labels.csv"))
    (missing,) = (file for file in listing.entries if file.verdict == "error:not-found")
    assert (
        missing.reason
        == "there is no such file; it could be A.png or a.PNG: write the folder and the ending, too"
    )


def test_a_class_is_one_in_whatever_form_its_folders_are_written(png, tmp_path):
    for number, (split, form) in enumerate((("train", "NFC"), ("train", "NFD"), ("test", "NFD"))):
        png(f"{split}/{unicodedata.normalize(form, 'Läsion')}/{number}.png", number)
    png("train/normal/x.png", 9)
    assert index(Source(path=tmp_path)).counts() == {
        "train": {"Läsion": 2, "normal": 1},
        "test": {"Läsion": 1, "normal": 0},
    }


def test_a_class_and_a_patient_are_one_in_whatever_form_a_table_writes_them(tmp_path):
    forms = [unicodedata.normalize(form, "Müller") for form in ("NFC", "NFD")]
    (tmp_path / "labels.csv").write_text(
        "path,label,patient\n" + "".join(f"{n}.png,{form},{form}\n" for n, form in enumerate(forms)),
        encoding="utf-8",
    )
    rows = read_labels(tmp_path / "labels.csv")
    assert {(row.label, row.patient) for row in rows} == {("Müller", "Müller")}


def test_a_class_is_found_by_a_name_typed_in_another_form(tmp_path):
    typed = unicodedata.normalize("NFD", "Läsion")
    assert as_quota(f"{typed}=5") == ("Läsion", 5)
    assert _labels_to_draw([typed], ["Läsion", "normal"]) == ("Läsion",)


@pytest.mark.parametrize("disk", FORMS)
@pytest.mark.parametrize("form", FORMS)
def test_a_list_names_its_files_in_whatever_form(tmp_path, monkeypatch, disk, form):
    there = unicodedata.normalize(disk, "Läsion/é.png")
    (tmp_path / there).parent.mkdir()
    (tmp_path / there).touch()
    monkeypatch.chdir(tmp_path)
    (file,) = list_files(Source(lines=(unicodedata.normalize(form, "Läsion/é.png"),))).entries
    assert (file.path, file.label, file.verdict) == (tmp_path / there, "Läsion", "ok")
