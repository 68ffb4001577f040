"""Training images held back from the discriminator, to measure its overfitting."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SHARE = 0.1
"""Largest share of a class that is held back."""
_MOST = 100
"""Largest number of images of a class that are held back: more would add little, and are worth training
on."""
_LARGE = 50
"""Smallest class, in images, from which any are held back."""
_LEFT = 45
"""Images of such a class that are kept for training at least."""


def choose_monitoring_rows(labels: NDArray[np.int64], patients: NDArray[np.str_]) -> NDArray[np.int64]:
    """Choose rows to hold back from training, by whole patients.

    About a tenth of every large class is held back, and at most _MOST images. A patient who also has images
    in a class too small to spare them stays in training. Patients are tried in the order of their hashes,
    which depends on neither file names nor classes.

    Args:
        labels: (N,) class numbers.
        patients: (N,) patient hashes.

    Returns:
        Sorted row numbers; empty when no class can spare a patient.
    """
    counts = np.bincount(labels)
    tenth = np.minimum(np.rint(counts * _SHARE).astype(np.int64), _MOST)
    spare = np.where(counts >= _LARGE, np.minimum(tenth, counts - _LEFT), 0)
    held = np.zeros(len(labels), bool)
    names, patient_of = np.unique(patients, return_inverse=True)
    table = np.zeros((len(names), len(counts)), np.int64)  # rows of each patient in each class
    np.add.at(table, (patient_of, labels), 1)
    for patient, rows in enumerate(table):
        if (rows <= spare).all():
            spare -= rows
            held |= patient_of == patient
    return np.flatnonzero(held)
