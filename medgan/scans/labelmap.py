"""Recognise label maps (segmentations), which look like images but are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from medgan.scans.scan import Pixels

_MASK_WORDS = ("seg", "mask", "label")
"""Words in the name of a file that holds a mask."""
_MASK_FOLDERS = {"labelstr", "labelsts", "labels", "masks", "segmentations"}
"""Names of folders that hold masks. The first two are those of nnU-Net and the Decathlon."""
_MAX_LABELS = 64
"""Most labels in an image whose name says mask."""


def is_named_as_mask(path: Path) -> bool:
    """Whether the name of the file or of its folder says that it is a mask."""
    return any(word in path.name.lower() for word in _MASK_WORDS) or path.parent.name.lower() in _MASK_FOLDERS


def has_few_levels(pixels: Pixels) -> bool:
    """Whether the pixels are whole numbers, and only a few different ones.

    The check goes slice by slice, because a volume may fill the memory.
    """
    levels: set[float] = set()
    for plane in pixels:
        if not (plane == np.rint(plane)).all():
            return False
        levels.update(np.unique(plane).tolist())
        if len(levels) > _MAX_LABELS:
            return False
    return True
