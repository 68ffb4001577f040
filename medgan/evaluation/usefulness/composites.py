"""Compose images of two patients of a class without a network.

They are a control for the generator.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medgan.preparation.images import LabelledImages

_PER_CLASS = 60
"""Composed images per class."""
_MAJOR = 0.7
"""Share of the first parent in a blend."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Composites:
    """M images, each composed of two real ones."""

    pixels: NDArray[np.float32]
    """(M, C, H, W)."""
    labels: NDArray[np.int64]
    """(M,)."""
    parents: NDArray[np.int64]
    """(M, 2): rows of the real images."""


def compose(images: LabelledImages, seed: int, per_class: int = _PER_CLASS) -> Composites:
    """Compose `per_class` images of every class with at least two patients.

    Blends alternate with images that are divided along a line through the middle.
    """
    rng = np.random.default_rng(seed)
    pairs = [
        pair
        for number in range(len(images.names))
        for pair in _pairs(np.flatnonzero(images.labels == number), images.patients, per_class, rng)
    ]
    parents = np.array(pairs, np.int64).reshape(-1, 2)
    pixels = np.empty((len(pairs), *images.pixels.shape[1:]), np.float32)
    for place, (first, second) in enumerate(parents.tolist()):
        share = _half(pixels.shape[2:], rng) if place % 2 else np.float32(_MAJOR)
        pixels[place] = share * images.pixels[first] + (1 - share) * images.pixels[second]
    return Composites(pixels=pixels, labels=images.labels[parents[:, 0]], parents=parents)


def _pairs(
    own: NDArray[np.int64], patients: NDArray[np.str_], count: int, rng: np.random.Generator
) -> list[tuple[int, int]]:
    if len(np.unique(patients[own])) < 2:
        return []
    pairs: list[tuple[int, int]] = []
    while len(pairs) < count:
        first, second = rng.choice(own, 2).tolist()
        if patients[first] != patients[second]:
            pairs.append((first, second))
    return pairs


def _half(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float32]:
    """A mask of 1 on one side of a line through the middle at a random angle, and 0 on the other."""
    angle = rng.uniform(0, 2 * np.pi)
    down, across = (np.arange(side) - (side - 1) / 2 for side in shape)
    return np.asarray(np.cos(angle) * down[:, None] + np.sin(angle) * across >= 0, np.float32)
