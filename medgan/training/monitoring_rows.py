"""Classes and patients of a stack -> the rows that no discriminator sees, by whole patients: what overfitting is told by."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SHARE, _MOST = 0.1, 100
"""Share of a class that is held back, and images, at most: more would tell hardly more, and are worth learning from."""
_LARGE, _LEFT = 50, 45
"""A class with fewer than LARGE images gives none; at least LEFT of the others stay."""


def choose_monitoring_rows(labels: NDArray[np.int64], patients: NDArray[np.str_]) -> NDArray[np.int64]:
    """Rows to hold back, sorted: about a tenth of every large class, at most MOST; empty when no class can spare a patient.

    `labels` (N,) are class numbers, `patients` (N,) hashes. All rows of a patient are held back or none; whoever is also in a
    class that is too small to spare him stays. Patients are tried in the order of their hashes, which follows neither files nor classes.
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
