"""Vectors (N, D) -> how far two sets lie apart, how many different images a set holds, how near it comes to single others."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

_TINY = 1e-6


def kernel_distance(real: Tensor, fake: Tensor) -> tuple[float, float]:
    """KID, the unbiased MMD^2 under (x.y / D + 1)^3 (arXiv 1801.01401 eq. 4), and its standard error from the choice of fakes.

    The error is that of the Hajek projection: 2 std(h) / sqrt(n), h the mean kernel of a fake with the other fakes less that with the
    reals. Checkpoints share the reals, so the choice of reals moves all of them alike. Needs two vectors of each.
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
    """How many different images a set holds, 1 to N: the Vendi score under exp(-|x - y|^2 / scale^2) (arXiv 2210.02410).

    It is the exponential of the entropy of the eigenvalues of K / N: N equal images make 1, N that share nothing make N, and four
    images in equal shares make at most 4, however many copies there are of each.
    """
    apart = torch.cdist(vectors.double(), vectors.double())
    shares = torch.linalg.eigvalsh(torch.exp(-((apart / max(scale, _TINY)) ** 2)) / len(vectors)).clamp(min=0)
    return float(torch.exp(-torch.xlogy(shares, shares).sum()))


def nearest_ratio(
    vectors: Tensor, references: Tensor, patients: Tensor, own: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """For each of N vectors, its nearest of M references, and that distance as a share of the one to the nearest of another patient.

    1: as near to somebody else, as a vague image is to all and a new patient to many. 0: a copy of one. (Lowe's ratio, IJCV 2004,
    section 7.1.) Distance is that of vectors of mean 0 and length 1, sqrt(2 - 2 r) for a correlation r. `patients` (M,) are numbers;
    `own` (N,) that of a vector whose own patient is not to be compared with.
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
