"""Distances between two sets of feature vectors, and the variety within a set."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

_TINY = 1e-6


def kernel_distance(real: Tensor, fake: Tensor) -> tuple[float, float]:
    """KID of two sets of vectors, and its standard error from the choice of fakes.

    KID is the unbiased MMD^2 under the kernel (x.y / D + 1)^3 (arXiv 1801.01401, eq. 4). The error is that of
    the Hajek projection: 2 std(h) / sqrt(n), where h is the mean kernel of a fake with the other fakes less
    that with the reals. Checkpoints of a run share the reals, so the choice of reals shifts all of them alike
    and is left out. Each set needs two vectors or more.
    """
    ours, theirs, cross = (_cubic(x, y) for x, y in ((real, real), (fake, fake), (real, fake)))
    n, m = len(real), len(fake)
    among_real = (ours.sum() - ours.trace()) / (n * (n - 1))
    among_fake = (theirs.sum(dim=1) - theirs.diagonal()) / (m - 1)  # (m,)
    with_real = cross.mean(dim=0)  # (m,)
    value = among_real + among_fake.mean() - 2 * with_real.mean()
    return float(value), float(2 * (among_fake - with_real).std() / math.sqrt(m))


def _cubic(x: Tensor, y: Tensor) -> Tensor:
    x, y = x.double(), y.double()
    values: Tensor = (x @ y.T / x.shape[1] + 1) ** 3
    return values


def median_distance(vectors: Tensor) -> float:
    """Median distance of two of the vectors: the scale on which they differ."""
    return float(torch.pdist(vectors.double()).median())


def variety(vectors: Tensor, scale: float) -> float:
    """Number of different images in a set, 1 to N: the Vendi score (arXiv 2210.02410).

    The kernel is exp(-|x - y|^2 / scale^2), and the score is the exponential of the entropy of the
    eigenvalues of K / N. N equal images score 1, N images that share nothing score N, and four images in
    equal shares score at most 4, however many copies there are of each.
    """
    apart = torch.cdist(vectors.double(), vectors.double())
    shares = torch.linalg.eigvalsh(torch.exp(-((apart / max(scale, _TINY)) ** 2)) / len(vectors)).clamp(min=0)
    return float(torch.exp(-torch.xlogy(shares, shares).sum()))


def nearest_ratio(
    vectors: Tensor, references: Tensor, patients: Tensor, own: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Index of the nearest reference, and its distance relative to the next patient's.

    The ratio is near 1 for an image that is equally near to another patient, as a vague image is to all and a
    new patient to many, and 0 for a copy (Lowe's ratio, IJCV 2004, section 7.1). The distance is that of
    vectors of mean 0 and length 1: sqrt(2 - 2 r) for a correlation r.

    Args:
        vectors: (N, D).
        references: (M, D).
        patients: (M,) patient numbers of the references.
        own: (N,) patient numbers of the vectors; images of the own patient are not compared. None compares
            all.
    """
    alike = _unit(vectors) @ _unit(references).T  # (N, M)
    if own is not None:
        alike = alike.masked_fill(own[:, None] == patients[None], -1.0)
    first, nearest = alike.max(dim=1)
    others = alike.masked_fill(patients[nearest][:, None] == patients[None], -1.0).max(dim=1).values
    near, far = ((2 - 2 * r).clamp(min=0).sqrt() for r in (first, others))
    return nearest, near / far.clamp(min=_TINY)


def _unit(vectors: Tensor) -> Tensor:
    centred = vectors.double() - vectors.double().mean(dim=1, keepdim=True)
    return F.normalize(centred, dim=1, eps=_TINY)
