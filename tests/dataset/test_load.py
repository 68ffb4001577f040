"""From a record back to its pixels."""

from pathlib import Path

import numpy as np
import pytest

from medgan.base.errors import ScanError
from medgan.dataset.index import index
from medgan.dataset.load import array_place, load
from medgan.dataset.manifest import Record
from medgan.dataset.measure import pixel_digest
from medgan.dataset.source import Source
from tests.dataset.conftest import noise


def test_an_image_is_read_from_below_the_root(png, tmp_path):
    png("a/x.png", 3)
    scan = load(tmp_path, Record(path="a/x.png", format="png"))
    np.testing.assert_array_equal(scan.pixels[0], noise(3))


def test_a_file_outside_the_root_has_an_absolute_path(png, tmp_path):
    path = png("a/x.png", 3)
    assert load(Path("elsewhere"), Record(path=str(path), format="png")).pixels.shape == (1, 12, 10)


def test_the_slices_of_a_series_come_in_the_order_of_the_record(ct, tmp_path):
    for z in range(3):
        ct(f"a/{z}.dcm", z, z=float(z), series="s")
    (record,) = index(Source(path=tmp_path)).records
    scan = load(tmp_path, record)
    expected = np.stack([noise(z).astype(np.float32) * 8 - 1024 for z in range(3)])
    assert record.parts == ("a/0.dcm", "a/1.dcm", "a/2.dcm")
    np.testing.assert_array_equal(scan.pixels, expected)


def test_a_row_of_an_array_is_read_alone(tmp_path):
    images = np.stack([noise(n) for n in range(4)])
    np.savez(tmp_path / "x.npz", test_images=images, test_labels=np.zeros(4))
    scan = load(tmp_path, Record(path="x.npz#test/2", format="npz"))
    np.testing.assert_array_equal(scan.pixels[0], noise(2))


def test_the_place_of_a_row_survives_a_name_with_signs():
    assert array_place(Path("r"), "a#b/c.npz#val/12") == (Path("r/a#b/c.npz"), "val", 12)


def test_every_usable_record_gives_the_pixels_it_was_indexed_with(png, ct, tmp_path):
    png("a/x.png", 1), png("a/y.png", 2), ct("b/1.dcm", 3), ct("b/2.dcm", 4, z=1.0)
    manifest = index(Source(path=tmp_path))
    assert len(manifest.records) == 4
    for record in manifest.records:
        assert pixel_digest(load(tmp_path, record)) == record.digest


def test_a_file_that_is_gone_is_a_problem_of_that_file(tmp_path):
    with pytest.raises(ScanError):
        load(tmp_path, Record(path="gone.png", format="png"))
