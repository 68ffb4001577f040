"""Hold out patients of the train split as val, stratified by class and seeded."""

from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import replace

from medgan.base.errors import PlanError
from medgan.dataset.manifest import SPLITS, Holdout, Manifest

_DEFAULT_HOLDOUT = Holdout(share=0.2, least=5)
"""Rule for a data set that has neither val nor test. A fifth of fewer than five patients would be nobody."""


def _choose_holdout(manifest: Manifest, fraction: float | None) -> Holdout:
    """The rule for holding out patients before training.

    It is what the user asks for, else a fifth of the patients where the data set has neither val nor test.
    """
    if fraction is not None:
        return Holdout(share=fraction)
    given = any(True for split in SPLITS[1:] for _ in manifest.usable(split))
    return Holdout() if given else _DEFAULT_HOLDOUT


def holdout_of_training(known: Holdout | None, fraction: float | None) -> Holdout:
    """The rule by which a model's training held out patients.

    Args:
        known: The rule stored in the model; None in models of older versions.
        fraction: Share that the user asks for now, if any.

    Raises:
        PlanError: the user asks for another share than the model's.
    """
    if known is None:
        return Holdout(share=fraction or 0.0)
    if fraction is not None and fraction != known.share:
        raise PlanError(
            f"the model was trained with --holdout {known.share:g}, so --holdout {fraction:g} would be of "
            "other patients",
            hint="Remove --holdout: the model knows what it held out.",
        )
    return known


def default_holdout_text(manifest: Manifest) -> str:
    """Say who was held out by default, or "" where the user or the data set decided."""
    if manifest.holdout != _DEFAULT_HOLDOUT:
        return ""
    held = {record.patient for record in manifest.usable("val")}
    total = len(held | {record.patient for record in manifest.usable("train")})
    least = _DEFAULT_HOLDOUT.least
    if not held:
        return (
            f"The data set has no val and no test, and no class has the {least} patients of whom one could "
            "be held out, so it cannot be measured whether synthetic images help. Add scans of other "
            "patients, or hold some out with --holdout."
        )
    without = [label for label, count in manifest.patients()["val"].items() if not count]
    none = f" Of {', '.join(without)} none could be spared." if without else ""
    verb = "is" if len(held) == 1 else "are"
    return (
        f"The data set has no val and no test, so {len(held)} of {total} patients {verb} held out as val, "
        f"about a fifth of each class with {least} or more: nothing learns from their scans, and synthetic "
        f"images are judged by them.{none} --holdout 0 learns from all."
    )


def hold_out_for_training(manifest: Manifest, fraction: float | None, seed: int) -> Manifest:
    """Hold out the patients that training with this fraction and seed would hold out."""
    return hold_out(manifest, _choose_holdout(manifest, fraction), seed)


def hold_out(manifest: Manifest, how: Holdout, seed: int) -> Manifest:
    """Move about a share of the train patients of every class to val.

    Patients move with all of their train scans. Every class keeps a patient in train, and a class with too
    few patients gives none away.
    """
    if not 0 <= how.share < 1:
        raise PlanError(
            f"--holdout must be at least 0 and below 1, not {how.share}", hint="Try --holdout 0.2."
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
    """{patient: labels of their train scans}, for patients to learn from."""
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
    # The rarest class chooses first, because each of its few patients matters most.
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
    """Number of patients to hold out: the rounded share, but at least one."""
    return max(math.floor(patients * fraction + 0.5), 1)
