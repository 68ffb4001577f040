"""Draw the scans of this folder from a seed: phantoms that look like scans and show no real person.

    python sample_data/make.py [FOLDER]

The same seed gives the same bytes. Three data sets: `chest_ct/` (DICOM, a folder per class), `head_mr/`
(NIfTI, BIDS subjects with a participants.tsv) and `bone_xray/` (16-bit PNG with a labels.csv).
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from pathlib import Path

import body
import chest
import nibabel as nib
import numpy as np
import scanner
from ct_file import Place, write_ct
from numpy.typing import NDArray
from shapes import Array, Chance
from skimage import io

SEED = 20260301
FINE = 4
"""Bones are drawn this much finer than stored, then averaged: edges get partial volume, as in scanners."""

CHEST = {"normal": 100, "effusion": 40, "mass": 16}
"""Images per class; two per patient."""
CHEST_LEVELS = (("arch", "hilum"), ("hilum", "heart"), ("arch", "heart"))
"""Where patients are cut, in turns."""
CHEST_Z = {"arch": 75.0, "hilum": 20.0, "heart": -35.0}
"""Usual height of the levels, in mm towards the head."""
CHEST_PLAIN = 39
"""One in so many files isn't compressed, so that both forms are at hand."""
HEAD = {"normal": 6, "wide_ventricles": 2}
HEAD_SHAPE, HEAD_MM = (40, 48, 24), 4.0
BONE = {"whole": 12, "broken": 4}
BONE_SHAPE = (64, 48)


def main(out: Path) -> None:
    """Write the three data sets below `out`."""
    chest_ct(out / "chest_ct")
    head_mr(out / "head_mr")
    bone_xray(out / "bone_xray")


def chest_ct(out: Path) -> None:
    """Axial chest slices in HU: healthy, with fluid behind the lungs, with a nodule or mass."""
    unseen = scanner.find_unseen(body.SIDE)
    number = 0
    for label, count in CHEST.items():
        for index in range(count):
            patient, second = divmod(number, 2)
            person = body.meet(_chance("person", patient))  # the two slices of a patient share their build
            level = CHEST_LEVELS[patient % len(CHEST_LEVELS)][second]
            chance = _chance("chest", label, index)
            tissue = chest.draw(label, level, person, chance)
            image = scanner.scan(tissue, body.FINE, person.noise, chance)
            z = CHEST_Z[level] + round(chance.uniform(-12, 12), 1)
            place = Place(f"CT{patient + 1:03}", second + 1, z, person.thickness, body.PIXEL_MM)
            path = out / label / f"{label}_{index + 1:03}.dcm"
            write_ct(path, image, unseen, place, plain=number % CHEST_PLAIN == 0)
            number += 1


def head_mr(out: Path) -> None:
    """Small T1-like head volumes: usual and wide ventricles."""
    subjects = [label for label, count in HEAD.items() for _ in range(count)]
    out.mkdir(parents=True, exist_ok=True)
    rows = [("participant_id", "group")]
    for number, label in enumerate(subjects, start=1):
        subject = f"sub-{number:02}"
        voxels = head_volume(label, _chance("head", label, number))
        affine = np.diag([HEAD_MM, HEAD_MM, HEAD_MM, 1.0])
        affine[:3, 3] = [-HEAD_MM * (side - 1) / 2 for side in HEAD_SHAPE]  # RAS, centre at the origin
        image = nib.nifti1.Nifti1Image(voxels, affine)  # type: ignore[no-untyped-call]
        image.header.set_xyzt_units("mm")  # type: ignore[no-untyped-call]
        place = out / subject / "anat" / f"{subject}_T1w.nii"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(image.to_bytes())
        rows.append((subject, label))
    (out / "participants.tsv").write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")


def bone_xray(out: Path) -> None:
    """Projections of a long bone, whole or broken, 16 bit; labels and patients in a CSV."""
    (out / "images").mkdir(parents=True, exist_ok=True)
    with (out / "labels.csv").open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(["path", "label", "patient"])
        labels = [label for label, count in BONE.items() for _ in range(count)]
        for number, label in enumerate(labels, start=1):
            path = f"images/{number:03}.png"
            stored = np.round(bone(label, _chance("bone", label, number)) * 4095).astype(np.uint16)
            io.imsave(out / path, stored, check_contrast=False)
            table.writerow([path, label, f"B{(number + 1) // 2:02}"])


def head_volume(label: str, chance: Chance) -> NDArray[np.int16]:
    """One volume (X, Y, Z) in arbitrary units: scalp, skull, cortex, white matter, ventricles."""
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, side) for side in HEAD_SHAPE), indexing="ij")
    long, wide, tall = chance.uniform(0.88, 0.95), chance.uniform(0.78, 0.88), chance.uniform(0.88, 0.95)
    radius = np.sqrt((x / wide) ** 2 + (y / long) ** 2 + (z / tall) ** 2)
    folds = 0.03 * np.sin(14 * np.arctan2(y, x) + chance.uniform(0, 6)) * np.cos(9 * z + chance.uniform(0, 6))
    voxels = np.zeros(HEAD_SHAPE)
    for edge, level in ((1.0, 620.0), (0.92, 90.0), (0.86, 180.0)):  # scalp, skull, fluid
        voxels[radius < edge] = level
    voxels[radius < 0.82 + folds] = 420.0
    voxels[radius < 0.66 + 2 * folds] = 600.0
    swell = chance.uniform(1.7, 2.1) if label == "wide_ventricles" else chance.uniform(0.8, 1.1)
    for side in (-1, 1):
        bow = x - side * (0.12 + 0.10 * y**2)
        ventricle = (bow / (0.07 * swell)) ** 2 + (y / (0.38 * swell**0.5)) ** 2 + (z / 0.28) ** 2 < 1
        voxels[ventricle] = 180.0
    voxels += chance.normal(0, 14, HEAD_SHAPE) * (radius < 1)
    return np.clip(np.round(voxels), 0, 4095).astype(np.int16)


def bone(label: str, chance: Chance) -> Array:
    """One projection in [0, 1], rows along the bone: soft tissue, cortex, marrow and perhaps a fracture."""
    y, x = _grid(*BONE_SHAPE)
    lean, flare = chance.uniform(-0.15, 0.15), chance.uniform(0.10, 0.18)
    centre = lean * y
    if label == "broken":
        at, step, slope = chance.uniform(-0.4, 0.4), chance.uniform(0.10, 0.18), chance.uniform(-0.6, 0.6)
        line = y - at - slope * (x - centre)
        centre = centre + np.where(line > 0, step, 0.0)
    half = 0.24 + flare * np.abs(y) ** 3
    across = np.abs(x - centre) / half
    image = 0.30 * np.clip(1 - ((x - lean * y) / 0.85) ** 2, 0, None) ** 0.5
    inside = across < 1
    image[inside] += 0.28 + 0.30 * across[inside] ** 4  # the cortex is thickest along the ray at its edge
    if label == "broken":
        image[inside & (np.abs(line) < 0.035)] -= 0.30
    return np.clip(_coarse(image) + _speckle(*BONE_SHAPE, chance, 0.015), 0, 1)


def _chance(*words: object) -> Chance:
    """A generator of chance that depends on these words and on nothing else."""
    return np.random.default_rng([SEED, *"/".join(map(str, words)).encode()])


def _grid(rows: int, columns: int) -> Iterator[Array]:
    """Coordinates (y, x) of the fine pixels' centres, -1 to 1 along each side."""
    sides = ((np.arange(side * FINE) + 0.5) / (side * FINE) * 2 - 1 for side in (rows, columns))
    return iter(np.meshgrid(*sides, indexing="ij"))


def _ellipse(
    y: Array, x: Array, centre_y: float, centre_x: float, half_y: float, half_x: float, turn: float = 0.0
) -> NDArray[np.bool_]:
    cos, sin = np.cos(turn), np.sin(turn)
    down, right = y - centre_y, x - centre_x
    return np.asarray(
        ((cos * down + sin * right) / half_y) ** 2 + ((cos * right - sin * down) / half_x) ** 2 < 1
    )


def _coarse(image: Array) -> Array:
    rows, columns = (side // FINE for side in image.shape)
    return np.asarray(image.reshape(rows, FINE, columns, FINE).mean(axis=(1, 3)))


def _speckle(rows: int, columns: int, chance: Chance, strength: float) -> Array:
    """Noise with a little correlation between neighbours, as a reconstruction kernel leaves it."""
    noise = chance.normal(0, strength, (rows + 1, columns + 1))
    return np.asarray((noise[1:, 1:] + noise[:-1, 1:] + noise[1:, :-1] + noise[:-1, :-1]) / 2)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
