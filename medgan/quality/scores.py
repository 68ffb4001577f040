"""Feature vectors of real and synthetic images -> scores: distance, and how much of each covers the other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics.pairwise import polynomial_kernel
from sklearn.neighbors import NearestNeighbors

Features = NDArray[np.float32]


def kid(real: Features, synthetic: Features) -> float:
    """Kernel Inception Distance: unbiased MMD^2 under (x.y / D + 1)^3 (arXiv 1801.01401, eq. 4); real (N, D), synthetic (M, D).

    Unbiased at any size, so it may fall below 0; needs two images of each.
    """
    ours, theirs = (polynomial_kernel(x.astype(np.float64), degree=3, coef0=1) for x in (real, synthetic))
    cross = polynomial_kernel(real.astype(np.float64), synthetic.astype(np.float64), degree=3, coef0=1)
    n, m = len(real), len(synthetic)
    within = (ours.sum() - np.trace(ours)) / (n * (n - 1)) + (theirs.sum() - np.trace(theirs)) / (m * (m - 1))
    return float(within - 2 * cross.mean())


def neighbourhood(real: Features, synthetic: Features, *, k: int = 5) -> dict[str, float]:
    """Precision, recall (arXiv 1904.06991) and coverage (arXiv 2002.09797) with k nearest neighbours, each in [0, 1]."""
    real_ball, fake_ball = (
        NearestNeighbors(n_neighbors=min(k, len(x) - 1) + 1).fit(x).kneighbors(x)[0][:, -1]
        for x in (real, synthetic)
    )
    apart = np.linalg.norm(real[:, None].astype(np.float64) - synthetic[None], axis=2)
    return {
        "precision": float((apart < real_ball[:, None]).any(axis=0).mean()),
        "recall": float((apart < fake_ball[None]).any(axis=1).mean()),
        "coverage": float((apart.min(axis=1) < real_ball).mean()),
    }
