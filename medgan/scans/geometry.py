"""Resize images, and compute where slices lie in the patient.

Images keep their millimetres or are stretched to fill. Slices have a position and an orientation, from which
follow their distances and the sides of the patient.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medgan.scans.scan import Pixels

SAME_MM = 1e-3
"""Positions closer than this many millimetres are the same position."""
_SPACING_LIMITS_MM = (5e-4, 20.0)
"""Sides that a pixel of a scan can have in millimetres, from optical coherence tomography to scintigraphy.
Other values come from a wrong unit."""


_DIRECTIONS: Mapping[str, tuple[int, int, int]] = {
    "L": (1, 0, 0),
    "R": (-1, 0, 0),
    "P": (0, 1, 0),
    "A": (0, -1, 0),
    "H": (0, 0, 1),
    "F": (0, 0, -1),
}
"""The patient's left, right, posterior, anterior, head and feet as directions in DICOM's coordinates (PS3.3
C.7.6.1.1.1, C.7.6.2.1.1)."""
ALIGNED_COSINE = 0.9
"""Least cosine (about 26 degrees) for which a direction takes the letter of the nearest side."""


def is_possible_spacing(sides: Iterable[float]) -> bool:
    """Whether a pixel of a scan can have these sides in millimetres."""
    return all(_SPACING_LIMITS_MM[0] <= side <= _SPACING_LIMITS_MM[1] for side in sides)


def resize(image: NDArray[Any], size: tuple[int, int]) -> Pixels:
    """Resize (H, W[, 3]) to `size` without regard to the aspect ratio.

    Interpolation is linear, anti-aliased where the image shrinks; the result is float32.
    """
    if image.shape[:2] == tuple(size):
        return np.asarray(image, np.float32)
    shrinks = size[0] < image.shape[0] or size[1] < image.shape[1]
    shape = (*size, *image.shape[2:])
    source = np.asarray(image, np.float32)
    from skimage import transform  # noqa: PLC0415  # takes half a second, too long for a quick refusal

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
    """Resample (H, W[, 3]) to square pixels and pad or crop about the centre.

    Args:
        image: The image.
        spacing_yx: Height and width of its pixels in millimetres.
        mm_per_pixel: Side of the new pixels in millimetres.
        size: (H, W) of the result.
        background: Value of the padding.
    """
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
    """Where the middles of `have` and `want` pixels meet, as two slices.

    The first is in the wanted axis, the second in the existing one.
    """
    length = min(have, want)
    start, source = (want - length) // 2, (have - length) // 2
    return slice(start, start + length), slice(source, source + length)


def square_shape(shape: tuple[int, int], aspect: float) -> tuple[int, int]:
    """(rows, columns) after pixels are made square without losing any.

    `aspect` is the height of a pixel over its width.
    """
    rows, columns = shape
    if math.isclose(aspect, 1):
        return shape
    return (round(rows * aspect), columns) if aspect > 1 else (rows, round(columns / aspect))


def slice_normal(orientation: Sequence[float]) -> NDArray[np.float64]:
    """Unit vector across a slice (PS3.3 C.7.6.2.1.1).

    It is the row direction x the column direction, or z for six numbers that have no meaning.
    """
    # Written out: NumPy's cross product takes a hundred times as long, and every slice needs one.
    (x, y, z), (u, v, w) = orientation[:3], orientation[3:]
    across = (y * w - z * v, z * u - x * w, x * v - y * u)
    length = math.hypot(*across)
    return np.asarray(across, np.float64) / length if length > 0 else np.asarray([0.0, 0.0, 1.0])


def slice_distances(
    positions: Sequence[Sequence[float]], orientation: Sequence[float]
) -> NDArray[np.float64]:
    """Distance of each position (x, y, z) from the origin along the slice normal.

    All lengths are in millimetres.
    """
    return np.asarray(np.asarray(positions, np.float64) @ slice_normal(orientation), np.float64)


def to_patient_orientation(orientation: Sequence[float]) -> str:
    r"""Convert Image Orientation (Patient) to Patient Orientation, such as "L\P".

    The letters say where rows and columns run to. Empty where a direction is oblique.
    """
    halves = np.asarray(orientation, np.float64).reshape(2, 3)
    letters = [
        letter for half in halves for letter, side in _DIRECTIONS.items() if half @ side >= ALIGNED_COSINE
    ]
    return "\\".join(letters) if len(letters) == len(halves) else ""


def to_image_orientation(sides: str) -> tuple[int, ...]:
    r"""Convert Patient Orientation ("L\P") to six direction cosines."""
    return tuple(number for letter in sides.split("\\") for number in _DIRECTIONS[letter])


def is_orientation(sides: str) -> bool:
    """Whether a text is a Patient Orientation of two letters at right angles."""
    rows, _, columns = sides.partition("\\")
    return (
        rows in _DIRECTIONS and columns in _DIRECTIONS and not np.dot(_DIRECTIONS[rows], _DIRECTIONS[columns])
    )
