"""MedMNIST-style .npz file -> class names per split, and any one image as a Scan."""

from __future__ import annotations

import zipfile
import zlib
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medgan.errors import ScanError
from medgan.scans.scan import Scan

Array = NDArray[Any]

SPLITS = ("train", "val", "test")

MAX_BYTES = 2 * 1024**3
"""Largest array that is unpacked into memory, as for every other reader."""


def is_array_file(path: Path) -> bool:
    """Whether the content of `path` is a zip with MedMNIST's members (`train_images.npy`, ...)."""
    try:
        return bool(_present(path))
    except ScanError:
        return False


def labels(path: Path) -> dict[str, tuple[str, ...]]:
    """{split: class name of each image}; the images themselves stay packed."""
    return {split: _names(path, split) for split in _present(path)}


def read(path: Path, split: str, index: int) -> Scan:
    """Image `index` of `split`; the array opened last stays in memory, so reading in order is cheap."""
    try:
        changed = path.stat().st_mtime_ns
    except OSError as error:
        raise ScanError(
            f"{path.name}: cannot be opened ({error.strerror})", verdict="error:unreadable"
        ) from error
    image = _images(path, split, changed)[index]
    flat = image.ndim == 2 or (image.ndim == 3 and image.shape[-1] == 3)
    pixels = np.nan_to_num(image.astype(np.float32))
    return Scan(
        pixels=pixels[None] if flat else pixels,
        meaning="stored" if image.dtype == np.uint8 else "raw",
        bits=image.dtype.itemsize * 8,
        notes=("constant",) if image.min() == image.max() else (),
    )


def _present(path: Path) -> tuple[str, ...]:
    try:
        with zipfile.ZipFile(path) as packed:
            names = set(packed.namelist())
    except (OSError, zipfile.BadZipFile) as error:
        raise ScanError(f"{path.name}: no .npz file ({error})", verdict="error:malformed") from error
    return tuple(split for split in SPLITS if f"{split}_images.npy" in names)


def _names(path: Path, split: str) -> tuple[str, ...]:
    values = _member(path, f"{split}_labels")
    if values.size != len(values):
        raise ScanError(
            f"{path.name}: every image has {values.shape[1:]} labels at once",
            verdict="error:multi-label",
            hint="Each image needs exactly one class: keep one column of the labels.",
        )
    return tuple(str(value) for value in values.reshape(-1).tolist())


@lru_cache(maxsize=1)
def _images(path: Path, split: str, _changed: int) -> Array:
    """All images of a split: (n, Y, X), (n, Y, X, 3), (n, Z, Y, X) or (n, Z, Y, X, 3)."""
    images, count = _member(path, f"{split}_images"), len(_names(path, split))
    if images.dtype.kind not in "buif" or images.ndim not in {3, 4, 5} or 0 in images.shape[1:]:
        raise ScanError(
            f"{path.name}: {split}_images of shape {images.shape} and type {images.dtype} are no images",
            verdict="error:bad-dimensions",
        )
    if len(images) != count:
        raise ScanError(
            f"{path.name}: {len(images)} images but {count} labels in {split}", verdict="error:size-mismatch"
        )
    return images


def _member(path: Path, name: str) -> Array:
    """One array of the archive; no pickles, and nothing larger than `MAX_BYTES`."""
    try:
        with zipfile.ZipFile(path) as packed:
            if packed.getinfo(f"{name}.npy").file_size > MAX_BYTES:
                raise ScanError(f"{path.name}: {name} is larger than 2 GiB", verdict="error:too-large")
            with packed.open(f"{name}.npy") as stream:
                return np.atleast_1d(np.lib.format.read_array(stream, allow_pickle=False))
    except KeyError as error:
        raise ScanError(f"{path.name}: there is no {name} in it", verdict="error:malformed") from error
    # RuntimeError: encrypted; NotImplementedError, one of them: packed by a method that zipfile does not know
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error, RuntimeError) as error:
        raise ScanError(
            f"{path.name}: {name} cannot be unpacked ({error})", verdict="error:malformed"
        ) from error
