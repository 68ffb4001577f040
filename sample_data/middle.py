"""What lies between the lungs: heart, great vessels, windpipe and gullet in fat."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from body import AIR, MM, Cut
from scipy import ndimage
from shapes import Array, Mask, chain, disc, ripple, smooth

Organ = tuple[Mask, float | Array]
WALL = 45.0
"""HU of walls and muscle of the heart without contrast medium."""


def draw_organs(cut: Cut) -> list[Organ]:
    """Masks and their HU, in the order in which they are painted."""
    return {"arch": _arch, "hilum": _hilum, "heart": _heart}[cut.level](cut)


def find_middle(cut: Cut, organs: list[Organ]) -> Mask:
    """All that isn't lung within the cage: organs, fat in their gaps, and bands to the walls."""
    union = np.logical_or.reduce([mask for mask, _ in organs])
    tongue = {"arch": 13.0, "hilum": 9.0, "heart": 14.0}[cut.level] * cut.chance.uniform(0.6, 1.3)
    front = disc(
        cut.y, cut.x, (-cut.deep, cut.chance.uniform(-6, 8)), (26, tongue), cut.chance.uniform(-0.3, 0.3)
    )
    back = (np.abs(cut.x) < 17) & (cut.y > cut.spine - 26)
    lump: Array = ndimage.gaussian_filter((union | front | back).astype(np.float32), 5 / MM, truncate=2.5)
    return (lump + 0.02 * ripple(cut.chance, cut.y.shape, 16) > 0.36) | smooth(union, 2, 0.25)


def _blood(cut: Cut) -> Array:
    return cut.person.blood + 3 * ripple(cut.chance, cut.y.shape, 32)


def _along_spine(cut: Cut, aorta: float) -> list[Organ]:
    """Descending aorta, gullet and azygos vein beside the vertebra."""
    y, x, front = cut.y, cut.x, cut.spine - 15
    gullet = disc(y, x, (front - 9, 5), (5.5, 8.5), turn=0.3)
    organs: list[Organ] = [(gullet, 38.0)]
    if cut.chance.random() < 0.3:
        organs.append((disc(y, x, (front - 9.5, 5.5), (1.6, 2.8)), -600.0))
    if cut.level != "arch":
        place = (front + cut.chance.uniform(2, 7), cut.chance.uniform(21, 26))
        organs += _vessel(cut, place, (aorta, aorta))
    organs.append((disc(y, x, (front + 1, -9), (3.8, 3.8)), 0.8 * cut.person.blood + 8))
    return organs


def _vessel(cut: Cut, at: tuple[float, float], half: tuple[float, float]) -> list[Organ]:
    """A great vessel: blood in a thin wall."""
    inner = (half[0] - 1.2, half[1] - 1.2)
    return [(disc(cut.y, cut.x, at, half), WALL), (disc(cut.y, cut.x, at, inner), _blood(cut))]


def _tube(cut: Cut, points: list[tuple[float, float]], radius: float) -> list[Organ]:
    return [
        (chain(cut.y, cut.x, points, radius), WALL),
        (chain(cut.y, cut.x, points, radius - 1.2), _blood(cut)),
    ]


def _airway(cut: Cut, at: tuple[float, float], half: tuple[float, float], turn: float = 0.0) -> list[Organ]:
    """Air in a wall of 1.5 mm."""
    wall = disc(cut.y, cut.x, at, (half[0] + 1.5, half[1] + 1.5), turn)
    return [(wall, 40.0), (disc(cut.y, cut.x, at, half, turn), AIR)]


def _arch(cut: Cut) -> list[Organ]:
    """At the arch of the aorta, which crosses from the right in front to the left behind."""
    y, x, front, chance = cut.y, cut.x, cut.spine - 15, cut.chance
    size = chance.uniform(11, 14)
    arch = [(front - 52, -8.0), (front - 45, 8.0), (front - 30, 19.0), (front - 12, 24.0), (front + 2, 25.0)]
    vein = (front - 42, -25 + chance.uniform(-2, 2))
    return [
        (disc(y, x, (front - 62, 0), (15, 17)), -82.0),
        *_along_spine(cut, 12),
        *_tube(cut, arch, size),
        *_vessel(cut, vein, (chance.uniform(7, 9), chance.uniform(6, 8))),
        *_airway(cut, (front - 21, -3), (chance.uniform(8, 10), chance.uniform(7.5, 9))),
        *[(disc(y, x, (front - 33, -14 + 3 * k), (2.6, 3.8)), 42.0) for k in range(2)],
    ]


def _hilum(cut: Cut) -> list[Organ]:
    """At the fork of the pulmonary artery, with a main bronchus on each side."""
    y, x, front, chance = cut.y, cut.x, cut.spine - 15, cut.chance
    aorta = chance.uniform(15, 18)
    left = [(front - 62, 20.0), (front - 46, 27.0), (front - 26, 39.0), (front - 16, 43.0)]
    right = [(front - 54, 16.0), (front - 38, -4.0), (front - 33, -26.0), (front - 30, -42.0)]
    organs: list[Organ] = [(disc(y, x, (front - 60, 0), (28, 34)), -85.0)]
    organs += _along_spine(cut, chance.uniform(11, 13.5))
    organs += _tube(cut, left, 11.5) + _tube(cut, right, 9.0)
    organs += _vessel(cut, (front - 65, 21), (14, 14))
    organs += _vessel(cut, (front - 57, -15), (aorta, aorta))
    organs += _vessel(cut, (front - 51, -39), (9.5, 8))
    organs += _airway(cut, (front - 18, -20), (6.5, 8.5), -0.3) + _airway(
        cut, (front - 18, 19), (5.5, 9), 0.4
    )
    for side in (-1, 1):  # veins and lower lobe arteries beside the bronchi
        at = (front - 14 + chance.uniform(-3, 3), side * chance.uniform(36, 41))
        organs += _vessel(cut, at, (chance.uniform(6, 8), chance.uniform(6, 8)))
        organs += _airway(cut, (front - 22, side * 32.0), (3.0, 3.4))
    organs.append((disc(y, x, (front - 14, 0), (4.5, 6.5)), 44.0))
    return organs


class Chamber(NamedTuple):
    """One of the heart, an oval in its own frame: lengths of a heart of usual size."""

    across: float
    """Of the middle, to the left and back."""
    along: float
    """Of the middle, to the apex."""
    short: float
    long: float
    twist: float = 0.0
    wall: float = 3.0


CHAMBERS = (
    Chamber(12, 17, 13, 28, twist=0.1, wall=9.5),
    Chamber(-20, 12, 11, 33, twist=-0.16),
    Chamber(-13, -37, 19, 16),
    Chamber(19, -29, 15, 20),
)
"""Left and right ventricle, right and left atrium."""
CRUX = Chamber(0, -6, 11, 17)
"""Where the chambers meet."""
GROOVES = (Chamber(-34, -14, 5.5, 7), Chamber(34, -6, 5.5, 7))
"""Fat between ventricles and atria, with an artery in it."""


def _heart(cut: Cut) -> list[Organ]:
    """At the four chambers: the apex points to the left in front."""
    y, x, front, chance = cut.y, cut.x, cut.spine - 15, cut.chance
    size, lean = cut.deep / 84 * chance.uniform(0.92, 1.06), chance.uniform(0.45, 0.8)
    cos, sin = size * np.cos(lean), size * np.sin(lean)

    def fill(part: Chamber, more: float = 0.0) -> Mask:
        """The oval of a part, `more` mm larger."""
        at = (
            front - 55 + cos * part.across - sin * part.along,
            18 + sin * part.across + cos * part.along,
        )
        half = (size * (part.short + more), size * (part.long + more))
        return disc(y, x, at, half, turn=lean + part.twist, power=2.2)

    outline = smooth(np.logical_or.reduce([fill(part, part.wall) for part in (*CHAMBERS, CRUX)]), 6, 0.45)
    blood = _blood(cut)
    organs: list[Organ] = [
        (smooth(outline, 9, 0.2), -88.0),
        (disc(y, x, (front - 82, 34 + chance.uniform(-6, 10)), (13, chance.uniform(20, 32))), -92.0),
        *_along_spine(cut, chance.uniform(10.5, 13)),
        (outline, WALL + 0.32 * max(cut.person.blood - WALL, 0.0)),
        *[(fill(chamber), blood) for chamber in CHAMBERS],
    ]
    for groove in GROOVES:
        organs += [(fill(groove), -75.0), (fill(groove, -3.7), blood)]
    for side in (-1, 1):  # veins from the lower lobes
        organs += _tube(cut, [(front - 24, side * 14 + 4.0), (front - 17, side * 36 + 3.0)], 5.5)
    return organs


def find_hilum(cut: Cut, side: int) -> tuple[float, float]:
    """Where vessels enter the lung of a side."""
    front = cut.spine - 15
    return {
        "arch": (front - 26, side * 27.0),
        "hilum": (front - 22, side * 38.0),
        "heart": (front - 18, side * 40.0),
    }[cut.level]
