"""The sample data are what their script draws, small, and of no person."""

import gzip
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import pytest
from pydicom import dcmread
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian
from skimage import io

from medgan.commands.inspect import inspect
from medgan.dataset.source import Source

SAMPLE = Path(__file__).parents[1] / "sample_data"
SETS = ("chest_ct", "head_mr", "bone_xray")
FILES = sorted(path.relative_to(SAMPLE) for name in SETS for path in (SAMPLE / name).rglob("*.*"))
LARGEST = 9 * 10**6
"""Bytes of all files together."""


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    out = tmp_path_factory.mktemp("drawn")
    subprocess.run([sys.executable, str(SAMPLE / "make.py"), str(out)], check=True)
    return out


@pytest.mark.slow
def test_the_script_draws_these_files_and_no_others(drawn):
    assert sorted(path.relative_to(drawn) for path in drawn.rglob("*.*")) == FILES


def content(path):
    """What a file says. Bytes of what zlib compressed depend on its version, the content never."""
    if path.suffix == ".png":
        return io.imread(path).tobytes()
    if path.suffix == ".dcm":
        return dcmread(path).to_json(), dcmread(path).file_meta.to_json()
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


@pytest.mark.slow
def test_the_script_draws_the_same_files_again(drawn):
    assert not [str(path) for path in FILES if content(drawn / path) != content(SAMPLE / path)]


def test_the_sample_data_are_small():
    assert sum((SAMPLE / path).stat().st_size for path in FILES) < LARGEST


def test_every_sample_dicom_says_that_it_is_a_phantom():
    headers = [dcmread(SAMPLE / path) for path in FILES if path.suffix == ".dcm"]
    assert headers
    assert all(str(header.PatientName).startswith("Phantom^") for header in headers)
    assert {header.ImageComments for header in headers} == {"Generated phantom, no patient"}


def test_most_sample_dicom_is_compressed_and_some_is_not():
    syntaxes = [dcmread(SAMPLE / path).file_meta.TransferSyntaxUID for path in FILES if path.suffix == ".dcm"]
    assert syntaxes.count(ExplicitVRLittleEndian) == 4
    assert syntaxes.count(DeflatedExplicitVRLittleEndian) == 152


def test_a_patient_has_two_slices_at_different_heights():
    heights = {}
    for path in (path for path in FILES if path.suffix == ".dcm"):
        header = dcmread(SAMPLE / path)
        heights.setdefault(header.PatientID, []).append((header.ImagePositionPatient[2], path.parts[1]))
    assert len(heights) == 78
    assert all(upper > lower and label == same for (upper, label), (lower, same) in heights.values())


def test_sizes_are_those_that_the_readme_says():
    slice_ = dcmread(SAMPLE / "chest_ct" / "mass" / "mass_001.dcm")
    head = nib.load(SAMPLE / "head_mr" / "sub-01" / "anat" / "sub-01_T1w.nii.gz")
    bone = io.imread(SAMPLE / "bone_xray" / "images" / "001.png")
    rows = {
        "chest_ct": f"{slice_.Rows} x {slice_.Columns} at {slice_.PixelSpacing[0]} mm",
        "head_mr": "{} x {} x {} voxels of {:.2g} x {:.2g} x {:.2g} mm".format(
            *head.shape, *head.header.get_zooms()
        ),
        "bone_xray": f"{8 * bone.itemsize}-bit PNG, {bone.shape[0]} x {bone.shape[1]}",
    }
    readme = (SAMPLE / "README.md").read_text("utf-8")
    assert not [row for row in rows.items() if row[1] not in readme]


@pytest.mark.parametrize(
    ("source", "counts"),
    [
        (Source(path=SAMPLE / "chest_ct"), {"effusion": 40, "mass": 16, "normal": 100}),
        (Source(path=SAMPLE / "head_mr", label_column="group"), {"normal": 6, "wide_ventricles": 2}),
        (
            Source(path=SAMPLE / "bone_xray", labels=SAMPLE / "bone_xray" / "labels.csv"),
            {"broken": 4, "whole": 12},
        ),
    ],
    ids=SETS,
)
def test_inspect_finds_what_the_readme_of_the_sample_data_says(source, counts):
    found = inspect(source, holdout=0.0)
    assert found.as_json()["counts"] == {"train": counts}
    assert not [verdict for verdict in found.as_json()["verdicts"] if verdict.startswith("error:")]
    assert found.plan is not None
