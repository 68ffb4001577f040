"""Who is scanned and where the chest is cut: the frame in which its parts are drawn.

Lengths are mm from the middle of the rib cage; x runs to the left of the patient, y to the back.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from shapes import WARP_MM, Array, Chance, oval, plane, ripple

FINE = 2
"""Tissue is drawn this much finer than a scan stores it: edges get partial volume, as in scanners."""
SIDE, PIXEL_MM = 256, 1.4
MM = PIXEL_MM / FINE

AIR, FAT, MUSCLE, SKIN, FLUID = -1000.0, -105.0, 55.0, 10.0, 12.0
CORTEX, MARROW, CARTILAGE = 900.0, 190.0, 115.0
"""HU, after textbooks."""

LEVELS = {"arch": (0.82, 0.86), "hilum": (0.95, 0.97), "heart": (1.0, 1.0)}
"""Heights at which a chest is cut: width and depth of the rib cage there, as shares."""


@dataclass(frozen=True)
class Person:
    """How a patient is built, breathes and lies: what all slices of a patient share."""

    wide: float
    """Half the inner width of the rib cage."""
    deep: float
    fat: float
    breast: float
    blood: float
    """HU: about 42, more with contrast medium."""
    breath: float
    """HU of the lungs: lower after a deep breath."""
    turn: float
    """Radians by which the patient lies turned."""
    ribs: float
    """Radians by which the ribs lie further round than usual."""
    couch: float
    side: int
    """Where a disease is: -1 the right of the patient, which is left in the picture, or 1."""
    thickness: float
    """Of a slice."""
    noise: float


def meet(chance: Chance) -> Person:
    """Someone else for each generator of chance."""
    large = chance.uniform(-1, 1)
    thickness = float(chance.choice([2.5, 3.0, 5.0]))
    return Person(
        wide=124 + 9 * large + chance.uniform(-4, 4),
        deep=90 + 7 * large + chance.uniform(-5, 5),
        fat=chance.uniform(3, 17),
        breast=chance.uniform(12, 30) * (chance.random() < 0.45),
        blood=chance.uniform(150, 280) if chance.random() < 0.4 else chance.uniform(36, 48),
        breath=chance.uniform(-885, -815),
        turn=chance.normal(0, 0.035),
        ribs=chance.uniform(-0.16, 0.16),
        couch=chance.uniform(2, 8),
        side=int(chance.choice([-1, 1])),
        thickness=thickness,
        noise=chance.uniform(10, 14) / (thickness / 2.5) ** 0.5,
    )


@dataclass(frozen=True)
class Cut:
    """A slice while it is drawn: where points lie, and the person who is cut."""

    level: str
    person: Person
    chance: Chance
    y: Array
    x: Array
    image: Array
    wide: float
    deep: float
    outside: Array
    """How far outside the rib cage's inner wall a point lies; less than 0 within."""
    round: Array
    """Radians round the cage: 0 at the breastbone, pi at the spine, alike on both sides."""
    spine: float
    """y of the middle of the vertebra."""


def begin(level: str, person: Person, chance: Chance) -> Cut:
    """A slice of air, a little bent, for no rib cage is an oval."""
    y, x = plane(SIDE * FINE, SIDE * FINE, MM, person.turn)
    y, x = (along + np.clip(2.4 * ripple(chance, along.shape, 96), -WARP_MM, WARP_MM) for along in (y + 6, x))
    wide, deep = (
        share * length for share, length in zip(LEVELS[level], (person.wide, person.deep), strict=True)
    )
    apart = oval(y, x / (1 + 0.09 * y / deep), (0, 0), (deep, wide), power=2.35)
    outside = np.sqrt(y * y + x * x) * (1 - 1 / np.maximum(apart, 0.05))
    around = np.arctan2(np.abs(x) / wide, -y / deep)
    image = np.full(y.shape, AIR)
    return Cut(level, person, chance, y, x, image, wide, deep, outside, around, 0.62 * deep)
