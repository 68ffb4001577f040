"""Masks of every form: which labels they hold, and which files hold none."""

import nibabel
import numpy as np
import pytest
import tifffile
from PIL import Image

from medgan.base.errors import ScanError
from medgan.scans import nifti
from medgan.scans.masks import Mask, RegionSize, measure_regions, read_mask

TWO = np.array([[0, 0, 1, 1], [0, 2, 0, 1], [2, 0, 0, 0]], np.uint8)
"""Region 1 is one piece; so is region 2, whose pixels touch by a corner."""


def palette(values, colours):
    image = Image.fromarray(values, "P")
    image.putpalette([part for colour in colours for part in colour])
    return image


def volume(path, values, affine=None, kind=np.uint8):
    nibabel.save(nibabel.Nifti1Image(values.astype(kind), np.eye(4) if affine is None else affine), path)


def gray(path, values):
    Image.fromarray(values).save(path)


LABELS = {
    "8 bit": ("mask.png", lambda path: gray(path, TWO), TWO),
    "16 bit": ("mask.png", lambda path: gray(path, TWO.astype(np.uint16) * 300), TWO * np.int32(300)),
    "1 bit": ("mask.png", lambda path: Image.fromarray(TWO > 0).save(path), TWO > 0),
    "black and white": ("mask.png", lambda path: gray(path, np.uint8(255) * (TWO > 0)), 255 * (TWO > 0)),
    "empty": ("mask.png", lambda path: gray(path, np.zeros_like(TWO)), np.zeros_like(TWO)),
    "palette with dark colours": (
        "mask.png",
        lambda path: palette(TWO, [(9, 9, 9), (9, 9, 9), (0, 0, 0)]).save(path),
        TWO,
    ),
    "equal colours": ("mask.png", lambda path: gray(path, np.stack([TWO] * 3, -1)), TWO),
    "gray with alpha": ("mask.png", lambda path: Image.fromarray(TWO).convert("LA").save(path), TWO),
    "TIFF of 32 bit": ("mask.tif", lambda path: tifffile.imwrite(path, TWO.astype(np.int32)), TWO),
    "TIFF of fractions that are whole": (
        "mask.tif",
        lambda path: tifffile.imwrite(path, TWO.astype(np.float32)),
        TWO,
    ),
    "upper-case ending": ("MASK.PNG", lambda path: gray(path, TWO), TWO),
    "NIfTI of one slice": ("mask.nii.gz", lambda path: volume(path, TWO[..., None]), None),
    "NIfTI of fractions that are whole": (
        "mask.nii",
        lambda path: volume(path, TWO[..., None], kind=float),
        None,
    ),
    "NIfTI with nothing marked": (
        "mask.nii",
        lambda path: volume(path, np.zeros((4, 3, 1))),
        np.zeros((3, 4)),
    ),
}


@pytest.mark.parametrize("case", LABELS)
def test_labels_are_read_as_they_are_stored(tmp_path, case):
    name, write, wanted = LABELS[case]
    write(tmp_path / name)
    wanted = TWO.T[::-1, ::-1] if wanted is None else wanted  # as a NIfTI slice in RAS is displayed
    assert read_mask(tmp_path / name).values[0].tolist() == np.asarray(wanted, np.int32).tolist()


REFUSED = {
    "colours": ("mask.png", lambda path: gray(path, np.dstack([TWO, TWO * 2, TWO])), "is in colour"),
    "JPEG": ("mask.jpg", lambda path: Image.fromarray(TWO).save(path), "JPEG changes"),
    "fractions": (
        "mask.tif",
        lambda path: tifffile.imwrite(path, TWO + np.float32(0.5)),
        "holds intensities",
    ),
    "negative": ("mask.tif", lambda path: tifffile.imwrite(path, -TWO.astype(np.int16)), "holds intensities"),
    "intensities": (
        "mask.png",
        lambda path: gray(path, np.arange(900, dtype=np.uint16).reshape(30, 30)),
        "holds intensities",
    ),
    "NaN": (
        "mask.nii",
        lambda path: volume(path, np.full((2, 2, 2), np.nan), kind=float),
        "holds intensities",
    ),
    "no bytes": ("mask.png", lambda path: path.write_bytes(b""), "is empty"),
    "text": ("mask.png", lambda path: path.write_text("a mask"), "is not PNG"),
    "cut": (
        "mask.png",
        lambda path: (gray(path, np.tile(TWO, (40, 40))), path.write_bytes(path.read_bytes()[:90])),
        "mask.png",
    ),
    "cut NIfTI": (
        "mask.nii",
        lambda path: (volume(path, TWO[..., None]), path.write_bytes(path.read_bytes()[:352])),
        "mask.nii",
    ),
    "gone": ("mask.png", lambda path: None, "cannot be read"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_mask_is_refused_with_the_name_of_the_file(tmp_path, case):
    name, write, words = REFUSED[case]
    write(tmp_path / name)
    with pytest.raises(ScanError, match=words) as refusal:
        read_mask(tmp_path / name)
    assert name in refusal.value.message
    assert refusal.value.verdict.startswith(("error:", "skip:"))


def test_regions_are_measured_in_the_images_that_show_them():
    mask = Mask(
        values=np.stack([TWO, np.zeros_like(TWO), np.eye(3, 4, dtype=np.int32) * 2, TWO]).astype(np.int32)
    )
    found = measure_regions(mask, (0, 1, 2))  # the last slice is not asked for
    assert found == {
        1: [RegionSize(pixels=3, objects=1)],
        2: [RegionSize(pixels=2, objects=1), RegionSize(pixels=3, objects=1)],
    }


def test_pieces_that_do_not_touch_are_counted():
    dots = np.zeros((1, 9, 9), np.int32)
    dots[0, ::4, ::4] = 5
    assert measure_regions(Mask(values=dots), (0,)) == {5: [RegionSize(pixels=9, objects=9)]}


def test_a_mask_is_displayed_as_its_scan_whatever_the_stored_order(tmp_path):
    """The same voxels in RAS and in LPS: what is displayed and where it lies are equal."""
    values = np.arange(24).reshape(2, 3, 4)
    volume(tmp_path / "ras.nii", values, np.diag([2.0, 2.0, 5.0, 1.0]))
    turned = np.diag([-2.0, -2.0, 5.0, 1.0])
    turned[:2, 3] = 2.0, 4.0
    volume(tmp_path / "lps.nii", values[::-1, ::-1], turned)
    one, other = read_mask(tmp_path / "ras.nii"), read_mask(tmp_path / "lps.nii")
    assert one.values.tolist() == other.values.tolist()
    assert one.extent_mm == other.extent_mm == (0.0, 0.0, 0.0, 2.0, 4.0, 15.0)
    assert one.spacing_mm == (5.0, 2.0, 2.0)


def test_without_an_orientation_nothing_is_known_of_the_place(tmp_path):
    image = nibabel.Nifti1Image(np.zeros((2, 2, 2), np.uint8), np.eye(4))
    image.set_sform(None, 0)
    image.set_qform(None, 0)
    nibabel.save(image, tmp_path / "bare.nii")
    assert nifti.extent_mm(tmp_path / "bare.nii") is None
