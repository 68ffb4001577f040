"""All files of one patient, DICOM and NIfTI, give the same images in the same order."""

from __future__ import annotations

from itertools import permutations, product

import nibabel as nib
import numpy as np
import pytest
import SimpleITK

from medgan.scans import formats
from medgan.scans.dicom import read as dicom_read
from medgan.scans.dicom import series
from tests.scans.phantoms import write

TURNS = {
    "axial": [1, 0, 0, 0, 1, 0],
    "coronal": [1, 0, 0, 0, 0, -1],
    "sagittal": [0, 1, 0, 0, 0, -1],
}
"""Image Orientation (Patient) as scanners and readers of pictures have it (PS3.3 C.7.6.2.1.1)."""
STORAGES = ["".join(codes) for axes in permutations(("RL", "AP", "SI")) for codes in product(*axes)]
"""All 48 ways of storing a volume."""
GAP, ROW, COLUMN = 5.0, 0.8, 0.5
VOLUME = np.random.default_rng(4).integers(-1024, 3071, (6, 8, 10)).astype(np.int16)  # slices, rows, columns


def dicom(folder, turn):
    """The volume as a series, its files named against their order."""
    across, down = np.array(turn[:3], float), np.array(turn[3:], float)
    normal = np.cross(across, down)
    return [
        write(
            folder / f"{len(VOLUME) - k}.dcm",
            plane,
            ImagePositionPatient=[float(x) for x in k * GAP * normal],
            ImageOrientationPatient=turn,
            PixelSpacing=[ROW, COLUMN],
            RescaleSlope=1,
            RescaleIntercept=0,
        )
        for k, plane in enumerate(VOLUME)
    ]


def ras(turn):
    """The same as a NIfTI image with its axes as they come: columns, rows, slices; LPS turned to RAS."""
    across, down = np.array(turn[:3], float), np.array(turn[3:], float)
    axes = np.column_stack([across * COLUMN, down * ROW, np.cross(across, down) * GAP])
    affine = np.eye(4)
    affine[:3, :3] = np.diag([-1, -1, 1]) @ axes
    return nib.Nifti1Image(VOLUME.transpose(2, 1, 0), affine)


@pytest.mark.parametrize("plane", TURNS)
def test_a_series_comes_in_the_order_of_its_normal(plane, tmp_path):
    (paths,) = series.group_slices(
        [(path, formats.read_header(path)) for path in dicom(tmp_path, TURNS[plane])]
    ).volumes
    scan = dicom_read.read_series(paths)
    assert np.array_equal(scan.pixels, VOLUME)
    assert scan.spacing_mm == pytest.approx((GAP, ROW, COLUMN))


@pytest.mark.parametrize("codes", STORAGES)
@pytest.mark.parametrize("plane", TURNS)
def test_nifti_gives_the_slices_of_the_dicom_series_however_it_is_stored(plane, codes, tmp_path):
    order = nib.orientations.axcodes2ornt(tuple(codes))
    image = ras(TURNS[plane])
    turned = image.as_reoriented(
        nib.orientations.ornt_transform(nib.orientations.io_orientation(image.affine), order)
    )
    assert "".join(nib.aff2axcodes(turned.affine)) == codes
    turned.to_filename(tmp_path / "a.nii")
    scan = formats.read(tmp_path / "a.nii")
    assert np.array_equal(scan.pixels, VOLUME)
    assert scan.spacing_mm == pytest.approx((GAP, ROW, COLUMN))


@pytest.mark.parametrize("codes", ["LPS", "RAS", "PSR"])
@pytest.mark.parametrize("plane", TURNS)
def test_a_series_converted_by_simpleitk_gives_the_same_slices(plane, codes, tmp_path):
    paths = dicom(tmp_path, TURNS[plane])
    image = SimpleITK.ReadImage([str(path) for path in paths])
    SimpleITK.WriteImage(SimpleITK.DICOMOrient(image, codes), str(tmp_path / "a.nii.gz"))
    assert np.array_equal(formats.read(tmp_path / "a.nii.gz").pixels, VOLUME)
