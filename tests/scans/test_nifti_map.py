"""A map lies where its scan lies, voxel by voxel and in millimetres."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
from nibabel.affines import apply_affine

from medgan.scans import formats
from medgan.scans.nifti_map import write_map
from medgan.scans.scan import OutputFormat, Provenance

CHANCE = np.random.default_rng(0)


@pytest.mark.parametrize("axes", [("R", "A", "S"), ("L", "P", "S"), ("P", "S", "R"), ("I", "L", "A")])
def test_the_map_of_a_nifti_file_has_its_axes_size_and_affine(tmp_path, axes):
    voxels = CHANCE.integers(0, 3000, (7, 9, 11)).astype(np.int16)
    image = nibabel.as_closest_canonical(nibabel.Nifti1Image(voxels, np.diag([2, 2, 2, 1.0])))
    turn = nibabel.orientations.ornt_transform(
        nibabel.orientations.io_orientation(image.affine), nibabel.orientations.axcodes2ornt(axes)
    )
    place = tmp_path / "scan.nii.gz"
    nibabel.save(image.as_reoriented(turn), place)
    scan = formats.read(place)
    write_map(tmp_path / "map.nii.gz", scan.pixels, scan, (place,))
    ours, source = nibabel.load(tmp_path / "map.nii.gz"), nibabel.load(place)
    assert ours.affine == pytest.approx(source.affine)
    assert np.array_equal(ours.get_fdata(), source.get_fdata()), "what was read lies where it was"
    assert ours.get_data_dtype() == np.float32


def test_the_map_of_dicom_slices_lies_where_their_headers_say(tmp_path):
    form = OutputFormat(
        format="dicom", low=-1024, high=3071, unit="HU", bits=16, modality="CT", dicom_class="ct",
        spacing_mm=(3.0, 2.0, 1.5), patient_orientation="L\\P",
    )  # fmt: skip
    from medgan.scans.dicom.write import write_volume

    pixels = CHANCE.random((4, 6, 8)).astype(np.float32)
    mark = Provenance(synthetic=False, label="a", index=1, patient="0" * 16)
    places = write_volume(tmp_path / "ct", pixels, form, mark)
    first, last = formats.read_header(places[0]), formats.read_header(places[-1])
    scan = formats.read(places[0])
    write_map(tmp_path / "map.nii.gz", pixels, scan, places)
    affine = nibabel.load(tmp_path / "map.nii.gz").affine
    lps = np.array([-1, -1, 1])
    assert apply_affine(affine, (0, 0, 0)) * lps == pytest.approx(first.position)
    assert apply_affine(affine, (0, 0, 3)) * lps == pytest.approx(last.position)
    assert apply_affine(affine, (1, 0, 0)) - apply_affine(affine, (0, 0, 0)) == pytest.approx([-1.5, 0, 0])
    assert apply_affine(affine, (0, 1, 0)) - apply_affine(affine, (0, 0, 0)) == pytest.approx([0, -2.0, 0])


def test_the_map_of_a_picture_has_no_place_in_the_body(tmp_path):
    from PIL import Image

    place = tmp_path / "a.png"
    Image.fromarray(CHANCE.integers(0, 255, (6, 8)).astype(np.uint8)).save(place)
    scan = formats.read(place)
    for name, files in (("a", (place,)), ("row", ())):
        write_map(tmp_path / f"{name}.nii.gz", scan.pixels, scan, files)
        header = nibabel.load(tmp_path / f"{name}.nii.gz").header
        assert (int(header["sform_code"]), int(header["qform_code"])) == (0, 0)
        assert header.get_data_shape() == (8, 6, 1)
    assert Path(tmp_path / "a.nii.gz").read_bytes() == Path(tmp_path / "row.nii.gz").read_bytes()
