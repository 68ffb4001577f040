"""A dead pixel, or one odd image, does not decide the range of all others."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from pydicom.uid import MRImageStorage

from medgan.base import cache
from medgan.base.results import InspectResult
from medgan.commands.inspect import inspect
from medgan.dataset.fingerprint import measure
from medgan.dataset.index import index
from medgan.dataset.source import Source
from medgan.plan import Overrides, decide_frame
from medgan.preparation.stack import _MAX_STORED, prepare
from tests.scans import phantoms

SIDE = 48


def image(seed: int, white: float = 4000.0) -> np.ndarray:
    """(SIDE, SIDE) of 16 bits: a disc of about `white` in noise."""
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    disc = 0.15 + 0.8 * np.exp(-(((x - 0.5) / 0.3) ** 2) - ((y - 0.45) / 0.35) ** 2)
    noise = np.random.default_rng(seed).normal(0, 0.02, disc.shape)
    return ((disc + noise).clip(0, 1) * white).astype(np.uint16)


def dead(pixels: np.ndarray, count: int = 1, value: int = 65535) -> np.ndarray:
    spoilt = pixels.copy()
    spoilt[0, :count] = value
    return spoilt


def saved(root: Path, images: list[np.ndarray], rare: int = 4) -> Source:
    """The first `rare` images as class lesion, the others as normal."""
    for number, pixels in enumerate(images):
        path = root / ("lesion" if number < rare else "normal") / f"{number:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return Source(path=root)


def looked_at(root: Path, images: list[np.ndarray], rare: int = 4) -> InspectResult:
    return inspect(saved(root, images, rare), holdout=0.0, overrides=Overrides(size=(SIDE, SIDE)))


def plain(count: int) -> list[np.ndarray]:
    return [image(seed) for seed in range(count)]


def by_path(root: Path) -> dict[str, np.ndarray]:
    """The prepared image of every file."""
    manifest = index(Source(path=root))
    frame = decide_frame(measure(manifest), Overrides(size=(SIDE, SIDE)))
    stack = prepare(manifest, frame, cache.stacks_folder())
    records = manifest.training()
    return {records[n].path: pixels for n, pixels in zip(stack.records, stack.pixels, strict=True)}


def told(found: InspectResult) -> list[str]:
    return [warning for warning in found.warnings if "above" in warning]


def test_one_dead_pixel_leaves_the_range_and_the_prepared_images_as_they_were(tmp_path):
    images = plain(30)
    cold = looked_at(tmp_path / "cold", images)
    hot = looked_at(tmp_path / "hot", [*images[:-1], dead(images[-1])])
    assert (hot.plan["form"]["value"]["low"], hot.plan["form"]["value"]["high"]) == (0, 4095)
    assert hot.plan["form"]["value"] == cold.plan["form"]["value"]
    before, after = by_path(tmp_path / "cold"), by_path(tmp_path / "hot")
    spoilt = {path for path in before if not np.array_equal(before[path], after[path])}
    assert spoilt == {"normal/29.png"}
    assert (before["normal/29.png"] != after["normal/29.png"]).sum() == 1
    assert after["normal/29.png"].max() == _MAX_STORED


def test_what_is_clipped_is_told_with_the_file(tmp_path):
    images = plain(30)
    assert not told(looked_at(tmp_path / "cold", images))
    found = looked_at(tmp_path / "hot", [*images[:-1], dead(images[-1])])
    (words,) = told(found)
    assert "1 scan holds values above 4095" in words
    assert "65535, in normal/29.png" in words
    assert "up to 65535" in found.plan["form"]["why"]


def test_a_pixel_that_is_dead_in_every_image_does_not_decide_either(tmp_path):
    found = looked_at(tmp_path, [dead(pixels) for pixels in plain(8)])
    assert found.plan["form"]["value"]["high"] == 4095
    assert "8 scans hold values above 4095" in told(found)[0]


def test_one_odd_image_of_many_does_not_decide(tmp_path):
    found = looked_at(tmp_path, [*plain(29), image(99, white=60_000)])
    assert found.plan["form"]["value"]["high"] == 4095
    assert told(found)


def test_a_few_bright_images_of_a_rare_class_are_no_odd_ones(tmp_path):
    bright = [image(seed, white=60_000) for seed in range(2)]
    found = looked_at(tmp_path, [*bright, *plain(60)], rare=2)
    assert found.plan["form"]["value"]["high"] == 65535
    assert not told(found)


def test_a_bright_marker_of_some_pixels_is_part_of_the_scans(tmp_path):
    found = looked_at(tmp_path, [dead(pixels, 9, 12_000) for pixels in plain(8)])
    assert found.plan["form"]["value"]["high"] == 2**14 - 1


def test_a_deep_image_among_shallow_ones_keeps_its_own_range(tmp_path):
    shallow = [(pixels // 16).astype(np.uint8) for pixels in plain(24)]
    found = looked_at(tmp_path, [*shallow, image(99)])
    assert found.plan["form"]["value"]["high"] == 4095
    assert not told(found)


@pytest.mark.parametrize("kind", ["dicom", "nifti"])
@pytest.mark.parametrize("value", [32000, -32000])
def test_where_each_scan_spans_its_own_percentiles_outliers_change_nothing_else(kind, value, tmp_path):
    for spoilt in (False, True):
        for number in range(4):
            pixels = image(number).astype(np.int16)
            if spoilt and number == 0:
                pixels[0, 0] = value
            path = tmp_path / str(spoilt) / "ab"[number % 2] / f"{number}"
            path.parent.mkdir(parents=True, exist_ok=True)
            if kind == "dicom":
                about = {"PatientID": f"P{number}", "SeriesInstanceUID": f"1.2.{number}"}
                phantoms.write(
                    path.with_suffix(".dcm"), pixels, Modality="MR", SOPClassUID=MRImageStorage, **about
                )
            else:
                nifti(path.with_suffix(".nii"), pixels.astype(np.float32))
    found = []
    for spoilt in (False, True):
        source = Source(path=tmp_path / str(spoilt))
        plan = inspect(source, holdout=0.0, overrides=Overrides(size=(SIDE, SIDE))).plan
        assert plan["form"]["value"]["unit"] == "relative"
        found.append(by_path(source.path))
    apart = [np.abs(found[0][path].astype(int) - found[1][path]) for path in sorted(found[0])]
    assert np.median(apart[0]) < _MAX_STORED / 250
    assert not np.any(apart[1:])


def nifti(path: Path, pixels: np.ndarray) -> None:
    nib.Nifti1Image(pixels.T[:, ::-1, None], np.diag([1.0, 1.0, 1.0, 1.0])).to_filename(path)
