"""Real images of patients who count as strangers -> limits below which a synthetic image is called a near copy of a training image.

How near a stranger comes to the training images is measured, not assumed: small sets and slices of one organ are near each other by
nature. The limit is the first percentile over strangers, so that one in a hundred would be called a copy too, by design. Where nobody is
held out, each training patient in turn is the stranger: he is compared with all others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medgan.base.progress import OnProgress, Progress, ignore
from medgan.prepare.images import LabelledImages
from medgan.similarity.nearest import Nearest, References, Values, find_nearest

FALSE_ALARM_RATE = 0.01
"""Share of strangers that fall below a limit, by design."""
_ENOUGH = 20
"""Patients from which on a class has limits of its own; smaller classes share those of all."""
LEAST_PATIENTS = 5
"""Patients without whom there is no limit."""
_MEASURED = 2000
"""Training images that stand in for strangers, at most: more would move a first percentile little."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NewPatients:
    """N real images whose patients the training images do not show, and what of those is nearest to them."""

    labels: NDArray[np.int64]
    patients: NDArray[np.str_]
    found: Nearest
    held_out: bool
    """False where they are the training patients themselves, each compared with the others."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CopyLimits:
    """What 99 of 100 strangers stay above, per class (K,)."""

    distance: Values
    """Of the distance to the nearest training image."""
    lead: Values
    """Of that distance as a share of the distance to the next patient."""

    @classmethod
    def of(cls, strangers: NewPatients, classes: int, weights: Values | None = None) -> CopyLimits:
        """Measured on `strangers`; `weights` (N,) say how often each counts, by default so that each patient counts once."""
        drawn = patient_weights(strangers.patients) if weights is None else weights
        rows = rows_for_limits(strangers.labels, strangers.patients, classes)
        return cls(
            distance=first_percentiles(strangers.found.distance, drawn, rows),
            lead=first_percentiles(strangers.found.lead, drawn, rows),
        )

    def near_copies(self, found: Nearest, labels: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of M images come nearer to a patient than strangers do, and clearly nearer to him than to the next.

        The second condition spares what resembles everybody: an average of many training images correlates with each of them
        better than two real images do with each other, and shows none of them (the relative distance of arXiv 2301.13188).
        """
        return (found.distance < self.distance[labels]) & (found.lead < self.lead[labels])


def compare_new_patients(
    references: References,
    labels: NDArray[np.int64],
    held_out: LabelledImages | None = None,
    *,
    on_progress: OnProgress = ignore,
) -> NewPatients | None:
    """The images `held_out`, or else those of the training set `references` with its `labels` (N,); None where patients are too few.

    Of the training set at most MEASURED images, evenly spread, are compared with the others.
    """
    if references.people < LEAST_PATIENTS:
        return None
    apart = held_out is not None and len(np.unique(held_out.patients)) >= LEAST_PATIENTS
    if apart and held_out is not None:
        pixels, chosen, patients = held_out.pixels.__getitem__, held_out.labels, held_out.patients
    else:
        rows = _spread_rows(labels)
        chosen, patients = labels[rows], references.patients[rows]
        pixels = lambda some: references.pick(rows[some])  # noqa: E731
    total = len(chosen)
    found = find_nearest(
        pixels,
        total,
        references,
        own=None if apart else patients,
        on_done=lambda done: on_progress(Progress("comparing", done, total, "strangers")),
    )
    return NewPatients(labels=chosen, patients=patients, found=found, held_out=apart)


def _spread_rows(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """At most MEASURED rows, as many of one class as of another, each class evenly spread."""
    classes = np.unique(labels)
    chosen = []
    for number in classes:
        rows = np.flatnonzero(labels == number)
        few = min(len(rows), _MEASURED // len(classes))
        chosen.append(rows[np.linspace(0, len(rows) - 1, few).round().astype(np.int64)])
    return np.sort(np.concatenate(chosen))


def first_percentiles(values: Values, weights: Values, groups: list[NDArray[np.int64]]) -> Values:
    """The first percentile of `values` (N,) in each group of rows: an observed value, the least one where there are few."""
    return np.array(
        [
            np.quantile(values[rows], FALSE_ALARM_RATE, weights=weights[rows], method="inverted_cdf")
            if weights[rows].any()
            else -np.inf
            for rows in groups
        ]
    )


def rows_for_limits(
    labels: NDArray[np.int64], patients: NDArray[np.str_], classes: int
) -> list[NDArray[np.int64]]:
    """Per class, the rows from which its limits come: its own, or all where its patients are few."""
    groups = []
    for number in range(classes):
        own = np.flatnonzero(labels == number)
        groups.append(own if len(np.unique(patients[own])) >= _ENOUGH else np.arange(len(labels)))
    return groups


def patient_weights(patients: NDArray[np.str_]) -> Values:
    """Weights (N,) under which every patient counts once, however many slices of him there are."""
    _, number, count = np.unique(patients, return_inverse=True, return_counts=True)
    weights: Values = 1 / count[number]
    return weights
