"""An image says how it lies in the patient only where its scans do; of unknown ones nothing is claimed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
import pytest
import SimpleITK

from medgan.dataset.fingerprint import measure
from medgan.dataset.index import index
from medgan.dataset.load import load
from medgan.dataset.source import Source
from medgan.plan import Overrides, Plan, decide
from medgan.scans import formats, nifti_write
from medgan.scans.dicom import write as dicom_write
from medgan.scans.intensity import normalise
from medgan.scans.scan import OutputFormat, Provenance
from tests.scans.phantoms import slices, write

REAL = Provenance(synthetic=False, label="a", index=1, patient="0123456789abcdef")
TURNS = {"L\\P": [1, 0, 0, 0, 1, 0], "L\\F": [1, 0, 0, 0, 0, -1], "P\\F": [0, 1, 0, 0, 0, -1]}
"""Axial, coronal, sagittal."""
NEARLY = [0.05, 0.998, 0, 0.1, 0, -0.995]
"""A sagittal slice of a head that is a little turned."""
DX = {
    "SOPClassUID": "1.2.840.10008.5.1.4.1.1.1.1",
    "Modality": "DX",
    "BodyPartExamined": "CHEST",
    "PixelSpacing": [1, 1],
}


def head(path: Path, thick: int, seed: int) -> None:
    """A volume stored as RAS, 5 mm along one axis and 1 mm along the others.

    A dot marks the right, the front and the top.
    """
    sides, shape = [1.0] * 3, [32] * 3
    sides[thick], shape[thick] = 5.0, 8
    voxels = np.random.default_rng(seed).random(shape) * 50 + 100
    dot = tuple(
        slice(n * 3 // 4, n * 3 // 4 + 2) if axis != thick else slice(None) for axis, n in enumerate(shape)
    )
    voxels[dot] = 1000
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(voxels.astype(np.int16), np.diag([*sides, 1.0])), path)


def planned(root: Path) -> tuple[Plan, Any]:
    manifest = index(Source(path=root))
    return decide(measure(manifest), Overrides(effort="smoke", size=(32, 32))), manifest


@pytest.mark.parametrize(("thick", "sides"), [(0, "P\\F"), (1, "L\\F"), (2, "L\\P")])
def test_a_viewer_finds_the_dot_of_a_written_real_image_where_it_was(thick, sides, tmp_path):
    for k in range(4):
        head(tmp_path / "in" / "ab"[k % 2] / f"{k}.nii.gz", thick, k)
    plan, manifest = planned(tmp_path / "in")
    assert plan.frame.form.patient_orientation == sides
    record = manifest.records[0]
    plane = load(manifest.root, record).pixels[record.slices[0]]
    path = formats.write(tmp_path / "out", normalise(plane, 0, 1000), plan.frame.form, REAL)

    image: Any = nib.load(path)
    assert (int(image.header["sform_code"]), int(image.header["qform_code"])) == (1, 1)
    values = image.get_fdata()
    brightest = image.affine @ [*np.unravel_index(values.argmax(), values.shape), 1]
    middle = image.affine @ [*((np.array(values.shape) - 1) / 2), 1]
    towards = (brightest - middle)[:3]
    assert [round(float(mm)) != 0 for mm in towards] == [axis != thick for axis in range(3)]
    assert (towards > -0.01).all(), "the dot lies at the right, at the front and at the top"

    seen: Any = SimpleITK.ReadImage(str(path))
    array = SimpleITK.GetArrayFromImage(seen)
    at = [int(k) for k in np.unravel_index(array.argmax(), array.shape)][::-1]
    itk = np.subtract(
        seen.TransformIndexToPhysicalPoint(at),
        seen.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in seen.GetSize()]),
    )
    assert np.allclose(itk * [-1, -1, 1], towards, atol=1e-4)


@pytest.mark.parametrize("modality", ["CT", "MR"])
@pytest.mark.parametrize("sides", TURNS)
def test_a_dicom_series_is_written_in_its_own_plane(sides, modality, tmp_path):
    turn, sop = TURNS[sides], {"CT": "2", "MR": "4"}[modality]
    across = np.cross(turn[:3], turn[3:])
    for k in range(8):
        picture = np.random.default_rng(k).integers(0, 900, (16, 16)).astype(np.uint16)
        write(
            tmp_path / "in" / "ab"[k // 4] / f"{k}.dcm",
            picture,
            Modality=modality,
            SOPClassUID=f"1.2.840.10008.5.1.4.1.1.{sop}",
            SeriesInstanceUID=f"1.2.{k // 4}",
            PatientID=f"P{k // 4}",
            ImageOrientationPatient=turn,
            ImagePositionPatient=[float(x) for x in 3 * k * across],
            PixelSpacing=[1, 1],
            RescaleSlope=1,
            RescaleIntercept=0,
        )
    form = planned(tmp_path / "in")[0].frame.form
    assert (form.patient_orientation, form.dicom_class) == (sides, modality.lower())
    (tmp_path / "v").mkdir()
    paths = dicom_write.write_volume(
        tmp_path / "v", np.random.default_rng(0).random((4, 9, 7), np.float32), form, REAL
    )
    assert pydicom.dcmread(paths[0]).ImageOrientationPatient == turn
    seen: Any = SimpleITK.ReadImage([str(path) for path in paths])
    assert np.allclose(np.reshape(seen.GetDirection(), (3, 3)), np.column_stack([turn[:3], turn[3:], across]))
    assert np.allclose(seen.GetSpacing(), [0.5, 0.5, 3], atol=1e-6)
    assert formats.read(paths[0]).patient_orientation == sides


@pytest.mark.parametrize(
    ("turn", "sides"),
    [
        (NEARLY, "P\\F"),
        ([-1, 0, 0, 0, -1, 0], "R\\A"),
        ([0.7, 0.7, 0, 0, 0, -1], ""),
        (None, ""),
        ([0] * 6, ""),
    ],
    ids=["nearly sagittal", "prone", "oblique", "unknown", "useless"],
)
def test_a_direction_between_two_sides_is_none(turn, sides, tmp_path):
    path = slices(tmp_path, [0], ImageOrientationPatient=turn)[0]
    assert formats.read(path).patient_orientation == sides


@pytest.mark.parametrize(
    ("said", "sides"),
    [
        (["L", "F"], "L\\F"),
        (["P", "F"], "P\\F"),
        (["LA", "F"], ""),
        (["L", "R"], ""),
        (["L"], ""),
        (None, ""),
    ],
)
def test_a_radiograph_says_its_view_by_letters(said, sides, tmp_path):
    scan = formats.read(write(tmp_path / "a.dcm", np.eye(8, dtype=np.uint16), **DX, PatientOrientation=said))
    assert scan.patient_orientation == sides


@pytest.mark.parametrize(("views", "chosen"), [(["F", "F"], "dx"), (["F", "H"], "sc"), ([None, None], "sc")])
def test_a_digital_radiograph_claims_a_view_only_where_all_scans_share_it(views, chosen, tmp_path):
    for k in range(4):
        end = views[k % 2]
        picture = np.random.default_rng(k).integers(0, 900, (16, 16)).astype(np.uint16)
        write(
            tmp_path / "in" / "ab"[k // 2] / f"{k}.dcm",
            picture,
            SeriesInstanceUID=f"1.2.{k}",
            PatientOrientation=["L", end] if end else None,
            **DX,
        )
    form = planned(tmp_path / "in")[0].frame.form
    assert form.dicom_class == chosen
    path = formats.write(tmp_path / "out", np.eye(8, dtype=np.float32), form, REAL)
    assert (pydicom.dcmread(path).get("PatientOrientation") or []) == (["L", "F"] if chosen == "dx" else [])


def test_a_nifti_of_an_unknown_direction_claims_none_and_is_read_as_it_was_written(tmp_path):
    form = OutputFormat(
        format="nifti", low=0, high=4095, unit="relative", bits=12, spacing_mm=(3.0, 2.0, 1.0)
    )
    pixels = np.random.default_rng(0).random((3, 9, 7), np.float32)
    (path,) = nifti_write.write_volume(tmp_path / "a", pixels, form, REAL)
    image: Any = nib.load(path)
    assert (int(image.header["sform_code"]), int(image.header["qform_code"])) == (0, 0)
    assert image.header.get_zooms() == (1.0, 2.0, 3.0)
    scan = formats.read(path)
    assert np.array_equal(scan.pixels, np.rint(pixels * 4095.0))
    assert (scan.patient_orientation, scan.spacing_mm) == ("", (3.0, 2.0, 1.0))


@pytest.mark.parametrize("patient_orientation", ["", "R\\A", "L\\F"])
@pytest.mark.parametrize("format", ["nifti", "dicom"])
def test_whatever_is_claimed_an_image_is_read_as_it_was_written(
    patient_orientation,
    format,  # noqa: A002
    tmp_path,
):
    form = OutputFormat(
        format=format,
        low=0,
        high=255,
        unit="stored",
        spacing_mm=(0.0, 2.0, 1.0),
        patient_orientation=patient_orientation,
    )
    image = np.random.default_rng(0).integers(0, 256, (9, 7)).astype(np.float32) / np.float32(255)
    path = formats.write(tmp_path / "a", image, form, REAL)
    assert np.allclose(formats.read_output(path, form), image, atol=1e-6)


@pytest.mark.parametrize("format", ["nifti", "dicom", "png"])
def test_a_model_that_names_no_orientation_there_is_claims_none(format, tmp_path):  # noqa: A002
    form = OutputFormat(
        format=format, low=0, high=255, unit="stored", spacing_mm=(0.0, 1.0, 1.0), patient_orientation="<up>"
    )
    path = formats.write(tmp_path / "a", np.eye(8, dtype=np.float32), form, REAL)
    assert formats.read(path).patient_orientation == ""
    assert b"<up>" not in path.read_bytes()


def test_scans_of_several_planes_share_none(tmp_path):
    for k in range(4):
        head(tmp_path / "in" / "ab"[k % 2] / f"{k}.nii.gz", k // 2, k)
    assert planned(tmp_path / "in")[0].frame.form.patient_orientation == ""
