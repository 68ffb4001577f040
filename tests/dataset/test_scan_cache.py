"""Facts are remembered until the file or the reader changes, and no text of a header is stored."""

import json
import os
import sqlite3
import stat
import time
from contextlib import closing
from pathlib import Path

import pytest

from medgan.dataset import headers, measure, scan_cache
from medgan.dataset.index import index
from medgan.dataset.scan_cache import ScanCache, _to_tuples, file_key, joint_key
from medgan.dataset.source import Source
from medgan.scans import formats


@pytest.fixture
def old(monkeypatch):
    """Files count as settled at once."""
    monkeypatch.setattr(scan_cache, "_SETTLE_SECONDS", 0.0)


@pytest.fixture
def reads(monkeypatch):
    """The files that are opened, by what for."""
    seen = {"headers": [], "pixels": []}

    def header(path, **words):
        seen["headers"].append(path.name)
        return read_header(path, **words)

    def files(paths, kind):
        seen["pixels"].append(tuple(path.name for path in paths))
        return read_files(paths, kind)

    read_header, read_files = formats.read_header, measure.read_files
    monkeypatch.setattr(headers.formats, "read_header", header)
    monkeypatch.setattr(measure, "read_files", files)
    return seen


def look(root, **words):
    return index(Source(path=root, **words))


@pytest.fixture
def mixed(ct, png, tmp_path):
    """A volume, single slices and pictures."""
    for z in range(4):
        ct(f"a/{z}.dcm", z, z=float(z), series="s", patient="Anna")
    ct("b/9.dcm", 9, patient="Bert")
    for k in range(3):
        png(f"b/{k}.png", k)
    return tmp_path


def test_a_second_look_reads_nothing_and_finds_the_same(mixed, reads, old):
    first = look(mixed)
    assert len(reads["headers"]) == 8
    assert sorted(map(len, reads["pixels"])) == [1, 1, 1, 1, 4]
    for kind in reads.values():
        kind.clear()
    assert look(mixed) == first
    assert reads == {"headers": [], "pixels": []}


def test_only_what_changed_is_read_again(mixed, png, reads, old):
    look(mixed)
    for kind in reads.values():
        kind.clear()
    png("b/1.png", 77)
    png("b/new.png", 78)
    look(mixed)
    assert sorted(reads["headers"]) == ["1.png", "new.png"]
    assert sorted(reads["pixels"]) == [("1.png",), ("new.png",)]


def test_a_volume_that_lost_a_slice_is_read_again(mixed, reads, old):
    look(mixed)
    for kind in reads.values():
        kind.clear()
    (mixed / "a" / "3.dcm").unlink()
    again = look(mixed)
    assert reads == {"headers": [], "pixels": [("0.dcm", "1.dcm", "2.dcm")]}
    assert again.records[0].shape[0] == 3


def test_notes_of_a_series_are_those_of_today(ct, tmp_path, old):
    for z in (0, 1, 2, 4, 5, 6):
        ct(f"a/{z}.dcm", z, z=float(z), series="s")
    before = look(tmp_path)
    assert "missing-slices" in before.records[0].notes
    ct("a/3.dcm", 3, z=3.0, series="s")
    assert "missing-slices" not in look(tmp_path).records[0].notes


def test_a_file_just_written_is_not_remembered(mixed, reads):
    for _ in range(2):
        look(mixed)
    assert len(reads["headers"]) == 16


def test_refused_files_are_looked_at_again(mixed, reads, old):
    (mixed / "b" / "broken.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\x08\0\x05")
    verdicts = [look(mixed).verdicts() for _ in range(2)]
    assert verdicts[0] == verdicts[1]
    assert reads["headers"].count("broken.dcm") == 2


def test_labels_from_another_attribute_are_another_reading(ct, tmp_path, old):
    ct("1.dcm", 1, BodyPartExamined="CHEST", PatientSex="F")
    assert look(tmp_path, label_tag="BodyPartExamined").labels == ("CHEST",)
    assert look(tmp_path, label_tag="PatientSex").labels == ("F",)


def test_the_memory_is_private_and_holds_no_identifier(mixed, old, cache_of_test):
    look(mixed)
    place = cache_of_test / "index.sqlite"
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    held = place.read_bytes()
    assert b"Anna" not in held
    assert b".dcm" not in held
    with closing(sqlite3.connect(place)) as base:
        assert base.execute("SELECT count(*) FROM files").fetchone() == (8 + 5,)


def test_other_readers_know_nothing_of_it(mixed, reads, old, monkeypatch):
    look(mixed)
    monkeypatch.setattr(scan_cache, "_reader_digest", lambda: "another version")
    look(mixed)
    assert len(reads["headers"]) == 16


@pytest.mark.parametrize("content", [b"no data base at all, but longer than its header has to be" * 9, b""])
def test_a_damaged_memory_is_begun_anew(mixed, reads, old, cache_of_test, content):
    cache_of_test.mkdir(mode=0o700)
    (cache_of_test / "index.sqlite").write_bytes(content)
    look(mixed)
    look(mixed)
    assert len(reads["headers"]) == 8


def test_without_a_usable_cache_everything_is_read(mixed, reads, old, monkeypatch, tmp_path):
    blocked = tmp_path.parent / f"{tmp_path.name}-blocked"
    blocked.write_text("in the way", encoding="utf-8")
    monkeypatch.setenv("MEDGAN_CACHE", str(blocked))
    for _ in range(2):
        look(mixed)
    assert len(reads["headers"]) == 16


def test_keys_depend_on_place_size_time_and_purpose(tmp_path, old):
    path = tmp_path / "a"
    path.write_bytes(b"1")
    os.utime(path, (1, 1))
    key = file_key(path)
    assert file_key(path) == key
    assert len({key, file_key(path, "Modality")}) == 2
    os.utime(path, (2, 2))
    assert file_key(path) not in {"", key}
    assert file_key(tmp_path / "absent") == ""


def test_half_a_pair_and_files_from_the_future_are_not_remembered(tmp_path, old, monkeypatch):
    header = tmp_path / "a.hdr"
    header.write_bytes(b"1")
    assert file_key(header) == ""
    packed = tmp_path / "A.HDR.gz"
    packed.write_bytes(b"1")
    assert file_key(packed) == ""
    assert file_key(Path(__file__)) != ""
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert file_key(Path(__file__)) == ""


def test_a_joint_key_needs_every_key():
    assert joint_key(["a", "b"]) not in {"", joint_key(["b", "a"]), joint_key(["ab"])}
    assert joint_key(["a", ""]) == ""


def test_facts_come_back_as_they_went_in(cache_of_test):
    facts = {"shape": (1, 2), "stacking": ("a", ""), "none": None, "levels": (0.1, -1e-30)}
    with closing(ScanCache()) as memory:
        memory.put("k", json.loads(json.dumps(facts)))
        memory.flush()
        assert memory.get("") is None
    with closing(ScanCache()) as memory:
        assert memory.get("k") == facts == _to_tuples(json.loads(json.dumps(facts)))
        assert memory.get("other") is None


def test_a_closed_memory_has_let_go_of_its_file_and_knows_nothing(cache_of_test):
    with closing(ScanCache()) as memory:
        memory.put("k", {"one": 1})
        memory.flush()
        base = memory._base
    assert memory.get("k") is None
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        base.execute("SELECT 1")


@pytest.mark.parametrize("facts", ['{"strange": 1}', "{", "", None, b"\x00\xff", 7])
def test_a_row_that_was_changed_is_read_again(png, tmp_path, old, cache_of_test, facts):
    """The index says less, the data set is the same."""
    png("a/x.png", 1), png("a/y.png", 2), png("b/z.png", 3)
    for path in tmp_path.rglob("*.png"):
        os.utime(path, (1, 1))
    first = index(Source(path=tmp_path))
    with closing(sqlite3.connect(cache_of_test / "index.sqlite")) as base:
        assert base.execute("UPDATE files SET facts = ?", (facts,)).rowcount > 0
        base.commit()
    assert index(Source(path=tmp_path)) == first
    with closing(sqlite3.connect(cache_of_test / "index.sqlite")) as base:
        assert facts not in {row for (row,) in base.execute("SELECT facts FROM files")}


def test_a_row_under_the_key_of_another_is_not_believed(cache_of_test):
    with closing(ScanCache()) as memory:
        memory.put("k", {"one": 1}), memory.put("l", {"two": 2})
        memory.flush()
    with closing(sqlite3.connect(cache_of_test / "index.sqlite")) as base:
        base.execute("UPDATE files SET facts = (SELECT facts FROM files WHERE key = 'l')")
        base.commit()
    with closing(ScanCache()) as memory:
        assert (memory.get("k"), memory.get("l")) == (None, {"two": 2})
