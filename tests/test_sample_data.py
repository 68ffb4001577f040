"""The sample data are what their script draws, small, and of no person."""

import runpy
from pathlib import Path

import pytest
from pydicom import dcmread
from skimage import io

from medgan.commands.inspect import inspect
from medgan.dataset.source import Source

SAMPLE = Path(__file__).parents[1] / "sample_data"
SETS = ("chest_ct", "head_mr", "bone_xray")
FILES = sorted(path.relative_to(SAMPLE) for name in SETS for path in (SAMPLE / name).rglob("*.*"))
LARGEST = 4 << 20
"""Bytes of all files together."""


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    out = tmp_path_factory.mktemp("drawn")
    runpy.run_path(str(SAMPLE / "make.py"))["main"](out)
    return out


@pytest.mark.slow
def test_the_script_draws_these_files_and_no_others(drawn):
    assert sorted(path.relative_to(drawn) for path in drawn.rglob("*.*")) == FILES


@pytest.mark.slow
def test_the_script_draws_the_same_bytes_again(drawn):
    changed = [
        str(path)
        for path in FILES
        if path.suffix != ".png" and (drawn / path).read_bytes() != (SAMPLE / path).read_bytes()
    ]
    assert not changed


@pytest.mark.slow
def test_the_script_draws_the_same_png_pixels_again(drawn):
    # The bytes of a PNG depend on the version of zlib.
    pictures = [path for path in FILES if path.suffix == ".png"]
    assert pictures
    assert all((io.imread(drawn / path) == io.imread(SAMPLE / path)).all() for path in pictures)


def test_the_sample_data_are_small():
    assert sum((SAMPLE / path).stat().st_size for path in FILES) < LARGEST


def test_every_sample_dicom_says_that_it_is_a_phantom():
    headers = [dcmread(SAMPLE / path) for path in FILES if path.suffix == ".dcm"]
    assert headers
    assert all(str(header.PatientName).startswith("Phantom^") for header in headers)
    assert {header.ImageComments for header in headers} == {"Generated phantom, no patient"}


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
