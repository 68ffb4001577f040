"""Manifest -> Manifest with part of the train split held out as val: by patient, stratified, seeded."""

from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import replace

from medgan.dataset.manifest import Manifest
from medgan.errors import PlanError


def hold_out(manifest: Manifest, fraction: float, seed: int) -> Manifest:
    """Move about `fraction` of the train patients of every class to val; every class keeps a patient in train.

    A patient moves with all of his train scans. A class with one patient gives none away.
    """
    if not 0 <= fraction < 1:
        raise PlanError(
            f"The fraction {fraction} to hold out is not from 0 to below 1", hint="Give 0.2, say."
        )
    held = _chosen(_classes_of_patients(manifest), fraction, seed)
    records = tuple(
        replace(record, split="val") if record.split == "train" and record.patient in held else record
        for record in manifest.records
    )
    return replace(manifest, records=records)


def _classes_of_patients(manifest: Manifest) -> dict[str, frozenset[str]]:
    """{patient: labels of his train scans}, for patients the generator may learn from."""
    classes: dict[str, set[str]] = {record.patient: set() for record in manifest.training()}
    for record in manifest.usable("train"):
        if record.patient in classes:
            classes[record.patient].add(record.label)
    return {patient: frozenset(labels) for patient, labels in sorted(classes.items())}


def _chosen(classes: dict[str, frozenset[str]], fraction: float, seed: int) -> set[str]:
    left = Counter(label for labels in classes.values() for label in labels)
    wanted = {label: _share(n, fraction) for label, n in left.items()}
    patients = list(classes)
    random.Random(seed).shuffle(patients)
    held: set[str] = set()
    # The rarest class chooses first: its few patients decide most.
    for label in sorted(left, key=lambda name: (left[name], name)):
        for patient in patients:
            if wanted[label] <= 0:
                break
            if (
                label in classes[patient]
                and patient not in held
                and all(left[name] > 1 for name in classes[patient])
            ):
                held.add(patient)
                left.subtract(classes[patient])
                for name in classes[patient]:
                    wanted[name] -= 1
    return held


def _share(patients: int, fraction: float) -> int:
    """Patients to hold out: the rounded share, at least one where the class has two and anything is held out."""
    return max(math.floor(patients * fraction + 0.5), 1) if fraction and patients > 1 else 0
