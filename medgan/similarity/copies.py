"""Near-copy limits, calibrated on real images of patients absent from training.

How near the images of a new patient come to the training images is measured, not assumed: images of small
sets and slices of one organ are similar by nature. The limit is the first percentile over new patients, so by
design one of a hundred of their images would be called a copy as well. Where no patients are held out, each
training patient in turn plays the new one and is compared with all the others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medgan.base.progress import OnProgress, Progress, ignore
from medgan.preparation.images import LabelledImages
from medgan.similarity.nearest import Nearest, References, Values, find_nearest

FALSE_ALARM_RATE = 0.01
"""Share of new patients' images that fall below a limit, by design."""
_ENOUGH = 20
"""Number of patients from which on a class has limits of its own; smaller classes use those of all classes
together."""
LEAST_PATIENTS = 5
"""Number of patients below which no limit can be measured."""
_MEASURED = 2000
"""Largest number of training images that play new ones: more would hardly change a first percentile."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NewPatients:
    """N real images of patients absent from training, with their nearest images."""

    labels: NDArray[np.int64]
    patients: NDArray[np.str_]
    found: Nearest
    held_out: bool
    """False where they are the training patients themselves, each compared with the others."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CopyLimits:
    """Limits per class (K,) that 99 of 100 images of new patients stay above."""

    distance: Values
    """Limit of the distance to the nearest training image."""
    lead: Values
    """Limit of that distance as a share of the distance to the nearest other patient."""

    @classmethod
    def of(cls, new: NewPatients, classes: int, weights: Values | None = None) -> CopyLimits:
        """Measure the limits on images of new patients.

        Args:
            new: the images and their nearest training images.
            classes: the number of classes.
            weights: (N,), how much each image counts; by default, every patient counts the same.
        """
        per_image = equal_patient_weights(new.patients) if weights is None else weights
        rows = rows_for_limits(new.labels, new.patients, classes)
        return cls(
            distance=first_percentiles(new.found.distance, per_image, rows),
            lead=first_percentiles(new.found.lead, per_image, rows),
        )

    def near_copies(self, found: Nearest, labels: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of M images are near copies of a training image, (M,).

        A near copy is nearer to a patient than new patients are, and clearly nearer to that patient than to
        the next one. The second condition spares images that resemble everybody: an average of many training
        images correlates better with each of them than two real images do with each other, and shows none of
        them (the relative distance of arXiv 2301.13188).
        """
        return (found.distance < self.distance[labels]) & (found.lead < self.lead[labels])


def compare_new_patients(
    references: References,
    labels: NDArray[np.int64],
    held_out: LabelledImages | None = None,
    *,
    on_progress: OnProgress = ignore,
) -> NewPatients | None:
    """Find the nearest training image for every image of new patients.

    Args:
        references: the training images.
        labels: (N,) class numbers of the training images.
        held_out: images of held-out patients. Where they are of fewer than LEAST_PATIENTS patients, at most
            _MEASURED training images, evenly spaced, are compared with those of the other patients instead.
        on_progress: told how many images are done.

    Returns:
        None where there are fewer than LEAST_PATIENTS training patients.
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
        on_done=lambda done: on_progress(Progress("comparing", done, total, "new patients")),
    )
    return NewPatients(labels=chosen, patients=patients, found=found, held_out=apart)


def _spread_rows(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """At most _MEASURED rows, equally many per class and evenly spaced within each."""
    classes = np.unique(labels)
    chosen = []
    for number in classes:
        rows = np.flatnonzero(labels == number)
        few = min(len(rows), _MEASURED // len(classes))
        chosen.append(rows[np.linspace(0, len(rows) - 1, few).round().astype(np.int64)])
    return np.sort(np.concatenate(chosen))


def first_percentiles(values: Values, weights: Values, groups: list[NDArray[np.int64]]) -> Values:
    """First percentile of `values` (N,) in each group of rows, under `weights` (N,).

    It is always an observed value: in a small group the smallest one.
    """
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
    """For each class, the rows from which its limits are measured.

    These are its own rows, or all rows where it has fewer than _ENOUGH patients.
    """
    groups = []
    for number in range(classes):
        own = np.flatnonzero(labels == number)
        groups.append(own if len(np.unique(patients[own])) >= _ENOUGH else np.arange(len(labels)))
    return groups


def equal_patient_weights(patients: NDArray[np.str_]) -> Values:
    """Weights (N,) under which every patient counts the same."""
    _, number, count = np.unique(patients, return_inverse=True, return_counts=True)
    weights: Values = 1 / count[number]
    return weights
