"""Manifest -> Manifest with part of the train split held out as val: by patient, stratified, seeded; and which part where nobody says."""

from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import replace

from medgan.base.errors import PlanError
from medgan.dataset.manifest import SPLITS, Holdout, Manifest

_DEFAULT_HOLDOUT = Holdout(share=0.2, least=5)
"""Where a data set has neither val nor test. A fifth of fewer than five patients is nobody."""


def _choose_holdout(manifest: Manifest, wish: float | None) -> Holdout:
    """What to hold out for a training: what is wished for, else a fifth where the data set has neither val nor test."""
    if wish is not None:
        return Holdout(share=wish)
    given = any(True for split in SPLITS[1:] for _ in manifest.usable(split))
    return Holdout() if given else _DEFAULT_HOLDOUT


def holdout_of_training(known: Holdout | None, wish: float | None) -> Holdout:
    """What a model's training held out; PlanError where something else is wished for. Models of older versions do not know (None)."""
    if known is None:
        return Holdout(share=wish or 0.0)
    if wish is not None and wish != known.share:
        raise PlanError(
            f"the model was trained with --holdout {known.share:g}, so --holdout {wish:g} would be of other patients",
            hint="Leave --holdout away: the model knows what it held out.",
        )
    return known


def default_holdout_text(manifest: Manifest) -> str:
    """What was held out though nobody asked for it, in a sentence; empty where somebody did, or the data set has a split of its own."""
    if manifest.holdout != _DEFAULT_HOLDOUT:
        return ""
    held = {record.patient for record in manifest.usable("val")}
    total = len(held | {record.patient for record in manifest.usable("train")})
    least = _DEFAULT_HOLDOUT.least
    if not held:
        return (
            f"The data set has no val and no test, and no class has the {least} patients of whom one could be held out, so it cannot be "
            "measured whether synthetic images help. Add scans of other patients, or hold some out with --holdout."
        )
    without = [label for label, count in manifest.patients()["val"].items() if not count]
    none = f" Of {', '.join(without)} none could be spared." if without else ""
    verb = "is" if len(held) == 1 else "are"
    return (
        f"The data set has no val and no test, so {len(held)} of {total} patients {verb} held out as val, about a fifth of each class "
        f"with {least} or more: nothing learns from their scans, and synthetic images are judged by them.{none} --holdout 0 learns from all."
    )


def hold_out_for_training(manifest: Manifest, wish: float | None, seed: int) -> Manifest:
    """The data set less whom a training with this wish and seed holds out."""
    return hold_out(manifest, _choose_holdout(manifest, wish), seed)


def hold_out(manifest: Manifest, how: Holdout, seed: int) -> Manifest:
    """Move about a share of the train patients of every class to val; every class keeps a patient in train.

    A patient moves with all of his train scans. A class with too few patients gives none away.
    """
    if not 0 <= how.share < 1:
        raise PlanError(
            f"The fraction {how.share} to hold out is not from 0 to below 1", hint="Give 0.2, say."
        )
    if not how.share:
        return manifest
    held = _choose_patients(_classes_of_patients(manifest), how.share, seed, how.least)
    records = tuple(
        replace(record, split="val") if record.split == "train" and record.patient in held else record
        for record in manifest.records
    )
    return replace(manifest, records=records, holdout=how)


def _classes_of_patients(manifest: Manifest) -> dict[str, frozenset[str]]:
    """{patient: labels of his train scans}, for patients the generator may learn from."""
    classes: dict[str, set[str]] = {record.patient: set() for record in manifest.training()}
    for record in manifest.usable("train"):
        if record.patient in classes:
            classes[record.patient].add(record.label)
    return {patient: frozenset(labels) for patient, labels in sorted(classes.items())}


def _choose_patients(classes: dict[str, frozenset[str]], fraction: float, seed: int, least: int) -> set[str]:
    left = Counter(label for labels in classes.values() for label in labels)
    large = {label for label, n in left.items() if n >= max(least, 2)}
    wanted = {label: _patients_to_hold_out(n, fraction) if label in large else 0 for label, n in left.items()}
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
                and all(name in large and left[name] > 1 for name in classes[patient])
            ):
                held.add(patient)
                left.subtract(classes[patient])
                for name in classes[patient]:
                    wanted[name] -= 1
    return held


def _patients_to_hold_out(patients: int, fraction: float) -> int:
    """Patients to hold out: the rounded share, at least one."""
    return max(math.floor(patients * fraction + 0.5), 1)
