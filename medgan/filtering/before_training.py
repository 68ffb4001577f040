"""Which classes a frozen network can tell apart, before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from medgan.base.job import ALONE, Job
from medgan.base.progress import Progress
from medgan.dataset.manifest import Manifest, Record, sort_by_content
from medgan.filtering.class_check import ClassChecker
from medgan.filtering.separability import pair_report
from medgan.plan import Frame
from medgan.preparation.stack import prepare
from medgan.similarity.features import lite0_features

_SHOWN = 6
"""Number of pairs of classes in the sentence, the hardest ones."""
_CHUNK = 64


def measure_separability(
    manifest: Manifest,
    frame: Frame,
    patients: Mapping[str, Sequence[str]],
    job: Job = ALONE,
) -> dict[str, Any]:
    """Measure how well classes can be told apart, as the documented JSON.

    Images are prepared at the size at which they would be written, and not stored.

    Args:
        manifest: the data set.
        frame: how images are prepared.
        patients: {class: patients of whom one image each is used}.
        job: told how many images are done.
    """
    few = sort_by_content(_first_scans(manifest, patients))
    with TemporaryDirectory(prefix="medgan-") as place:
        stack = prepare(manifest, frame, Path(place), job, records=few)
        pixels = stack.images(np.arange(len(stack.labels)))
    see, seen = lite0_features(), []
    for start in range(0, len(pixels), _CHUNK):
        seen.append(see(pixels[start : start + _CHUNK]))
        job.tell(Progress("telling classes apart", min(start + _CHUNK, len(pixels)), len(pixels)))
    points = np.concatenate(seen).astype(np.float64)
    judge = ClassChecker.of(points, stack.labels, stack.patients, len(stack.names))
    pairs = [] if judge is None else [pair_report(pair, stack.names) for pair in judge.pairs]
    return {"labels": list(patients), "pairs": pairs, "sentence": _separability_sentence(pairs)}


def _first_scans(manifest: Manifest, patients: Mapping[str, Sequence[str]]) -> list[Record]:
    """First train scan of each patient in each class, of a volume its middle slice."""
    wanted = {(label, patient) for label, own in patients.items() for patient in own}
    found = []
    for record in manifest.training():
        if (record.label, record.patient) in wanted:
            wanted.remove((record.label, record.patient))
            found.append(replace(record, slices=(record.slices[len(record.slices) // 2],)))
    return found


def _separability_sentence(pairs: Sequence[Mapping[str, Any]]) -> str:
    """The hardest pairs with their AUC, in one line."""
    ordered = sorted(pairs, key=lambda pair: pair["auc"])
    words = [
        f"{' / '.join(pair['classes'])} {pair['auc']:.2f}{' (hardly)' * pair['hardly']}"
        for pair in ordered[:_SHOWN]
    ]
    more = len(ordered) - len(words)
    rest = f"; {more} more pairs {ordered[_SHOWN]['auc']:.2f} and above" if more else ""
    return f"told apart by a frozen network (AUC): {', '.join(words)}{rest}"
