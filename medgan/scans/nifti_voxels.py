"""Read the voxels of a NIfTI file block by block.

Only the pixels and one block are in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medgan.scans.compressed import InflatedStream
from medgan.scans.scan import Pixels

_BLOCK = 2**24
"""Bytes of voxels that are read at once."""
_FLOAT32 = 4  # bytes; shorter integers are exact in it


@dataclass(frozen=True, slots=True, kw_only=True)
class VoxelLayout:
    """How the first volume of a file is stored, and how it is displayed."""

    shape: tuple[int, ...]
    """Voxels along the three stored axes, the fastest first."""
    dtype: Any
    """NumPy's type of one number."""
    packed: int = 1
    """Numbers side by side in a voxel: 3 or 4 for RGB24 or RGBA32, of which the first 3 are read."""
    planes: int = 1
    """Volumes that follow each other as channels: 3 for a vector."""
    axes: tuple[int, ...]
    """The stored axis behind each of the displayed (Z, Y, X)."""
    turned: tuple[bool, ...]
    """Whether each displayed axis runs against its stored one."""
    slope: float = 1.0
    inter: float = 0.0

    @property
    def channels(self) -> int:
        """1 (gray) or 3 (RGB)."""
        return 3 if max(self.packed, self.planes) > 1 else 1


def read_voxels(stream: InflatedStream, layout: VoxelLayout) -> Pixels:
    """Read (Z, Y, X[, 3]) as displayed, stored * slope + inter, float32.

    `stream` must be at the first voxel. Blocks of zeros that mean 0 are left untouched, which costs no
    memory.
    """
    color = (3,) if layout.channels > 1 else ()
    shown = np.zeros((*(layout.shape[axis] for axis in layout.axes), *color), np.float32)
    for place, numbers in _read_blocks(stream, layout, _to_stored_order(shown, layout)):
        if layout.inter or numbers.any():
            place[...] = _rescale(numbers, layout)
    return shown


def _to_stored_order(shown: Pixels, layout: VoxelLayout) -> Pixels:
    """A view of the displayed pixels with their axes in stored order and direction."""
    forth = shown[tuple(slice(None, None, -1 if turn else 1) for turn in layout.turned)]
    back = [layout.axes.index(axis) for axis in range(3)]
    return forth.transpose(*back, *range(3, shown.ndim))


def _read_blocks(
    stream: InflatedStream, layout: VoxelLayout, view: Pixels
) -> Iterator[tuple[Pixels, NDArray[Any]]]:
    """Yield (place in the pixels, numbers for it) in the order of the file.

    A block is a slice or some rows of one.
    """
    columns, rows, depth = layout.shape
    wide = columns * layout.packed
    step = max(_BLOCK // (wide * layout.dtype.itemsize), 1)
    volumes = [view[..., plane] for plane in range(3)] if layout.planes > 1 else [view]
    for volume in volumes:
        for z in range(depth):
            for first in range(0, rows, step):
                count = min(step, rows - first)
                flat = np.frombuffer(stream.take(wide * count * layout.dtype.itemsize), layout.dtype)
                place = volume[:, first : first + count, z]
                if layout.packed > 1:  # the channels of a voxel are the fastest axis
                    yield (
                        place,
                        np.moveaxis(flat.reshape((layout.packed, columns, count), order="F")[:3], 0, -1),
                    )
                else:
                    yield place, flat.reshape((columns, count), order="F")


def _rescale(numbers: NDArray[Any], layout: VoxelLayout) -> NDArray[Any]:
    """Stored * slope + inter, in float64 where float32 would be too coarse."""
    if (layout.slope, layout.inter) == (1.0, 0.0):
        return numbers
    exact: NDArray[np.floating] = numbers.astype(
        np.float32 if numbers.dtype.itemsize < _FLOAT32 else np.float64
    )
    exact *= layout.slope
    exact += layout.inter
    return exact
