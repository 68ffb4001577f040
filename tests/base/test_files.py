import dataclasses
import errno
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from medgan.base import files
from medgan.base.errors import OutputError


@dataclasses.dataclass(frozen=True)
class Inner:
    size: tuple[int, ...]
    share: float = 0.0


@dataclasses.dataclass(frozen=True)
class Outer:
    name: str
    inner: Inner
    many: tuple[Inner, ...]
    counts: Mapping[str, int]
    maybe: Inner | None = None


OUTER = Outer("a", Inner((1, 2), 0.5), (Inner((3,)), Inner(())), {"x": 1}, None)


def test_a_dataclass_survives_json(tmp_path):
    files.write_json(tmp_path / "outer.json", OUTER)
    assert files.from_json(Outer, files.read_json(tmp_path / "outer.json")) == OUTER


def test_unknown_keys_are_refused():
    with pytest.raises(ValueError, match="extra"):
        files.from_json(Inner, {"size": [], "extra": 1})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": 3}, "the value.name should be text, not a whole number"),
        ({"name": None}, "the value.name should be text, not null"),
        ({"inner": []}, "the value.inner should be an object, not a list"),
        ({"inner": {"share": 1}}, "the value.inner lacks 'size'"),
        ({"inner": {"size": "12"}}, "the value.inner.size should be a list, not text"),
        (
            {"inner": {"size": [1, True]}},
            r"the value.inner.size\[1\] should be a whole number, not true or false",
        ),
        ({"inner": {"size": [1.0]}}, r"the value.inner.size\[0\] should be a whole number, not a number"),
        ({"inner": {"size": [], "share": float("inf")}}, "the value.inner.share is not a finite number"),
        ({"inner": {"size": [], "share": float("nan")}}, "the value.inner.share is not a finite number"),
        ({"counts": {"x": "1"}}, r"the value.counts\['x'\] should be a whole number, not text"),
        ({"many": [{"size": []}, 3]}, r"the value.many\[1\] should be an object, not a whole number"),
    ],
)
def test_what_is_of_another_type_is_refused_and_named(change, words):
    with pytest.raises(ValueError, match=words):
        files.from_json(Outer, {**files.to_json(OUTER), **change})


def test_an_object_that_is_only_checked_is_written_as_it_looks():
    kind = {"name": str, "many": [{"size": tuple[int, ...], "share?": float}]}
    found = files.from_json(kind, {"name": "a", "many": [{"size": [1]}, {"size": [], "share": 0.5}]})
    assert found == {"name": "a", "many": ({"size": (1,)}, {"size": (), "share": 0.5})}
    for value, words in (
        ({"name": "a"}, "the value lacks 'many'"),
        ({"name": "a", "many": [{}]}, r"the value.many\[0\] lacks 'size'"),
        ({"name": "a", "many": [], "share?": 1}, "unknown key 'share\\?'"),
        ({"name": "a", "many": {}}, "the value.many should be a list, not an object"),
    ):
        with pytest.raises(ValueError, match=words):
            files.from_json(kind, value)
    assert files.from_known_json(kind, {"name": "a", "many": [], "new": 1}) == {"name": "a", "many": ()}


def test_nothing_is_converted_on_the_way_back():
    assert (
        type(files.from_json(Inner, {"size": [], "share": 1}).share) is int
    )  # digests are of what was written


@pytest.mark.parametrize(
    "text", ["[" * 200_000, '{"a":' * 200_000, "{", "\x00", "1" * 5000, "[1]", '"a"', "null"]
)
def test_a_file_that_holds_no_json_object_is_told_by_a_value_error(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ValueError, match=r"."):
        files.read_object(tmp_path / "a.json")


def test_plain_knows_paths_sets_and_keys_that_are_no_strings():
    assert files.to_json({1: Path("a"), "c": {2}}) == {"1": "a", "c": [2]}


def test_a_written_file_is_whole_and_leaves_nothing_beside_it(tmp_path):
    files.write_text(tmp_path / "deep" / "a.txt", "é")
    assert (tmp_path / "deep" / "a.txt").read_text("utf-8") == "é"
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["a.txt"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_write_that_is_broken_off_leaves_the_old_file(tmp_path, error):
    files.write_text(tmp_path / "a", "old")
    with pytest.raises(error), files.atomic(tmp_path / "a") as stream:  # noqa: PT012 the block is the test
        stream.write(b"ne")
        raise error
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a", "old")]


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EACCES, "cannot be written"),
        (errno.EROFS, "cannot be written"),
        (errno.EIO, "Input/output error"),
    ],
)
def test_a_disk_that_says_no_is_told_with_the_next_step(tmp_path, monkeypatch, number, words):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OutputError, match=words) as caught:
        files.write_bytes(tmp_path / "a", b"x")
    assert caught.value.hint
    assert not list(tmp_path.iterdir())


def test_a_file_in_place_of_a_folder_is_told(tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OutputError, match="out") as caught:
        files.write_text(tmp_path / "out" / "a.txt", "x")
    assert "--out" in caught.value.hint


def test_no_two_lists_of_parts_share_a_digest():
    assert files.digest("ab", "c") != files.digest("a", "bc")
    assert files.digest("ab") == files.digest(b"ab")


def test_the_digest_of_a_value_does_not_depend_on_the_order_of_keys():
    assert files.digest_of({"a": 1, "b": 2}) == files.digest_of({"b": 2, "a": 1})
    assert files.digest_of(OUTER) == files.digest_of(files.to_json(OUTER))


def test_the_digest_of_a_file_is_that_of_sha256sum(tmp_path):
    (tmp_path / "a").write_bytes(b"scan")
    assert files.digest_file(tmp_path / "a") == hashlib.sha256(b"scan").hexdigest()


@pytest.mark.parametrize("place", ["scans", "scans/out", "scans/a/../out", "link/out"])
def test_output_never_lands_inside_the_input(tmp_path, place):
    (tmp_path / "scans").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "scans")
    with pytest.raises(OutputError, match="inside the input"):
        files.refuse_output_inside(tmp_path / place, [tmp_path / "scans"])


def test_output_beside_the_input_is_welcome(tmp_path):
    (tmp_path / "scans").mkdir()
    files.refuse_output_inside(tmp_path / "scans-balanced", [tmp_path / "scans"])


def test_a_pipe_in_place_of_json_keeps_nobody_waiting(tmp_path):
    os.mkfifo(tmp_path / "model.json")
    with pytest.raises(ValueError, match="not a regular file"):
        files.read_json(tmp_path / "model.json")


def test_lines_that_are_no_objects_are_passed_over():
    data = b'{"a": 1}\n[1]\n' + b"[" * 100_000 + b'\n\xff\n{"b": "\xe2\x80\xa8"}\n{"c'
    assert list(files.json_lines(data)) == [{"a": 1}, {"b": "\u2028"}]
