"""Draw the scans of this folder from a seed: phantoms that look like scans and show no real person.

    python sample_data/make.py [FOLDER]

The same seed gives the same bytes. Three data sets: `chest_ct/` (DICOM, a folder per class), `head_mr/`
(NIfTI, BIDS subjects with a participants.tsv) and `bone_xray/` (16-bit PNG with a labels.csv).
"""

from __future__ import annotations

import csv
import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian
from skimage import io

Array = NDArray[np.float64]
Chance = np.random.Generator

SEED = 20260301
FINE = 4
"""Phantoms are drawn this much finer than stored, then averaged: edges get partial volume, as in scanners."""

CHEST = {"normal": 100, "effusion": 40, "mass": 16}
"""Images per class; two per patient."""
CHEST_SIDE, CHEST_MM = 64, 5.5
HEAD = {"normal": 6, "wide_ventricles": 2}
HEAD_SHAPE, HEAD_MM = (40, 48, 24), 4.0
BONE = {"whole": 12, "broken": 4}
BONE_SHAPE = (64, 48)

AIR, LUNG, FAT, MUSCLE, BLOOD, FLUID, MASS, BONE_HU = -1000.0, -850.0, -100.0, 55.0, 40.0, 8.0, 60.0, 450.0
"""Hounsfield units, after textbooks."""


def main(out: Path) -> None:
    """Write the three data sets below `out`."""
    chest_ct(out / "chest_ct")
    head_mr(out / "head_mr")
    bone_xray(out / "bone_xray")


def chest_ct(out: Path) -> None:
    """Axial chest slices in HU: healthy, with fluid behind one lung, with one round mass."""
    patient = 0
    for label, count in CHEST.items():
        for index in range(count):
            patient += index % 2 == 0
            chance = _chance("chest", label, index)
            body = np.random.default_rng([SEED, patient])  # the two slices of a patient share their build
            name = f"{label}_{index + 1:03}"
            _write_ct(out / label / f"{name}.dcm", chest_slice(label, body, chance), f"CT{patient:03}", name)


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


def chest_slice(label: str, body: Chance, chance: Chance) -> Array:
    """One axial slice in HU, (CHEST_SIDE, CHEST_SIDE), of the person `body`; `chance` is for its noise."""
    y, x = _grid(CHEST_SIDE, CHEST_SIDE)
    width, depth = body.uniform(0.84, 0.95), body.uniform(0.62, 0.74)
    fat = body.uniform(0.04, 0.09)
    image = np.full(y.shape, AIR)
    trunk = _ellipse(y, x, 0.04, 0.0, depth, width)
    image[trunk] = FAT
    wall = _ellipse(y, x, 0.04, 0.0, depth - fat, width - fat)
    image[wall] = MUSCLE
    _ribs(image, y, x, depth - fat, width - fat, body.uniform(0, 0.3))
    lungs = _lungs(y, x, depth - fat, width - fat, chance)
    for lung in lungs:
        image[lung] = LUNG + chance.uniform(-40, 40)
    _vessels(image, lungs, y, x, chance)
    heart = _ellipse(
        y, x, chance.uniform(-0.14, -0.06), 0.12, body.uniform(0.22, 0.27), body.uniform(0.26, 0.32), -0.5
    )
    image[heart] = BLOOD
    image[_ellipse(y, x, 0.30, 0.09, 0.055, 0.055)] = BLOOD + 10  # descending aorta, left of the spine
    _spine(image, y, x, depth)
    if label == "effusion":
        _effusion(image, lungs[chance.integers(2)], y, chance)
    if label == "mass":
        _mass(image, lungs[chance.integers(2)], y, x, chance)
    return _coarse(image) + _speckle(CHEST_SIDE, CHEST_SIDE, chance, 18.0)


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


def _lungs(y: Array, x: Array, depth: float, width: float, chance: Chance) -> list[NDArray[np.bool_]]:
    breath = chance.uniform(0.90, 1.05)
    chest = _ellipse(y, x, 0.04, 0.0, depth - 0.07, width - 0.07)
    return [
        chest
        & _ellipse(y, x, 0.03, side * width * 0.52, depth * 0.86 * breath, width * 0.42 * breath, side * 0.12)
        for side in (-1, 1)
    ]


def _ribs(image: Array, y: Array, x: Array, depth: float, width: float, turn: float) -> None:
    ring = _ellipse(y, x, 0.04, 0.0, depth - 0.015, width - 0.015) & ~_ellipse(
        y, x, 0.04, 0.0, depth - 0.06, width - 0.06
    )
    angle = np.arctan2((y - 0.04) / depth, np.abs(x) / width)
    image[ring & (np.sin(9 * (angle + turn)) > 0.25)] = BONE_HU


def _spine(image: Array, y: Array, x: Array, depth: float) -> None:
    back = 0.04 + depth * 0.66
    image[_ellipse(y, x, back, 0.0, 0.12, 0.13)] = BONE_HU - 150
    image[_ellipse(y, x, back + 0.15, 0.0, 0.10, 0.05)] = BONE_HU
    image[_ellipse(y, x, back + 0.13, 0.0, 0.045, 0.045)] = FLUID + 20  # spinal canal


def _vessels(image: Array, lungs: list[NDArray[np.bool_]], y: Array, x: Array, chance: Chance) -> None:
    for lung in lungs:
        side = np.sign(x[lung].mean())
        for _ in range(9):
            far = chance.uniform(0.1, 1.0)
            row, column = chance.normal(0.02, 0.10 + 0.14 * far), side * (0.18 + 0.45 * far)
            size = 0.030 * (1.1 - far) + 0.010
            image[lung & _ellipse(y, x, row, column, size, size * chance.uniform(1, 2))] = BLOOD - 250 * far


def _effusion(image: Array, lung: NDArray[np.bool_], y: Array, chance: Chance) -> None:
    """Fluid gathers behind the lung of a person who lies on the back: a level with a slight meniscus."""
    rows = y[lung]
    level = rows.max() - (rows.max() - rows.min()) * chance.uniform(0.22, 0.42)
    image[lung & (y > level)] = FLUID + chance.uniform(-4, 8)


def _mass(image: Array, lung: NDArray[np.bool_], y: Array, x: Array, chance: Chance) -> None:
    """A round, sharp, solid mass of 32 to 44 mm diameter, well inside the lung."""
    rows, columns = np.nonzero(lung & _ellipse(y, x, 0.03, x[lung].mean(), 0.28, 0.14))
    pick = chance.integers(len(rows))
    radius = chance.uniform(16, 22) / (CHEST_MM * CHEST_SIDE / 2)
    centre_y, centre_x = y[rows[pick], columns[pick]], x[rows[pick], columns[pick]]
    image[lung & _ellipse(y, x, centre_y, centre_x, radius, radius * chance.uniform(0.85, 1.15))] = MASS


def _write_ct(path: Path, image: Array, patient: str, name: str) -> None:
    dataset = Dataset()
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = _uid("instance", name)
    dataset.StudyInstanceUID = _uid("study", patient)
    dataset.SeriesInstanceUID = _uid("series", name)
    dataset.FrameOfReferenceUID = _uid("frame", name)
    for keyword, value in _ct_words(patient).items():
        setattr(dataset, keyword, value)
    stored = np.clip(np.round(image), -1024, 3071).astype("<i2") + 1024
    dataset.Rows, dataset.Columns = stored.shape
    dataset.PixelData = stored.astype("<i2").tobytes()
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = _uid("medgan sample data")
    meta.ImplementationVersionName = "SAMPLE_DATA"  # not pydicom's own, which changes with its version
    dataset.file_meta = meta
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)


def _ct_words(patient: str) -> dict[str, object]:
    half = -CHEST_MM * (CHEST_SIDE - 1) / 2
    return {
        "ImageType": ["DERIVED", "SECONDARY", "AXIAL"],
        "StudyDate": "20260301",
        "StudyTime": "",
        "AccessionNumber": "",
        "Modality": "CT",
        "Manufacturer": "sample_data/make.py",
        "ReferringPhysicianName": "",
        "PatientName": f"Phantom^{patient}",
        "PatientID": patient,
        "PatientBirthDate": "",
        "PatientSex": "",
        "BodyPartExamined": "CHEST",
        "SliceThickness": "5",
        "KVP": "120",
        "PatientPosition": "HFS",
        "StudyID": "",
        "SeriesNumber": "1",
        "AcquisitionNumber": "1",
        "InstanceNumber": "1",
        "ImagePositionPatient": [half, half, 0.0],
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "PositionReferenceIndicator": "",
        "ImageComments": "Generated phantom, no patient",
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "PixelSpacing": [CHEST_MM, CHEST_MM],
        "BitsAllocated": 16,
        "BitsStored": 16,
        "HighBit": 15,
        "PixelRepresentation": 1,
        "BurnedInAnnotation": "NO",
        "WindowCenter": "-300",
        "WindowWidth": "1400",
        "RescaleIntercept": "-1024",
        "RescaleSlope": "1",
        "RescaleType": "HU",
    }


def _uid(*words: str) -> UID:
    """A UID under 2.25 (PS3.5 B.2: a 128-bit number) that depends on these words and the seed."""
    number = hashlib.sha256("/".join([str(SEED), *words]).encode()).digest()[:16]
    return UID(f"2.25.{int.from_bytes(number, 'big')}")


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
