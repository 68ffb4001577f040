"""Arrays are read by the axes that people save, and their claims are checked before memory is taken."""

from __future__ import annotations

import struct
import tracemalloc
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medgan.base.errors import DatasetError, ScanError
from medgan.commands.inspect import inspect
from medgan.dataset.index import index
from medgan.dataset.source import Source
from medgan.scans import npz

N, SIDE = 12, 28


def discs(dtype: Any = np.uint8) -> np.ndarray:
    """(N, SIDE, SIDE) discs, no two alike."""
    y, x = np.mgrid[:SIDE, :SIDE]
    radius = 5 + np.arange(N)[:, None, None] / 2
    return (200 * (np.hypot(x - 13, y - 14) < radius) + np.arange(N)[:, None, None]).astype(dtype)


def saved(path: Path, images: np.ndarray, labels: np.ndarray | None = None) -> Path:
    np.savez(path, train_images=images, train_labels=np.arange(len(images)) % 2 if labels is None else labels)
    return path


@pytest.mark.parametrize(
    "images",
    [discs(), discs()[..., None], discs()[:, None]],
    ids=["(N, H, W)", "(N, H, W, 1)", "(N, 1, H, W)"],
)
def test_gray_images_are_one_image_each_wherever_their_channel_stands(images, tmp_path):
    manifest = index(Source(path=saved(tmp_path / "d.npz", images)))
    assert manifest.images() == {"train": {"0": N // 2, "1": N // 2}}
    assert {record.shape for record in manifest.records} == {(1, SIDE, SIDE)}
    scan = npz.read(tmp_path / "d.npz", "train", 3)
    assert np.array_equal(scan.pixels[0], discs()[3])


def test_the_case_as_inspect_tells_it(tmp_path):
    found = inspect(Source(path=saved(tmp_path / "d.npz", discs()[..., None])), holdout=0.0)
    assert found.images == {"train": {"0": 6, "1": 6}}
    assert (found.measured["rows"], found.measured["columns"]) == ([SIDE] * 3, [SIDE] * 3)


@pytest.mark.parametrize(
    ("images", "shape"),
    [
        (np.repeat(discs()[..., None], 3, -1), (1, SIDE, SIDE, 3)),
        (np.zeros((2, 7, 6, 5, 1)), (7, 6, 5)),
        (np.zeros((2, 1, 7, 6, 5)), (7, 6, 5)),
        (np.zeros((2, 7, 6, 5, 3)), (7, 6, 5, 3)),
        (np.zeros((2, 1, 6, 5, 1)), (1, 6, 5)),
        (np.zeros((2, 3, 6, 5, 1)), (3, 6, 5)),
        (np.zeros((2, 9, 6, 3, 1)), (9, 6, 3)),
    ],
)
def test_colour_and_volumes_with_channels_keep_their_shape(images, shape, tmp_path):
    assert npz.read(saved(tmp_path / "d.npz", images), "train", 1).pixels.shape == shape


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((2, 3, 6, 5), "channels first, or volumes of 3 slices"),
        ((2, 6, 5, 2), "the 2 along its last axis are neither gray nor RGB"),
        ((2, 6, 5, 4), "the 4 along its last axis are neither gray nor RGB"),
        ((2, 3, 7, 6, 5), "channels of volumes"),
    ],
)
def test_what_may_mean_two_things_is_refused_in_words(shape, words, tmp_path):
    path = saved(tmp_path / "d.npz", np.zeros(shape, np.uint8))
    with pytest.raises(ScanError, match=words) as caught:
        npz.read(path, "train", 0)
    assert caught.value.verdict == "error:bad-dimensions"
    assert "(N, H, W, 3)" in caught.value.hint


# --- claims


def header(shape: tuple[int, ...], descr: str = "|u1") -> bytes:
    """The beginning of a .npy member (NumPy's format, version 1.0)."""
    words = repr({"descr": descr, "fortran_order": False, "shape": shape}).encode() + b"\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(words)) + words


def packed(path: Path, members: Mapping[str, bytes], how: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", how) as file:
        for name, data in members.items():
            file.writestr(f"{name}.npy", data)
    return path


ONE = header((1,)) + b"\0"


@pytest.mark.parametrize(
    ("members", "verdict"),
    [
        ({"train_images": header((10**13, 28, 28)) + bytes(784), "train_labels": ONE}, "size-mismatch"),
        ({"train_images": header((1, 10**7, 10**7)), "train_labels": ONE}, "size-mismatch"),
        ({"train_images": header((1, 9, 9)) + bytes(81), "train_labels": header((10**14,))}, "size-mismatch"),
        (
            {"train_images": header((1, 9, 9)) + bytes(81), "train_labels": header((10**14,), "<U0")},
            "too-large",
        ),
        ({"train_images": header((1, 9, 9)) + bytes(81), "train_labels": header((10**14, 0))}, "too-large"),
        (
            {"train_images": header((1, 9, 9)) + bytes(81), "train_labels": header((10**8,)) + bytes(10**8)},
            "too-large",
        ),
    ],
    ids=["images", "sides", "labels", "labels of no letter", "labels of no column", "honest zeros"],
)
def test_what_a_header_claims_is_refused_before_memory_is_taken(members, verdict, tmp_path):
    path = packed(tmp_path / "claim.npz", members)
    del members
    tracemalloc.start()
    try:
        with pytest.raises(DatasetError, match="claims"):
            index(Source(path=path))
        assert tracemalloc.get_traced_memory()[1] < 20 * 2**20
    finally:
        tracemalloc.stop()
    with pytest.raises(ScanError, match="claims") as caught:
        npz.read(path, "train", 0)
    assert caught.value.verdict == f"error:{verdict}"


def test_a_member_whose_packed_bytes_cannot_hold_its_size_is_refused(tmp_path):
    path = packed(tmp_path / "lie.npz", {"train_images": header((1, 9, 9)) + bytes(81), "train_labels": ONE})
    data = bytearray(path.read_bytes())
    size = struct.pack("<I", len(header((1, 9, 9))) + 81)
    at = data.index(b"PK\x01\x02")  # the central directory gives the size that zipfile believes
    where = data.index(size, at)
    data[where : where + 4] = struct.pack("<I", 2**30)
    path.write_bytes(data)
    with pytest.raises(ScanError, match="packed bytes cannot hold") as caught:
        npz.read(path, "train", 0)
    assert caught.value.verdict == "error:size-mismatch"


def test_damage_to_many_images_is_found_once(tmp_path, monkeypatch):
    unpack, unpacked = npz._read_array, []
    monkeypatch.setattr(npz, "_read_array", lambda path, name: unpacked.append(name) or unpack(path, name))
    with pytest.raises(DatasetError, match="are not images"):
        index(Source(path=saved(tmp_path / "d.npz", discs().astype(np.complex64))))
    assert unpacked.count("train_images") == 1


def test_a_claim_does_not_stop_a_run(tmp_path):
    packed(tmp_path / "claim.npz", {"train_images": header((10**13, 28, 28)), "train_labels": ONE})
    with pytest.raises(DatasetError, match="claims the shape"):
        index(Source(path=tmp_path / "claim.npz"))
