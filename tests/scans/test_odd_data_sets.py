"""The table of odd scans, rows that need a whole folder.

They are clutter, series, what is left out, and what cannot be opened.
"""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from medgan.base.job import Job
from medgan.dataset.index import index
from medgan.dataset.source import Source
from tests.scans.odd import SC, Table, Told, check_data_set, picture, single
from tests.scans.phantoms import ramp, slices, wheel, write

TABLE = Table()
case = TABLE.case


@pytest.mark.parametrize(("make", "expected"), TABLE)
def test_odd_data_set(make, expected, tmp_path):
    make(tmp_path / "root")
    check_data_set(tmp_path / "root", expected)


# --- 2 to 5, 37: what lies among scans ---


@case(2, "dicomdir", Told({"a/DICOMDIR": "skip:dicomdir"}, scans=1))
def _(root):
    single(root / "a" / "1.dcm")
    shutil.copy(wheel("dicomdirtests/DICOMDIR"), root / "a")


@case(3, "dicomdir-pointing-outside-is-not-followed", Told({"a/DICOMDIR": "skip:dicomdir"}, scans=1))
def _(root):
    single(root / "a" / "1.dcm"), single(root.parent / "6154", 2)
    data = wheel("dicomdirtests/DICOMDIR").read_bytes()
    assert b"77654033\\CR1\\6154" in data
    (root / "a" / "DICOMDIR").write_bytes(data.replace(b"77654033\\CR1\\6154", b"..\\..\\..\\x\\6154"))


JUNK = ("README.txt", "data.json", "data.xml", "Thumbs.db", ".DS_Store", "._1.dcm")


@case(
    4,
    "clutter",
    Told({f"a/{name}": "skip:document" if name[0] in "Rd" else "skip:system-file" for name in JUNK}, scans=1),
)
def _(root):
    single(root / "a" / "1.dcm")
    for name in JUNK:
        (root / "a" / name).write_bytes(b"no image, and not a short one either " * 20)


@case(5, "empty", Told({f"a/{name}": "error:empty-file" for name in ("e.dcm", "e.nii", "e.png")}, scans=1))
def _(root):
    single(root / "a" / "1.dcm")
    for name in ("e.dcm", "e.nii", "e.png"):
        (root / "a" / name).touch()


@case(37, "frames-of-a-cine-are-one-scan", Told({}, scans=1))
def _(root):
    frames = np.stack([ramp(dtype=np.uint8), ramp(start=64, dtype=np.uint8)])
    write(root / "a" / "1.dcm", frames, SOPClassUID="1.2.840.10008.5.1.4.1.1.3.1", Modality="US")


# --- 41 to 46: series ---


@case(41, "localizer", Told({"a/scout": "skip:localizer"}, scans=1))
def _(root):
    slices(root / "a", [0.0, 5.0, 10.0, 15.0])
    write(root / "a" / "scout", ramp(), ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])


@case(44, "missing-slice", Told({}, "from a series with missing slices", scans=2))
def _(root):
    slices(root / "a", [0.0, 5.0, 10.0, 20.0, 25.0, 30.0])


@case(45, "same-file-twice", Told({"a/copy.dcm": "skip:duplicate"}, scans=1))
def _(root):
    slices(root / "a", [0.0, 5.0, 10.0])
    shutil.copy(root / "a" / "001.dcm", root / "a" / "copy.dcm")


@case(46, "two-series-in-one-folder", Told({}, scans=2))
def _(root):
    slices(root / "a", [0.0, 5.0, 10.0])
    for path in slices(root / "b", [0.0, 5.0, 10.0], SeriesInstanceUID="1.2.9", RescaleIntercept=-1024):
        path.rename(root / "a" / f"second-{path.name}")


@case(46, "two-directions-and-two-sizes-in-one-series", Told({}, scans=4))
def _(root):
    slices(root / "a", [0.0, 5.0, 10.0, 15.0])
    across = {"ImageOrientationPatient": [0, 1, 0, 0, 0, -1], "RescaleIntercept": 7}
    for k in range(4):
        write(root / "a" / f"across{k}", ramp(start=k), ImagePositionPatient=[k, 0, 0], **across)
    for z in (20, 25):
        place = {"ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "ImagePositionPatient": [0, 0, z]}
        write(root / "a" / f"wide{z}", ramp(8, 16, start=z), **place)


# --- 50 to 54: what is left out, and what cannot be opened ---


@case(50, "burned-in", Told({"a/2.dcm": "skip:burned-in"}, scans=1))
def _(root):
    single(root / "a" / "1.dcm"), single(root / "a" / "2.dcm", 2, BurnedInAnnotation="YES")


@case(50, "burned-in-allowed", Told({}, scans=2, options={"allow_burned_in": True}))
def _(root):
    single(root / "a" / "1.dcm"), single(root / "a" / "2.dcm", 2, BurnedInAnnotation="YES")


@case(50, "burned-in-possible", Told({}, "do not say whether text is burned into the pixels", scans=1))
def _(root):
    write(root / "a" / "1.dcm", ramp(dtype=np.uint8), **SC)


@case(51, "path-of-odd-characters", Told({}, scans=1))
def _(root):
    single(root / "l\xe4nge 'x' \u65e5\u672c" / ("deep " * 30).strip() / ("y" * 200) / "#1 %20.dcm")


SPECIAL = {"a/pipe": "skip:special-file", "a/socket": "skip:special-file", "a/circle": "skip:special-file"}
BROKEN = {"a/self": "error:unreadable", "a/nowhere": "error:unreadable"}


@case(53, "pipe-socket-and-links", Told(SPECIAL | BROKEN, scans=1))
def _(root):
    single(root / "a" / "1.dcm")
    os.mkfifo(root / "a" / "pipe")
    (root / "a" / "circle").symlink_to(root)
    (root / "a" / "self").symlink_to(root / "a" / "self")
    (root / "a" / "nowhere").symlink_to(root / "gone")
    here = Path.cwd()
    os.chdir(root / "a")  # the path of a socket may have 108 bytes only
    with socket.socket(socket.AF_UNIX) as made:
        made.bind("socket")
    os.chdir(here)


def test_53_a_file_removed_during_the_run_is_told(tmp_path):
    picture(tmp_path / "a" / "1.png", 1), picture(tmp_path / "a" / "2.png", 2)
    told = index(
        Source(path=tmp_path), Job(on_progress=lambda _: (tmp_path / "a" / "1.png").unlink(missing_ok=True))
    )
    assert {record.path: record.verdict for record in told.records} == {
        "a/1.png": "error:unreadable",
        "a/2.png": "ok",
    }


@case(
    54,
    "archives",
    Told({f"a/{name}": "skip:archive" for name in ("zipMR.gz", "a.tar.gz", "b.zip", "c.tar")}, scans=1),
)
def _(root):
    single(root / "a" / "1.dcm")
    shutil.copy(wheel("zipMR.gz"), root / "a")
    shutil.make_archive(str(root.parent / "a"), "gztar", root / "a")
    shutil.make_archive(str(root.parent / "b"), "zip", root / "a")
    shutil.make_archive(str(root.parent / "c"), "tar", root / "a")
    for name in ("a.tar.gz", "b.zip", "c.tar"):
        (root.parent / name).rename(root / "a" / name)


# --- 62 to 65: content ---

FLAT = ("1.dcm", "1.png", "1.nii.gz")


@case(62, "constant-of-any-format", Told({f"a/{name}": "skip:constant" for name in FLAT}, scans=1))
def _(root):
    picture(root / "a" / "ok.png")
    write(root / "a" / "1.dcm", np.full((8, 8), 7, np.uint16))
    Image.fromarray(np.full((8, 8), 7, np.uint8)).save(root / "a" / "1.png")
    nib.Nifti1Image(np.full((8, 8, 3), 7, np.int16), np.eye(4)).to_filename(root / "a" / "1.nii.gz")


VOLUME = np.arange(4 * 5 * 6).reshape(4, 5, 6).astype(np.int16)


@case(
    64,
    "pair-counts-once",
    Told({"a/1.img": "skip:pair-member", "a/2.hdr": "skip:analyze", "a/2.img": "skip:pair-member"}, scans=1),
)
def _(root):
    (root / "a").mkdir(parents=True)
    nib.Nifti1Pair(VOLUME, np.eye(4)).to_filename(root / "a" / "1.img")
    nib.AnalyzeImage(VOLUME, np.eye(4)).to_filename(root / "a" / "2.img")


@case(65, "segmentation-beside-its-image", Told({"a/1_seg.nii.gz": "skip:segmentation"}, scans=1))
def _(root):
    (root / "a").mkdir(parents=True)
    nib.Nifti1Image(VOLUME, np.eye(4)).to_filename(root / "a" / "1.nii.gz")
    nib.Nifti1Image(VOLUME % 2, np.eye(4)).to_filename(root / "a" / "1_seg.nii.gz")
