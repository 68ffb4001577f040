"""Radiomic features (N, 43) of images: intensity, co-occurrence, wavelet energies.

The feature space `radiomics` holds what a radiologist's texture analysis measures: first-order and GLCM
features as the Image Biomarker Standardisation Initiative defines them (arXiv 1612.07003), and energies of a
Haar wavelet. It needs no network and knows nothing of ImageNet, so a network that has learned to please
ImageNet features cannot please it by that.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from skimage.feature import graycomatrix, graycoprops

_Features = NDArray[np.float32]

_PERCENTILES = (1, 10, 25, 50, 75, 90, 99)
_LEVELS = 32
"""Gray levels of the histogram and of the co-occurrence matrix."""
_DISTANCES = (1, 2)
"""Distances in pixels between the two of a pair."""
_ANGLES = (0.0, np.pi / 4, np.pi / 2, 3 * np.pi / 4)
_PROPERTIES = ("contrast", "dissimilarity", "homogeneity", "energy", "correlation")
OCTAVES = 3
"""Number of times the wavelet halves the image."""
_TINY = 1e-8


def radiomic_features(images: NDArray[np.float32]) -> _Features:
    """One row of features per image (N, C, H, W), colour averaged over channels."""
    return np.stack(
        [
            np.concatenate([_intensity(one), _co_occurrence(one), _wavelet_energies(one)])
            for one in images.mean(axis=1)
        ]
    )


def _intensity(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """First-order features (17)."""
    mean, deviation = float(image.mean()), float(image.std())
    level = (image - mean) / (deviation + _TINY)
    share = np.histogram(image, bins=_LEVELS, range=(0, 1))[0] / image.size
    ranks = np.percentile(image, _PERCENTILES)
    return np.array(
        [
            mean,
            deviation,
            (level**3).mean(),
            (level**4).mean() - 3,
            np.abs(image - mean).mean(),
            (image**2).mean(),
            -(share * np.log2(share + _TINY)).sum(),
            (share**2).sum(),
            ranks[4] - ranks[2],
            ranks[-1] - ranks[0],
            *ranks,
        ],
        np.float32,
    )


def _co_occurrence(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Features of the gray-level co-occurrence matrix (20).

    Mean and standard deviation over directions.
    """
    gray = np.minimum(image * _LEVELS, _LEVELS - 1).astype(np.uint8)
    matrix = graycomatrix(  # type: ignore[no-untyped-call]
        gray, _DISTANCES, _ANGLES, _LEVELS, symmetric=True, normed=True
    )
    values = [graycoprops(matrix, name) for name in _PROPERTIES]  # type: ignore[no-untyped-call]
    return np.concatenate([np.concatenate([v.mean(axis=1), v.std(axis=1)]) for v in values]).astype(
        np.float32
    )


def _wavelet_energies(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Log energy of the details of a Haar wavelet, octave by octave (6).

    Horizontal and vertical details count together, diagonal ones apart.
    """
    found = []
    for _ in range(OCTAVES):
        tall, wide = (length // 2 * 2 for length in image.shape)
        a, b, c, d = (image[y:tall:2, x:wide:2] for y in (0, 1) for x in (0, 1))
        across, down, slant = (a - b + c - d) / 4, (a + b - c - d) / 4, (a - b - c + d) / 4
        found += [np.log((across**2 + down**2).mean() + _TINY), np.log((slant**2).mean() + _TINY)]
        image = np.asarray((a + b + c + d) / 4, np.float32)
    return np.array(found, np.float32)
