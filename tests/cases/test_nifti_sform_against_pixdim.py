"""A NIfTI whose sform and pixdim disagree on voxel sides: no placeholder is believed, none is silent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK

from medgan.dataset.advice import data_warnings
from medgan.dataset.fingerprint import measure
from medgan.dataset.index import index
from medgan.dataset.source import Source
from medgan.scans import formats

HEART = (1.3158, 1.3158, 10.0)
"""Sides (X, Y, Z) of a stack of short-axis slices."""


def volume(
    path: Path, sform: tuple[float, ...], pixdim: tuple[float, ...], *, qform: int = 1, seed: int = 0
) -> Path:
    """A volume of 12 x 10 x 4 voxels whose sform has these sides, and whose pixdim those."""
    voxels = np.random.default_rng(seed).integers(0, 1000, (12, 10, 4)).astype(np.int16)
    image: Any = nib.Nifti1Image(voxels, np.diag([-pixdim[0], -pixdim[1], pixdim[2], 1]))
    image.set_qform(image.affine, qform)
    image.set_sform(np.diag([-sform[0], -sform[1], sform[2], 1]), 1)
    image.header["pixdim"][1:4] = pixdim
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(image, path)
    return path


def test_an_sform_of_unit_columns_is_a_placeholder(tmp_path):
    scan = formats.read(volume(tmp_path / "a.nii.gz", (1, 1, 1), HEART))
    assert scan.spacing_mm == pytest.approx(HEART[::-1])
    assert "spacing-conflict" in scan.notes
    seen: Any = SimpleITK.ReadImage(str(tmp_path / "a.nii.gz"))
    assert scan.spacing_mm == pytest.approx(seen.GetSpacing()[::-1])
    zooms: Any = nib.load(tmp_path / "a.nii.gz")
    assert scan.spacing_mm == pytest.approx(zooms.header.get_zooms()[::-1])


def test_so_it_is_without_a_qform(tmp_path):
    scan = formats.read(volume(tmp_path / "a.nii", (1, 1, 1), HEART, qform=0))
    assert scan.spacing_mm == pytest.approx(HEART[::-1])


def test_its_axis_through_the_plane_is_that_of_the_true_sides(tmp_path):
    sagittal = (5.0, 1.2, 1.2)
    header = formats.read_header(volume(tmp_path / "a.nii", (1, 1, 1), sagittal))
    assert header.shape == (12, 4, 10)
    assert header.spacing_mm == pytest.approx((5.0, 1.2, 1.2))


def test_a_pixdim_of_ones_is_a_placeholder_too(tmp_path):
    scan = formats.read(volume(tmp_path / "a.nii", HEART, (1, 1, 1), qform=0))
    assert scan.spacing_mm == pytest.approx(HEART[::-1])
    assert "spacing-conflict" in scan.notes


def test_of_two_that_are_no_placeholder_neither_is_believed(tmp_path):
    scan = formats.read(volume(tmp_path / "a.nii", (2, 2, 3), HEART))
    assert scan.spacing_mm is None
    assert "spacing-conflict" in scan.notes


@pytest.mark.parametrize("pixdim", [(1.3158001, 1.3158, 10.0), (0, 0, 0), (1.3158, 1.3158, np.nan)])
def test_digits_and_sides_that_are_absent_contradict_nothing(pixdim, tmp_path):
    path = volume(tmp_path / "a.nii", HEART, HEART)
    data = bytearray(path.read_bytes())
    data[80:92] = np.array(pixdim, "<f4").tobytes()
    path.write_bytes(data)
    scan = formats.read(path)
    assert scan.spacing_mm == pytest.approx(HEART[::-1])
    assert scan.notes == ()


def test_the_side_of_an_axis_with_one_voxel_is_not_compared(tmp_path):
    image: Any = nib.Nifti1Image(np.arange(80, dtype=np.int16).reshape(10, 8, 1), np.diag([-2, -2, 5, 1]))
    image.set_sform(image.affine, 1)
    image.header["pixdim"][3] = 1
    nib.save(image, tmp_path / "a.nii")
    assert formats.read(tmp_path / "a.nii").notes == ()


def test_the_data_set_is_measured_in_true_millimetres_and_warned_of(tmp_path):
    for seed in range(4):
        volume(tmp_path / "ab"[seed % 2] / f"{seed}.nii.gz", (1, 1, 1), HEART, seed=seed)
    manifest = index(Source(path=tmp_path))
    assert measure(manifest).spacing_mm == pytest.approx(HEART[::-1])
    (said,) = (words for words in data_warnings(manifest) if "spacing-conflict" in words)
    assert "4" in said
    assert "sform" in said
