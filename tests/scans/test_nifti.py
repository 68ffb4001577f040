"""NIfTI in and out: orientation, scale, damage, odd kinds, and what a written file says of itself."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from medgan.base.errors import PlanError, ScanError
from medgan.scans import compressed, nifti, nifti_write
from medgan.scans.provenance import stored_values
from medgan.scans.scan import OutputFormat, Provenance

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
SYNTHETIC = Provenance(synthetic=True, label="Größe", index=3, seed=7, model="ab" * 32)
REAL = Provenance(synthetic=False, label="normal", index=3, patient="0123456789abcdef")


def anatomy(shape=(10, 12, 14), dtype: Any = np.int16):
    """Every voxel has a value of its own; RAS order."""
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


def saved(path: Path, data, affine=None, **fields: Any) -> Path:
    image: Any = nib.Nifti1Image(data, np.eye(4) if affine is None else affine)
    for name, value in fields.items():
        image.header[name] = value
    image.to_filename(path)
    return path


def verdict(path: Path) -> str:
    with pytest.raises(ScanError) as raised:
        nifti.read(path)
    assert path.stem.split(".")[0] in raised.value.message
    return raised.value.verdict


def header_verdict(path: Path) -> str:
    with pytest.raises(ScanError) as raised:
        nifti.read_header(path)
    return raised.value.verdict


def patched(path: Path, place: int, value: bytes) -> Path:
    data = bytearray(path.read_bytes())
    data[place : place + len(value)] = value
    path.write_bytes(data)
    return path


# --- the display frame


def test_axial_slice_has_anterior_at_the_top_and_the_patients_left_on_the_right(tmp_path):
    ras = anatomy()
    scan = nifti.read(saved(tmp_path / "a.nii", ras))
    assert scan.pixels.shape == (14, 12, 10)
    np.testing.assert_array_equal(scan.pixels[3], ras[::-1, ::-1, 3].T)


@pytest.mark.parametrize("codes", ["RAS", "LAS", "LPS", "PSR", "PIR", "AIL", "SRA"])
def test_storage_order_does_not_matter(tmp_path, codes):
    ras = anatomy()
    ornt = nib.orientations.axcodes2ornt(tuple(codes))  # type: ignore[no-untyped-call]
    stored = nib.Nifti1Image(ras, np.diag([1.0, 1.1, 1.2, 1.0]))  # type: ignore[no-untyped-call]
    image = stored.as_reoriented(ornt)  # type: ignore[no-untyped-call]
    image.to_filename(tmp_path / "a.nii.gz")
    assert nib.aff2axcodes(image.affine) != ("R", "A", "S") or codes == "RAS"  # type: ignore[no-untyped-call]
    scan = nifti.read(tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(scan.pixels, ras[::-1, ::-1].transpose(2, 1, 0))
    assert scan.spacing_mm == pytest.approx((1.2, 1.1, 1.0))


@pytest.mark.parametrize(
    ("zooms", "dicom_axes", "spacing"),
    [
        ((1, 1, 1), "LPS", (1, 1, 1)),
        ((1.2, 0.94, 0.94), "LPS", (0.94, 0.94, 1.2)),
        ((1, 1, 5), "LPS", (5, 1, 1)),
        ((1, 5, 0.8), "LIP", (5, 0.8, 1)),
        ((5, 1, 0.8), "PIR", (5, 0.8, 1)),
    ],
)
def test_through_plane_axis_is_the_thickest_and_the_frame_is_dicoms(tmp_path, zooms, dicom_axes, spacing):
    sitk = pytest.importorskip("SimpleITK")
    path = saved(tmp_path / "a.nii", anatomy(), np.diag([*zooms, 1.0]))
    scan = nifti.read(path)
    expected = sitk.GetArrayFromImage(sitk.DICOMOrient(sitk.ReadImage(str(path)), dicom_axes))
    np.testing.assert_array_equal(scan.pixels, expected)
    assert scan.spacing_mm == pytest.approx(spacing)
    header = nifti.read_header(path)
    assert (header.shape, header.spacing_mm) == (scan.pixels.shape, scan.spacing_mm)


def test_oblique_volume_is_turned_to_the_nearest_axes_only(tmp_path):
    angle = np.deg2rad(20)
    affine = np.eye(4)
    affine[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    scan = nifti.read(saved(tmp_path / "a.nii", anatomy(), affine))
    np.testing.assert_array_equal(scan.pixels, anatomy()[::-1, ::-1].transpose(2, 1, 0))
    assert scan.spacing_mm == pytest.approx((1, 1, 1))


def test_sform_wins_over_qform_and_qform_over_nothing(tmp_path):
    image: Any = nib.Nifti1Image(anatomy(), None)
    image.set_qform(np.diag([-1.0, 1, 1, 1]), code=1)
    image.set_sform(np.diag([1.0, 1, 1, 1]), code=1)
    image.to_filename(tmp_path / "both.nii")
    image.set_sform(None, code=0)
    image.to_filename(tmp_path / "qform.nii")
    both, qform = (nifti.read(tmp_path / f"{name}.nii").pixels for name in ("both", "qform"))
    np.testing.assert_array_equal(both[:, :, ::-1], qform)


def test_without_orientation_axes_stay_as_stored_and_it_is_noted(tmp_path):
    path = patched(saved(tmp_path / "a.nii", anatomy()), 252, bytes(4))  # qform_code, sform_code
    assert nifti.read_header(path).notes == ("no-orientation",)
    scan = nifti.read(path)
    assert scan.notes == ("no-orientation",)
    np.testing.assert_array_equal(scan.pixels, anatomy()[::-1, ::-1].transpose(2, 1, 0))


def test_singular_affine_counts_as_no_orientation(tmp_path):
    path = saved(tmp_path / "a.nii", anatomy())
    patched(path, 280, np.array([1, 1, 0, 0] * 2, "<f4").tobytes())  # srow_x, srow_y
    assert nifti.read(path).notes == ("no-orientation",)


def test_unit_metre_and_micrometre_become_millimetre(tmp_path):
    for unit, side in ((1, 0.002), (2, 2.0), (3, 2000.0)):
        path = saved(tmp_path / "a.nii", anatomy(), np.diag([side, side, side, 1]), xyzt_units=unit)
        assert nifti.read(path).spacing_mm == pytest.approx((2.0,) * 3)


def test_two_dimensions_and_a_single_slice_are_one_image(tmp_path):
    flat = nifti.read(saved(tmp_path / "flat.nii", anatomy((10, 12))))
    slice_ = nifti.read(saved(tmp_path / "slice.nii", anatomy((10, 12, 1))))
    sagittal = nifti.read(saved(tmp_path / "sagittal.nii", anatomy((1, 10, 12))))
    assert flat.pixels.shape == (1, 12, 10)
    np.testing.assert_array_equal(flat.pixels, slice_.pixels)
    assert sagittal.pixels.shape == (1, 12, 10)


# --- values


@pytest.mark.parametrize("dtype", ["u1", "i1", "<i2", ">i2", "<u2", "<i4", ">u4", "<f4", ">f4", "<f8", ">f8"])
def test_every_number_type_and_byte_order_is_read(tmp_path, dtype):
    data = anatomy((5, 5, 5)).astype(dtype)
    image: Any = nib.Nifti1Image(data, np.eye(4), dtype=np.dtype(dtype))
    header = image.header.as_byteswapped(">") if dtype.startswith(">") else image.header
    nib.Nifti1Image(data, np.eye(4), header).to_filename(tmp_path / "a.nii")  # type: ignore[no-untyped-call]
    scan = nifti.read(tmp_path / "a.nii")
    np.testing.assert_array_equal(scan.pixels, data.astype(np.float32)[::-1, ::-1].transpose(2, 1, 0))
    assert scan.pixels.dtype == np.dtype("=f4")
    assert (scan.meaning, scan.bits) == ("raw", np.dtype(dtype).itemsize * 8)


def test_nifti_2_is_read(tmp_path):
    nib.Nifti2Image(anatomy(), np.eye(4)).to_filename(tmp_path / "a.nii.gz")  # type: ignore[no-untyped-call]
    assert nifti.read(tmp_path / "a.nii.gz").pixels.shape == (14, 12, 10)


@pytest.mark.parametrize(
    ("slope", "inter", "expected"),
    [(2, -5, 2 * 7 - 5), (0, 3, 7), (np.nan, 3, 7), (np.inf, 3, 7), (0.5, 0, 3.5)],
)
def test_slope_and_intercept_apply_unless_the_slope_is_zero_or_not_finite(tmp_path, slope, inter, expected):
    data = anatomy((5, 5, 5))
    path = saved(tmp_path / "a.nii", data)
    patched(path, 112, np.array([slope, inter], "<f4").tobytes())
    same = nib.load(path).get_fdata()[0, 1, 2]  # type: ignore[attr-defined]
    assert nifti.read(path).pixels[2, 3, 4] == expected == pytest.approx(same)


def test_intercept_that_is_no_number_is_an_error(tmp_path):
    path = patched(saved(tmp_path / "a.nii", anatomy()), 112, np.array([2, np.nan], "<f4").tobytes())
    assert verdict(path) == "error:bad-rescale"


def test_scaled_32_bit_integers_keep_their_precision(tmp_path):
    data = np.arange(125, dtype=np.int32).reshape(5, 5, 5) + 2**30
    path = patched(saved(tmp_path / "a.nii", data), 112, np.array([1, -(2.0**30)], "<f4").tobytes())
    assert nifti.read(path).pixels.max() == 124


def test_a_few_nan_become_zero_and_are_noted(tmp_path):
    data = anatomy(dtype=np.float32)
    data[0, 0, 1:4] = np.nan, np.inf, -np.inf
    scan = nifti.read(saved(tmp_path / "a.nii", data))
    assert scan.notes == ("nan-filled",)
    assert np.isfinite(scan.pixels).all()
    assert (scan.pixels[1:4, 11, 9] == 0).all()


def test_nan_become_the_darkest_value_where_zero_is_out_of_range(tmp_path):
    data = anatomy(dtype=np.float32) + 500
    data[0, 0, 0] = np.nan
    assert nifti.read(saved(tmp_path / "a.nii", data)).pixels.min() == 501


def test_mostly_nan_is_an_error(tmp_path):
    data = anatomy(dtype=np.float32)
    data[:6] = np.nan
    assert verdict(saved(tmp_path / "half.nii", data)) == "error:mostly-nan"
    assert verdict(saved(tmp_path / "all.nii", np.full((4, 4, 4), np.nan, np.float32))) == "error:mostly-nan"


def test_constant_volume_is_skipped(tmp_path):
    assert verdict(saved(tmp_path / "a.nii", np.full((4, 4, 4), 9, np.int16))) == "skip:constant"


# --- kinds


def test_four_dimensions_give_the_first_volume(tmp_path):
    data = anatomy((4, 5, 6, 3))
    path = saved(tmp_path / "a.nii.gz", data)
    scan = nifti.read(path)
    assert scan.notes == nifti.read_header(path).notes == ("first-volume",)
    np.testing.assert_array_equal(scan.pixels, data[::-1, ::-1, :, 0].transpose(2, 1, 0))


def test_rgb24_and_vector_of_three_are_colour(tmp_path):
    colour = np.random.default_rng(0).integers(0, 256, (4, 5, 6, 3), np.uint8)
    expected = colour[::-1, ::-1].transpose(2, 1, 0, 3)
    packed = colour.view([("R", "u1"), ("G", "u1"), ("B", "u1")])[..., 0]
    for path in (
        saved(tmp_path / "packed.nii.gz", packed),
        saved(tmp_path / "vector.nii.gz", colour[:, :, :, None, :], intent_code=1007),
    ):
        scan = nifti.read(path)
        np.testing.assert_array_equal(scan.pixels, expected)
        header = nifti.read_header(path)
        assert (header.channels, header.shape, header.bits) == (3, (6, 5, 4), 8)


def test_alpha_of_rgba32_is_dropped(tmp_path):
    colour = np.random.default_rng(0).integers(0, 256, (4, 5, 6, 4), np.uint8)
    path = saved(tmp_path / "a.nii", colour.view([(name, "u1") for name in "RGBA"])[..., 0])
    np.testing.assert_array_equal(nifti.read(path).pixels, colour[::-1, ::-1, :, :3].transpose(2, 1, 0, 3))


def test_itk_reads_and_writes_colour_as_we_do(tmp_path):
    sitk = pytest.importorskip("SimpleITK")
    colour = np.random.default_rng(0).integers(0, 256, (6, 5, 4, 3), np.uint8)
    image = sitk.GetImageFromArray(colour, isVector=True)
    sitk.WriteImage(image, str(tmp_path / "a.nii.gz"))
    np.testing.assert_array_equal(nifti.read(tmp_path / "a.nii.gz").pixels, colour)


def test_complex_fields_labels_and_rows_are_refused_from_the_header(tmp_path):
    assert header_verdict(saved(tmp_path / "c.nii", anatomy(dtype=np.complex64))) == "skip:complex"
    assert header_verdict(saved(tmp_path / "l.nii", anatomy(), intent_code=1002)) == "skip:segmentation"
    field = anatomy((4, 4, 4, 1, 3), np.float32)
    assert header_verdict(saved(tmp_path / "d.nii", field, intent_code=1006)) == "skip:not-image"
    assert header_verdict(saved(tmp_path / "v.nii", field[..., :2], intent_code=1007)) == "skip:not-image"
    assert header_verdict(saved(tmp_path / "r.nii", anatomy((50, 1, 1)))) == "skip:not-image"
    assert (
        header_verdict(patched(saved(tmp_path / "t.nii", anatomy()), 70, b"\x01\0"))
        == "error:unsupported-datatype"
    )


def test_label_map_is_skipped_by_its_few_whole_numbers_or_by_its_name(tmp_path):
    small = anatomy((6, 6, 6)) % 3
    assert verdict(saved(tmp_path / "case_1.nii", small)) == "skip:segmentation"
    assert verdict(saved(tmp_path / "case_1_seg.nii.gz", small * 100)) == "skip:segmentation"
    (tmp_path / "labelsTr").mkdir()
    assert verdict(saved(tmp_path / "labelsTr" / "case_1.nii.gz", small * 100)) == "skip:segmentation"


def test_image_is_no_label_map_for_its_name_alone(tmp_path):
    assert nifti.read(saved(tmp_path / "segmented_lung.nii", anatomy())).pixels.max() > 1000
    assert nifti.read(saved(tmp_path / "sphere.nii", anatomy((6, 6, 6)) % 3 * 100)).pixels.max() == 200
    assert nifti.read(saved(tmp_path / "unit.nii", anatomy(dtype=np.float32) / 2000)).pixels.max() < 1


# --- containers


def test_content_decides_not_the_name(tmp_path):
    plain = saved(tmp_path / "a.nii", anatomy()).read_bytes()
    for name, data in (("zipped.nii", gzip.compress(plain)), ("plain.nii.gz", plain), ("none", plain)):
        (tmp_path / name).write_bytes(data)
        assert nifti.read(tmp_path / name).pixels.shape == (14, 12, 10)


def test_pair_is_read_once_through_its_header(tmp_path):
    nib.Nifti1Pair(anatomy(), np.eye(4)).to_filename(tmp_path / "a.img")  # type: ignore[no-untyped-call]
    assert nifti.read(tmp_path / "a.hdr").pixels.shape == (14, 12, 10)
    assert verdict(tmp_path / "a.img") == "skip:pair-member"
    (tmp_path / "a.img.gz").write_bytes(gzip.compress((tmp_path / "a.img").read_bytes()))
    (tmp_path / "a.img").unlink()
    assert nifti.read(tmp_path / "a.hdr").pixels.max() == anatomy().max()
    (tmp_path / "a.img.gz").unlink()
    assert header_verdict(tmp_path / "a.hdr") == "error:missing-pair"


def test_foreign_and_empty_files_are_refused_by_name(tmp_path):
    analyze = nib.AnalyzeImage(anatomy(), np.eye(4))  # type: ignore[no-untyped-call]
    analyze.to_filename(tmp_path / "analyze.hdr")
    nib.MGHImage(anatomy(), np.eye(4)).to_filename(tmp_path / "surfer.mgz")  # type: ignore[no-untyped-call]
    for name, data in (
        ("empty", b""),
        ("text", b"hello\n" * 200),
        ("png", b"\x89PNG\r\n\x1a\n" + bytes(400)),
    ):
        (tmp_path / f"{name}.nii").write_bytes(data)
    head = saved(tmp_path / "a.nii", anatomy()).read_bytes()
    (tmp_path / "head.nii").write_bytes(head[:300])
    assert verdict(tmp_path / "analyze.hdr") == "skip:analyze"
    assert verdict(tmp_path / "surfer.mgz") == "skip:freesurfer"
    assert verdict(tmp_path / "empty.nii") == "error:empty-file"
    assert verdict(tmp_path / "text.nii") == "skip:not-nifti"
    assert verdict(tmp_path / "png.nii") == "skip:not-nifti"
    assert verdict(tmp_path / "head.nii") == "error:truncated-header"


def test_one_flipped_byte_in_a_gzip_is_an_error(tmp_path):
    noise = np.random.default_rng(1).integers(0, 1000, (20, 20, 20)).astype(np.int16)
    path = saved(tmp_path / "a.nii.gz", noise)
    data = path.read_bytes()
    for place in (len(data) // 2, len(data) - 6):
        patched(path, place, bytes([data[place] ^ 1]))
        assert verdict(path) == "error:corrupt-gzip"
        path.write_bytes(data)


def test_truncated_files_are_errors(tmp_path):
    for name in ("a.nii", "a.nii.gz"):
        path = saved(
            tmp_path / name, np.random.default_rng(1).integers(0, 1000, (20, 20, 20)).astype(np.int16)
        )
        path.write_bytes(path.read_bytes()[:-100])
        assert verdict(path) == "error:truncated"


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_dimensions_that_lie_are_refused_before_anything_is_allocated(tmp_path, name):
    plain = bytearray(saved(tmp_path / "honest.nii", anatomy()).read_bytes())
    plain[42:48] = np.array([32767] * 3, "<i2").tobytes()
    (tmp_path / name).write_bytes(gzip.compress(plain) if name.endswith("gz") else plain)
    assert header_verdict(tmp_path / name) == "error:size-mismatch"


def test_more_bytes_than_the_dimensions_need_are_refused_without_inflating_them(tmp_path):
    data = saved(tmp_path / "a.nii", anatomy()).read_bytes()
    (tmp_path / "bomb.nii.gz").write_bytes(gzip.compress(data + bytes(2**26)))
    assert verdict(tmp_path / "bomb.nii.gz") == "error:size-mismatch"


def test_volume_over_the_limit_is_refused_from_the_header(tmp_path, monkeypatch):
    monkeypatch.setattr(compressed, "MAX_BYTES", 10_000)
    assert header_verdict(saved(tmp_path / "a.nii.gz", anatomy((20, 20, 20), np.uint8))) == "error:too-large"


@pytest.mark.parametrize("sizes", [(-3, 4, 4), (0, 4, 4)])
def test_impossible_dimensions_are_refused(tmp_path, sizes):
    path = patched(saved(tmp_path / "a.nii", anatomy()), 42, np.array(sizes, "<i2").tobytes())
    assert header_verdict(path) == "error:bad-dimensions"


def test_mutated_files_always_get_a_verdict(tmp_path):
    """The reader raises ScanError, or one of the plain exceptions that its caller turns into a verdict."""
    rng = np.random.default_rng(7)
    honest = saved(tmp_path / "honest.nii", anatomy((6, 6, 6))).read_bytes()
    path = tmp_path / "mutant.nii"
    refused = 0
    for _ in range(300):
        data = bytearray(honest)
        for place in rng.integers(0, 352, 4):
            data[place] = rng.integers(0, 256)
        path.write_bytes(data)
        try:
            assert nifti.read(path).pixels.size <= 10**6
        except ScanError:
            refused += 1
    assert 30 < refused < 300


# --- real files


def test_odd_real_files_get_the_verdicts_of_their_manifest():
    folder = SHARED / "nifti_tricky"
    if not folder.is_dir():
        pytest.skip("../shared/data is not here")
    expected = {
        "analyze.hdr": "skip:analyze",
        "constant.nii.gz": "skip:constant",
        "empty.nii.gz": "error:empty-file",
        "nifti1.hdr": "error:missing-pair",
        "pair.img": "skip:pair-member",
        "text.nii": "skip:not-nifti",
        "plain_named_gz.nii.gz": "error:truncated",
        "row_major.dconn.nii": "skip:not-image",
        "test.mgz": "skip:freesurfer",
        "truncated.nii.gz": "error:truncated",
        "manifest.csv": "skip:not-nifti",
    }
    found = {}
    for path in sorted(folder.iterdir()):
        try:
            assert nifti.read(path).pixels.shape[:3] == nifti.read_header(path).shape
        except ScanError as error:
            found[path.name] = error.verdict
    assert found == expected


def test_real_volume_reads_alike_in_every_storage():
    folder = SHARED / "nifti_tricky"
    if not folder.is_dir():
        pytest.skip("../shared/data is not here")
    turned = nifti.read(folder / "orientation_pir.nii.gz").pixels
    bare = nifti.read(folder / "no_affine_float64.nii.gz").pixels
    np.testing.assert_allclose(turned, bare, rtol=1e-5)


# --- writing

FORMS = {
    "hu": OutputFormat(
        format="nifti",
        low=-1024,
        high=3071,
        unit="HU",
        bits=16,
        modality="CT",
        spacing_mm=(5.0, 0.7, 0.8),
        patient_orientation="L\\P",
    ),
    "sagittal": OutputFormat(
        format="nifti",
        low=0,
        high=4095,
        unit="relative",
        bits=12,
        spacing_mm=(5.0, 0.7, 0.8),
        patient_orientation="P\\F",
    ),
    "8-bit": OutputFormat(format="nifti", low=0, high=255, unit="stored", bits=8, patient_orientation="L\\P"),
    "12-bit": OutputFormat(
        format="nifti", low=0, high=4095, unit="relative", bits=12, spacing_mm=(0.0, 1.0, 1.0)
    ),
    "colour": OutputFormat(
        format="nifti", low=0, high=255, unit="stored", bits=8, channels=3, spacing_mm=(1.0, 2.0, 2.0)
    ),
    "deep colour": OutputFormat(format="nifti", low=0, high=65535, unit="stored", bits=16, channels=3),
}
every_form = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)


def picture(form: OutputFormat):
    shape = (12, 10) if form.channels == 1 else (12, 10, 3)
    return np.random.default_rng(5).random(shape, dtype=np.float32)


def written(folder: Path, form: OutputFormat, mark: Provenance = SYNTHETIC) -> Path:
    path = folder / f"image{nifti_write.SUFFIX}"
    nifti_write.write(path, picture(form), form, mark)
    return path


@every_form
def test_written_image_reads_back_equal_and_in_place(tmp_path, form):
    scan = nifti.read(written(tmp_path, form))
    np.testing.assert_array_equal(scan.pixels[0], stored_values(picture(form), form))
    z, *plane = form.spacing_mm or (0.0, None, None)
    expected = None if form.spacing_mm is None else pytest.approx((z or 1.0, *plane))
    assert scan.spacing_mm == expected
    assert scan.notes == ("synthetic",)


@every_form
def test_written_image_reads_back_equal_through_simpleitk(tmp_path, form):
    sitk = pytest.importorskip("SimpleITK")
    array = sitk.GetArrayFromImage(sitk.ReadImage(str(written(tmp_path, form))))
    np.testing.assert_array_equal(np.squeeze(array), stored_values(picture(form), form))


def test_written_header_has_slope_one_units_codes_and_the_display_frame(tmp_path):
    image: Any = nib.load(written(tmp_path, FORMS["hu"]))
    header = image.header
    assert image.shape == (10, 12, 1)
    np.testing.assert_array_equal(
        np.asarray(image.dataobj)[:, :, 0].T, stored_values(picture(FORMS["hu"]), FORMS["hu"])
    )
    np.testing.assert_allclose(image.affine, np.diag([-0.8, -0.7, 5.0, 1.0]), atol=1e-6)
    assert header.get_data_dtype() == np.int16
    assert header.get_xyzt_units()[0] == "mm"
    assert (int(header["sform_code"]), int(header["qform_code"])) == (1, 1)
    raw = gzip.decompress((tmp_path / "image.nii.gz").read_bytes())  # nibabel hides scl_slope and scl_inter
    assert np.frombuffer(raw, "<f4", 2, 112).tolist() == [1.0, 0.0]


@every_form
def test_a_volume_reads_back_equal_here_and_through_simpleitk(tmp_path, form):
    sitk = pytest.importorskip("SimpleITK")
    if form.spacing_mm:
        form = replace(form, spacing_mm=(2.5, *form.spacing_mm[1:]))
    volume = np.stack([picture(form), 1 - picture(form), picture(form) / 2])
    (path,) = nifti_write.write_volume(tmp_path / "v1.2", volume, form, SYNTHETIC)
    assert path.name == "v1.2.nii.gz"
    expected = stored_values(volume, form)
    np.testing.assert_array_equal(nifti.read(path).pixels, expected)
    image = sitk.ReadImage(str(path))
    np.testing.assert_array_equal(np.squeeze(sitk.GetArrayFromImage(image)), expected)
    z, y, x = form.spacing_mm or (1.0, 1.0, 1.0)
    assert image.GetSpacing()[:3] == pytest.approx((x, y, z))
    assert (tmp_path / "v1.2.json").exists()


def test_a_volume_without_a_distance_between_its_slices_is_refused(tmp_path):
    volume = np.zeros((3, 12, 10), np.float32)
    with pytest.raises(PlanError, match="distance between its slices"):
        nifti_write.write_volume(tmp_path / "v", volume, FORMS["12-bit"], SYNTHETIC)
    assert list(tmp_path.iterdir()) == []


def test_unknown_spacing_is_no_scanners_and_has_no_unit(tmp_path):
    header: Any = nib.load(written(tmp_path, FORMS["8-bit"])).header  # type: ignore[attr-defined]
    assert header.get_xyzt_units()[0] == "unknown"
    assert int(header["sform_code"]) == 2


def test_marks_are_in_the_header_the_extension_and_the_sidecar(tmp_path):
    path = written(tmp_path, FORMS["hu"])
    header: Any = nib.load(path).header  # type: ignore[attr-defined]
    assert header["descrip"].item().startswith(b"SYNTHETIC medgan")
    assert header["descrip"].item().endswith(b"seed=7")
    assert header["intent_name"].item() == b"synthetic"
    (extension,) = header.extensions
    assert extension.get_code() == 6
    said = json.loads(extension.get_content().rstrip(b"\0"))
    assert said == json.loads((tmp_path / "image.json").read_text())
    assert said["SyntheticData"] is True
    assert (said["Label"], said["Seed"], said["Model"]) == ("Größe", 7, "ab" * 32)
    assert (said["Unit"], said["Low"], said["High"]) == ("HU", -1024, 3071)


def test_real_image_says_so_and_has_no_seed_and_no_model(tmp_path):
    path = written(tmp_path, FORMS["hu"], REAL)
    header: Any = nib.load(path).header  # type: ignore[attr-defined]
    said = json.loads((tmp_path / "image.json").read_text())
    assert said["SyntheticData"] is False
    assert said["Patient"] == REAL.patient
    assert {"Seed", "Model"}.isdisjoint(said)
    assert b"SYNTHETIC" not in gzip.decompress(path.read_bytes())
    assert header["intent_name"].item() == b"real"
    assert nifti.read_header(path).notes == ()


@every_form
def test_same_image_gives_the_same_bytes(tmp_path, form):
    first = written(tmp_path, form).read_bytes()
    assert written(tmp_path, form).read_bytes() == first
    assert {path.name for path in tmp_path.iterdir()} == {"image.nii.gz", "image.json"}


@pytest.mark.parametrize(
    ("side", "unit", "known"), [(0.7, 2, True), (0.7, 1, False), (0.0007, 1, True), (700, 2, False)]
)
def test_a_voxel_that_no_scanner_has_is_a_slip_of_unit_and_unknown(tmp_path, side, unit, known):
    path = saved(tmp_path / "a.nii", anatomy(), np.diag([side, side, 3, 1]), xyzt_units=unit)
    for read in (nifti.read_header(path), nifti.read(path)):
        assert (read.spacing_mm is not None) is known
        assert ("impossible-spacing" in read.notes) is not known


@pytest.mark.parametrize(
    ("names", "endings"),
    [
        (("1.nii",), (".nii",)),
        (("1.NII.GZ",), (".nii.gz",)),
        (("1.hdr", "1.img"), (".hdr", ".img")),
        (("1.hdr", "1.img.gz"), (".hdr", ".img.gz")),
        (("1.hdr.gz", "1.img.gz"), (".hdr.gz", ".img.gz")),
        (("1.HDR", "1.IMG"), (".hdr", ".img")),
    ],
)
def test_the_files_of_a_volume_are_found_together(tmp_path, names, endings):
    for name in names:
        (tmp_path / name).touch()
    assert nifti.volume_files(tmp_path / names[0]) == {
        ending: tmp_path / name for ending, name in zip(endings, names, strict=True)
    }
