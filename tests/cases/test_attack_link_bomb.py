"""Links that fan out, go round or lead to one folder twice: each folder is listed once, in a fixed order."""

from pathlib import Path

import pytest

from medgan.dataset.file_list import list_files
from medgan.dataset.source import Source
from medgan.dataset.walk import walk


def verdicts(root):
    return {found.path.relative_to(root).as_posix(): found.verdict for found in walk(root)}


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def fan(place, floors):
    """`floors` folders with two links each to the next one: as many paths as 2 to the power of `floors`."""
    for floor in range(floors):
        (place / f"{floor:02}").mkdir(parents=True)
        for way in "01":
            (place / f"{floor:02}" / way).symlink_to(f"../{floor + 1:02}")
    touch(place, f"{floors:02}/scan")


def test_a_fan_of_links_is_no_longer_than_the_disk(tmp_path):
    fan(tmp_path / "b", 25)
    touch(tmp_path, "a/scan")
    found = verdicts(tmp_path)
    assert len(found) == 2 + 50
    assert [path for path, verdict in found.items() if verdict == "ok"] == ["a/scan", "b/25/scan"]


def test_a_fan_elsewhere_that_a_link_leads_to(tmp_path):
    fan(tmp_path / "else", 25)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a").symlink_to(tmp_path / "else")
    found = verdicts(tmp_path / "data")
    assert sum(verdict == "ok" for verdict in found.values()) == 1
    assert len(found) == 1 + 50


def test_a_link_to_the_folder_above_the_data_set_does_not_draw_it_in(tmp_path):
    touch(tmp_path, "private/x", "data/a/scan")
    (tmp_path / "data" / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "data" / "a" / "here").symlink_to(".")
    assert verdicts(tmp_path / "data") == {
        "a/here": "skip:special-file",
        "a/scan": "ok",
        "a/up": "skip:special-file",
    }


def test_two_folders_with_links_to_each_other(tmp_path):
    touch(tmp_path, "a/x", "b/y")
    (tmp_path / "a" / "other").symlink_to("../b")
    (tmp_path / "b" / "other").symlink_to("../a")
    assert verdicts(tmp_path) == {
        "a/other": "skip:linked-folder",
        "a/x": "ok",
        "b/other": "skip:linked-folder",
        "b/y": "ok",
    }


def test_one_folder_linked_from_two_classes_counts_once_and_that_is_told(tmp_path):
    touch(tmp_path, "store/x", "data/c/y")
    for label in "ba":
        (tmp_path / "data" / label).symlink_to(tmp_path / "store")
    assert verdicts(tmp_path / "data") == {"a/x": "ok", "b": "skip:linked-folder", "c/y": "ok"}
    (warning,) = list_files(Source(path=tmp_path / "data")).warnings
    assert "not followed" in warning
    assert " b." in warning


def test_a_folder_goes_under_its_own_name_though_a_link_comes_first(tmp_path):
    touch(tmp_path, "z/x")
    (tmp_path / "a").symlink_to("z")
    assert verdicts(tmp_path) == {"a": "skip:linked-folder", "z/x": "ok"}


@pytest.mark.parametrize("store", [".store", "@eaDir"])
def test_what_is_hidden_is_data_where_a_link_leads_to_it(tmp_path, store):
    """As tools that version data keep it."""
    touch(tmp_path, f"{store}/x")
    (tmp_path / "a").symlink_to(store)
    found = verdicts(tmp_path)
    assert found["a/x"] == "ok"
    assert found[f"{store}/x"].startswith("skip:")


def test_a_link_in_a_hidden_folder_is_not_followed(tmp_path):
    touch(tmp_path, "else/x", "data/a/scan")
    (tmp_path / "data" / ".git").mkdir()
    (tmp_path / "data" / ".git" / "l").symlink_to(tmp_path / "else")
    assert verdicts(tmp_path / "data") == {".git/l": "skip:not-medical", "a/scan": "ok"}


def test_a_table_may_name_a_file_by_a_link_that_is_not_followed(tmp_path):
    touch(tmp_path, "a/x")
    (tmp_path / "b").symlink_to("a")
    (tmp_path / "labels.csv").write_text("path,label\nb/x,sick\n")
    listing = list_files(Source(path=tmp_path, labels=tmp_path / "labels.csv"))
    assert [(file.path.name, file.label) for file in listing.entries if file.label] == [("x", "sick")]


def test_the_list_does_not_depend_on_the_order_of_the_disk(tmp_path, monkeypatch):
    touch(tmp_path, "store/x", "data/c/y", "data/a.b/z")
    for label in "ba":
        (tmp_path / "data" / label).symlink_to(tmp_path / "store")
    before = list(walk(tmp_path / "data"))
    listed = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda path: reversed(list(listed(path))))
    assert list(walk(tmp_path / "data")) == before
