"""What lies in the cache, and what clearing it removes: only medgan's own, and nothing that is in use."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from datetime import UTC, datetime

import numpy as np
import pytest

from medgan.base import cache as place
from medgan.commands.cache import cache
from medgan.dataset.fingerprint import measure
from medgan.dataset.index import index
from medgan.plan import decide
from medgan.preparation.stack import prepare
from tests.commands.blobs import SMALL, discs

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows knows no such lock")


def prepared(root):
    """A stack of seven images, in use as long as somebody keeps it."""
    manifest = index(discs(root, covid=3, normal=4))
    return prepare(manifest, decide(measure(manifest), SMALL).frame, place.stacks_folder())


@pytest.fixture
def stack(tmp_path):
    """The folder of such a stack that nobody uses."""
    return place.stacks_folder() / f"stack-{prepared(tmp_path / 'scans').digest[:32]}"


@pytest.fixture
def database(cache_of_test):
    """An index of three rows, in the journal mode that keeps files beside it."""
    path = place.folder() / "index.sqlite"
    with closing(sqlite3.connect(path)) as base, base:
        base.execute("PRAGMA journal_mode = WAL")
        base.execute("CREATE TABLE seen (path TEXT)")
        base.executemany("INSERT INTO seen VALUES (?)", [("secret-" * 900,)] * 3)
    return path


@contextmanager
def another_process(holding, alone):
    code = (
        "from medgan.base.cache import acquire_lock; from pathlib import Path; "
        f"acquire_lock(Path({str(holding)!r}), alone={alone})"
    )
    words = [sys.executable, "-c", f"{code}; print('held', flush=True); input()"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as job:
        assert job.stdout.readline() == "held\n"
        yield
        job.communicate("\n")


# --- to see ---


@pytest.mark.parametrize("clear", [False, True])
def test_a_cache_that_is_not_there_is_not_made(cache_of_test, clear):
    assert cache(clear=clear).as_json() == {
        "cache": str(cache_of_test),
        "bytes": 0,
        "freed_bytes": None,
        "stacks": [],
        "index": [],
        "unknown": [],
    }
    assert not cache_of_test.exists()


def test_a_stack_is_told_by_images_size_age_and_last_use(stack):
    (told,) = cache().as_json()["stacks"]
    assert (told["name"], told["entries"]) == (stack.name, 7)
    assert told["bytes"] == sum(path.stat().st_size for path in stack.iterdir()) > 7 * 16 * 24 * 2
    for name in ("changed", "used"):
        assert abs((datetime.now(UTC) - datetime.fromisoformat(told[name])).total_seconds()) < 60


def test_opening_a_stack_is_its_last_use_and_leaves_its_age(stack, tmp_path):
    for path in (*stack.iterdir(), stack):
        os.utime(path, (1e9, 1e9))
    assert [(kept.changed.year, kept.used.year) for kept in cache().stacks] == [(2001, 2001)]
    prepared(tmp_path / "the same elsewhere")
    ((changed, used),) = [(kept.changed.year, kept.used.year) for kept in cache().stacks]
    assert changed == 2001 < used


def test_a_stack_that_was_interrupted_has_size_but_no_images(stack):
    (stack / "pixels.npy").rename(stack / "pixels.npy.partial")
    (kept,) = cache().stacks
    assert kept.entries == 0
    assert kept.bytes > 7 * 16 * 24 * 2


def test_an_index_is_told_by_its_rows_and_all_its_files(database):
    (told,) = cache().as_json()["index"]
    assert (told["name"], told["entries"]) == ("index.sqlite", 3)
    assert told["bytes"] >= 3 * 900


def test_what_medgan_did_not_put_there_is_named_and_not_counted(cache_of_test):
    (place.stacks_folder() / "thesis.tex").write_text("mine", encoding="utf-8")
    (cache_of_test / "notes").mkdir()
    assert cache().as_json()["unknown"] == ["notes", "stacks/thesis.tex"]
    assert cache().bytes == 0


# --- to clear ---


def test_clearing_removes_what_is_ours_and_says_how_much(stack, database):
    before = cache().bytes
    left = cache(clear=True)
    assert left.stacks == ()
    assert left.index[0].entries == 0
    assert left.freed_bytes == before - left.bytes > 7 * 16 * 24 * 2
    assert list(stack.parent.iterdir()) == []


def test_nothing_of_a_cleared_index_can_be_read_from_its_file(database):
    cache(clear=True)
    assert b"secret-" not in b"".join(path.read_bytes() for path in database.parent.glob("index.sqlite*"))


def test_a_damaged_index_is_removed(database):
    database.write_bytes(b"no database, whatever its name says" * 40)
    assert cache().index[0].entries == 0
    assert cache(clear=True).index == ()


def test_an_index_that_another_process_writes_to_is_left(database):
    with closing(sqlite3.connect(database)) as base:
        base.execute("BEGIN IMMEDIATE")
        assert cache(clear=True).index[0].entries == 3


@posix
@pytest.mark.parametrize(("part", "alone"), [("", True), ("pixels.npy", False)], ids=["prepares", "uses"])
def test_a_stack_that_another_process_uses_is_left(stack, part, alone):
    with another_process(stack / part, alone):
        left = cache(clear=True)
        assert [kept.path for kept in left.stacks] == [stack]
        assert left.freed_bytes == 0
    assert cache(clear=True).stacks == ()


@posix
def test_while_another_process_opens_a_stack_none_is_removed(stack):
    with another_process(stack.parent, alone=False):
        assert len(cache(clear=True).stacks) == 1


@posix
def test_a_stack_is_in_use_as_long_as_its_pixels_are(tmp_path):
    part = prepared(tmp_path / "scans").pixels[2:3]
    assert len(cache(clear=True).stacks) == 1
    assert np.ptp(part) > 0
    del part
    assert cache(clear=True).stacks == ()


def test_what_is_not_ours_stays_and_no_link_is_followed(cache_of_test, tmp_path):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "pixels.npy").touch()
    (place.stacks_folder() / f"stack-{0:032}").symlink_to(tmp_path / "precious")
    (place.stacks_folder() / "stack-mine").mkdir()
    (cache_of_test / "notes").touch()
    left = cache(clear=True)
    assert left.as_json()["unknown"] == ["notes", f"stacks/stack-{0:032}", "stacks/stack-mine"]
    assert (tmp_path / "precious" / "pixels.npy").exists()
