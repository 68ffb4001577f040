"""Turn images in [0, 1] into PNGs, with one window for all that are compared."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Images = NDArray[np.float32]
"""(n, C, H, W) in [0, 1], C is 1 or 3."""
Window = tuple[float, float]
"""What is black and what is white."""
_ENDS = (0.5, 99.5)
"""Percentiles of each side's values that the window reaches to."""


def display_window(*sides: Images | None) -> Window:
    """One window for all sides: each would lose at most a hundredth of its values in it, so neither is burnt out by the other's.

    Colour, and images of one gray, are seen as they are.
    """
    shown = [side for side in sides if side is not None and side.size]
    if not shown or shown[0].shape[-3] > 1:
        return 0.0, 1.0
    ends = np.array([np.percentile(side, _ENDS) for side in shown])
    low, high = float(ends[:, 0].min()), float(ends[:, 1].max())
    return (low, high) if high > low else (0.0, 1.0)


def apply_window(image: NDArray[np.float32], window: Window) -> NDArray[np.uint8]:
    """(C, H, W) in [0, 1] -> (H, W, 3) bytes through `window`."""
    low, high = window
    unit = np.clip((image - low) / (high - low), 0.0, 1.0)
    scaled = np.rint(unit * 255).astype(np.uint8)
    return np.broadcast_to(np.moveaxis(scaled, 0, -1), (*image.shape[1:], 3))


def rescale(pixels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """(H, W, 3) in (height, width) `size`: pixel by pixel where that is a whole multiple, smoothly where it is smaller."""
    height, width = size
    if pixels.shape[:2] == size:
        return pixels
    if not height % pixels.shape[0] and not width % pixels.shape[1]:
        return pixels.repeat(height // pixels.shape[0], axis=0).repeat(width // pixels.shape[1], axis=1)
    return np.asarray(Image.fromarray(np.ascontiguousarray(pixels)).resize((width, height), Image.Resampling.LANCZOS))  # fmt: skip


def zoom_to(shape: tuple[int, int], longest: int) -> tuple[int, int]:
    """(height, width) at which an image of this shape is shown, its longer side about `longest`: a whole multiple where it grows."""
    zoom = longest / max(shape)
    zoom = float(round(zoom)) if zoom >= 1 else zoom
    return max(round(shape[0] * zoom), 1), max(round(shape[1] * zoom), 1)


def png(image: NDArray[np.float32], window: Window = (0.0, 1.0), longest: int = 512) -> bytes:
    """One image (C, H, W) in [0, 1] as PNG, seen through `window`; no side of it is longer than `longest`."""
    pixels = apply_window(image, window)
    if max(pixels.shape[:2]) > longest:
        pixels = rescale(pixels, zoom_to(image.shape[1:], longest))
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels[:, :, 0] if len(image) == 1 else pixels)).save(stream, "png")
    return stream.getvalue()
