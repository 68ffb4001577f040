"""Labelled images as a torch Dataset."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset


class LabelledTensors(Dataset[tuple[Any, int]]):
    """(tensor (C, H, W) in [0, 1], class number) of each image, after `transform` where there is one."""

    def __init__(
        self,
        pixels: Callable[[int], NDArray[np.float32]],
        labels: Sequence[int],
        transform: Callable[[Any], Any] | None = None,
    ) -> None:
        """Take images by their number from `pixels`."""
        self.labels = labels
        self._pixels, self._transform = pixels, transform

    def __len__(self) -> int:
        """The number of images."""
        return len(self.labels)

    def __getitem__(self, number: int) -> tuple[Any, int]:
        """One image and its class."""
        image = torch.from_numpy(np.array(self._pixels(number), np.float32))
        return (image if self._transform is None else self._transform(image)), self.labels[number]
