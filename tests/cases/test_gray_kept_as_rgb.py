"""Gray stored as RGB is learned as gray and written as it was stored; what images show decides on colour."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.uid import UltrasoundImageStorage

from medgan.base.job import ALONE
from medgan.base.results import InspectResult
from medgan.commands.balance import balance
from medgan.commands.inspect import inspect
from medgan.commands.options import BalanceOptions
from medgan.dataset.source import Source
from medgan.evaluation.data import Request, load_evaluation_data
from tests.commands.blobs import rows_of, untrained
from tests.scans import phantoms

SIDE = 24
COUNTS = {"lesion": 3, "normal": 5}


def gray(seed: int) -> np.ndarray:
    """(SIDE, SIDE) of 8 bits: a bright disc in noise."""
    y, x = np.mgrid[:SIDE, :SIDE]
    image = 40 + 150 * np.exp(-((x - 12) ** 2 + (y - 10) ** 2) / 40)
    return (image + np.random.default_rng(seed).normal(0, 9, image.shape)).clip(0, 255).astype(np.uint8)


def rgb(seed: int) -> np.ndarray:
    return np.repeat(gray(seed)[..., None], 3, axis=-1)


def marked(seed: int, pixels: int = 6) -> np.ndarray:
    """Gray with a short yellow line, one per cent of the image."""
    image = rgb(seed)
    image[2, 3 : 3 + pixels] = (255, 220, 0)
    return image


def coloured(seed: int) -> np.ndarray:
    return (rgb(seed) * (1.0, 0.6, 0.5)).astype(np.uint8)


def saved(root: Path, *images: np.ndarray, label: str = "normal", suffix: str = "png") -> Source:
    for number, image in enumerate(images):
        path = root / label / f"{number}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    return Source(path=root)


def looked_at(root: Path, *images: np.ndarray, suffix: str = "png") -> InspectResult:
    """Half of the images in each of two classes."""
    saved(root, *images[::2], label="lesion", suffix=suffix)
    return inspect(saved(root, *images[1::2], suffix=suffix))


def chroma(path: Path) -> int:
    """Largest difference between the channels of any pixel, of a file stored as RGB."""
    pixels = np.asarray(pydicom.dcmread(path).pixel_array if path.suffix == ".dcm" else Image.open(path), int)
    assert pixels.shape == (16, 24, 3)
    return int(np.ptp(pixels, axis=-1).max())


@pytest.fixture(scope="module", params=["png", "dicom"])
def balanced(request, tmp_path_factory):
    """A balanced folder of gray that is stored as RGB, and its data."""
    root = tmp_path_factory.mktemp(request.param)
    for label, count in COUNTS.items():
        for number in range(count):
            image, name = rgb(number + 100 * count), root / "scans" / label / f"{number}"
            name.parent.mkdir(parents=True, exist_ok=True)
            if request.param == "png":
                Image.fromarray(image).save(name.with_suffix(".png"))
            else:
                about = {"PatientID": f"{label}{number}", "SeriesInstanceUID": f"1.2.{count}.{number}"}
                phantoms.write(
                    name.with_suffix(".dcm"),
                    image,
                    SOPClassUID=UltrasoundImageStorage,
                    Modality="US",
                    **about,
                )
    source = Source(path=root / "scans")
    model = untrained(root / "model", source)
    return source, balance(source, root / "out", options=BalanceOptions(model=model)).out


def test_real_and_synthetic_images_are_stored_as_rgb_without_a_trace_of_colour(balanced):
    _, out = balanced
    found = {row["origin"]: chroma(out / row["path"]) for row in rows_of(out)}
    assert found == {"real": 0, "synthetic": 0}


def test_a_folder_of_gray_as_rgb_is_judged_as_gray(balanced):
    source, out = balanced
    for request in (Request(source=Source(path=out)), Request(source=source, synthetic=out)):
        gathered = load_evaluation_data(request, ALONE)
        assert gathered.train.pixels.shape[1] == gathered.synthetic.pixels.shape[1] == 1
        assert len(gathered.train) == 8


def test_the_plan_says_why_it_learns_gray(tmp_path):
    found = looked_at(tmp_path, *map(rgb, range(8)))
    assert (found.plan["channels"]["value"], found.plan["form"]["value"]["channels"]) == (1, 3)
    assert "8 of 8 scans are gray, though stored as RGB" in found.plan["channels"]["why"]
    assert not [warning for warning in found.warnings if "RGB" in warning]


def test_coloured_marks_in_a_few_files_make_no_colour_set_and_are_told(tmp_path):
    found = looked_at(tmp_path, *map(rgb, range(8)), marked(8), marked(9))
    assert (found.plan["channels"]["value"], found.plan["form"]["value"]["channels"]) == (1, 3)
    assert "2 but for coloured marks" in found.plan["channels"]["why"]
    assert any("2 are gray but for coloured marks: all are made gray" in text for text in found.warnings)


def test_marks_in_every_file_are_marks_still(tmp_path):
    found = looked_at(tmp_path, *map(marked, range(8)))
    assert found.plan["channels"]["value"] == 1


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_coloured_images_stay_so(suffix, tmp_path):
    found = looked_at(tmp_path, *map(coloured, range(8)), suffix=suffix)
    assert (found.plan["channels"]["value"], found.plan["form"]["value"]["channels"]) == (3, 3)
    assert "8 of 8 have colour" in found.plan["channels"]["why"]


def test_a_little_colour_on_a_black_field_is_colour(tmp_path):
    def spots(seed: int) -> np.ndarray:
        image = np.zeros((SIDE, SIDE, 3), np.uint8)
        image[3 + seed : 5 + seed, 4:6] = (0, 200, 30)
        return image

    assert looked_at(tmp_path, *map(spots, range(8))).plan["channels"]["value"] == 3


def test_jpeg_makes_no_colour_of_gray(tmp_path):
    assert looked_at(tmp_path, *map(rgb, range(8)), suffix="jpg").plan["channels"]["value"] == 1


def test_gray_and_gray_as_rgb_together_are_gray_and_no_modality_is_advised(tmp_path):
    found = looked_at(tmp_path, *map(rgb, range(4)), *map(gray, range(4, 8)))
    assert (found.plan["channels"]["value"], found.plan["form"]["value"]["channels"]) == (1, 1)
    (told,) = [text for text in found.warnings if "mixed" in text]
    assert told == "The scans are of mixed numbers of colour channels (1: 4, 3: 4): all are made gray."


def test_gray_among_coloured_images_is_told_for_colour_may_tell_classes_apart(tmp_path):
    images = [*map(coloured, range(5)), *map(rgb, range(5, 8))]
    found = looked_at(tmp_path, *images)
    assert found.plan["channels"]["value"] == 3
    assert any("3 are gray and the others have colour" in text for text in found.warnings)


def test_images_of_another_tool_cannot_hide_their_tint(tmp_path):
    source = saved(tmp_path / "scans", *map(rgb, range(8)))
    saved(tmp_path / "theirs", *map(coloured, range(8)))
    gathered = load_evaluation_data(Request(source=source, synthetic=tmp_path / "theirs"), ALONE)
    assert gathered.train.pixels.shape[1] == gathered.synthetic.pixels.shape[1] == 3
    assert gathered.synthetic.pixels.std(axis=1).max() > 0.05
