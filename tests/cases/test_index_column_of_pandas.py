"""A column without a heading is nobody's: neither patient nor split, label or path."""

import pytest

from medgan.base.errors import DatasetError
from medgan.dataset.file_list import list_files
from medgan.dataset.index import index
from medgan.dataset.manifest import Holdout
from medgan.dataset.source import Source
from medgan.dataset.split import hold_out
from medgan.dataset.tables import read_headings, read_labels, read_participants


def rows_of(tmp_path, text):
    """(path, label, patient, split) of every row of a table with this text."""
    (tmp_path / "labels.csv").write_text(text, encoding="utf-8")
    return [(row.key, row.label, row.patient, row.split) for row in read_labels(tmp_path / "labels.csv")]


def test_the_index_that_pandas_writes_is_left_alone(tmp_path):
    text = ",path,label\n" + "".join(f"{n},img{n}.png,{'well' if n % 2 else 'sick'}\n" for n in range(4))
    assert rows_of(tmp_path, text) == [
        ("img0.png", "sick", "", ""),
        ("img1.png", "well", "", ""),
        ("img2.png", "sick", "", ""),
        ("img3.png", "well", "", ""),
    ]


def test_the_index_is_no_patient_where_a_split_is_named(tmp_path):
    assert rows_of(tmp_path, ",path,label,split\n0,a.png,x,train\n1,b.png,x,test\n") == [
        ("a.png", "x", "", "train"),
        ("b.png", "x", "", "test"),
    ]


@pytest.mark.parametrize("index_heading", ["", "Unnamed: 0", "  ", '""', '" "', "-", "\ufeff"])
def test_a_heading_without_a_letter_names_nothing(tmp_path, index_heading):
    rows = rows_of(tmp_path, f"{index_heading},path,label\n0,a.png,x\n1,b.png,y\n")
    assert rows == [("a.png", "x", "", ""), ("b.png", "y", "", "")]


def test_two_columns_without_a_heading_and_one_at_the_end(tmp_path):
    text = ',,path,label,\n0,7,a.png,x,"Credit to a radiologist, who asked to be named"\n1,8,b.png,y,\n'
    assert rows_of(tmp_path, text) == [("a.png", "x", "", ""), ("b.png", "y", "", "")]


def test_names_of_rows_without_a_heading_of_their_own(tmp_path):
    """R writes a heading less than there are columns."""
    assert rows_of(tmp_path, '"path","label"\n"1","a.png","x"\n"2","b.png","y"\n') == [
        ("a.png", "x", "", ""),
        ("b.png", "y", "", ""),
    ]


def test_a_separator_at_the_end_of_every_line_takes_no_cell_away(tmp_path):
    assert rows_of(tmp_path, "path,label\na.png,x,\nb.png,y,\n") == [
        ("a.png", "x", "", ""),
        ("b.png", "y", "", ""),
    ]


def test_patients_of_headers_are_not_replaced_by_row_numbers(ct, tmp_path):
    """Else the scans of one patient lie on both sides of a hold-out, in silence."""
    lines = []
    for number in range(12):
        label = "sick" if number < 6 else "well"
        ct(f"{number}.dcm", number, patient=f"P{number // 2}", PatientID=f"P{number // 2}")
        lines.append(f"{number},{number}.dcm,{label},train\n")
    (tmp_path / "labels.csv").write_text(",path,label,split\n" + "".join(lines))
    manifest = index(Source(path=tmp_path, labels=tmp_path / "labels.csv"))
    assert manifest.patients_known
    assert manifest.patients() == {"train": {"sick": 3, "well": 3}}
    held = hold_out(manifest, Holdout(share=0.3), 0)
    train, val = ({record.patient for record in held.usable(split)} for split in ("train", "val"))
    assert val
    assert not train & val


def test_a_column_asked_for_by_a_sign_is_not_the_one_without_a_heading(tmp_path):
    (tmp_path / "participants.tsv").write_text("participant_id\t\nsub-01\tx\n")
    with pytest.raises(DatasetError, match="no column %; it has participant_id"):
        read_participants(tmp_path / "participants.tsv", "%")
    assert read_headings(tmp_path / "participants.tsv") == ("participant_id",)


def test_two_columns_of_one_name_are_refused_where_they_differ(tmp_path):
    with pytest.raises(DatasetError, match="two columns called label, and they differ") as caught:
        rows_of(tmp_path, "path,label,label\na.png,x,y\n")
    assert caught.value.hint
    assert rows_of(tmp_path, "path,Label,label,note,note\na.png,x,x,1,2\n") == [("a.png", "x", "", "")]


def test_a_message_does_not_repeat_a_whole_cell(tmp_path):
    with pytest.raises(DatasetError, match=r"unknown splits: .{40}\.\.\.$"):
        rows_of(tmp_path, f"path,label,split\na.png,x,{'credit ' * 100}\n")


def test_a_data_set_with_such_a_table_is_read_as_it_is_labelled(png, tmp_path):
    for number in range(8):
        png(f"in/img{number}.png", number)
    text = "".join(f"{n},img{n}.png,{('normal', 'sick')[n % 2]}\n" for n in range(8))
    (tmp_path / "labels.csv").write_text(",path,label\n" + text)
    listing = list_files(Source(path=tmp_path / "in", labels=tmp_path / "labels.csv"))
    assert [file.label for file in listing.entries] == ["normal", "sick"] * 4
    assert {(file.patient, file.split) for file in listing.entries} == {("", "train")}
