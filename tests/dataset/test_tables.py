"""Labels files and participants tables."""

import pytest

from medgan.base.errors import DatasetError
from medgan.dataset.tables import read_headings, read_labels, read_participants


@pytest.mark.parametrize("mark", [",", "\t", ";"])
@pytest.mark.parametrize("heading", ["path", "file", "file_name", "Path"])
def test_a_table_is_read_whatever_divides_its_columns_and_whatever_it_calls_the_path(tmp_path, mark, heading):
    table = tmp_path / "labels.csv"
    lines = [[heading, "label", "patient_id", "split"], ["a.dcm", "covid", "P1", "Validation"]]
    table.write_text("\n".join(mark.join(line) for line in lines))
    (row,) = read_labels(table)
    assert (row.key, row.label, row.patient, row.split, row.number) == ("a.dcm", "covid", "P1", "val", 2)


def test_a_table_with_bytes_of_zero_is_refused(tmp_path):
    (tmp_path / "labels.csv").write_bytes(b"path,label\na,x\n" + b"b\0,x\n")
    with pytest.raises(DatasetError, match="zero bytes"):
        read_labels(tmp_path / "labels.csv")


def test_patient_and_split_may_be_left_out(tmp_path):
    (tmp_path / "labels.csv").write_text("path,label\na.dcm,x\n")
    (row,) = read_labels(tmp_path / "labels.csv")
    assert (row.patient, row.split) == ("", "")


@pytest.mark.parametrize("heading", ["PatientID", "Patient ID", "patient", "subject_id", "Subject-ID"])
def test_a_patient_is_known_by_any_of_the_usual_headings(tmp_path, heading):
    (tmp_path / "labels.csv").write_text(f"path,label,{heading}\na.dcm,x,P1\n")
    (row,) = read_labels(tmp_path / "labels.csv")
    assert row.patient == "P1"


def test_the_exact_heading_goes_before_one_that_is_alike(tmp_path):
    (tmp_path / "labels.csv").write_text("path,label,Patient ID,patient\na.dcm,x,P1,P2\n")
    (row,) = read_labels(tmp_path / "labels.csv")
    assert row.patient == "P2"


def test_the_mark_that_spreadsheets_put_first_and_blank_lines_do_no_harm(tmp_path):
    (tmp_path / "labels.csv").write_bytes("﻿path, label \n\n a.dcm , x \n,,\n".encode())
    (row,) = read_labels(tmp_path / "labels.csv")
    assert (row.key, row.label, row.number) == ("a.dcm", "x", 3)


def test_short_rows_have_no_label(tmp_path):
    (tmp_path / "labels.csv").write_text("path,label\na.dcm\n")
    assert read_labels(tmp_path / "labels.csv")[0].label == ""


def test_not_available_is_no_label(tmp_path):
    (tmp_path / "participants.tsv").write_text("participant_id\tgroup\nsub-01\tn/a\nsub-02\tcase\n")
    assert [row.label for row in read_participants(tmp_path / "participants.tsv", "group")] == ["", "case"]
    assert read_headings(tmp_path / "participants.tsv") == ("participant_id", "group")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"name,label\na,b\n", "no column path or file or file_name; it has name, label"),
        (b"path,class\na,b\n", "no column label"),
        (b"path,label\n", "no rows"),
        (b"", "no rows"),
        (b"path,label,split\na,b,fold1\nc,d,fold2\n", "fold1, fold2"),
        (b"path,label\n\xff\xfe,b\n", "cannot be read as a table"),
    ],
)
def test_a_table_that_cannot_be_used_says_why_and_what_next(tmp_path, content, words):
    (tmp_path / "labels.csv").write_bytes(content)
    with pytest.raises(DatasetError, match=words) as caught:
        read_labels(tmp_path / "labels.csv")
    assert caught.value.hint


def test_a_table_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(DatasetError, match="cannot be opened"):
        read_labels(tmp_path / "nowhere.csv")
    with pytest.raises(DatasetError, match=r"no participants\.tsv"):
        read_participants(tmp_path / "participants.tsv", "group")
