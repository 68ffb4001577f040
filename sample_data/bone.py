"""Radiographs of long bones: two bones or one in soft tissue, whole or broken.

Lengths are mm from the middle of the picture; y runs along the bone, x across. A ray from above crosses so
many mm of each tissue, and what these absorb together is the picture.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage
from shapes import Array, Chance, plane, ripple, rise

FINE = 2
SHAPE, MM = (256, 192), 0.8
FLESH, BONE, MARROW = 0.0040, 0.034, 0.0075
"""Absorbed per mm."""
BREAKS = ("across", "aslant", "spiral", "splinter")
"""Kinds of fracture, in turns."""


@dataclass(frozen=True)
class Shaft:
    """A long bone: a tube that flares to its ends, where its wall is thin and its inside spongy."""

    middle: float
    """x at y = 0."""
    lean: float
    bow: float
    radius: float
    flare: float
    wall: float
    """Share of the radius, at the middle of the shaft."""
    centre: float
    """y of the thinnest place."""


@dataclass(frozen=True)
class Break:
    """Where a bone is broken and how its lower piece lies now."""

    at: float
    slope: float
    """Of the line across the bone; of opposite sign on the far side of a spiral."""
    twist: bool
    shift: tuple[float, float]
    """Along (more than 0: apart; less: the pieces overlap) and across."""
    turn: float
    jag: float
    """How rough the line is, in mm."""


def draw(label: str, number: int, chance: Chance) -> Array:
    """One projection in [0, 1], at the size in which it is stored."""
    y, x = plane(SHAPE[0] * FINE, SHAPE[1] * FINE, MM / FINE, chance.normal(0, 0.04))
    shafts = _choose_shafts(chance)
    absorbed = FLESH * _flesh(y, x, shafts, chance)
    for place, shaft in enumerate(shafts):
        broken = label == "broken" and (place == 0 or chance.random() < 0.4)
        fracture = _choose_break(BREAKS[number % len(BREAKS)], shaft, chance) if broken else None
        absorbed += _bone(y, x, shaft, fracture, chance)
    return _expose(absorbed, chance)


def _choose_shafts(chance: Chance) -> list[Shaft]:
    """A thigh with one bone, or a shin or forearm with two."""
    kind = chance.choice(["thigh", "shin", "forearm"])
    radius = {"thigh": 13.5, "shin": 12.0, "forearm": 7.5}[kind] * chance.uniform(0.9, 1.1)
    main = Shaft(
        middle=chance.uniform(-4, 4),
        lean=chance.uniform(-0.06, 0.06),
        bow=chance.uniform(-0.0008, 0.0008),
        radius=radius,
        flare=chance.uniform(0.7, 1.0),
        wall=chance.uniform(0.36, 0.48),
        centre=chance.uniform(-25, 25),
    )
    if kind == "thigh":
        return [main]
    side = int(chance.choice([-1, 1]))
    apart, thin = ((21.0, 0.45), (19.0, 0.9))[kind == "forearm"]
    return [
        replace(main, middle=main.middle - side * 0.4 * apart),
        replace(
            main,
            middle=main.middle + side * 0.75 * apart,
            radius=radius * thin,
            bow=main.bow + side * 0.0006,
            flare=0.7 * main.flare,
            centre=-main.centre,
        ),
    ]


def _choose_break(kind: str, shaft: Shaft, chance: Chance) -> Break:
    side = chance.choice([-1, 1])
    steep = {"across": 0.1, "aslant": 0.9, "spiral": 1.6, "splinter": 0.5}[kind]
    apart = {"across": (0.5, 2.0), "aslant": (-6.0, 0.5), "spiral": (-3.0, 1.5), "splinter": (1.0, 3.0)}[kind]
    return Break(
        at=shaft.centre + chance.uniform(-25, 25),
        slope=side * steep * chance.uniform(0.8, 1.2),
        twist=kind == "spiral",
        shift=(chance.uniform(*apart), chance.choice([-1, 1]) * shaft.radius * chance.uniform(0.15, 0.6)),
        turn=chance.uniform(-0.16, 0.16),
        jag=2.2 if kind == "splinter" else 1.0,
    )


def _flesh(y: Array, x: Array, shafts: list[Shaft], chance: Chance) -> Array:
    """Millimetres of skin, fat and muscle along each ray."""
    middle = float(np.mean([shaft.middle for shaft in shafts]))
    half = (30 + 2.2 * shafts[0].radius) * (1 + chance.uniform(-0.0016, 0.0016) * y + 0.03 * np.sin(y / 40))
    limb = _chord(x - middle, half)
    muscle = _chord(x - middle, half - 6) * (1 + 0.03 * ripple(chance, y.shape, 48))
    return 0.8 * limb + 0.35 * muscle


def _bone(y: Array, x: Array, shaft: Shaft, fracture: Break | None, chance: Chance) -> Array:
    """What one bone absorbs along each ray: the sum of its pieces, front and back half apart."""
    if fracture is None:
        return _absorb(y, x, shaft, chance)
    total = np.zeros(y.shape)
    pivot = shaft.middle + shaft.lean * fracture.at
    cos, sin = np.cos(fracture.turn), np.sin(fracture.turn)
    down, across = y - fracture.at - fracture.shift[0], x - pivot - fracture.shift[1]
    moved_y, moved_x = fracture.at + cos * down - sin * across, pivot + cos * across + sin * down
    seed = int(chance.integers(1 << 30))
    upper = _absorb(y, x, shaft, np.random.default_rng(seed))
    lower = _absorb(moved_y, moved_x, shaft, np.random.default_rng(seed))
    for face in (1, -1):
        slope = fracture.slope * (face if fracture.twist else 1)
        rough = fracture.jag * ripple(chance, (1, y.shape[1]), 12)[0]
        lag = fracture.at + 1.2 * face
        above = rise(lag + slope * (x - pivot) + rough - y, 0, 0.8)
        below = rise(moved_y - lag - slope * (moved_x - pivot) - rough, 0, 0.8)
        total += 0.5 * (above * upper + below * lower)
    return total


def _absorb(y: Array, x: Array, shaft: Shaft, chance: Chance) -> Array:
    """What a whole bone absorbs: a dense wall, and a sponge whose beams run along the bone."""
    along = (y - shaft.centre) / 100
    middle = shaft.middle + shaft.lean * y + shaft.bow * y**2
    flare = 1 + shaft.flare * np.abs(along) ** 2.6
    radius = shaft.radius * flare + 0.35 * ripple(chance, y.shape, 64)
    hollow = radius * (1 - shaft.wall / flare**2.4)
    inner, outer = _chord(x - middle, hollow), _chord(x - middle, radius)
    end = rise(np.abs(along), 0.25, 0.95)
    grain = ndimage.gaussian_filter(chance.normal(size=y.shape), (3.2, 0.9))
    cross = ndimage.gaussian_filter(chance.normal(size=y.shape), (0.9, 2.4))
    sponge = 0.35 + 1.0 * end + (0.14 + 0.22 * end) * (grain / grain.std() + 0.6 * cross / cross.std())
    return np.asarray(BONE * (outer - inner) + MARROW * inner * np.clip(sponge, 0, None))


def _chord(off: Array, radius: Array) -> Array:
    """How much of a ray lies in a tube, by its distance from the tube's middle."""
    return np.asarray(2 * np.sqrt(np.clip(radius**2 - off**2, 0, None)))


def _expose(absorbed: Array, chance: Chance) -> Array:
    """The picture: blurred by focus and screen, with scattered rays and quanta, dark beside the limb."""
    rows, columns = SHAPE
    sharp = ndimage.gaussian_filter(absorbed, 0.5 * FINE).reshape(rows, FINE, columns, FINE).mean(axis=(1, 3))
    scatter = ndimage.gaussian_filter(sharp, 14)
    seen = 0.88 * sharp + 0.12 * scatter
    quanta = ndimage.gaussian_filter(chance.normal(size=seen.shape), 0.5)
    noisy = seen + 0.009 * quanta / quanta.std() * np.exp(0.45 * seen)
    return np.asarray(np.clip(0.03 + 1.12 * (1 - np.exp(-(np.clip(noisy, 0, None) ** 1.25))), 0, 1))
