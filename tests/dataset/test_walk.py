"""Every file of a folder, in order, with a verdict for those whose kind decides."""

import os
from pathlib import Path

import pytest

from medgan.dataset.walk import check_path, walk


def verdicts(root: Path) -> dict[str, str]:
    return {found.path.relative_to(root).as_posix(): found.verdict for found in walk(root)}


def test_files_come_in_the_same_order_every_time(tmp_path):
    for name in ("b/2", "a/1", "a/10", "c", "a/x/1"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert list(verdicts(tmp_path)) == ["a/1", "a/10", "a/x/1", "b/2", "c"]


def test_hidden_files_and_those_in_hidden_folders_are_counted_but_not_opened(tmp_path):
    for name in (".hidden", ".git/config", "scan.dcm"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert verdicts(tmp_path) == {
        ".hidden": "skip:not-medical",
        ".git/config": "skip:not-medical",
        "scan.dcm": "ok",
    }


def test_a_hidden_folder_above_the_data_set_hides_nothing(tmp_path):
    (tmp_path / ".data").mkdir()
    (tmp_path / ".data" / "scan.dcm").touch()
    assert verdicts(tmp_path / ".data") == {"scan.dcm": "ok"}


def test_a_pipe_does_not_hang_the_walk(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert verdicts(tmp_path) == {"pipe": "skip:special-file"}


def test_links_are_followed_but_not_in_circles(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "scan").touch()
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "b").symlink_to(tmp_path / "a")
    assert verdicts(tmp_path) == {
        "a/scan": "ok",
        "a/up": "skip:special-file",
        "b": "skip:linked-folder",
    }


def test_broken_links_and_links_to_themselves_are_unreadable(tmp_path):
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    (tmp_path / "self").symlink_to(tmp_path / "self")
    assert verdicts(tmp_path) == {"broken": "error:unreadable", "self": "error:unreadable"}


def test_a_folder_that_may_not_be_opened_is_told_and_the_walk_goes_on(tmp_path, monkeypatch):
    (tmp_path / "closed").mkdir()
    (tmp_path / "scan").touch()
    listed = Path.iterdir

    def guarded(path):
        if path.name == "closed":
            raise PermissionError(13, "Permission denied")
        return listed(path)

    monkeypatch.setattr(Path, "iterdir", guarded)
    assert verdicts(tmp_path) == {"closed": "error:unreadable", "scan": "ok"}


@pytest.mark.parametrize(
    ("kind", "verdict"), [("file", "ok"), ("folder", "skip:special-file"), ("no", "error:not-found")]
)
def test_a_named_path_gets_the_verdict_of_its_kind(tmp_path, kind, verdict):
    path = tmp_path / "it"
    if kind == "file":
        path.touch()
    elif kind == "folder":
        path.mkdir()
    assert check_path(path).verdict == verdict
