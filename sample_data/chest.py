"""Axial slices of a chest in HU: wall, bones, organs between the lungs, lungs, and what may ail them."""

from __future__ import annotations

import numpy as np
from body import CARTILAGE, CORTEX, FAT, FINE, FLUID, MARROW, MM, MUSCLE, SIDE, SKIN, Cut, Person, begin
from lungs import ail, breathe
from middle import draw_organs, find_middle
from shapes import Array, Chance, Mask, bar, disc, inside, plane, ripple, rise, smooth


def draw(label: str, level: str, person: Person, chance: Chance) -> Array:
    """The tissue of one slice in HU, FINE times finer than stored."""
    cut = begin(level, person, chance)
    _couch(cut)
    _wall(cut)
    _bones(cut)
    cage = _cage(cut)
    cut.image[cage] = FAT + 15
    organs = draw_organs(cut)
    lungs = smooth(cage & ~find_middle(cut, organs), 1.5) & cage
    for mask, value in organs:
        np.copyto(cut.image, value, where=mask & ~lungs)
    cut.image[lungs] = breathe(cut, lungs)[lungs]
    if label != "normal":
        ail(cut, label, lungs)
    return cut.image


def _cage(cut: Cut) -> Mask:
    """The space within the ribs, without the vertebra that bulges into it."""
    behind = (np.abs(cut.x) < 21 + 0.12 * (cut.y - cut.spine)) & (cut.y > cut.spine)
    bulge = behind | disc(cut.y, cut.x, (cut.spine, 0), (19, 23))
    return smooth((cut.outside < 0) & ~bulge, 4)


# --- the wall ---


def _wall(cut: Cut) -> None:
    """Skin, fat and muscle around the rib cage."""
    person, turn = cut.person, cut.round
    blade = {"arch": 26.0, "hilum": 20.0, "heart": 12.0}[cut.level]
    front = {"arch": 13.0, "hilum": 8.0, "heart": 3.0}[cut.level]
    muscle = (
        15
        + 30 * rise(turn, 2.25, 2.95)  # the back's long muscles
        + blade * np.exp(-(((turn - 2.25) / 0.42) ** 2))
        + front * np.exp(-(((turn - 0.75) / 0.34) ** 2))
        + 3 * np.exp(-(((turn - 1.6) / 0.4) ** 2))
    )
    fat = person.fat * (0.8 + 0.35 * np.cos(2 * turn) ** 2) + 3
    breast = person.breast * np.exp(-(((turn - 0.85) / 0.36) ** 2)) * (cut.level != "arch")
    thick = muscle + fat + breast
    body = smooth(cut.outside < thick, 5)
    body &= cut.y < cut.deep + 50 + 0.25 * person.fat  # the back lies flat on the couch
    body = smooth(body, 3)
    cut.image[body] = FAT + 5 * ripple(cut.chance, body.shape, 24)[body]
    if person.breast:
        gland = (breast > 5) & (cut.outside > muscle + 0.4 * fat) & (cut.outside < thick - 8)
        cut.image[gland & (ripple(cut.chance, body.shape, 10) > 0.7) & body] = 25
    _muscles(cut, body, muscle)
    rim = body & ~smooth(body, 2.2, 0.78)
    cut.image[rim] = SKIN


def _muscles(cut: Cut, body: Mask, thick: Array) -> None:
    """Muscles between the pleura and the fat, in layers with fat between them."""
    out, turn, chance = cut.outside, cut.round, cut.chance
    flesh = body & (out < thick) & (turn > 0.16)
    marbled = (
        MUSCLE + 4 * ripple(chance, body.shape, 8) - 22 * np.clip(ripple(chance, body.shape, 9) - 0.9, 0, 2)
    )
    cut.image[flesh] = marbled[flesh]
    wave = 1.2 * ripple(chance, body.shape, 40)
    planes = [(13.0, 0.30, 1.45, 1.4), (14.0, 1.55, 2.7, 1.5), (31.0, 1.75, 2.9, 1.5)]
    for height, start, end, half in planes:
        line = np.abs(out - height - wave) < half
        cut.image[line & (turn > start) & (turn < end) & flesh] = FAT + 35
    armpit = np.exp(-(((turn - 1.38) / 0.2) ** 2)) * {"arch": 14.0, "hilum": 8.0, "heart": 0.0}[cut.level]
    cut.image[body & (out > 10 + wave) & (out < 10 + armpit)] = FAT
    for side in (-1, 1):
        column = (cut.spine + 37, side * 27.0)
        cut.image[disc(cut.y, cut.x, column, (21, 24)) & body] = FAT + 30
        muscle = disc(cut.y, cut.x, column, (18.5, 21.5), power=2.5) & body
        cut.image[muscle] = marbled[muscle]


def _couch(cut: Cut) -> None:
    """The couch beneath: a mat and a bowl of two thin shells with foam between. It doesn't turn."""
    y, x = plane(SIDE * FINE, SIDE * FINE, MM)
    top = cut.deep + 44 + cut.person.couch + 0.25 * cut.person.fat - 0.0009 * x**2
    wide = np.abs(x) < 158
    cut.image[wide & (y > top - 14) & (y < top)] = -940
    cut.image[wide & (y > top) & (y < top + 22)] = -915
    for edge, thick in ((0, 2.2), (21, 1.6)):
        cut.image[wide & (y > top + edge) & (y < top + edge + thick)] = 60


# --- bones ---


def _bones(cut: Cut) -> None:
    """Ribs, breastbone, shoulder blades and a vertebra: a bright shell and darker marrow."""
    bone = _ribs(cut) | _breastbone(cut) | _vertebra(cut)
    if cut.level != "heart" or cut.chance.random() < 0.5:
        bone |= _blades(cut)
    canal = disc(cut.y, cut.x, (cut.spine + 23.5, 0), (8.5, 11))
    bone &= ~canal
    deep = inside(bone, MM)[bone]
    marrow = MARROW + 28 * ripple(cut.chance, bone.shape, 4)[bone]
    cut.image[bone] = marrow + (CORTEX - MARROW) * (1 - rise(deep, 0.7, 2.3))
    cut.image[canal] = FLUID
    cut.image[canal & disc(cut.y, cut.x, (cut.spine + 23.5, 0), (4.5, 6.5))] = 38


def _ribs(cut: Cut) -> Mask:
    """Six ribs a side, each cut askew: long where it runs along the slice; cartilage in front of them."""
    bone = np.zeros(cut.y.shape, bool)
    wall = (cut.outside > -2) & (cut.outside < 15)
    x, outside, turn = cut.x[wall], cut.outside[wall], cut.round[wall]
    away = np.hypot(cut.y[wall], x)
    ribs, cartilage = np.zeros(x.shape, bool), np.zeros(x.shape, bool)
    for side in (-1, 1):
        here = x * side > 0
        for number in range(6):
            at = 0.50 + 0.415 * number + cut.person.ribs + cut.chance.uniform(-0.05, 0.05)
            half = cut.chance.uniform(10, 16) + (5 if number in {2, 3} else 0)
            along = (turn - at) * away
            height = outside - 6.0 - cut.chance.uniform(-0.12, 0.12) * along
            thick = cut.chance.uniform(3.6, 4.8)
            ribs |= here & ((height / thick) ** 2 + np.abs(along / half) ** 3 < 1)
        cartilage |= here & (((outside - 6) / 5.0) ** 2 + ((turn - 0.27) * away / 9) ** 2 < 1)
    bone[wall] = ribs
    cut.image[wall] = np.where(cartilage, CARTILAGE, cut.image[wall])
    return bone


def _breastbone(cut: Cut) -> Mask:
    wide, thick = {"arch": (25.0, 7.0), "hilum": (17.0, 6.0), "heart": (15.0, 5.5)}[cut.level]
    wide *= cut.chance.uniform(0.85, 1.15)
    bent = cut.y + cut.deep + 7 - 0.004 * cut.x**2
    return np.hypot(bent / thick, (np.abs(cut.x) / wide) ** 1.6) < 1


def _vertebra(cut: Cut) -> Mask:
    """Body, arch around the canal, processes to the sides and to the back, and the ribs' heads."""
    y, x, mid = cut.y, cut.x, cut.spine
    bone = disc(y, x, (mid, 0), (15.0, 18.5), power=2.5)
    bone |= disc(y, x, (mid + 23, 0), (14.5, 16.5))
    lean = cut.chance.uniform(-2, 2)
    bone |= bar(y, x, (mid + 34, 0), (mid + cut.chance.uniform(46, 58), lean), 2.8)
    for side in (-1, 1):
        reach = cut.chance.uniform(30, 40)
        bone |= bar(y, x, (mid + 25, side * 12), (mid + 30, side * reach), cut.chance.uniform(3.2, 4.4))
        if cut.chance.random() < 0.7:
            bone |= bar(y, x, (mid + 7, side * 22), (mid + 24, side * 41), 3.6)
    return bone


def _blades(cut: Cut) -> Mask:
    """Shoulder blades among the muscles of the back, thick at the outer border."""
    start, end = {"arch": (1.72, 2.52), "hilum": (1.84, 2.46), "heart": (2.0, 2.3)}[cut.level]
    start += cut.chance.uniform(-0.08, 0.08)
    share = np.clip((cut.round - start) / (end - start), 0, 1)
    height = 20 + 5 * np.sin(np.pi * share) + 4 * (1 - share)
    thick = 1.9 + 3.2 * np.exp(-(((share - 0.05) / 0.13) ** 2)) + 1.2 * np.exp(-(((share - 0.95) / 0.1) ** 2))
    bone = (np.abs(cut.outside - height) < thick) & (cut.round > start) & (cut.round < end)
    if cut.level == "arch":
        spur = (
            np.abs(cut.round - start - 0.34 - 0.012 * (cut.outside - height)) * np.hypot(cut.y, cut.x) < 2.2
        )
        bone |= spur & (cut.outside > height) & (cut.outside < height + 13)
    return smooth(bone, 1.0)
