"""Measure memorisation by distances to training images.

The measures are neighbour ratio, C_T and membership.

All are compared with real images of patients whom the generator never saw, and every patient counts once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA

from medgan.similarity.nearest import Values

_COMPONENTS = 64
"""Principal components in which feature distances are taken."""
_CELLS = 3
"""k-means cells of the training images."""
_IN_CELL = 10
"""Patients of each kind that a cell needs."""
_CHUNK = 512
"""Images whose distances are computed at a time."""

_Points = NDArray[np.float64]
"""(N, D)."""


def principal(train: NDArray[np.float32], *others: NDArray[np.float32]) -> list[_Points]:
    """Project features onto the leading principal components of the training images."""
    fitted = PCA(min(_COMPONENTS, *train.shape), svd_solver="full").fit(train.astype(np.float64))
    return [fitted.transform(one.astype(np.float64)) for one in (train, *others)]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Closest:
    """The nearest training point of each of M points."""

    rows: NDArray[np.int64]
    distance: Values
    ratio: Values
    """(M,): `distance` divided by that from the training point to the nearest one of another patient."""


def own_distances(train: _Points, patients: NDArray[np.str_]) -> Values:
    """(N,): distance from each training point (N, D) to the nearest one of another patient."""
    return _closest(train, train, np.unique(patients, return_inverse=True)[1])[1]


def closest(points: _Points, train: _Points, own: Values) -> Closest:
    """The nearest training point (N, D) of each point (M, D); `own` are the `own_distances`."""
    rows, distance = _closest(points, train)
    ratio = np.divide(distance, own[rows], out=np.full_like(distance, np.inf), where=own[rows] > 0)
    return Closest(rows=rows, distance=distance, ratio=ratio)


def _closest(
    points: _Points, others: _Points, person: NDArray[np.int64] | None = None
) -> tuple[NDArray[np.int64], Values]:
    theirs, rows, distances = torch.from_numpy(others), [], []
    for start in range(0, len(points), _CHUNK):
        apart = torch.cdist(torch.from_numpy(points[start : start + _CHUNK]), theirs)
        if person is not None:
            apart[torch.from_numpy(person[start : start + _CHUNK, None] == person[None])] = torch.inf
        least = apart.min(dim=1)
        rows.append(least.indices.numpy())
        distances.append(least.values.numpy())
    return np.concatenate(rows), np.concatenate(distances)


def above(first: Values, second: Values, weights: tuple[Values, Values]) -> float:
    """Weighted area under the ROC curve: how often a value of `first` exceeds one of `second`; ties half."""
    levels, level = np.unique(np.concatenate([first, second]), return_inverse=True)
    ours = np.bincount(level[: len(first)], weights[0], len(levels))
    theirs = np.bincount(level[len(first) :], weights[1], len(levels))
    total = ours.sum() * theirs.sum()
    return float((ours * (np.cumsum(theirs) - theirs / 2)).sum() / total) if total else 0.5


def cells_of(train: _Points, seed: int, *others: _Points) -> list[NDArray[np.int64]]:
    """The k-means cell of the training points in which each point of `others` lies."""
    cells = KMeans(min(_CELLS, len(train)), n_init=3, random_state=seed).fit(train)
    return [cells.predict(one) for one in others]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Side:
    """One set of images: distances to the training images, cells and patients."""

    distance: Values
    cell: NDArray[np.int64]
    patients: NDArray[np.str_]


def copying(synthetic: Side, held_out: Side, weights: tuple[Values, Values]) -> float:
    """C_T (arXiv 2004.05675, eq. 4): below 0, synthetic images are nearer to training than held-out ones.

    This is the Mann-Whitney z of both sets' distances, averaged over cells weighted by their held-out
    patients. NaN if no cell has IN_CELL patients of both sets.
    """
    statistics, shares = [], []
    for cell in np.unique(held_out.cell):
        ours, theirs = synthetic.cell == cell, held_out.cell == cell
        n, m = len(np.unique(synthetic.patients[ours])), len(np.unique(held_out.patients[theirs]))
        if min(n, m) < _IN_CELL:
            continue
        drawn = weights[0][ours], weights[1][theirs]
        area = above(synthetic.distance[ours], held_out.distance[theirs], drawn)
        # Mann-Whitney: U = area n m has mean n m / 2 and variance n m (n + m + 1) / 12.
        statistics.append((area - 0.5) * np.sqrt(12 * n * m / (n + m + 1)))
        shares.append(drawn[1].sum())
    return float(np.average(statistics, weights=shares)) if sum(shares) else float("nan")
