"""Lungs: air, vessels that branch, bronchi and fissures; and fluid or a mass in them."""

from __future__ import annotations

import numpy as np
from body import AIR, FLUID, MM, Cut
from middle import find_hilum
from scipy import ndimage
from shapes import Array, Chance, Mask, disc, inside, ripple, rise, smooth, stroke

THINNEST = 0.45
"""Radius in mm at which a vessel can't be told from the lung."""


def breathe(cut: Cut, lungs: Mask) -> Array:
    """HU of both lungs: denser at the back, as blood sinks, with vessels that thin out to the pleura."""
    shape = lungs.shape
    sink = np.clip((cut.y + cut.deep) / (2 * cut.deep), 0, 1) ** 1.7
    air = cut.person.breath + 75 * sink + 9 * ripple(cut.chance, shape, 40) + 9 * ripple(cut.chance, shape, 3)
    ink = np.zeros(shape)
    for side in (-1, 1):
        _grow_tree(cut, side, ink)
        _scatter(cut, side, ink)
        _fissure(cut, side, ink)
    deep = inside(lungs, MM)
    ink *= rise(deep, 1.0, 13.0)
    values = air + ink * (max(cut.person.blood, 30.0) - air)
    for side in (-1, 1):
        _bronchi(cut, side, values, air)
    return values


def _grow_tree(cut: Cut, side: int, ink: Array) -> None:
    """Vessels from the hilum in all directions."""
    count = {"arch": 4, "hilum": 6, "heart": 5}[cut.level]
    for heading in np.linspace(-1.35, 1.45, count):
        root = find_hilum(cut, side)
        start = (root[0] + 10 * np.sin(heading) * 0.8, root[1])
        _branch(cut, ink, start, (side, heading + cut.chance.normal(0, 0.12)), cut.chance.uniform(1.9, 3.6))


def _branch(cut: Cut, ink: Array, start: tuple[float, float], way: tuple[int, float], radius: float) -> None:
    """One vessel and what branches off it; pieces that leave the slice are missing."""
    side, heading = way
    chance = cut.chance
    seen = 1.0
    while radius > THINNEST:
        long = chance.uniform(5, 9) * (radius / 2) ** 0.25
        end = (start[0] + long * np.sin(heading), start[1] + side * long * np.cos(heading))
        thin = radius * chance.uniform(0.86, 0.93)
        seen = min(max(seen + chance.normal(-0.07, 0.28), -0.2), 1.0)
        faint = min(1.0, 0.25 + radius / 1.8) * min(max((seen - 0.05) * 2.2, 0.0), 1.0)
        stroke(ink, _pixel(cut, start), _pixel(cut, end), (radius / MM, thin / MM), faint)
        if chance.random() < 0.5:
            fork = heading + chance.choice([-1, 1]) * chance.uniform(0.45, 1.0)
            _branch(cut, ink, end, (side, fork), thin * chance.uniform(0.5, 0.75))
        start, radius = end, thin
        heading += chance.normal(0, 0.14)


def _scatter(cut: Cut, side: int, ink: Array) -> None:
    """Vessels that cross the slice: dots, smaller far from the hilum."""
    root = find_hilum(cut, side)
    for _ in range(90):
        far, heading = 95 * cut.chance.random() ** 0.7, cut.chance.uniform(-1.7, 1.7)
        at = (root[0] + far * np.sin(heading), root[1] + side * far * np.cos(heading))
        radius = max(0.5, (2.6 - 0.024 * far) * cut.chance.uniform(0.45, 1.0))
        long = cut.chance.uniform(0, 2.5)
        slope = cut.chance.uniform(0, 2 * np.pi)
        end = (at[0] + long * np.sin(slope), at[1] + long * np.cos(slope))
        stroke(
            ink, _pixel(cut, at), _pixel(cut, end), (radius / MM, radius / MM), min(1.0, 0.4 + radius / 1.8)
        )


def _fissure(cut: Cut, side: int, ink: Array) -> None:
    """The faint line between lobes, from the hilum to the chest wall."""
    slope, bow = cut.chance.uniform(-0.25, 0.55), cut.chance.uniform(-0.002, 0.002)
    root = find_hilum(cut, side)
    away = np.abs(cut.x) - abs(root[1])
    line = np.abs(cut.y - root[0] - slope * away - bow * away**2) < 0.55
    here = line & (cut.x * side > abs(root[1]) + 6)
    ink[here] = np.maximum(ink[here], cut.chance.uniform(0.07, 0.2))


def _bronchi(cut: Cut, side: int, values: Array, air: Array) -> None:
    """Small airways beside the vessels near the hilum, in a thin wall."""
    root = find_hilum(cut, side)
    for _ in range({"arch": 2, "hilum": 4, "heart": 5}[cut.level]):
        far, heading = cut.chance.uniform(6, 34), cut.chance.uniform(-1.2, 1.2)
        at = (root[0] + far * np.sin(heading), root[1] + side * far * np.cos(heading))
        half = (max(0.9, 2.4 - 0.04 * far) * cut.chance.uniform(0.8, 1.2), max(1.0, 2.8 - 0.05 * far))
        turn = cut.chance.uniform(0, np.pi)
        wall = disc(cut.y, cut.x, at, (half[0] + 1, half[1] + 1), turn)
        values[wall] = np.maximum(values[wall], -150.0)
        hollow = disc(cut.y, cut.x, at, half, turn)
        values[hollow] = air[hollow] - 90


def _pixel(cut: Cut, at: tuple[float, float]) -> tuple[float, float]:
    """Row and column of a point of the patient, who may lie turned."""
    cos, sin = np.cos(cut.person.turn), np.sin(cut.person.turn)
    down, right = cos * (at[0] - 6) + sin * at[1], cos * at[1] - sin * (at[0] - 6)
    return down / MM + cut.y.shape[0] / 2 - 0.5, right / MM + cut.y.shape[1] / 2 - 0.5


# --- disease ---


def ail(cut: Cut, label: str, lungs: Mask) -> None:
    """Change lungs that are drawn already: fluid behind them, or a mass within."""
    if label == "effusion":
        both = cut.chance.random() < 0.3
        for side in (-1, 1) if both else (cut.person.side,):
            _add_fluid(cut, lungs & (cut.x * side > 0), side)
    if label == "mass":
        _add_mass(cut, lungs & (cut.x * cut.person.side > 0))


def _add_fluid(cut: Cut, lung: Mask, side: int) -> None:
    """Fluid sinks behind the lung of a patient who lies on the back, and the lung before it collapses."""
    rise_mm = 10 + 52 * cut.chance.random() ** 1.4 * (0.75 if cut.level == "arch" else 1.0)
    below = _below(cut, lung, rise_mm, side)
    press = cut.chance.uniform(4, 9) + 0.32 * rise_mm * cut.chance.uniform(0.5, 1.0)
    squeeze = _below(cut, lung, rise_mm + press, side) & ~below
    near = (np.abs(cut.x) < np.abs(find_hilum(cut, side)[1]) + 42) | (rise_mm > 40)
    collapse = squeeze & near
    solid = 48 + 0.25 * max(cut.person.blood - 45, 0) + 6 * ripple(cut.chance, lung.shape, 16)
    patchy = ndimage.gaussian_filter(collapse.astype(np.float32), 2.0 / MM)
    patchy = np.clip(patchy * (1.5 + 0.3 * ripple(cut.chance, lung.shape, 10)), 0, 1)
    cut.image[lung] = (cut.image + patchy * np.clip(solid - cut.image, 0, None))[lung]
    tubes = collapse & (ripple(cut.chance, lung.shape, 6) > 2.5)  # air that stayed in bronchi
    cut.image[tubes] = -500
    fluid = FLUID + cut.chance.uniform(-6, 12)
    cut.image[below] = fluid + 2 * ripple(cut.chance, lung.shape, 24)[below]


def _below(cut: Cut, lung: Mask, height: float, side: int) -> Mask:
    """The part of a lung's space that it leaves when it floats up by `height`: a crescent at the back."""
    rows, columns = int(height / MM), int(-side * 0.16 * height / MM)
    lifted = np.zeros_like(lung)
    lifted[: lung.shape[0] - rows] = np.roll(lung, columns, axis=1)[rows:]
    upper = lung & (cut.y < cut.y[lung].max() - 1.5 * height)
    return lung & ~smooth(lifted | upper, 5)


def _add_mass(cut: Cut, lung: Mask) -> None:
    """A nodule or mass of 8 to 60 mm: lobed or with spikes, perhaps hollow, perhaps at the pleura."""
    chance = cut.chance
    radius = float(np.exp(chance.uniform(np.log(4), np.log(30))))
    deep = inside(lung, MM)
    touch = chance.random() < 0.3
    ring = (
        (deep > 0.3 * radius) & (deep < 0.8 * radius) if touch else deep > min(radius + 4, 0.8 * deep.max())
    )
    ring &= ~disc(cut.y, cut.x, find_hilum(cut, cut.person.side), (30, 22))
    rows, columns = np.nonzero(ring if ring.any() else deep > 0.7 * deep.max())
    pick = chance.integers(len(rows))
    down, right = cut.y - cut.y[rows[pick], columns[pick]], cut.x - cut.x[rows[pick], columns[pick]]
    away, angle = np.sqrt(down**2 + right**2), np.arctan2(down, right)
    edge = radius * _outline(angle, chance)
    solid = lung & (away < edge)
    values = chance.uniform(25, 50) + 0.2 * max(cut.person.blood - 45, 0) + 7 * ripple(chance, lung.shape, 12)
    halo = np.clip(1 - (away - edge) / 3.5, 0, 1) * 0.35
    cut.image[lung] = (cut.image + halo * np.clip(values - cut.image, 0, None))[lung]
    cut.image[solid] = np.maximum(cut.image, values)[solid]
    if radius > 13 and chance.random() < 0.35:
        hole = away < radius * chance.uniform(0.35, 0.6) * (
            1 + 0.18 * np.sin(2 * angle + chance.uniform(0, 6))
        )
        cut.image[hole & solid] = AIR + 40


def _outline(angle: Array, chance: Chance) -> Array:
    """The edge of a mass as shares of its radius: lobes, or spikes that reach far into the lung."""
    turn = np.linspace(-np.pi, np.pi, 721)
    edge = np.ones_like(turn)
    for waves in (2, 3, 4, 5):
        edge += chance.uniform(0.02, 0.22 / waves**0.7) * np.sin(waves * turn + chance.uniform(0, 2 * np.pi))
    if chance.random() < 0.6:
        for _ in range(chance.integers(9, 16)):
            off = np.abs((turn - chance.uniform(0, 2 * np.pi)) % (2 * np.pi) - np.pi)
            edge += chance.uniform(0.2, 0.75) * np.clip(1 - off / chance.uniform(0.05, 0.13), 0, 1) ** 1.5
    return np.interp(angle, turn, edge)
