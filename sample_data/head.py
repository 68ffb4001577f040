"""Volumes of a head as T1-weighted MR shows it: scalp, skull, fluid, folded cortex, white matter, ventricles.

Lengths are mm from the middle of the brain; x runs to the right of the patient, y to the front, z upward.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from shapes import Array, Chance, Mask, rise

SHAPE, MM = (96, 96, 24), (2.2, 2.2, 5.0)
FINE = 2
"""Rows and columns are drawn this much finer than stored."""

FLUID, GRAY, WHITE, NUCLEUS, SCALP, SKIN, DIPLOE, TABLE = 34.0, 96.0, 158.0, 116.0, 215.0, 115.0, 90.0, 14.0
"""Signals, in arbitrary units."""


class Space(NamedTuple):
    """Coordinates of the voxels in mm, scaled to a head of usual size."""

    x: Array
    y: Array
    z: Array


def draw(label: str, chance: Chance) -> NDArray[np.uint8]:
    """One volume (X, Y, Z)."""
    space = _lay_out(chance)
    depth = _depth(space, (67.0, 84.0, 74.0))
    signal = _coverings(space, depth, chance)
    brain = depth > 0
    signal[brain] = _cortex(space, depth, chance)[brain]
    _add_nuclei(space, signal)
    _add_cerebellum(space, signal, depth, chance)
    swell = chance.uniform(1.6, 2.1) if label == "wide_ventricles" else chance.uniform(0.75, 1.05)
    signal[_ventricles(space, swell) & (depth > 6)] = FLUID
    _add_face(space, signal, depth)
    return _acquire(signal, chance)


def _lay_out(chance: Chance) -> Space:
    sides = (SHAPE[0] * FINE, SHAPE[1] * FINE, SHAPE[2])
    steps = (MM[0] / FINE, MM[1] / FINE, MM[2])
    shift = (0.0, -2.0, 12.0 + chance.uniform(-3, 3))
    axes = [(np.arange(n) + 0.5 - n / 2) * mm + off for n, mm, off in zip(sides, steps, shift, strict=True)]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    turn, nod = chance.normal(0, 0.05), chance.normal(0, 0.06)
    x, y = np.cos(turn) * x - np.sin(turn) * y, np.cos(turn) * y + np.sin(turn) * x
    y, z = np.cos(nod) * y - np.sin(nod) * z, np.cos(nod) * z + np.sin(nod) * y
    bend = [1.3 * _waves(chance, x.shape, 40) for _ in range(2)]
    wide, long, tall = chance.uniform(0.95, 1.04, size=3)
    return Space(x / wide + bend[0], y / long + bend[1], z / tall)


def _waves(chance: Chance, shape: tuple[int, ...], mm: float) -> Array:
    """Smooth noise of deviation 1 with bumps of about `mm`."""
    widths = [max(mm * share, 0.6) for share in (FINE / MM[0] / 2.4, FINE / MM[1] / 2.4, 1 / MM[2] / 2.4)]
    noise = ndimage.gaussian_filter(chance.normal(size=shape).astype(np.float32), widths, truncate=2.5)
    return np.asarray(noise / noise.std(), dtype=np.float64)


def _depth(space: Space, half: tuple[float, float, float]) -> Array:
    """How far within an egg a point lies, in mm; below 0 outside. The lower half is steeper, as heads are."""
    upward = np.where(space.z > 0, half[2], 1.25 * half[2])
    wide = half[0] * (1 + 0.0010 * -space.y)  # broader at the back
    flat = np.abs(space.x / wide) ** 2.2 + np.abs(space.y / half[1]) ** 2.2
    apart = (flat + np.abs(space.z / upward) ** 2.4) ** (1 / 2.25)
    away = np.sqrt(space.x**2 + space.y**2 + space.z**2)
    return away / np.maximum(apart, 0.02) - away


def _coverings(space: Space, depth: Array, chance: Chance) -> Array:
    """Fluid, skull with its marrow, fat and skin around the brain."""
    out = -depth + 0.7 * _waves(chance, depth.shape, 30)
    signal = np.zeros(depth.shape)
    bone = 7.0 + 1.5 * np.clip(-space.y / 80, -0.5, 1)
    for edge, value in ((bone + 9.5, SKIN), (bone + 7.0, SCALP), (bone + 2.6, TABLE)):
        signal[out < edge] = value
    signal[(out > 4.4) & (out < bone + 0.6)] = DIPLOE
    signal[out < 2.4] = FLUID
    return signal


def _cortex(space: Space, depth: Array, chance: Chance) -> Array:
    """Gray matter along the surface and along sheets of fluid that fold into the white matter."""
    waves = _waves(chance, depth.shape, 12)
    slopes = np.gradient(waves, MM[0] / FINE, MM[1] / FINE, MM[2])
    steep = np.sqrt(sum(slope**2 for slope in slopes)) + 0.02
    sheet = np.abs(waves) / steep + 5 * rise(depth, 17, 30)
    cleft = np.abs(space.x) + 6 * rise(depth, 26, 34) + 0.5 * np.clip(-space.z - 5, 0, 12)
    near = np.minimum(np.minimum(sheet, cleft), depth + 0.6)
    signal = WHITE - (WHITE - GRAY) * (1 - rise(near, 3.2, 4.4))
    fluid = (1 - rise(sheet, 0.4, 1.1)) * (1 - rise(depth, 14, 24))
    fluid = np.maximum(fluid, 1 - rise(cleft, 0.6, 1.6))
    return signal + (FLUID - signal) * fluid


def _oval(space: Space, at: tuple[float, float, float], half: tuple[float, float, float]) -> Array:
    """How far out a point lies, 1 on an ellipsoid; both sides alike."""
    off = ((np.abs(space.x) - at[0]) / half[0], (space.y - at[1]) / half[1], (space.z - at[2]) / half[2])
    return np.sqrt(off[0] ** 2 + off[1] ** 2 + off[2] ** 2)


def _add_nuclei(space: Space, signal: Array) -> None:
    """White matter in the depth, and thalamus, putamen and caudate in it."""
    signal[_oval(space, (16, 4, 4), (24, 42, 22)) < 1] = WHITE
    for at, half in (((10, -9, 4), (8, 13, 9)), ((25, 8, 2), (6.5, 15, 10)), ((13, 20, 8), (5.5, 10, 10))):
        signal[_oval(space, at, half) < 1] = NUCLEUS
    insula = np.abs(_oval(space, (16, 4, 2), (22, 38, 20)) - 0.97) < 0.075
    signal[insula & (np.abs(space.x) > 31)] = GRAY


def _ventricles(space: Space, swell: float) -> Mask:
    """Two lateral ventricles that part towards the back, and the slit between the thalami."""
    side, wide = np.abs(space.x), swell**0.5
    bow = side - (5.5 * swell**0.6 + 0.0042 * np.clip(-space.y - 4, 0, None) ** 2)
    body = np.hypot(bow / (4.4 * swell), (space.z - 14 + 0.0035 * space.y**2) / (8.0 * wide))
    horns = np.hypot(body, (space.y + 3) / (37 * wide**0.6))
    third = (side < 1.4 * swell) & (np.abs(space.y + 4) < 15) & (np.abs(space.z + 1) < 10)
    return np.asarray((horns < 1) | third)


def _add_cerebellum(space: Space, signal: Array, depth: Array, chance: Chance) -> None:
    """Cerebellum with its fine leaves, brain stem and fourth ventricle beneath the cerebrum."""
    out = _oval(space, (21, -52, -42), (30, 27, 24))
    leaves = np.sin(42 * out + 1.5 * _waves(chance, depth.shape, 18))
    inside = (out < 1) & (depth > 2)
    signal[(out < 1.06) & (depth > 0)] = FLUID
    values = GRAY + 14 * leaves + (WHITE - GRAY) * (1 - rise(out, 0.45, 0.62))
    signal[inside] = values[inside]
    stem = np.hypot(space.x / 13.5, (space.y + 20) / 13) + 0.02 * np.clip(space.z + 20, 0, None)
    signal[(stem < 1.2) & (space.z < -18)] = FLUID
    signal[(stem < 1) & (space.z < -16)] = WHITE - 12
    signal[_oval(space, (0, -35, -36), (6, 4.5, 10)) < 1] = FLUID


def _add_face(space: Space, signal: Array, depth: Array) -> None:
    """Orbits with fat and eyes, and air behind the nose, at the lower slices in front."""
    low = (space.z < -22 - 0.28 * (76 - space.y)) & (space.y > 38) & (depth > -16)
    signal[low & (np.abs(space.x) < 46)] = TABLE + 20
    orbit = _oval(space, (31, 66, -38), (20, 27, 17))
    signal[low & (orbit < 1)] = SCALP - 20
    eye = _oval(space, (32, 74, -38), (12.5, 12.5, 12.5))
    signal[low & (eye < 1.1)] = GRAY - 20
    signal[low & (eye < 1)] = FLUID + 10
    signal[low & (np.abs(space.x) < 10) & (space.y < 82)] = 4.0


def _acquire(signal: Array, chance: Chance) -> NDArray[np.uint8]:
    """What a scanner stores: blurred, brighter near the coil, with Rician noise, zero beside the head."""
    blurred = ndimage.gaussian_filter(signal, (0.45 * FINE, 0.45 * FINE, 0.3))
    rows, columns, slices = SHAPE
    coarse = blurred.reshape(rows, FINE, columns, FINE, slices).mean(axis=(1, 3))
    coarse = coarse * (1 + 0.07 * _waves(chance, SHAPE, 90))
    real, imaginary = (chance.normal(0, 2.6, SHAPE) for _ in range(2))
    seen = np.hypot(coarse + real, imaginary)
    head = ndimage.binary_dilation(coarse > 12, iterations=2)
    stored: NDArray[np.uint8] = np.where(head, np.clip(np.round(seen), 0, 255), 0).astype(np.uint8)
    return stored
