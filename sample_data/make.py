"""Draw the scans of this folder from a seed: phantoms that look like scans and show no real person.

    python sample_data/make.py [FOLDER]

The same seed gives the same bytes. Three data sets: `chest_ct/` (DICOM, a folder per class), `head_mr/`
(NIfTI, BIDS subjects with a participants.tsv) and `bone_xray/` (16-bit PNG with a labels.csv).
"""

from __future__ import annotations

import csv
import gzip
import sys
from pathlib import Path

import body
import bone
import chest
import head
import nibabel as nib
import numpy as np
import scanner
from ct_file import Place, write_ct
from shapes import Chance
from skimage import io

SEED = 20260301
CHEST = {"normal": 100, "effusion": 40, "mass": 16}
"""Images per class; two per patient."""
CHEST_LEVELS = (("arch", "hilum"), ("hilum", "heart"), ("arch", "heart"))
"""Where patients are cut, in turns."""
CHEST_Z = {"arch": 75.0, "hilum": 20.0, "heart": -35.0}
"""Usual height of the levels, in mm towards the head."""
CHEST_PLAIN = 39
"""One in so many files isn't compressed, so that both forms are at hand."""
HEAD = {"normal": 6, "wide_ventricles": 2}
BONE = {"whole": 12, "broken": 4}
BONE_WHITE = 1023
"""The brightest stored value: ten bits, as many detectors give."""


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
    """T1-weighted head volumes: usual and wide ventricles."""
    subjects = [label for label, count in HEAD.items() for _ in range(count)]
    out.mkdir(parents=True, exist_ok=True)
    rows = [("participant_id", "group")]
    for number, label in enumerate(subjects, start=1):
        subject = f"sub-{number:02}"
        affine = np.diag([*head.MM, 1.0])
        affine[:3, 3] = [-mm * (side - 1) / 2 for mm, side in zip(head.MM, head.SHAPE, strict=True)]  # RAS
        image = nib.nifti1.Nifti1Image(head.draw(label, _chance("head", label, number)), affine)  # type: ignore[no-untyped-call]
        image.header.set_xyzt_units("mm")  # type: ignore[no-untyped-call]
        place = out / subject / "anat" / f"{subject}_T1w.nii.gz"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(gzip.compress(image.to_bytes(), mtime=0))
        rows.append((subject, label))
    (out / "participants.tsv").write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")


def bone_xray(out: Path) -> None:
    """Radiographs of long bones, whole or broken, 16 bit; labels and patients in a CSV."""
    (out / "images").mkdir(parents=True, exist_ok=True)
    with (out / "labels.csv").open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(["path", "label", "patient"])
        labels = [label for label, count in BONE.items() for _ in range(count)]
        for number, label in enumerate(labels, start=1):
            path = f"images/{number:03}.png"
            stored = np.round(bone.draw(label, number, _chance("bone", label, number)) * BONE_WHITE)
            io.imsave(out / path, stored.astype(np.uint16), check_contrast=False)
            table.writerow([path, label, f"B{(number + 1) // 2:02}"])


def _chance(*words: object) -> Chance:
    """A generator of chance that depends on these words and on nothing else."""
    return np.random.default_rng([SEED, *"/".join(map(str, words)).encode()])


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
