"""Pixels and the name of their file -> whether they are a segmentation's labels, which look like an image and are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from medgan.scans.scan import Pixels

_MASK_WORDS = ("seg", "mask", "label")
"""In the name of a file."""
_MASK_FOLDERS = {"labelstr", "labelsts", "labels", "masks", "segmentations"}
"""Folders of masks; the first two are those of nnU-Net and the Decathlon."""
_MAX_LABELS = 64
"""Labels in an image whose name says mask."""


def is_named_as_mask(path: Path) -> bool:
    """Whether the name of the file or of its folder says so."""
    return any(word in path.name.lower() for word in _MASK_WORDS) or path.parent.name.lower() in _MASK_FOLDERS


def has_few_levels(pixels: Pixels) -> bool:
    """Whether there are whole numbers only, and few of them; slice by slice, for a volume may fill the memory."""
    levels: set[float] = set()
    for plane in pixels:
        if not (plane == np.rint(plane)).all():
            return False
        levels.update(np.unique(plane).tolist())
        if len(levels) > _MAX_LABELS:
            return False
    return True
