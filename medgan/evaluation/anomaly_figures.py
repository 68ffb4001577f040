"""Measure how well anomaly scores tell other classes from the normal one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

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


def compare(sick: NDArray[np.bool_], scores: Mapping[str, NDArray[np.float64]]) -> tuple[dict[str, Any], ...]:
    """The AUROC of every score of `WORDS`; none where one of the two sides is empty."""
    if sick.all() or not sick.any():
        return ()
    found = []
    for name, what in WORDS.items():
        area = float(roc_auc_score(sick, scores[name]))
        area = max(area, 1 - area) if name in _EITHER_WAY else area
        found.append({"name": name, "auroc": round(area, 4), "what": what})
    return tuple(found)
