"""The table of odd scans, rows 55 to 65: unusual NIfTI files.

They are damaged, misnamed, oddly stored, or not images.
"""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from tests.scans.odd import Seen, Table, check

TABLE = Table()
case = TABLE.case

RAS = np.arange(4 * 5 * 6).reshape(4, 5, 6).astype(np.int16)
"""Every voxel has a value of its own; axes to the right, to anterior, to superior."""
SCREEN = RAS[::-1, ::-1].transpose(2, 1, 0)
"""The same as slices on a screen: rows to posterior, columns to the patient's left."""
# Where nifti1.h has dim[1..3], pixdim[1..3], scl_slope and scl_inter, qform_code and sform_code.
DIMENSIONS, SIDES, SCALE, CODES = 42, 80, 112, 252


@pytest.mark.parametrize(("make", "expected"), TABLE)
def test_odd_nifti(make, expected, tmp_path):
    check(make(tmp_path), expected)


def saved(path: Path, data: Any = RAS, affine: Any = None, **fields: Any) -> Path:
    image: Any = nib.Nifti1Image(data, np.eye(4) if affine is None else affine)
    for name, value in fields.items():
        image.header[name] = value
    image.to_filename(path)
    return path


def patched(path: Path, at: int, value: bytes) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[:at] + value + data[at + len(value) :])
    return path


NOISE = np.random.default_rng(0).integers(0, 1000, (20, 20, 20)).astype(np.int16)

for name, where in {"middle": 0.5, "checksum": 1.0}.items():

    @case(55, f"flipped-byte-in-the-{name}", "error:corrupt-gzip")
    def _(folder, where=where):
        path = saved(folder / "a.nii.gz", NOISE)
        data = bytearray(path.read_bytes())
        data[min(int(where * len(data)), len(data) - 6)] ^= 1
        path.write_bytes(data)
        return path


for name in ("a.nii", "a.nii.gz"):

    @case(56, f"truncated-{name}", "error:truncated")
    def _(folder, name=name):
        path = saved(folder / name, NOISE)
        path.write_bytes(path.read_bytes()[:-100])
        return path

    @case(63, f"dimensions-that-lie-{name}", "error:size-mismatch")
    def _(folder, name=name):
        lie = bytearray(saved(folder / "honest.nii").read_bytes())
        lie[DIMENSIONS : DIMENSIONS + 6] = np.array([32767] * 3, "<i2").tobytes()
        (folder / name).write_bytes(gzip.compress(lie) if name.endswith("gz") else lie)
        return folder / name


@case(56, "truncated-header", "error:truncated-header")
def _(folder):
    path = saved(folder / "a.nii")
    path.write_bytes(path.read_bytes()[:300])
    return path


for name, packed in {
    "gzip-named-nii.nii": True,
    "plain-named-gz.nii.gz": False,
    "no-extension": True,
}.items():

    @case(57, name, Seen(SCREEN, "raw"))
    def _(folder, name=name, packed=packed):
        data = saved(folder / "plain.nii").read_bytes()
        (folder / name).write_bytes(gzip.compress(data) if packed else data)
        return folder / name


for slope, inter, expected in (
    (2, -5, Seen(2.0 * SCREEN - 5)),
    (0, 3, Seen(SCREEN)),
    (np.nan, 3, Seen(SCREEN)),
    (np.inf, 3, Seen(SCREEN)),
    (2, np.nan, "error:bad-rescale"),
):

    @case(58, f"slope-{slope}-intercept-{inter}", expected)
    def _(folder, slope=slope, inter=inter):
        return patched(saved(folder / "a.nii"), SCALE, np.array([slope, inter], "<f4").tobytes())


@case(59, "no-orientation", Seen(SCREEN, note="no-orientation"))
def _(folder):
    return patched(saved(folder / "a.nii"), CODES, bytes(4))


@case(59, "no-orientation-and-sides-of-zero", Seen(SCREEN, note="no-orientation"))
def _(folder):
    return patched(patched(saved(folder / "a.nii"), CODES, bytes(4)), SIDES, bytes(12))


for codes in ("RAS", "LAS", "LPS", "PSR", "PIR", "AIL", "SRA"):

    @case(60, f"stored-as-{codes}", Seen(SCREEN))
    def _(folder, codes=codes):
        order = nib.orientations.axcodes2ornt(tuple(codes))
        image = nib.Nifti1Image(RAS, np.diag([1.0, 1.1, 1.2, 1.0])).as_reoriented(order)
        image.to_filename(folder / "a.nii.gz")
        return folder / "a.nii.gz"


@case(61, "4d-gives-its-first-volume", Seen(SCREEN, note="first-volume"))
def _(folder):
    return saved(folder / "a.nii", np.stack([RAS, RAS + 1000], axis=-1))


COLOUR = np.random.default_rng(0).integers(0, 256, (4, 5, 6, 3), np.uint8)
SHOWN = COLOUR[::-1, ::-1].transpose(2, 1, 0, 3)


@case(61, "vector-of-three-is-rgb", Seen(SHOWN))
def _(folder):
    return saved(folder / "a.nii", COLOUR[:, :, :, None, :], intent_code=1007)


@case(61, "rgb24", Seen(SHOWN))
def _(folder):
    return saved(folder / "a.nii", COLOUR.view([("R", "u1"), ("G", "u1"), ("B", "u1")])[..., 0])


@case(61, "complex", "skip:complex")
def _(folder):
    return saved(folder / "a.nii", RAS.astype(np.complex64))


@case(62, "all-nan", "error:mostly-nan")
def _(folder):
    return saved(folder / "a.nii", np.full(RAS.shape, np.nan, np.float32))


@case(62, "some-nan", Seen(np.where(SCREEN == 7, 0, SCREEN), note="nan-filled"))
def _(folder):
    return saved(folder / "a.nii", np.where(RAS == 7, np.nan, RAS.astype(np.float32)))


@case(62, "constant", "skip:constant")
def _(folder):
    return saved(folder / "a.nii", np.full(RAS.shape, 9, np.int16))


@case(64, "pair-through-its-header", Seen(SCREEN))
def _(folder):
    nib.Nifti1Pair(RAS, np.eye(4)).to_filename(folder / "a.img")
    return folder / "a.hdr"


@case(64, "pair-through-its-voxels", "skip:pair-member")
def _(folder):
    nib.Nifti1Pair(RAS, np.eye(4)).to_filename(folder / "a.img")
    return folder / "a.img"


@case(64, "nifti-2", Seen(SCREEN))
def _(folder):
    nib.Nifti2Image(RAS, np.eye(4)).to_filename(folder / "a.nii")
    return folder / "a.nii"


@case(64, "big-endian", Seen(SCREEN))
def _(folder):
    header = nib.Nifti1Image(RAS, np.eye(4)).header.as_byteswapped(">")
    nib.Nifti1Image(RAS, np.eye(4), header).to_filename(folder / "a.nii")
    return folder / "a.nii"


@case(64, "analyze", "skip:analyze")
def _(folder):
    nib.AnalyzeImage(RAS, np.eye(4)).to_filename(folder / "a.hdr")
    return folder / "a.hdr"


@case(65, "labels-by-intent", "skip:segmentation")
def _(folder):
    return saved(folder / "a.nii", intent_code=1002)


@case(65, "labels-by-their-values", "skip:segmentation")
def _(folder):
    return saved(folder / "case_1.nii", RAS % 3)


@case(65, "labels-by-name", "skip:segmentation")
def _(folder):
    return saved(folder / "case_1_seg.nii", RAS % 3 * 100)


@case(65, "few-values-alone-are-no-labels", Seen(SCREEN % 3 * 100))
def _(folder):
    return saved(folder / "case_1.nii", RAS % 3 * 100)
