"""Turn images in [0, 1] into PNGs with a common display window."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Images = NDArray[np.float32]
"""(n, C, H, W) in [0, 1], where C is 1 or 3."""
Window = tuple[float, float]
"""Values shown as black and as white."""
_ENDS = (0.5, 99.5)
"""Percentiles of each side's values that the window includes."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClassGallery:
    """Some real and synthetic images of one class, with captions."""

    label: str
    real: Images | None = None
    synthetic: Images | None = None
    names: tuple[Sequence[str], Sequence[str]] = ((), ())
    """Captions of real and of synthetic images; empty where a name must not be shown."""
    counts: tuple[int, int] | None = None
    """Real and synthetic images of the class in all; None if all of them are shown."""
    absent: str = "none"
    """Text in the place of synthetic images if there are none."""

    @property
    def sides(self) -> tuple[Images | None, Images | None]:
        """Real and synthetic images."""
        return self.real, self.synthetic

    @property
    def totals(self) -> tuple[int, int]:
        """Real and synthetic images of the class in all."""
        real, synthetic = (0 if side is None else len(side) for side in self.sides)
        return self.counts or (real, synthetic)


def display_window(*sides: Images | None) -> Window:
    """Choose one display window for all sides.

    It clips at most 0.5 % of the values of each side at either end, so neither side is clipped for the
    benefit of the other. Colour images, and images of a single gray value, are shown as they are.
    """
    shown = [side for side in sides if side is not None and side.size]
    if not shown or shown[0].shape[-3] > 1:
        return 0.0, 1.0
    ends = np.array([np.percentile(side, _ENDS) for side in shown])
    low, high = float(ends[:, 0].min()), float(ends[:, 1].max())
    return (low, high) if high > low else (0.0, 1.0)


def to_display_bytes(image: NDArray[np.float32], window: Window) -> NDArray[np.uint8]:
    """Map (C, H, W) in [0, 1] to (H, W, 3) bytes through a display window."""
    low, high = window
    unit = np.clip((image - low) / (high - low), 0.0, 1.0)
    scaled = np.rint(unit * 255).astype(np.uint8)
    return np.broadcast_to(np.moveaxis(scaled, 0, -1), (*image.shape[1:], 3))


def resize_picture(pixels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize (H, W, 3) to `size` = (height, width).

    Pixels are repeated where the size is a whole multiple, and interpolated otherwise.
    """
    height, width = size
    if pixels.shape[:2] == size:
        return pixels
    if not height % pixels.shape[0] and not width % pixels.shape[1]:
        return pixels.repeat(height // pixels.shape[0], axis=0).repeat(width // pixels.shape[1], axis=1)
    image = Image.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(image.resize((width, height), Image.Resampling.LANCZOS))


def zoom_to(shape: tuple[int, int], longest: int) -> tuple[int, int]:
    """(height, width) that makes the longer side of an image about `longest`.

    An image that is enlarged is enlarged by a whole number.
    """
    zoom = longest / max(shape)
    zoom = float(round(zoom)) if zoom >= 1 else zoom
    return max(round(shape[0] * zoom), 1), max(round(shape[1] * zoom), 1)


def png(
    image: NDArray[np.float32], window: Window = (0.0, 1.0), longest: int = 512, *, compressed: bool = True
) -> bytes:
    """Encode an image (C, H, W) in [0, 1] as PNG, shown through `window`.

    It is reduced where a side is longer than `longest`. Images of equal size that are not `compressed` have
    as many bytes, whatever they show.
    """
    pixels = to_display_bytes(image, window)
    if max(pixels.shape[:2]) > longest:
        pixels = resize_picture(pixels, zoom_to(image.shape[1:], longest))
    stream = io.BytesIO()
    shown = np.ascontiguousarray(pixels[:, :, 0] if len(image) == 1 else pixels)
    Image.fromarray(shown).save(stream, "png", **({} if compressed else {"compress_level": 0}))
    return stream.getvalue()
