"""MedMNIST-style arrays."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medgan.base.errors import ScanError
from medgan.scans import npz


def archive(path: Path, **members: Any) -> Path:
    np.savez_compressed(path, **members)
    return path


def gray(n: int = 4) -> Any:
    return np.arange(n * 6 * 5, dtype=np.uint8).reshape(n, 6, 5)


def test_labels_come_per_split_as_text(tmp_path):
    path = archive(
        tmp_path / "x.npz",
        train_images=gray(3),
        train_labels=np.array([[0], [1], [1]], np.uint8),
        test_images=gray(1),
        test_labels=np.array([[0]], np.uint8),
    )
    assert npz.read_labels(path) == {"train": ("0", "1", "1"), "test": ("0",)}


def test_flat_labels_and_names_do_as_well(tmp_path):
    path = archive(tmp_path / "x.npz", val_images=gray(2), val_labels=np.array(["normal", "covid"]))
    assert npz.read_labels(path) == {"val": ("normal", "covid")}


@pytest.mark.parametrize(
    ("images", "shape"),
    [
        (gray(2), (1, 6, 5)),
        (np.zeros((2, 6, 5, 3), np.uint8), (1, 6, 5, 3)),
        (np.zeros((2, 7, 6, 5), np.uint8), (7, 6, 5)),
    ],
)
def test_gray_colour_and_volumes_keep_their_shape(tmp_path, images, shape):
    path = archive(tmp_path / "x.npz", train_images=images, train_labels=np.zeros((2, 1)))
    scan = npz.read(path, "train", 1)
    assert scan.pixels.shape == shape
    assert scan.pixels.dtype == np.float32
    assert (scan.meaning, scan.bits) == ("stored", 8)


def test_the_pixels_are_those_of_the_row(tmp_path):
    path = archive(tmp_path / "x.npz", train_images=gray(), train_labels=np.zeros(4))
    assert (npz.read(path, "train", 2).pixels[0] == gray()[2]).all()


def test_a_changed_file_is_read_anew(tmp_path):
    path = archive(tmp_path / "x.npz", train_images=gray(1), train_labels=np.zeros(1))
    npz.read(path, "train", 0)
    archive(path, train_images=gray(1) + 9, train_labels=np.zeros(1))
    assert npz.read(path, "train", 0).pixels.min() == 9


def test_an_array_is_known_by_its_content_not_its_name(tmp_path):
    path = archive(tmp_path / "x.npz", train_images=gray(1), train_labels=np.zeros(1))
    assert npz.is_array_file(path.rename(tmp_path / "scans.bin"))
    assert not npz.is_array_file(archive(tmp_path / "y.npz", pixels=gray(1)))
    (tmp_path / "z.npz").write_text("no zip")
    assert not npz.is_array_file(tmp_path / "z.npz")


def test_several_labels_for_one_image_are_refused(tmp_path):
    path = archive(tmp_path / "x.npz", train_images=gray(2), train_labels=np.zeros((2, 14)))
    with pytest.raises(ScanError) as caught:
        npz.read_labels(path)
    assert caught.value.verdict == "error:multi-label"


@pytest.mark.parametrize(
    ("images", "verdict"),
    [
        (gray(3), "error:size-mismatch"),
        (np.zeros((2, 6)), "error:bad-dimensions"),
        (np.array([object(), object()]), "error:malformed"),
        (None, "error:malformed"),
    ],
)
def test_what_is_no_array_of_images_gets_a_verdict(tmp_path, images, verdict):
    path = archive(tmp_path / "x.npz", train_labels=np.zeros((2, 1)), train_images=images)
    with pytest.raises(ScanError) as caught:
        npz.read(path, "train", 0)
    assert caught.value.verdict == verdict


def test_a_damaged_archive_gets_a_verdict(tmp_path):
    path = archive(tmp_path / "x.npz", train_images=gray(400), train_labels=np.zeros(400))
    data = bytearray(path.read_bytes())
    data[200] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(ScanError) as caught:
        npz.read(path, "train", 0)
    assert caught.value.verdict == "error:malformed"


def test_a_file_that_is_gone_gets_a_verdict(tmp_path):
    with pytest.raises(ScanError) as caught:
        npz.read(tmp_path / "x.npz", "train", 0)
    assert caught.value.verdict == "error:unreadable"


def test_an_encrypted_archive_gets_a_verdict(tmp_path):
    path = archive(tmp_path / "x.npz", train_images=gray(4), train_labels=np.zeros(4))
    data = bytearray(path.read_bytes())
    for sign, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # the first bit of the general purpose flags
        at = data.find(sign)
        while at >= 0:
            data[at + flags] |= 1
            at = data.find(sign, at + 4)
    path.write_bytes(data)
    with pytest.raises(ScanError) as caught:
        npz.read(path, "train", 0)
    assert caught.value.verdict == "error:malformed"
