"""Read MedMNIST-style .npz files: class names per split, and single images."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from medgan.base.errors import ScanError
from medgan.scans.compressed import MAX_DEFLATE_RATIO
from medgan.scans.scan import Scan

_Array = NDArray[Any]

_SPLITS = ("train", "val", "test")

_MAX_BYTES = 2 * 1024**3
"""Largest array that is unpacked into memory, as for every other reader."""
_MAX_ROWS = 2_000_000
"""Most images of a split. Each becomes a record of its own."""

_HEADERS: Mapping[tuple[int, int], Any] = {
    (1, 0): npy.read_array_header_1_0,
    (2, 0): npy.read_array_header_2_0,  # version 3 is for tables with named columns
}
_SHAPES = "Save gray images as (N, H, W), colour as (N, H, W, 3), volumes of D slices as (N, D, H, W, 1)."


def is_array_file(path: Path) -> bool:
    """Whether a file is a zip with MedMNIST's members (`train_images.npy`, ...)."""
    try:
        return bool(_splits_present(path))
    except ScanError:
        return False


def read_labels(path: Path) -> dict[str, tuple[str, ...]]:
    """{split: class name of each image}. The images stay packed."""
    return {split: _class_names(path, split) for split in _splits_present(path)}


def read(path: Path, split: str, index: int) -> Scan:
    """Read image `index` of `split`.

    The last array stays in memory, so reading in order is cheap.
    """
    try:
        changed = path.stat().st_mtime_ns
    except OSError as error:
        raise ScanError(
            f"{path.name}: cannot be opened ({error.strerror})", verdict="error:unreadable"
        ) from error
    images = _load_images(path, split, changed)
    if isinstance(images, ScanError):
        raise ScanError(images.message, verdict=images.verdict, hint=images.hint)
    image = images[index]
    return Scan(
        pixels=np.nan_to_num(image.astype(np.float32)),
        meaning="stored" if image.dtype == np.uint8 else "raw",
        bits=image.dtype.itemsize * 8,
        notes=("constant",) if image.min() == image.max() else (),
    )


def _splits_present(path: Path) -> tuple[str, ...]:
    try:
        with zipfile.ZipFile(path) as packed:
            names = set(packed.namelist())
    except (OSError, zipfile.BadZipFile) as error:
        raise ScanError(f"{path.name}: is not an .npz file ({error})", verdict="error:malformed") from error
    return tuple(split for split in _SPLITS if f"{split}_images.npy" in names)


def _class_names(path: Path, split: str) -> tuple[str, ...]:
    values = _read_array(path, f"{split}_labels")
    if values.size != len(values):
        raise ScanError(
            f"{path.name}: every image has {values.shape[1:]} labels at once",
            verdict="error:multi-label",
            hint="Each image needs exactly one class: keep one column of the labels.",
        )
    return tuple(str(value) for value in values.reshape(-1).tolist())


@lru_cache(maxsize=1)
def _load_images(path: Path, split: str, _changed: int) -> _Array | ScanError:
    """All images of a split, or the error that they raise.

    The error is remembered as well, so that it is found only once.
    """
    try:
        return _unpack(path, split)
    except ScanError as error:
        return error


def _unpack(path: Path, split: str) -> _Array:
    """All images of a split, (n, Z, Y, X) or (n, Z, Y, X, 3)."""
    name = f"{split}_images"
    images, count = _read_array(path, name), len(_class_names(path, split))
    if len(images) != count:
        raise ScanError(
            f"{path.name}: {len(images)} images but {count} labels in {split}", verdict="error:size-mismatch"
        )
    return _slices_second(images, f"{path.name}: {name} of shape {images.shape}")


def _slices_second(images: _Array, words: str) -> _Array:
    """Bring images to (n, Z, Y, X) or (n, Z, Y, X, 3).

    The axes are interpreted as the usual tools write them. `words` begin the message of an error.
    """
    # Numbers of three to five axes.
    shape = images.shape
    if images.dtype.kind not in "buif" or images.ndim not in {3, 4, 5} or 0 in shape[1:]:
        raise ScanError(
            f"{words} and type {images.dtype} are not images", verdict="error:bad-dimensions", hint=_SHAPES
        )
    # Single images, gray or in colour.
    gray = shape[-1] == 1 and images.ndim > 3
    colour = shape[-1] == 3 and images.ndim > 3
    if images.ndim == 3 or (images.ndim == 4 and (gray or colour)):
        return images[:, None, ..., 0] if gray else images[:, None]
    # Gray volumes, unless the axes are ambiguous.
    if images.ndim == 4:
        if shape[-1] in {2, 4}:
            raise ScanError(
                f"{words}: the {shape[-1]} along its last axis are neither gray nor RGB",
                verdict="error:bad-dimensions",
                hint=_SHAPES,
            )
        if shape[1] == 3:
            raise ScanError(
                f"{words}: it may hold colour images with their channels first, or volumes of 3 slices",
                verdict="error:bad-dimensions",
                hint=_SHAPES,
            )
        return images
    # Volumes with channels.
    if not (gray or colour or shape[1] == 1):
        raise ScanError(
            f"{words}: neither its second axis nor its last holds the channels of volumes, 1 or 3",
            verdict="error:bad-dimensions",
            hint=_SHAPES,
        )
    return images[..., 0] if gray else images if colour else images[:, 0]


def _read_array(path: Path, name: str) -> _Array:
    """Read one array of the archive, within `_MAX_BYTES` and `_MAX_ROWS`.

    Pickles are refused, and no memory is taken for more than the file holds.
    """
    try:
        with zipfile.ZipFile(path) as packed:
            info = packed.getinfo(f"{name}.npy")
            _refuse_size(path, name, info)
            with packed.open(info) as stream:
                _refuse_claims(path, name, stream, info.file_size)
            with packed.open(info) as stream:
                return np.atleast_1d(npy.read_array(stream, allow_pickle=False))
    except KeyError as error:
        raise ScanError(f"{path.name}: there is no {name} in it", verdict="error:malformed") from error
    except MemoryError as error:
        raise ScanError(f"{path.name}: {name} does not fit into memory", verdict="error:too-large") from error
    # RuntimeError: encrypted, or (as NotImplementedError) packed by a method that zipfile does not know.
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error, RuntimeError) as error:
        raise ScanError(
            f"{path.name}: {name} cannot be unpacked ({error})", verdict="error:malformed"
        ) from error


def _refuse_size(path: Path, name: str, info: zipfile.ZipInfo) -> None:
    """Compare the size that the archive gives for a member with its packed size."""
    if info.file_size > _MAX_BYTES:
        raise ScanError(f"{path.name}: {name} is larger than 2 GiB", verdict="error:too-large")
    packed = min(info.compress_size, path.stat().st_size)
    most = {zipfile.ZIP_STORED: packed, zipfile.ZIP_DEFLATED: packed * MAX_DEFLATE_RATIO}
    if info.file_size > most.get(info.compress_type, info.file_size):
        raise ScanError(
            f"{path.name}: {packed} packed bytes cannot hold the {info.file_size} of {name}",
            verdict="error:size-mismatch",
        )


def _refuse_claims(path: Path, name: str, stream: IO[bytes], size: int) -> None:
    """Compare the claim of an array's header with the member's `size` in bytes.

    This happens before memory is taken.
    """
    version = npy.read_magic(stream)
    if version not in _HEADERS:
        raise ValueError(f"version {version} of NumPy's format")
    shape, _, kind = _HEADERS[version](stream)
    held, claimed = size - stream.tell(), math.prod(shape) * kind.itemsize
    if not kind.hasobject and claimed > held:
        raise ScanError(
            f"{path.name}: {name} claims the shape {shape}, {claimed} bytes, and holds {held}",
            verdict="error:size-mismatch",
            hint="Save the array again.",
        )
    if shape and shape[0] > _MAX_ROWS:
        raise ScanError(
            f"{path.name}: {name} claims {shape[0]:,} rows, more than {_MAX_ROWS:,}",
            verdict="error:too-large",
        )
