"""An image of any size in, an image of the wanted size out: true to millimetres, or stretched to fill.

Also where slices lie: position and orientation in, distance along the slice normal out, and the patient's sides by their letters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medgan.scans.scan import Pixels

SAME_MM = 1e-3
"""Positions closer than this are one position."""
_SPACING_LIMITS_MM = (5e-4, 20.0)
"""The sides that a pixel of a scan can have, from optical coherence tomography to scintigraphy; others are slips of unit."""


_DIRECTIONS: Mapping[str, tuple[int, int, int]] = {
    "L": (1, 0, 0),
    "R": (-1, 0, 0),
    "P": (0, 1, 0),
    "A": (0, -1, 0),
    "H": (0, 0, 1),
    "F": (0, 0, -1),
}
"""The patient's left, right, posterior, anterior, head and feet as directions in DICOM's frame (PS3.3 C.7.6.1.1.1, C.7.6.2.1.1)."""
ALIGNED_COSINE = 0.9
"""Cosine of the angle (about 26 degrees) up to which a direction is called by the letter next to it."""


def is_possible_spacing(sides: Iterable[float]) -> bool:
    """Whether a pixel of a scan can have these sides in millimetres."""
    return all(_SPACING_LIMITS_MM[0] <= side <= _SPACING_LIMITS_MM[1] for side in sides)


def resize(image: NDArray[Any], size: tuple[int, int]) -> Pixels:
    """Resize (H, W[, 3]) to `size`, whatever becomes of the aspect ratio: linear, anti-aliased when it shrinks, float32."""
    if image.shape[:2] == tuple(size):
        return np.asarray(image, np.float32)
    shrinks = size[0] < image.shape[0] or size[1] < image.shape[1]
    shape = (*size, *image.shape[2:])
    source = np.asarray(image, np.float32)
    from skimage import transform  # noqa: PLC0415  # takes half a second, which no cheap refusal should wait for

    resize: Callable[..., Any] = transform.resize
    resized = resize(source, shape, order=1, mode="edge", anti_aliasing=shrinks, preserve_range=True)
    return np.asarray(resized, np.float32)


def resample(
    image: NDArray[Any],
    spacing_yx: tuple[float, float],
    mm_per_pixel: float,
    size: tuple[int, int],
    background: float,
) -> Pixels:
    """Resample (H, W[, 3]) to square pixels of `mm_per_pixel`, then pad with `background` or crop about the centre to `size`."""
    rows, columns = (
        max(round(n * mm / mm_per_pixel), 1) for n, mm in zip(image.shape, spacing_yx, strict=False)
    )
    return _pad_or_crop(resize(image, (rows, columns)), size, background)


def _pad_or_crop(image: Pixels, size: tuple[int, int], background: float) -> Pixels:
    """Pad with `background` or crop (H, W[, 3]) about its centre to `size`."""
    frame = np.full((*size, *image.shape[2:]), background, np.float32)
    (to_y, from_y), (to_x, from_x) = (_overlap(n, m) for n, m in zip(image.shape, size, strict=False))
    frame[to_y, to_x] = image[from_y, from_x]
    return frame


def _overlap(have: int, want: int) -> tuple[slice, slice]:
    """Where the middles of `have` and `want` pixels meet: the slice of the wanted axis, and of the one that is there."""
    length = min(have, want)
    start, source = (want - length) // 2, (have - length) // 2
    return slice(start, start + length), slice(source, source + length)


def square_shape(shape: tuple[int, int], aspect: float) -> tuple[int, int]:
    """(rows, columns) after pixels `aspect` times as tall as wide are made square, none of them lost."""
    rows, columns = shape
    if math.isclose(aspect, 1):
        return shape
    return (round(rows * aspect), columns) if aspect > 1 else (rows, round(columns / aspect))


def slice_normal(orientation: Sequence[float]) -> NDArray[np.float64]:
    """Unit vector across a slice: row direction x column direction (PS3.3 C.7.6.2.1.1); z for six useless numbers."""
    # By hand: NumPy's cross product takes a hundred times as long, and every slice of a data set asks.
    (x, y, z), (u, v, w) = orientation[:3], orientation[3:]
    across = (y * w - z * v, z * u - x * w, x * v - y * u)
    length = math.hypot(*across)
    return np.asarray(across, np.float64) / length if length > 0 else np.asarray([0.0, 0.0, 1.0])


def slice_distances(
    positions: Sequence[Sequence[float]], orientation: Sequence[float]
) -> NDArray[np.float64]:
    """Distance of each position (x, y, z) from the origin along the slice normal, in millimetres."""
    return np.asarray(np.asarray(positions, np.float64) @ slice_normal(orientation), np.float64)


def to_patient_orientation(orientation: Sequence[float]) -> str:
    r"""Image Orientation (Patient) as Patient Orientation: where rows and where columns run to, as "L\P"; empty where a direction is oblique."""
    halves = np.asarray(orientation, np.float64).reshape(2, 3)
    letters = [
        letter for half in halves for letter, side in _DIRECTIONS.items() if half @ side >= ALIGNED_COSINE
    ]
    return "\\".join(letters) if len(letters) == len(halves) else ""


def to_image_orientation(sides: str) -> tuple[int, ...]:
    r"""Patient Orientation ("L\P") as Image Orientation (Patient): six direction cosines."""
    return tuple(number for letter in sides.split("\\") for number in _DIRECTIONS[letter])


def is_orientation(sides: str) -> bool:
    """Whether a text is a Patient Orientation of two single letters, at right angles to each other."""
    rows, _, columns = sides.partition("\\")
    return (
        rows in _DIRECTIONS and columns in _DIRECTIONS and not np.dot(_DIRECTIONS[rows], _DIRECTIONS[columns])
    )
