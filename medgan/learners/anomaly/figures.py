"""How well scores tell other classes from the normal one, beside shortcuts that need no anatomy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

WORDS: Mapping[str, str] = {
    "score": "mean of the three parts",
    "memory": "part: features of cells by their place",
    "whole": "part: mean features of the whole image, to the nearest normal one",
    "gaussian": "part: the image at 32 pixels, as a Gaussian",
    "mean image": "shortcut: difference to the mean image at 32 pixels",
    "PCA": "shortcut: what 40 principal components leave",
    "brightness": "shortcut: mean brightness alone, in its better direction",
    "picture shape": "shortcut: rows over columns alone, in its better direction",
}
"""{name of a score: what it is}."""
_EITHER_WAY = frozenset({"brightness", "picture shape"})
"""Scores of which it is not known beforehand whether high or low is unusual."""


def auroc(sick: NDArray[np.bool_], scores: NDArray[np.float64]) -> float:
    """Area under the ROC curve: how often a sick one is above a normal one, ties counted half."""
    ordered = np.sort(scores[~sick])
    below = np.searchsorted(ordered, scores[sick], side="left")
    up_to = np.searchsorted(ordered, scores[sick], side="right")
    return float((below + up_to).mean() / 2 / len(ordered))


def compare(sick: NDArray[np.bool_], scores: Mapping[str, NDArray[np.float64]]) -> tuple[dict[str, Any], ...]:
    """The AUROC of every score of `WORDS`; none where one of the two sides is empty."""
    if sick.all() or not sick.any():
        return ()
    found = []
    for name, what in WORDS.items():
        area = auroc(sick, scores[name])
        area = max(area, 1 - area) if name in _EITHER_WAY else area
        found.append({"name": name, "auroc": round(area, 4), "what": what})
    return tuple(found)
