"""The private folder: where it is, who may read it, and what is said when it cannot be used."""

import errno
import os
import stat
import sys
from pathlib import Path

import pytest

from medgan.base import cache
from medgan.base.errors import OutputError

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps rights in another way")


def rights(path):
    return stat.S_IMODE(path.stat().st_mode)


# --- where ---


def test_the_variable_says_where_the_cache_is(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDGAN_CACHE", str(tmp_path / "mine"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache.cache_location() == tmp_path / "mine"


def test_a_relative_place_is_taken_from_where_the_command_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MEDGAN_CACHE", "mine")
    assert cache.cache_location() == tmp_path / "mine"


def test_without_it_the_cache_is_where_the_desktop_keeps_caches(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDGAN_CACHE", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.cache_location() == tmp_path / "medgan"


@pytest.mark.parametrize("base", [None, "", "relative"])
def test_else_it_is_in_the_home_folder(tmp_path, monkeypatch, base):
    monkeypatch.delenv("MEDGAN_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    if base is not None:
        monkeypatch.setenv("XDG_CACHE_HOME", base)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert cache.cache_location() == tmp_path / ".cache" / "medgan"


# --- rights ---


@posix
def test_it_is_made_for_its_owner_alone_whatever_the_umask(cache_of_test):
    before = os.umask(0)
    try:
        assert cache.folder() == cache_of_test
        assert cache.stacks_folder() == cache_of_test / "stacks"
    finally:
        os.umask(before)
    assert rights(cache_of_test) == rights(cache_of_test / "stacks") == 0o700


@posix
@pytest.mark.parametrize("names", [[], ["stacks", "index.sqlite", "index.sqlite-wal"]])
def test_rights_that_are_too_wide_are_taken_away(cache_of_test, names):
    cache_of_test.mkdir()
    cache_of_test.chmod(0o755)
    for name in names:
        (cache_of_test / name).touch()
    cache.folder()
    assert rights(cache_of_test) == 0o700


@posix
def test_a_folder_of_other_things_keeps_its_rights_and_is_refused(cache_of_test):
    cache_of_test.mkdir()
    cache_of_test.chmod(0o750)
    (cache_of_test / "thesis.tex").touch()
    with pytest.raises(OutputError, match="other users can open") as caught:
        cache.folder()
    assert "chmod 700" in caught.value.hint
    assert rights(cache_of_test) == 0o750


@posix
def test_a_disk_that_knows_no_rights_is_refused(cache_of_test, monkeypatch):
    cache_of_test.mkdir()
    cache_of_test.chmod(0o755)
    monkeypatch.setattr(Path, "chmod", lambda *_: None)
    with pytest.raises(OutputError, match="other users can open"):
        cache.folder()


@posix
def test_a_folder_of_another_user_is_refused(cache_of_test, monkeypatch):
    cache_of_test.mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: cache_of_test.stat().st_uid + 1)
    with pytest.raises(OutputError, match="belongs to another user"):
        cache.folder()


# --- when it cannot be used ---


@pytest.mark.parametrize("use", [cache.folder, cache.stacks_folder])
def test_a_cache_that_cannot_be_made_is_told_with_the_variable_to_set(cache_of_test, use):
    cache_of_test.write_text("a file", encoding="utf-8")
    with pytest.raises(OutputError, match="cannot be used") as caught:
        use()
    assert "MEDGAN_CACHE" in caught.value.hint


def test_a_read_only_home_is_told_with_the_variable_to_set(cache_of_test, monkeypatch):
    cache.folder()
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    with pytest.raises(OutputError, match="Permission denied") as caught:
        cache.folder()
    assert "MEDGAN_CACHE" in caught.value.hint


def test_a_full_disk_is_told_with_the_variable_to_set():
    error = cache.cache_error(Path("cache"), OSError(errno.ENOSPC, "No space left on device"))
    assert "the disk is full" in error.message
    assert "MEDGAN_CACHE" in error.hint
    assert "it continues" in error.hint
