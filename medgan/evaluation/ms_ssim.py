"""Mean MS-SSIM of pairs of images of a class.

It is high if a collapsed generator repeats one image.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

from medgan.evaluation.bootstrap import Weights

_BETAS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Weight of each scale, finest first (Wang, Simoncelli and Bovik 2003)."""
WINDOW = 11
"""Side of the Gaussian window in pixels; scales on which it does not fit are left out."""
_CHUNK = 64
"""Pairs that are compared at a time."""


def pairs_of(patients: NDArray[np.str_], most: int, seed: int) -> NDArray[np.int64]:
    """Draw up to `most` distinct pairs (P, 2) of rows of different patients."""
    first, second = np.triu_indices(len(patients), k=1)
    apart = patients[first] != patients[second]
    pairs = np.stack([first[apart], second[apart]], axis=1)
    if len(pairs) > most:
        pairs = pairs[np.random.default_rng(seed).choice(len(pairs), most, replace=False)]
    return pairs


def likeness(images: NDArray[np.float32], pairs: NDArray[np.int64]) -> NDArray[np.float64]:
    """MS-SSIM of pairs (P, 2) of images (N, C, H, W) in [0, 1] with sides of at least 11 pixels."""
    betas = _scales(min(images.shape[2:]))
    found = []
    for start in range(0, len(pairs), _CHUNK):
        ours, theirs = (
            torch.from_numpy(images[rows]) for rows in np.asarray(pairs[start : start + _CHUNK]).T
        )
        value = multiscale_structural_similarity_index_measure(
            ours, theirs, reduction="none", data_range=1.0, betas=betas, normalize="relu"
        )
        assert isinstance(value, torch.Tensor), "no full image was asked for"
        found.append(value.numpy().reshape(-1))
    return np.concatenate(found).astype(np.float64) if found else np.zeros(0)


def _scales(side: int) -> tuple[float, ...]:
    """Weights of as many scales as fit the shorter side of an image, with sum 1."""
    count = max(
        number
        for number in range(1, len(_BETAS) + 1)
        if side // max(1, number - 1) ** 2 >= WINDOW and side // 2 ** (number - 1) > WINDOW // 2
    )
    return tuple(beta / sum(_BETAS[:count]) for beta in _BETAS[:count])


def likeness_under(values: NDArray[np.float64], pairs: NDArray[np.int64], w: Weights) -> NDArray[np.float64]:
    """(R,): mean over pairs under weights; a pair weighs the product of its images' weights."""
    weight = w[:, pairs[:, 0]] * w[:, pairs[:, 1]]
    total = weight.sum(axis=1)
    mean: NDArray[np.float64] = np.where(total > 0, weight @ values / np.maximum(total, 1), np.nan)
    return mean
