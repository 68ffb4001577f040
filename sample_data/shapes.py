"""Shapes that phantoms are made of: ovals, bands, strokes and smooth noise on a plane in millimetres."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Chance = np.random.Generator

WARP_MM = 12.0
"""No plane is warped by more."""


def plane(rows: int, columns: int, mm: float, turn: float = 0.0) -> tuple[Array, Array]:
    """Coordinates (y, x) of the pixels' centres in mm, y down, about the middle, turned by radians."""
    down, right = ((np.arange(side) + 0.5 - side / 2) * mm for side in (rows, columns))
    y, x = np.meshgrid(down, right, indexing="ij")
    return np.cos(turn) * y - np.sin(turn) * x, np.cos(turn) * x + np.sin(turn) * y


def oval(
    y: Array,
    x: Array,
    at: tuple[float, float],
    half: tuple[float, float],
    turn: float = 0.0,
    power: float = 2.0,
) -> Array:
    """How far out a point lies: 1 on an ellipse about `at`; a higher power makes it boxy."""
    down, right = y - at[0], x - at[1]
    cos, sin = np.cos(turn), np.sin(turn)
    tall, wide = np.abs(cos * down + sin * right) / half[0], np.abs(cos * right - sin * down) / half[1]
    if power == 2.0:
        return np.asarray(np.sqrt(tall * tall + wide * wide))
    return np.asarray((tall**power + wide**power) ** (1 / power))


def disc(
    y: Array,
    x: Array,
    at: tuple[float, float],
    half: tuple[float, float],
    turn: float = 0.0,
    power: float = 2.0,
) -> Mask:
    """The points of an ellipse about `at`; a higher power makes it boxy."""
    mask = np.zeros(y.shape, bool)
    near = _window(y, x, at, 1.5 * max(half))
    mask[near] = oval(y[near], x[near], at, half, turn, power) < 1
    return mask


def bar(y: Array, x: Array, start: tuple[float, float], end: tuple[float, float], radius: float) -> Mask:
    """A straight piece with round ends, `radius` mm to each side."""
    mask = np.zeros(y.shape, bool)
    tall, wide = end[0] - start[0], end[1] - start[1]
    middle = (start[0] + tall / 2, start[1] + wide / 2)
    near = _window(y, x, middle, np.hypot(tall, wide) / 2 + radius)
    down, right = y[near] - start[0], x[near] - start[1]
    share = np.clip((down * tall + right * wide) / (tall * tall + wide * wide), 0, 1)
    mask[near] = (down - share * tall) ** 2 + (right - share * wide) ** 2 < radius * radius
    return mask


def _window(y: Array, x: Array, at: tuple[float, float], reach: float) -> tuple[slice, slice]:
    """Rows and columns with all that lies within reach of a point of a plane, turned and a little warped."""
    rows, columns = y.shape[0] - 1, y.shape[1] - 1
    cos = (y[-1, 0] - y[0, 0] + x[0, -1] - x[0, 0]) / (rows + columns)
    sin = (x[-1, 0] - x[0, 0] - y[0, -1] + y[0, 0]) / (rows + columns)
    down, right = at[0] - y.mean(), at[1] - x.mean()
    mm = float(np.hypot(cos, sin))
    row = rows / 2 + (cos * down + sin * right) / mm**2
    column = columns / 2 + (cos * right - sin * down) / mm**2
    spread = (reach + WARP_MM) / mm + 2
    return (
        slice(max(int(row - spread), 0), max(int(row + spread) + 1, 0)),
        slice(max(int(column - spread), 0), max(int(column + spread) + 1, 0)),
    )


def chain(y: Array, x: Array, points: list[tuple[float, float]], radius: float) -> Mask:
    """Straight pieces with round joints through the points."""
    mask = np.zeros(y.shape, bool)
    for start, end in pairwise(points):
        mask |= bar(y, x, start, end, radius)
    return mask


def rise(values: Array, low: float, high: float) -> Array:
    """0 up to `low`, 1 from `high` on, smooth between."""
    share = np.clip((values - low) / (high - low), 0, 1)
    return share * share * (3 - 2 * share)


def inside(mask: Mask, mm: float) -> Array:
    """How deep a point lies within the mask, in mm; 0 outside."""
    return np.asarray(ndimage.distance_transform_edt(mask)) * mm


def smooth(mask: Mask, pixels: float, share: float = 0.5) -> Mask:
    """The mask with corners and gaps rounded; a share below a half makes it grow."""
    return np.asarray(ndimage.gaussian_filter(mask.astype(np.float32), pixels, truncate=2.5)) > share


def ripple(chance: Chance, shape: tuple[int, int], coarse: int) -> Array:
    """Smooth noise of mean 0 and deviation 1 whose bumps are about `coarse` pixels wide."""
    down, across = (_bumps(side, coarse) for side in shape)
    noise = down @ chance.normal(size=(down.shape[1], across.shape[1])) @ across.T
    return np.asarray((noise - noise.mean()) / noise.std())


@lru_cache(maxsize=64)
def _bumps(side: int, coarse: int) -> Array:
    """A bell curve every `coarse` pixels, one per column."""
    middles = np.arange(-1, side // coarse + 2) * coarse
    return np.asarray(np.exp(-(((np.arange(side)[:, None] - middles) / (0.75 * coarse)) ** 2)))


def stroke(
    sheet: Array, start: tuple[float, float], end: tuple[float, float], radii: tuple[float, float], ink: float
) -> None:
    """Draw a piece that tapers onto a sheet where the darkest ink counts; all in pixels."""
    reach = max(radii) + 1.5
    top, left = (max(int(min(a, b) - reach), 0) for a, b in zip(start, end, strict=True))
    bottom, right = (int(max(a, b) + reach) + 2 for a, b in zip(start, end, strict=True))
    part = sheet[top:bottom, left:right]
    if not part.size:
        return
    rows, columns = np.arange(part.shape[0])[:, None] + top, np.arange(part.shape[1])[None, :] + left
    down, across = end[0] - start[0], end[1] - start[1]
    long = down * down + across * across + 1e-9
    share = np.clip(((rows - start[0]) * down + (columns - start[1]) * across) / long, 0, 1)
    off = np.hypot(rows - start[0] - share * down, columns - start[1] - share * across)
    radius = radii[0] + share * (radii[1] - radii[0])
    np.maximum(part, ink * np.clip(radius - off + 0.5, 0, 1), out=part)
