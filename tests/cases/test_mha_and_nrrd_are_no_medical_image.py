"""Images in formats that medgan does not read have a verdict of their own, a next step and a warning.

Tables beside the scans have a mild warning.
"""

import gzip
import shutil
import struct

import numpy as np
import pytest
import SimpleITK

from medgan.base.errors import ScanError
from medgan.dataset.advice import data_warnings
from medgan.dataset.index import index
from medgan.dataset.source import Source
from medgan.scans import formats


def refused(path):
    with pytest.raises(ScanError) as caught:
        formats.read_header(path)
    return caught.value


def volume(path, seed=0):
    """Write a volume as the ending of `path` says; the voxels of .mhd and .nhdr lie in a file beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    voxels = np.random.default_rng(seed).integers(0, 2000, (4, 8, 8)).astype(np.int16)
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(voxels), str(path))
    return path


@pytest.mark.parametrize(
    ("ending", "name"),
    [(".mha", "MetaImage"), (".mhd", "MetaImage"), (".nrrd", "NRRD"), (".nhdr", "NRRD"), (".vtk", "VTK")],
)
def test_a_volume_in_another_format_is_told_by_its_content(tmp_path, ending, name):
    path = volume(tmp_path / f"scan{ending}")
    copy = shutil.copy(path, tmp_path / "called otherwise")
    for there in (path, copy):
        error = refused(there)
        assert error.verdict == "skip:unread-format"
        assert error.message == f"{there.name}: is {name}, a format that medgan does not read"
        assert "NIfTI" in error.hint


@pytest.mark.parametrize("ending", [".raw", ".zraw", ".raw.gz"])
@pytest.mark.parametrize("header", [".mhd", ".nhdr"])
def test_the_voxels_beside_a_header_are_part_of_it(tmp_path, header, ending):
    (tmp_path / f"s{header}").write_text("x")
    path = tmp_path / f"s{ending}"
    path.write_bytes(gzip.compress(b"voxels") if ending.endswith("gz") else b"voxels" * 9)
    error = refused(path)
    assert (error.verdict, "NIfTI" in error.hint) == ("skip:unread-format", True)
    assert f"voxels of s{header}" in error.message


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("brain.mnc", b"CDF\1" + bytes(60), "NetCDF or MINC"),
        ("brain.mnc", b"\x89HDF\r\n\x1a\n" + bytes(60), "HDF5 or MINC"),
        ("tumour.mat", b"MATLAB 5.0 MAT-file, Platform: GLNXA64", "MATLAB"),
        ("a.npy", b"\x93NUMPY\1\0v\0", "NumPy"),
        ("a.mif", b"mrtrix image\ndim: 3,3,3", "MRtrix"),
        ("a.PAR", b"# === DATA DESCRIPTION FILE ===", "Philips PAR/REC"),
        ("a+orig.BRIK", bytes(40), "AFNI"),
        ("a.bmp", b"BM" + struct.pack("<IHHII", 70, 0, 0, 54, 40) + bytes(50), "BMP"),
        ("a.gif", b"GIF89a" + bytes(20), "GIF"),
        ("a.webp", b"RIFF\x10\0\0\0WEBPVP8 ", "WebP"),
        ("a.jp2", b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
        ("a.pgm", b"P5\n2 2\n255\nabcd", "Netpbm"),
        ("a.avi", b"RIFF\x10\0\0\0AVI LIST", "film"),
        ("a.mp4", b"\0\0\0\x18ftypisom", "film"),
        ("a.heic", b"\0\0\0\x18ftypheic", "HEIF"),
    ],
)
def test_so_are_its_relatives(tmp_path, name, content, told):
    (tmp_path / name).write_bytes(content)
    error = refused(tmp_path / name)
    assert error.verdict == "skip:unread-format"
    assert f"is {told}, a format" in error.message
    assert error.hint


@pytest.mark.parametrize(
    "name",
    [
        "labels.csv",
        "participants.TSV",
        "notes.txt",
        "README",
        "LICENSE",
        "a.json",
        "x.xml",
        "t.xlsx",
        "SHA256SUMS",
        "s.bval",
    ],
)
def test_a_table_or_text_beside_the_scans_is_no_fault(tmp_path, name):
    (tmp_path / name).write_bytes(
        b"PK\3\4" + bytes(40) if name.endswith("xlsx") else b"path,label\na.png,x\n"
    )
    error = refused(tmp_path / name)
    assert (error.verdict, error.message) == ("skip:document", f"{name}: is a table or text beside the scans")


@pytest.mark.parametrize(
    "content", [b"BM is how this text begins, and no picture", b"P5 is a patient", b"nothing at all"]
)
def test_what_only_begins_like_one_is_no_image(tmp_path, content):
    (tmp_path / "x").write_bytes(content)
    assert refused(tmp_path / "x").verdict == "skip:not-medical"


def test_an_image_that_is_called_like_a_text_is_an_image(png, tmp_path):
    assert formats.read_header(png("a/scan.txt")).format == "png"


def test_a_data_set_says_that_whole_formats_were_left_out(png, tmp_path):
    for number, label in enumerate("ab"):
        png(f"{label}/x.png", number)
        volume(tmp_path / label / "0.mha", number)
        volume(tmp_path / label / "1.mhd", number)
    (tmp_path / "labels.csv").write_text("path,label\n")
    manifest = index(Source(path=tmp_path))
    assert manifest.verdicts() == {"ok": 2, "skip:document": 1, "skip:unread-format": 6}
    (warning,) = (words for words in data_warnings(manifest) if "does not read" in words)
    assert warning.startswith("6 files are of formats that medgan does not read, such as a/0.mha")
    assert "convert" in warning


def test_an_ordinary_data_set_is_not_warned_of(png, tmp_path):
    png("a/x.png", 1)
    png("b/x.png", 2)
    (tmp_path / "labels.csv").write_text("path,label\n")
    assert not any("does not read" in words for words in data_warnings(index(Source(path=tmp_path))))
