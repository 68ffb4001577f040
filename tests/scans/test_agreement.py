"""medgan, SimpleITK and highdicom read the same values from the same files.

Every difference is listed with its reason, and its values are computed again with NumPy from what the file
stores.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import highdicom
import nibabel as nib
import numpy as np
import pydicom
import pytest
import SimpleITK
from pydicom.data import get_testdata_files

from medgan.base.errors import ScanError
from medgan.scans import formats
from medgan.scans.dicom import read as dicom_read
from medgan.scans.dicom import series
from tests.scans.phantoms import slices

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
WHEEL = [path for path in map(Path, get_testdata_files()) if path.is_file()]
SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)


def real(name: str, step: int = 1) -> list[Any]:
    """Every `step`-th file of a real data set, or one test that says why the data set is not here."""
    files = sorted(path for path in (SHARED / name).rglob("*") if path.is_file())[::step]
    absent = pytest.param(None, id=name, marks=pytest.mark.skip(reason=f"../shared/data/{name} is not here"))
    return [pytest.param(path, id=f"{name}/{path.name}") for path in files] or [absent]


DICOM = [
    *(pytest.param(path, id=f"wheel/{path.name}") for path in WHEEL),
    *real("dicom_tricky"),
    *real("ct_planes_sbu"),
    *real("cxr_kermany", step=10),
]


# --- who is right: values from the stored ones, by other means than medgan's ---


def stored(path: Path) -> tuple[pydicom.Dataset, np.ndarray]:
    """The header and the stored values, frames first."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(path)
        values = dataset.pixel_array
    flat = values.ndim - (dataset.SamplesPerPixel > 1) == 2
    return dataset, values[None] if flat else values


def decoded(path: Path, _: Any) -> np.ndarray:
    return stored(path)[1].astype(np.float32)


def windowed(path: Path, _: Any) -> np.ndarray:
    """PS3.3 C.11.2.1.2.1 as its pseudo-code has it, then MONOCHROME1 turned round."""
    dataset, values = stored(path)
    slope, intercept = float(dataset.get("RescaleSlope", 1)), float(dataset.get("RescaleIntercept", 0))
    first = [np.atleast_1d(dataset[name].value)[0] for name in ("WindowCenter", "WindowWidth")]
    centre, width = map(float, first)
    x = values * slope + intercept
    y = np.interp(x, [centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2], [0, 1])
    return 1 - y if dataset.PhotometricInterpretation == "MONOCHROME1" else y


def unpadded(path: Path, _: Any) -> np.ndarray:
    dataset, values = stored(path)
    rescaled = values * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
    return np.where(values == dataset.PixelPaddingValue, -1024, rescaled)


def tabled(path: Path, _: Any) -> np.ndarray:
    dataset, values = stored(path)
    lut = dataset.ModalityLUTSequence[0]
    _, first, _ = lut.LUTDescriptor
    entries = np.frombuffer(lut.LUTData, "<u2") if isinstance(lut.LUTData, bytes) else np.asarray(lut.LUTData)
    return entries[np.clip(values.astype(int) - first, 0, len(entries) - 1)]


def upper_byte(_: Path, theirs: np.ndarray) -> np.ndarray:
    return theirs >> 8


def squared(path: Path, _: Any) -> np.ndarray:
    """Rows drawn apart by PixelAspectRatio, each new one linear between its two neighbours."""
    dataset, values = stored(path)
    tall, wide = map(int, dataset.PixelAspectRatio)
    rows = values.shape[1]
    places = np.clip((np.arange(rows * tall // wide) + 0.5) * wide / tall - 0.5, 0, rows - 1)
    above = np.minimum(places.astype(int), rows - 2)
    share = (places - above)[:, None, None]
    return values[:, above] * (1 - share) + values[:, above + 1] * share


def in_order(path: Path, _: Any) -> np.ndarray:
    """Frames with their own rescale, by position along the normal."""
    dataset, values = stored(path)
    groups = dataset.PerFrameFunctionalGroupsSequence
    shared = dataset.SharedFunctionalGroupsSequence[0]
    steps = [
        (group if "PixelValueTransformationSequence" in group else shared).PixelValueTransformationSequence[0]
        for group in groups
    ]
    frames = [
        frame * float(step.RescaleSlope) + float(step.RescaleIntercept)
        for frame, step in zip(values, steps, strict=True)
    ]
    turn = (shared if "PlaneOrientationSequence" in shared else groups[0]).PlaneOrientationSequence[0]
    turn = np.asarray(turn.ImageOrientationPatient, float)
    normal = np.cross(turn[:3], turn[3:])
    places = [group.PlanePositionSequence[0].ImagePositionPatient @ normal for group in groups]
    return np.stack([frames[k] for k in np.argsort(places)])


Right = Callable[[Path, Any], np.ndarray]
SWAPPED = "SimpleITK swaps the bytes of RLE words in colour images", decoded
SHOWN = "medgan shows a radiograph through its own window, SimpleITK gives the values before it", windowed
PADDED = "medgan puts air where a CT is padded, SimpleITK rescales the padding", unpadded
SQUARE = "medgan makes pixels square, SimpleITK leaves the aspect ratio to its user", squared
DIFFERENT: dict[str, tuple[str, Right]] = {
    **dict.fromkeys(("SC_rgb_rle_16bit.dcm", "SC_rgb_rle_16bit_2frame.dcm"), SWAPPED),
    **dict.fromkeys(("SC_rgb_rle_32bit.dcm", "SC_rgb_rle_32bit_2frame.dcm"), SWAPPED),
    **dict.fromkeys(("6154", "6247", "6278", "RG1_J2KI.dcm", "RG3_J2KI.dcm"), SHOWN),
    **dict.fromkeys(("693_J2KI.dcm", "19001231-076.dcm"), PADDED),
    "A002304_axial_19001231-076.dcm": PADDED,
    "A002304_axial_19010112-135.dcm": PADDED,
    "A027284_axial_19000925-116.dcm": PADDED,
    "A027284_axial_19001231-131.dcm": PADDED,
    "A046441_axial_19001111-045.dcm": PADDED,
    "A048383_axial_19001231-30.dcm": PADDED,
    "A048383_axial_19010410-30.dcm": PADDED,
    "A056642_axial_19001229-053.dcm": PADDED,
    "A056642_axial_19010107-111.dcm": PADDED,
    "A058062_axial_19001231-084.dcm": PADDED,
    "A058062_axial_19010108-078.dcm": PADDED,
    "A062055_axial_19001127-136.dcm": PADDED,
    "A062055_axial_19001228-131.dcm": PADDED,
    "A072894_axial_19010103-40.dcm": PADDED,
    "A098752_axial_19010127-128.dcm": PADDED,
    **dict.fromkeys(("color-pl.dcm", "color-px.dcm"), SQUARE),
    "gdcm-US-ALOKA-16.dcm": ("medgan keeps 8 bits of a 16-bit palette, SimpleITK all 16", upper_byte),
    "mlut_18.dcm": ("SimpleITK does not apply a Modality LUT", tabled),
    "eCT_Supplemental.dcm": ("SimpleITK leaves frames in stored order", in_order),
    "JLSL_08_07_0_1F.dcm": ("SimpleITK refuses JPEG-LS of 7 bits", decoded),
}
"""Files that SimpleITK reads otherwise or not at all: why, and the right values."""

NOT_OURS = {
    **dict.fromkeys(("rtdose.dcm", "rtdose_rle.dcm", "rtdose_expb.dcm", "badVR.dcm"), "skip:not-image"),
    **dict.fromkeys(("liver_1frame.dcm", "liver_expb_1frame.dcm"), "skip:not-image"),
    "12bitSigned_0x0F0F.dcm": "skip:mosaic",
}
"""Files that SimpleITK reads and medgan refuses: doses, masks and montages."""


def theirs(path: Path) -> np.ndarray | None:
    """SimpleITK's values, frames first; None for what it refuses."""
    try:
        values = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))
    except RuntimeError:
        return None
    return np.asarray(values)


def ours(path: Path) -> tuple[np.ndarray | None, str]:
    """medgan's values and "ok", or None and the verdict."""
    try:
        return formats.read(path).pixels, "ok"
    except ScanError as error:
        return None, error.verdict


@pytest.mark.parametrize("path", DICOM)
def test_medgan_and_simpleitk_agree_or_the_difference_is_known(path):
    mine, verdict = ours(path)
    other = theirs(path)
    if mine is None:
        assert (verdict if other is not None else None) == NOT_OURS.get(path.name)
        return
    if path.name not in DIFFERENT:
        assert other is not None
        assert np.array_equal(mine, other.astype(np.float32).reshape(mine.shape))
        return
    why, right = DIFFERENT[path.name]
    assert other is None or other.size != mine.size or not np.array_equal(mine, other.reshape(mine.shape))
    np.testing.assert_allclose(
        mine, right(path, other).reshape(mine.shape), rtol=1e-6, atol=1e-5, err_msg=why
    )


def test_both_readers_had_their_say():
    outcomes = [(ours(path)[0] is not None, theirs(path) is not None) for path in WHEEL]
    assert outcomes.count((True, True)) >= 80


# --- highdicom: multi-frame objects and volumes from series ---

COLOUR_RLE = {f"SC_rgb_rle_{bits}2frame.dcm" for bits in ("", "16bit_", "32bit_")}
FRAMES = [path for path in WHEEL if path.name in COLOUR_RLE | {"examples_ybr_color.dcm"}]
"""Every image of several frames in the wheel; a test of its own holds that there is no other."""
OTHERWISE = {
    "OBXXXX1A_rle_2frame.dcm": (TypeError, "highdicom has no 8-bit palette colours"),
    "emri_small_big_endian.dcm": (ValueError, "highdicom refuses big endian"),
}


@pytest.mark.parametrize("path", [*FRAMES, *real("dicom_tricky/multiframe")])
def test_highdicom_gives_the_same_frames(path):
    scan = formats.read(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kind = np.dtype(f"u{scan.bits // 8}") if scan.pixels.ndim == 4 else np.float32
        if path.name in OTHERWISE:
            error, _ = OTHERWISE[path.name]
            with pytest.raises(error):
                highdicom.imread(path).get_frames(dtype=kind)
            return
        image = highdicom.imread(path)
        frames = image.get_frames(dtype=kind).astype(np.float32)
        if scan.spacing_mm is not None and scan.spacing_mm[0] > 0:  # a volume: medgan sorts its frames
            volume = image.get_volume(dtype=np.float32)
            assert scan.spacing_mm == pytest.approx(volume.spacing)
            frames = along_normal(volume)
    assert np.array_equal(scan.pixels, frames)


def test_no_image_of_several_frames_in_the_wheel_is_left_out():
    several = []
    for path in WHEEL:
        try:
            several.extend([path] * (formats.read_header(path).shape[0] > 1))
        except ScanError:
            continue
    assert several == FRAMES


def along_normal(volume: Any) -> np.ndarray:
    """The slices of a volume of highdicom in the direction of row x column, which is that of medgan."""
    step, rows, columns = volume.affine[:3, :3].T  # millimetres per slice, per row, per column
    return volume.array if np.dot(step, np.cross(columns, rows)) > 0 else volume.array[::-1]


def volumes() -> list[tuple[Path, ...]]:
    """The series of the wheel that medgan takes for volumes."""
    headers = []
    for path in WHEEL:
        try:
            headers.append((path, formats.read_header(path)))
        except ScanError:
            continue
    found = series.group_slices(
        [(path, header) for path, header in headers if header.format == "dicom"]
    ).volumes
    assert len(found) == 2
    return list(found)


def from_series(paths: tuple[Path, ...]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return highdicom.get_volume_from_series([pydicom.dcmread(path) for path in paths], dtype=np.float32)


def test_highdicom_makes_the_same_volumes_of_real_series():
    for paths in volumes():
        scan, volume = dicom_read.read_series(paths), from_series(paths)
        assert scan.spacing_mm == pytest.approx(volume.spacing)
        assert np.array_equal(scan.pixels, along_normal(volume))


@pytest.mark.parametrize(
    "turn",
    [
        [1, 0, 0, 0, 1, 0],
        [1, 0, 0, 0, 0, -1],
        [0, 1, 0, 0, 0, -1],
        [-1, 0, 0, 0, 1, 0],
        [0.8, 0.6, 0, -0.6, 0.8, 0],
    ],
)
def test_highdicom_makes_the_same_volume_whatever_the_direction(turn, tmp_path):
    normal = np.cross(turn[:3], turn[3:])
    paths = slices(
        tmp_path, [7.5, 0.0, 2.5, 5.0], ImageOrientationPatient=turn, RescaleSlope=2, RescaleIntercept=-1024
    )
    for path, mm in zip(paths, (7.5, 0.0, 2.5, 5.0), strict=True):
        made = pydicom.dcmread(path)
        made.ImagePositionPatient = [round(float(x), 6) for x in mm * normal]
        made.StudyInstanceUID, made.FrameOfReferenceUID = "1.2.8", "1.2.9"
        made.save_as(path)
    (found,) = series.group_slices([(path, formats.read_header(path)) for path in paths]).volumes
    scan, volume = dicom_read.read_series(found), from_series(tuple(paths))
    assert scan.spacing_mm == pytest.approx(volume.spacing)
    assert np.array_equal(scan.pixels, along_normal(volume))


# --- NIfTI: SimpleITK and nibabel ---

AXES = {2: "LPS", 1: "LIP", 0: "PIR"}
"""DICOM axes of the display frame by the RAS axis through the plane."""


def nifti_stored(path: Path) -> np.ndarray:
    return np.asarray(nib.load(path).dataobj, np.float32)


def as_stored(path: Path, _: Any) -> np.ndarray:
    return nifti_stored(path)[::-1, ::-1].transpose(2, 1, 0)


def darkest_for_nan(path: Path, other: np.ndarray) -> np.ndarray:
    values = nifti_stored(path)
    assert np.isnan(values).any()
    return np.maximum(other, np.nanmin(values))


def turned(_: Path, other: np.ndarray) -> np.ndarray:
    return other[None, ::-1, ::-1]


def by_nibabel(path: Path, _: Any) -> np.ndarray:
    canonical = np.asarray(nib.as_closest_canonical(nib.load(path)).dataobj, np.float32)
    return canonical[::-1, ::-1, :, 0].transpose(2, 1, 0)


NIFTI_DIFFERENT: dict[str, tuple[str, Right]] = {
    "no_affine_float64.nii.gz": (
        "without an orientation SimpleITK takes x to run to the left, medgan to the right, as nifti1.h",
        as_stored,
    ),
    "resampled_anat_moved.nii": (
        "SimpleITK makes NaN 0, medgan the darkest value where 0 is below it",
        darkest_for_nan,
    ),
    "two_d.nii.gz": ("SimpleITK turns no image of two dimensions into the display frame", turned),
    "example_nifti2.nii.gz": ("SimpleITK does not read NIfTI-2", by_nibabel),
}
NIFTI_NOT_OURS = {
    "constant.nii.gz": "skip:constant",
    "pair.img": "skip:pair-member",
    "plain_named_gz.nii.gz": "error:truncated",
    "truncated.nii.gz": "error:truncated",
}
"""Files that SimpleITK reads and medgan refuses; the last two with voxels that are not there."""


def theirs_displayed(path: Path, through: int) -> np.ndarray | None:
    try:
        image = SimpleITK.ReadImage(str(path))
    except RuntimeError:
        return None
    image = image[..., 0] if image.GetDimension() == 4 else image
    return SimpleITK.GetArrayFromImage(
        SimpleITK.DICOMOrient(image, AXES[through]) if image.GetDimension() == 3 else image
    )


@pytest.mark.parametrize("path", [*real("nifti_tricky"), *real("nifti_hippocampus/test")])
def test_medgan_and_simpleitk_agree_on_nifti_or_the_difference_is_known(path):
    mine, verdict = ours(path)
    through = {"standard.nii.gz": 1}.get(path.name, 2)
    other = theirs_displayed(path, through)
    if mine is None:
        assert (verdict if other is not None else None) == NIFTI_NOT_OURS.get(path.name)
        return
    if path.name not in NIFTI_DIFFERENT:
        assert other is not None
        np.testing.assert_allclose(mine, other.reshape(mine.shape), rtol=1e-6)
        return
    why, right = NIFTI_DIFFERENT[path.name]
    assert other is None or not np.array_equal(mine, other)
    np.testing.assert_allclose(mine, right(path, other), rtol=1e-6, err_msg=why)
