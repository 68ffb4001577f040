"""Scores of closeness and coverage from feature vectors of real and synthetic images.

Each score comes as values (R,) under bootstrap weights, from which intervals are computed. Row r of `w`
(R, N) and `v` (R, M) says how often each real and synthetic image counts (`bootstrap.resample_patients`).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from sklearn.metrics.pairwise import polynomial_kernel
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from medgan.base.threads import use_threads
from medgan.evaluation.bootstrap import Weights

_Features = NDArray[np.float32]
_Values = NDArray[np.float64]
"""(R,): the score under each row of weights."""

Persons = tuple[NDArray[np.str_], NDArray[np.str_]]
"""Patients of the real (N,) and synthetic (M,) images; images of one patient are never compared."""

K = 5
"""Nearest neighbours that make a neighbourhood (arXiv 2002.09797 recommends 5)."""
_DIRECTIONS = 64
"""Random directions along which sliced distances are taken."""
_LEVELS = (np.arange(100) + 0.5) / 100
"""Quantiles at which two distributions along a direction are compared."""


def kid_under(
    real: _Features, synthetic: _Features, w: Weights, v: Weights, who: Persons | None = None
) -> _Values:
    """Kernel Inception Distance of features (N, D) and (M, D) under weights; it may fall below 0.

    The unbiased MMD^2 with the kernel (x.y / D + 1)^3 (arXiv 1801.01401, eq. 4). Images of one patient are
    never paired, so each set needs two patients.
    """
    ours, theirs = who or (None, None)
    x, y = real.astype(np.float64), synthetic.astype(np.float64)
    cross = ((w @ polynomial_kernel(x, y, degree=3, coef0=1)) * v).sum(axis=1)
    value: _Values = _within(x, w, ours) + _within(y, v, theirs) - 2 * cross / (w.sum(axis=1) * v.sum(axis=1))
    return value


def _within(x: _Values, w: Weights, patients: NDArray[np.str_] | None) -> _Values:
    person = _number_patients(patients, len(x))
    kernel = polynomial_kernel(x, degree=3, coef0=1)
    kernel[person[:, None] == person] = 0
    each = w @ (person[:, None] == np.arange(person.max() + 1)).astype(np.float64)  # (R, persons)
    pairs = w.sum(axis=1) ** 2 - (each**2).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):  # a resample of one patient has no pair
        total: _Values = ((w @ kernel) * w).sum(axis=1) / pairs
    return total


def _number_patients(patients: NDArray[np.str_] | None, count: int) -> NDArray[np.int64]:
    """Number the patients from 0; without patients every image counts as one."""
    return np.arange(count) if patients is None else np.unique(patients, return_inverse=True)[1]


def frechet_under(real: _Features, synthetic: _Features, w: Weights, v: Weights) -> _Values:
    """Frechet distance of Gaussians with the moments of the data under weights (arXiv 1706.08500, eq. 6).

    It is too large for few images, and more so in wide spaces: meant for 64 principal components. Such small
    matrices are computed on one core, by torch, because numpy has no way to leave the others alone.
    """
    ours, theirs, w_rows, v_rows = (
        torch.from_numpy(np.asarray(one, np.float64)) for one in (real, synthetic, w, v)
    )
    with use_threads(1):
        distances = [
            _gaussians_apart(_moments(ours, a), _moments(theirs, b))
            for a, b in zip(w_rows, v_rows, strict=True)
        ]
    return np.array(distances)


def _moments(x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and unbiased covariance under frequency weights."""
    total = weight.sum()
    mean = weight @ x / total
    apart = x - mean
    return mean, (apart * weight[:, None]).T @ apart / (total - 1).clamp(min=1)


def _gaussians_apart(one: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor]) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)), with the root's trace from eigenvalues."""
    values, vectors = torch.linalg.eigh(one[1])
    root = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    shared = torch.linalg.eigvalsh(root @ other[1] @ root).clamp(min=0).sqrt().sum()
    return float(((one[0] - other[0]) ** 2).sum() + one[1].trace() + other[1].trace() - 2 * shared)


def sliced_wasserstein_under(
    real: _Features, synthetic: _Features, w: Weights, v: Weights, *, seed: int = 0
) -> _Values:
    """Sliced 2-Wasserstein distance under weights: root mean square of 1-D distances (Bonneel et al. 2015).

    It is measured from 100 quantiles along each of 64 directions.
    """
    directions = np.random.default_rng(seed).normal(size=(real.shape[1], _DIRECTIONS))
    directions /= np.linalg.norm(directions, axis=0)
    ours, theirs = (_quantiles((x @ directions).T, a) for x, a in ((real, w), (synthetic, v)))
    value: _Values = np.sqrt(((ours - theirs) ** 2).mean(axis=(1, 2)))
    return value


def _quantiles(along: _Values, weights: Weights) -> _Values:
    """Weighted quantiles (R, P, 100) of values (P, N) along P directions."""
    order = np.argsort(along, axis=1)
    ranked = np.take_along_axis(along, order, axis=1)
    step = np.arange(len(along))[:, None]  # puts directions one after another, so that one search is enough
    found = []
    for weight in weights:
        share = np.cumsum(weight[order], axis=1) / weight.sum()
        place = np.searchsorted((share + step).ravel(), (_LEVELS + step).ravel()).reshape(len(along), -1)
        found.append(
            np.take_along_axis(ranked, (place - step * along.shape[1]).clip(0, along.shape[1] - 1), axis=1)
        )
    return np.stack(found)


def neighbourhood_under(
    real: _Features, synthetic: _Features, w: Weights, v: Weights, who: Persons | None = None, *, k: int = K
) -> dict[str, _Values]:
    """Precision, recall (arXiv 1904.06991), density and coverage (arXiv 2002.09797) under weights.

    The neighbourhoods are those of the whole data. Density may exceed 1, the others lie in [0, 1].
    """
    ours, theirs = who or (None, None)
    real_ball, fake_ball = _radii(real, k, ours), _radii(synthetic, k, theirs)
    apart = cdist(real, synthetic)
    inside = apart < real_ball[:, None]
    return {
        "precision": _share(v, inside.any(axis=0)),
        "recall": _share(w, (apart < fake_ball[None]).any(axis=1)),
        "density": _share(v, inside.sum(axis=0) / min(k, len(real) - 1)),
        "coverage": _share(w, apart.min(axis=1) < real_ball),
    }


def _radii(x: _Features, k: int, patients: NDArray[np.str_] | None) -> _Values:
    """Distance of each image to its k-th nearest neighbour (or farthest) of another patient in its set."""
    person = _number_patients(patients, len(x))
    most = np.bincount(person).max()
    if most == 1:
        near = NearestNeighbors(n_neighbors=min(k, len(x) - 1) + 1).fit(x)
        return np.asarray(near.kneighbors(x)[0][:, -1], np.float64)
    apart = cdist(x, x)
    apart[person[:, None] == person] = np.inf
    place = min(k, len(x) - most) - 1
    return np.asarray(np.partition(apart, place, axis=1)[:, place], np.float64)


def _share(weights: Weights, worth: NDArray[np.generic]) -> _Values:
    share: _Values = weights @ worth.astype(np.float64) / weights.sum(axis=1)
    return share
