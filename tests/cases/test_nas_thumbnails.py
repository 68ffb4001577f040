"""Files that a NAS, an operating system or a program leaves beside scans are counted, never used."""

import pytest

from medgan.dataset.advice import data_warnings
from medgan.dataset.file_list import list_files
from medgan.dataset.index import index
from medgan.dataset.source import Source


def verdicts(listing):
    return {file.path.relative_to(listing.root).as_posix(): file.verdict for file in listing.entries}


def test_thumbnails_and_deleted_files_are_no_data(png, tmp_path):
    for label in "ab":
        for number in range(4):
            png(f"{label}/{number}.png", 10 * ord(label) + number)
            png(f"{label}/@eaDir/{number}.png/SYNOPHOTO_THUMB_M.png", 20 * ord(label) + number)
    png("$RECYCLE.BIN/S-1-5-21-1/$R0.png", 90)
    manifest = index(Source(path=tmp_path))
    assert manifest.counts() == {"train": {"a": 4, "b": 4}}
    assert manifest.verdicts() == {"ok": 8, "skip:system-file": 9}
    told = data_warnings(manifest)
    assert not any("$RECYCLE.BIN" in warning or "usable" in warning for warning in told)


@pytest.mark.parametrize(
    "place",
    [
        "#recycle/x.png",
        "System Volume Information/x.png",
        ".Trash-1000/files/x.png",
        "lost+found/x.png",
        "a/__MACOSX/a/._x.png",
        "a/.AppleDouble/x.png",
        "a/Thumbs.db",
        "a/.DS_Store",
        "a/._x.png",
        "RECYCLER/x.png",
        "a/.@__thumb/x.png",
        "FOUND.000/x.png",
        "a/.ipynb_checkpoints/x-checkpoint.png",
        "a/x.png:Zone.Identifier",
        "a/desktop.ini",
        "a/~$labels.xlsx",
    ],
)
def test_each_of_them_has_the_verdict_of_its_own(tmp_path, place):
    for name in (place, "a/scan", "b/scan"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    listing = list_files(Source(path=tmp_path))
    assert verdicts(listing) == {place: "skip:system-file", "a/scan": "ok", "b/scan": "ok"}
    assert not listing.warnings


def test_a_folder_of_the_system_is_no_class_and_no_split(tmp_path):
    for name in ("train/a/x", "train/@eaDir/y", "test/a/z", "__MACOSX/train/a/._x"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "train" / "#recycle").mkdir()
    listing = list_files(Source(path=tmp_path))
    assert {file.label for file in listing.entries if file.verdict == "ok"} == {"a"}
    assert not listing.warnings  # of an empty class, say


def test_a_class_may_be_called_nearly_so(tmp_path):
    for name in ("recycled bone/x", "trash/y"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    assert set(verdicts(list_files(Source(path=tmp_path))).values()) == {"ok"}
