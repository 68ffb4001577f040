"""A cell of a table may hold what some programs take for the end of a line."""

import pytest

from medgan.dataset.file_list import list_files
from medgan.dataset.source import Source
from medgan.dataset.tables import read_labels, read_participants

ODD = ["\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"]


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("quote", ["", '"'])
def test_it_is_no_end_of_the_row(tmp_path, odd, quote):
    report = f"{quote}pneumonia{odd}no effusion{quote}"
    text = f"path,report,label\na.png,{report},sick\nb.png,clear,well\n"
    (tmp_path / "labels.csv").write_text(text, encoding="utf-8", newline="")
    rows = read_labels(tmp_path / "labels.csv")
    assert [(row.key, row.label, row.number) for row in rows] == [("a.png", "sick", 2), ("b.png", "well", 3)]


@pytest.mark.parametrize("odd", ODD)
def test_nor_of_a_heading(tmp_path, odd):
    (tmp_path / "participants.tsv").write_text(
        f"participant_id\tfree{odd}text\tgroup\nsub-01\tx\ty\n", encoding="utf-8"
    )
    (row,) = read_participants(tmp_path / "participants.tsv", "group")
    assert (row.key, row.label) == ("sub-01", "y")


@pytest.mark.parametrize("odd", ["\n", "\r\n", *ODD])
def test_a_quoted_path_may_hold_one(tmp_path, odd):
    """A file may be called so; a line end within quotes belongs to the cell (RFC 4180)."""
    name = f"a{odd}b.png"
    (tmp_path / name).touch()
    (tmp_path / "labels.csv").write_bytes(f'path,label\r\n"{name}",sick\r\n'.encode())
    listing = list_files(Source(path=tmp_path, labels=tmp_path / "labels.csv"))
    (labelled,) = (file for file in listing.entries if file.label)
    assert (labelled.path.name, labelled.verdict) == (name, "ok")
