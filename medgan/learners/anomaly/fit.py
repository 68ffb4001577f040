"""Learn normal scans: who learns and who calibrates, then memory, Gaussian and calibration."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from medgan.base.errors import DatasetError
from medgan.base.progress import OnProgress, Progress, ignore
from medgan.dataset.manifest import Record
from medgan.learners.anomaly.calibration import (
    LEAST_PATIENTS,
    PARTS,
    PlaceScale,
    calibration_size,
    highest_by_patient,
)
from medgan.learners.anomaly.gaussian import Gaussian, shrink_images
from medgan.learners.anomaly.images import cut
from medgan.learners.anomaly.memory import NEAR, CellFeatures, Memory
from medgan.learners.anomaly.model import AnomalyFacts, AnomalyModel
from medgan.scans.scan import Pixels

_MOST_WHOLE = 4000
"""Whole normal images that are kept at most."""
_TRIAL = 8
"""Scans that are timed for an estimate."""
_CHOOSING = 4.0
"""Seconds that choosing the vectors of the memory takes, about."""


def divide_patients(records: Sequence[Record], seed: int) -> tuple[tuple[Record, ...], tuple[Record, ...]]:
    """Divide normal records into those to learn from and those that calibrate, patient by patient.

    Raises:
        DatasetError: there are too few patients to do both.
    """
    patients = sorted({record.patient for record in records})
    size = calibration_size(len(patients))
    if size < LEAST_PATIENTS:
        raise DatasetError(
            f"There are {len(patients)} normal patients to learn from, and {2 * LEAST_PATIENTS} are needed: "
            f"{LEAST_PATIENTS} to learn from, and {LEAST_PATIENTS} others to set the threshold of an alarm",
            hint="Add normal scans of other patients.",
        )
    random.Random(seed).shuffle(patients)
    held = set(patients[:size])
    return (
        tuple(record for record in records if record.patient not in held),
        tuple(record for record in records if record.patient in held),
    )


def fit_anomaly(
    root: Path,
    records: Sequence[Record],
    facts: AnomalyFacts,
    folder: Path,
    on_progress: OnProgress,
) -> AnomalyModel:
    """Learn from normal scans and write the model.

    Args:
        root: Root of the data set.
        records: Normal scans of the train split, sorted by content.
        facts: What is known before; what is measured is filled in.
        folder: The model folder.
        on_progress: Called with every step of progress.
    """
    learn, calibrate = divide_patients(records, facts.seed)
    features, images = CellFeatures(), sum(len(record.slices) for record in learn)
    small: list[np.ndarray] = []
    whole: list[Tensor] = []

    def look() -> Iterator[Tensor]:
        """Features of the scans to learn from; what else is measured is put aside on the way."""
        for _, squares in _squares(root, learn, facts.window, on_progress, "learning"):
            cells = features(squares)
            small.append(shrink_images(squares))
            whole.append(cells.mean(dim=(1, 2)))
            yield cells

    memory = Memory.fit(look(), images, facts.seed)
    draw = torch.Generator().manual_seed(facts.seed)
    rows = (torch.cat(whole) - memory.mean) / memory.scale
    model = AnomalyModel(
        folder=folder,
        facts=replace(
            facts,
            images=images,
            patients=len({record.patient for record in records}),
            calibration_patients=len({record.patient for record in calibrate}),
        ),
        memory=memory,
        gaussian=Gaussian.fit(np.concatenate(small)),
        scale=PlaceScale(np.zeros((len(PlaceScale.LEVELS), 1, 1), np.float32)),
        whole=rows[torch.randperm(len(rows), generator=draw)[:_MOST_WHOLE]],
        calibration={},
    )
    return _calibrate(model, root, calibrate, features, on_progress).save()


def _calibrate(
    model: AnomalyModel,
    root: Path,
    records: Sequence[Record],
    features: CellFeatures,
    on_progress: OnProgress,
) -> AnomalyModel:
    """Score patients that were not learned from."""
    patients: list[str] = []
    scores: dict[str, list[np.ndarray]] = {part: [] for part in PARTS}
    distances = []
    for record, squares in _squares(root, records, model.facts.window, on_progress, "calibrating"):
        found = model.score(squares, features)
        patients += [record.patient] * len(squares)
        distances.append(found.distances)
        for part in PARTS:
            scores[part].append(found.parts[part])
    by_patient = {part: highest_by_patient(patients, np.concatenate(scores[part])) for part in PARTS}
    order = sorted(by_patient[PARTS[0]])
    return replace(
        model,
        scale=PlaceScale.fit(np.concatenate(distances), NEAR),
        calibration={part: np.array([own[who] for who in order]) for part, own in by_patient.items()},
    )


def _squares(
    root: Path,
    records: Sequence[Record],
    window: tuple[float, ...] | None,
    on_progress: OnProgress,
    stage: str,
) -> Iterator[tuple[Record, Pixels]]:
    """Each scan with its square images, and progress."""
    for number, record in enumerate(records, start=1):
        yield record, cut(root, record, window).squares
        on_progress(Progress(stage, number, len(records), "scans"))


def estimate_seconds(root: Path, records: Sequence[Record], facts: AnomalyFacts) -> float:
    """Seconds that learning would take, by the time of a few scans."""
    features, trial = CellFeatures(), records[:_TRIAL]
    began = time.monotonic()
    for _, squares in _squares(root, trial, facts.window, ignore, "timing"):
        features(squares)
    images = sum(len(record.slices) for record in trial)
    each = (time.monotonic() - began) / max(images, 1)
    return each * sum(len(record.slices) for record in records) + _CHOOSING
