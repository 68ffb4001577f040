"""Pixel spacing that can hardly be true makes no dot on black without a word."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from pydicom.uid import ComputedRadiographyImageStorage

from medgan.base import cache
from medgan.base.results import InspectResult
from medgan.commands.inspect import inspect
from medgan.dataset.fingerprint import measure
from medgan.dataset.index import index
from medgan.dataset.source import Source
from medgan.plan import Overrides, decide_frame
from medgan.preparation.stack import _MAX_STORED, prepare
from tests.scans import phantoms

SIDE = 32


def image(seed: int) -> np.ndarray:
    """(SIDE, SIDE) of 8 bits that is bright to its edges."""
    return np.random.default_rng(seed).integers(120, 250, (SIDE, SIDE)).astype(np.uint8)


def dicom(path: Path, seed: int, side_mm: float | None) -> None:
    about = {"PatientID": f"P{seed}", "SeriesInstanceUID": f"1.2.{seed}", "Modality": "CR"}
    spacing = None if side_mm is None else [side_mm, side_mm]
    uid = ComputedRadiographyImageStorage
    phantoms.write(path.with_suffix(".dcm"), image(seed), SOPClassUID=uid, PixelSpacing=spacing, **about)


def nifti(path: Path, seed: int, side_mm: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    made = nib.Nifti1Image(image(seed).astype(np.float32)[:, :, None], np.diag([side_mm, side_mm, 3.0, 1.0]))
    nib.save(made, path.with_suffix(".nii"))


def looked_at(root: Path, sides: dict[str, list[float | None]], write=dicom) -> InspectResult:
    """A scan per pixel side in millimetres, by class."""
    for seed, (label, side) in enumerate((label, side) for label, found in sides.items() for side in found):
        write(root / label / f"{seed:02d}", seed, side)
    return inspect(Source(path=root), holdout=0.0, overrides=Overrides(size=(SIDE, SIDE)))


def told(found: InspectResult) -> list[str]:
    return [text for text in found.warnings if "pixel spacing" in text]


@pytest.mark.parametrize("write", [dicom, nifti])
@pytest.mark.parametrize("true", [0.1, 0.2, 0.4])
def test_a_class_of_placeholders_is_stretched_and_told(write, true, tmp_path):
    found = looked_at(tmp_path, {"a": [true] * 4, "b": [1.0] * 4}, write)
    values = [found.plan[name]["value"] for name in ("geometry", "mm_per_pixel", "form")]
    assert (*values[:2], values[2]["spacing_mm"]) == ("stretch", None, None)
    assert f"{1 / true:.1f} times as large" in found.plan["geometry"]["why"]
    (words,) = told(found)
    assert "4 of 8 give pixels of exactly 1 x 1 mm" in words
    assert "Correct PixelSpacing" in words
    manifest = index(Source(path=tmp_path))
    frame = decide_frame(measure(manifest), Overrides(size=(SIDE, SIDE)))
    rows = prepare(manifest, frame, cache.stacks_folder()).pixels
    assert rows.min() > 0 if write is dicom else (rows > 0).mean() > 0.9  # every scan fills its image
    assert rows.max() <= _MAX_STORED


def test_headers_that_differ_tenfold_are_not_believed_even_without_a_placeholder(tmp_path):
    found = looked_at(tmp_path, {"a": [0.15] * 4, "b": [1.5] * 4})
    assert found.plan["geometry"]["value"] == "stretch"
    assert "Millimetres are not used" in told(found)[0]


def test_a_placeholder_in_one_rare_scan_is_told(tmp_path):
    found = looked_at(tmp_path, {"a": [0.2] * 25 + [1.0], "b": [0.2] * 25})
    assert found.plan["geometry"]["value"] == "physical"
    assert "1 of 51 far off the others" in told(found)[0]


def test_fields_of_view_that_differ_by_half_are_kept_without_a_word(tmp_path):
    found = looked_at(tmp_path, {"a": [0.5, 0.55, 0.6, 0.7], "b": [0.5, 0.75, 0.6, 0.7]})
    assert found.plan["geometry"]["value"] == "physical"
    assert not told(found)


def test_fields_of_view_that_differ_threefold_are_kept_but_told(tmp_path):
    found = looked_at(tmp_path, {"a": [0.3] * 4, "b": [0.9] * 4})
    assert found.plan["geometry"]["value"] == "physical"
    (words,) = told(found)
    assert "10 to 29 mm large (a about 10 mm; b about 29 mm)" in words
    assert "small ones will be small on black" in words


def test_one_millimetre_everywhere_is_believed(tmp_path):
    found = looked_at(tmp_path, {"a": [1.0] * 4, "b": [1.0] * 4})
    assert (found.plan["geometry"]["value"], found.plan["mm_per_pixel"]["value"]) == ("physical", 1.0)
    assert not told(found)


def test_a_class_without_spacing_is_told(tmp_path):
    found = looked_at(tmp_path, {"a": [0.5] * 4, "b": [None] * 4})
    assert found.plan["geometry"]["value"] == "stretch"
    assert "4 of 8 scans do not give their pixel spacing (of class b)" in told(found)[0]
