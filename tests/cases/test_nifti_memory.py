"""Reading a NIfTI takes the memory of its pixels and one block, whatever the file holds."""

from __future__ import annotations

import gzip
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from medgan.base.errors import ScanError
from medgan.scans import formats, nifti_voxels

SIDES = (128, 128, 96)
"""Voxels; in float32 they fill 6 MiB."""
DECODED = 4 * 128 * 128 * 96
BLOCK = 2**17
SPARE = 2 * 2**20
"""Bytes for pieces of the file, blocks and Python itself."""


def peak(read: Callable[[], object]) -> int:
    """The most bytes that were held at once."""
    tracemalloc.start()
    try:
        read()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def saved(path: Path, voxels: np.ndarray, slope: float | None = None) -> Path:
    image: Any = nib.Nifti1Image(voxels, np.eye(4))
    if slope:
        image.header.set_slope_inter(slope, -1000)
    data = image.to_bytes()
    path.write_bytes(gzip.compress(data, 1) if path.suffix == ".gz" else data)
    return path


def noise(dtype: Any, *more: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 200, (*SIDES, *more)).astype(dtype)


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    monkeypatch.setattr(nifti_voxels, "_BLOCK", BLOCK)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float64])
def test_the_pixels_are_all_that_is_held(name, dtype, tmp_path):
    path = saved(tmp_path / name, noise(dtype))
    assert peak(lambda: formats.read(path)) < DECODED + SPARE


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_so_it_is_for_rescaled_voxels_and_the_later_volumes_of_a_film(name, tmp_path):
    path = saved(tmp_path / name, noise(np.int16, 3), slope=0.5)
    assert peak(lambda: formats.read(path)) < DECODED + SPARE


def test_a_volume_of_zeros_is_refused_without_more(tmp_path):
    path = saved(tmp_path / "a.nii.gz", np.zeros(SIDES, np.int16))

    def refused() -> None:
        with pytest.raises(ScanError, match="every voxel has the same value"):
            formats.read(path)

    assert path.stat().st_size < DECODED / 100
    assert peak(refused) < DECODED + SPARE


def test_so_is_a_mask_of_few_labels(tmp_path):
    path = saved(tmp_path / "a.nii.gz", noise(np.uint8) % 3)

    def refused() -> None:
        with pytest.raises(ScanError, match="labels"):
            formats.read(path)

    assert peak(refused) < DECODED + SPARE


@pytest.mark.parametrize("block", [1, 7 * 2 * 16, 2**24], ids=["a row", "some rows", "all"])
def test_blocks_of_any_size_give_the_same_pixels(block, monkeypatch, tmp_path):
    voxels = np.random.default_rng(1).integers(0, 900, (16, 11, 5)).astype(np.int16)
    path = saved(tmp_path / "a.nii.gz", voxels, slope=2)
    monkeypatch.setattr(nifti_voxels, "_BLOCK", block)
    shown = formats.read(path).pixels
    assert np.array_equal(shown, 2.0 * voxels[::-1, ::-1].transpose(2, 1, 0) - 1000)
