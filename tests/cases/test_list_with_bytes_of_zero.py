"""Lists and tables as other programs write them: zero bytes between names, UTF-16, byte order marks, CRLF."""

import os
import subprocess
import sys
from contextlib import suppress

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from medgan.base.errors import DatasetError
from medgan.dataset.encoding import decode_text, split_entries
from medgan.dataset.file_list import list_files
from medgan.dataset.source import Source
from medgan.dataset.tables import read_labels

NAMES = ("scans/a/1.png", "scans/b/Müll 2.png")
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_list_is_understood_in_any_unicode_encoding(encoding, end):
    assert split_entries("".join(name + end for name in NAMES).encode(encoding)) == NAMES
    assert split_entries(end.join(NAMES).encode(encoding)) == NAMES


def test_names_parted_by_bytes_of_zero_may_hold_line_ends():
    assert split_entries(b"a/1\na\0b/2\r\0c\0") == ("a/1\na", "b/2\r", "c")


def test_only_a_line_end_ends_a_line():
    odd = ("a\vb", "a\fb", "a\x85b", "a\u2028b", "a\x1cb")
    assert split_entries("\n".join(odd).encode()) == odd


def test_a_name_that_is_no_utf_8_stays_itself():
    assert os.fsencode(split_entries(b"caf\xe9.png\n")[0]) == b"caf\xe9.png"
    assert os.fsencode(split_entries(b"caf\xe9.png\0")[0]) == b"caf\xe9.png"


def test_nothing_is_an_empty_list():
    assert split_entries(b"") == split_entries(b"\n\n") == split_entries(b"\0\0") == ()
    assert decode_text(b"") == ""


def test_a_label_after_a_tab_in_such_a_list(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.png").touch()
    (entry,) = list_files(Source(lines=split_entries(b"x.png\tsick\0"))).entries
    assert (entry.label, entry.verdict) == ("sick", "ok")


def test_a_name_with_a_byte_of_zero_is_a_file_that_is_not_there():
    (entry,) = list_files(Source(lines=("a/x\0y",))).entries
    assert entry.verdict == "error:not-found"


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("mark", [",", "\t", ";"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_table_is_understood_in_any_unicode_encoding(tmp_path, encoding, mark, end):
    table = tmp_path / "labels.csv"
    table.write_bytes(end.join([f"path{mark}label", f"Müll.png{mark}sick", ""]).encode(encoding))
    (row,) = read_labels(table)
    assert (row.key, row.label) == ("Müll.png", "sick")


def test_a_table_in_no_unicode_encoding_is_refused_not_guessed(tmp_path):
    (tmp_path / "labels.csv").write_bytes("path,label\nMüll.png,sick\n".encode("latin-1"))
    with pytest.raises(DatasetError, match="not in a Unicode encoding") as caught:
        read_labels(tmp_path / "labels.csv")
    assert "UTF-8" in caught.value.hint


@settings(deadline=None)
@given(
    st.binary(max_size=60)
    | st.lists(
        st.sampled_from([b"path,label\n", b"a,b", b'"', b"\0", b"\r", b"\xff\xfe", b"\xef\xbb\xbf", b";"])
    ).map(b"".join)
)
def test_no_bytes_raise_anything_but_a_sentence(tmp_path_factory, data):
    assert all(isinstance(entry, str) and entry for entry in split_entries(data))
    table = tmp_path_factory.getbasetemp() / "any.csv"
    table.write_bytes(data)
    with suppress(DatasetError):
        read_labels(table)


@pytest.mark.parametrize(
    "encode", [lambda text: text.replace("\n", "\0").encode(), lambda text: text.encode("utf-16")]
)
def test_a_pipe_of_such_a_list_is_inspected(png, tmp_path, encode):
    paths = [png(f"{label}/{number}.png", number) for number, label in enumerate("aabb")]
    done = subprocess.run(
        [sys.executable, "-m", "medgan", "inspect", "-"],
        input=encode("".join(f"{path}\n" for path in paths)),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert b"ok" in done.stdout
