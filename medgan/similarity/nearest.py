"""Find the nearest reference image by correlation, over shifts and mirroring.

A generator that copies may shift, mirror, dim or sharpen what it copies. The normalised cross-correlation is
therefore taken after every shift of up to a sixteenth of the longer side (4 pixels of 64) and after
mirroring, and does not depend on brightness or contrast (the measure of arXiv 2305.07644).

An exhaustive search at full size would need 162 products per pair. Instead, every pair is compared at 16
pixels, as one matrix product per shift. Of the eight most similar patients, the most similar image is then
compared at up to 64 pixels, all shifts at once by Fourier transform.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from medgan.base.files import digest

_FINE = 64
"""Longer side in pixels at which the finalists are compared."""
COARSE = 16
"""Longer side in pixels at which all pairs are compared."""
_SHIFTED = 16
"""Images may be shifted by 1 / _SHIFTED of their longer side, each way."""
_FINALISTS = 8
"""Number of patients whose most similar image is compared at _FINE."""
_CHUNK = 256
_DIGITS = 5
"""Decimals to which distances are rounded, so that the last bits of a sum decide nothing."""

Pixels = NDArray[np.float32]
"""(N, C, H, W) in [0, 1]."""
_Planes = NDArray[np.float32]
"""(N, H, W): gray images."""
Values = NDArray[np.float64]
_Rows = NDArray[np.int64]
ReadRows = Callable[[_Rows], Pixels]
"""Returns the pixels of some rows of a set, which may itself be larger than memory."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class References:
    """N images to compare with: small versions in memory, full ones read when needed."""

    pick: ReadRows
    small: _Planes
    """(N, h, w): the images at COARSE pixels."""
    patients: NDArray[np.str_]
    """(N,) patients. Those who share an identical image count as one, since a repeated scan is not another
    patient."""
    order: _Rows
    """(N,) rows, sorted by patient."""
    starts: _Rows
    """(P + 1,): where each patient begins in `order`, patients sorted by name, and the end."""

    @classmethod
    def of(cls, pick: ReadRows, patients: NDArray[np.str_]) -> References:
        """Read every image once, chunk by chunk, and keep a small version of it."""
        small, prints = [], []
        for start in range(0, len(patients), _CHUNK):
            piece = pick(np.arange(start, min(start + _CHUNK, len(patients))))
            small.append(to_gray(piece, COARSE))
            prints += [digest(one.tobytes()) for one in piece]
        people = _merge_patients(patients, np.array(prints))
        _, number, count = np.unique(people, return_inverse=True, return_counts=True)
        starts = np.concatenate([[0], np.cumsum(count)]).astype(np.int64)
        order = np.argsort(number, kind="stable")
        return cls(pick=pick, small=np.concatenate(small), patients=people, order=order, starts=starts)

    @property
    def people(self) -> int:
        """Number of patients."""
        return len(self.starts) - 1

    def finalists(self, similar: _Planes, own: NDArray[np.str_] | None) -> tuple[_Rows, NDArray[np.bool_]]:
        """The most similar row of each of the K most similar patients, for m images.

        Args:
            similar: (m, N) correlations with all references.
            own: (m,) patients of the images, who are not compared with themselves; None compares all.

        Returns:
            Rows (m, K), and whether each may be used (m, K): False for the own patient.
        """
        best = np.maximum.reduceat(similar[:, self.order], self.starts[:-1], axis=1)
        if own is not None:
            names = self.patients[self.order[self.starts[:-1]]]
            best[own[:, None] == names[None]] = -np.inf
        count = min(_FINALISTS, self.people)
        chosen = np.argpartition(-best, count - 1, axis=1)[:, :count]
        chosen.sort(axis=1)  # ties are settled by patient, not by how numpy partitions
        pairs = zip(chosen, similar, strict=True)
        rows = [[self._best_of(patient, line) for patient in few] for few, line in pairs]
        return np.array(rows, np.int64), np.isfinite(np.take_along_axis(best, chosen, 1))

    def _best_of(self, patient: int, line: NDArray[np.float32]) -> int:
        rows = self.order[self.starts[patient] : self.starts[patient + 1]]
        return int(rows[np.argmax(line[rows])])


def _merge_patients(patients: NDArray[np.str_], prints: NDArray[np.str_]) -> NDArray[np.str_]:
    """Patients (N,), with those who share an image of equal digest under one name."""
    names, number = np.unique(patients, return_inverse=True)
    kinds = (np.unique(prints, return_inverse=True)[1], number)
    person = number
    while True:
        joined = person
        for kind in kinds:
            least = np.full(int(kind.max(initial=-1)) + 1, len(names))
            np.minimum.at(least, kind, joined)
            joined = least[kind]
        if (joined == person).all():
            people: NDArray[np.str_] = names[person]
            return people
        person = joined


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Nearest:
    """The nearest reference of each of M images, and how near another patient comes."""

    rows: NDArray[np.int64]
    """(M,) row of the nearest reference."""
    distance: Values
    """(M,) 1 - correlation with it: 0 for a copy, about 1 for an unrelated image."""
    second: Values
    """(M,) the same for the nearest reference of any other patient; equal to `distance` where there is
    none."""

    @property
    def lead(self) -> Values:
        """(M,) in [0, 1]: `distance` as a share of `second`.

        It is near 0 for an image of one particular patient, and near 1 for an image that resembles several
        alike.
        """
        return np.divide(self.distance, self.second, out=np.ones_like(self.distance), where=self.second > 0)


def find_nearest(
    pick: ReadRows,
    count: int,
    references: References,
    *,
    own: NDArray[np.str_] | None = None,
    on_done: Callable[[int], None] | None = None,
) -> Nearest:
    """Find the nearest of `references` to each of M = `count` images of one size.

    Args:
        pick: returns the images of some rows.
        count: the number of images.
        references: the images to compare with.
        own: (M,) patients as `references` names them, who are not compared with themselves; None compares
            all.
        on_done: called with the number of images that are done.
    """
    found = []
    for start in range(0, count, _CHUNK):
        rows = np.arange(start, min(start + _CHUNK, count))
        found.append(_find_nearest_chunk(pick(rows), references, None if own is None else own[rows]))
        if on_done is not None:
            on_done(int(rows[-1]) + 1)
    if not found:
        return Nearest(rows=np.empty(0, np.int64), distance=np.empty(0), second=np.empty(0))
    nearest_rows, first, second = (np.concatenate(column) for column in zip(*found, strict=True))
    return Nearest(
        rows=nearest_rows, distance=np.round(1 - first, _DIGITS), second=np.round(1 - second, _DIGITS)
    )


def _find_nearest_chunk(
    images: Pixels, references: References, own: NDArray[np.str_] | None
) -> tuple[_Rows, Values, Values]:
    """Rows and correlations of the nearest reference, and correlations of the second."""
    similar = _coarse_correlation(to_gray(images, COARSE), references.small)
    finalists, allowed = references.finalists(similar, own)
    pairs = np.repeat(np.arange(len(images)), finalists.shape[1])
    wanted, again = np.unique(finalists, return_inverse=True)
    theirs = to_gray(references.pick(wanted), _FINE)[again.ravel()]
    exact = _pair_correlation(to_gray(images, _FINE)[pairs], theirs).reshape(finalists.shape)
    exact = np.where(allowed, exact, -np.inf)
    order = np.argsort(-exact, axis=1, kind="stable")
    values = np.take_along_axis(exact, order, 1)
    first, second = values[:, 0], values[:, min(1, values.shape[1] - 1)]
    return np.take_along_axis(finalists, order, 1)[:, 0], first, np.where(np.isfinite(second), second, first)


def to_gray(pixels: NDArray[np.float32], side: int) -> _Planes:
    """Average channels and reduce images so that no side is longer than `side`.

    (N, C, H, W) becomes (N, h, w). Reduction is by area means.
    """
    planes = torch.from_numpy(np.ascontiguousarray(pixels.mean(axis=1, keepdims=True, dtype=np.float32)))
    height, width = planes.shape[2:]
    longer = max(height, width)
    if longer > side:
        size = tuple(max(round(length * side / longer), 1) for length in (height, width))
        planes = F.interpolate(planes, size=size, mode="area")
    small: _Planes = planes[:, 0].numpy()
    return small


def _coarse_correlation(images: _Planes, references: _Planes) -> _Planes:
    """Largest correlation of each of M images with each of N references, (M, N).

    It is taken over shifts and mirroring.
    """
    reach = _largest_shift(images)
    middle = _normalise(_window(images, reach, reach, reach))
    mirrored = _normalise(_window(images[:, :, ::-1], reach, reach, reach))
    best = np.full((len(images), len(references)), -np.inf, np.float32)
    for shifted in _shifted_windows(references, reach):
        theirs = _normalise(shifted).T
        for ours in (middle, mirrored):
            np.maximum(best, ours @ theirs, out=best)
    return best


def _pair_correlation(images: _Planes, references: _Planes) -> Values:
    """Largest correlation of image p with reference p for P pairs, (P,).

    It is taken over shifts and mirroring.
    """
    parts = [
        _correlate_chunk(images[start : start + _CHUNK], references[start : start + _CHUNK])
        for start in range(0, len(images), _CHUNK)
    ]
    return np.concatenate(parts)


def _correlate_chunk(images: _Planes, references: _Planes) -> Values:
    """Correlate pairs by the correlation theorem.

    Images are padded with zeros, so the parts that wrap around add nothing.
    """
    reach, size = _largest_shift(images), images.shape[1:]
    theirs = np.fft.rfft2(references)
    shift = np.arange(-reach, reach + 1)
    norms = _window_norms(references, reach)
    best = np.full(len(images), -np.inf)
    for turned in (images, images[:, :, ::-1]):
        middle = _window(turned, reach, reach, reach)
        framed = np.zeros_like(turned)
        framed[:, reach : size[0] - reach, reach : size[1] - reach] = _normalise(middle).reshape(middle.shape)
        products = np.fft.irfft2(np.conj(np.fft.rfft2(framed)) * theirs, s=size)[:, shift[:, None], shift]
        values = np.divide(products, norms, out=np.zeros(norms.shape), where=norms > 0)
        best = np.maximum(best, values.reshape(len(images), -1).max(axis=1))
    found: Values = np.clip(best, -1, 1)
    return found


def _window_norms(planes: _Planes, reach: int) -> Values:
    """Norm of every shifted window less its mean, (P, 2 reach + 1, 2 reach + 1).

    Computed with integral images.
    """
    height, width = (length - 2 * reach for length in planes.shape[1:])
    sums = []
    for power in (planes.astype(np.float64), planes.astype(np.float64) ** 2):
        whole = np.pad(power.cumsum(axis=1).cumsum(axis=2), ((0, 0), (1, 0), (1, 0)))
        sums.append(
            whole[:, height:, width:]
            - whole[:, :-height, width:]
            - whole[:, height:, :-width]
            + whole[:, :-height, :-width]
        )
    energy = sums[1] - sums[0] ** 2 / (height * width)
    return np.where(energy > _FLAT * height * width, np.sqrt(np.maximum(energy, 0)), 0.0)


_FLAT = 1e-9
"""Variance below which an image shows nothing and resembles no other."""


def _largest_shift(planes: _Planes) -> int:
    """Number of pixels by which images of this size may be shifted, each way."""
    return round(max(planes.shape[1:]) / _SHIFTED) if min(planes.shape[1:]) > 4 else 0


def _window(planes: _Planes, top: int, left: int, reach: int) -> _Planes:
    """The part of every image from row `top` and column `left` that is compared.

    It is smaller than the image by `reach` pixels on each side.
    """
    height, width = planes.shape[1:]
    return planes[:, top : top + height - 2 * reach, left : left + width - 2 * reach]


def _shifted_windows(planes: _Planes, reach: int) -> Iterator[_Planes]:
    """Every shifted window."""
    for top in range(2 * reach + 1):
        for left in range(2 * reach + 1):
            yield _window(planes, top, left, reach)


def _normalise(planes: _Planes) -> _Planes:
    """Flatten images (N, h, w), subtract their means and scale them to length 1.

    Flat images become 0.
    """
    flat = planes.reshape(len(planes), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(flat, axis=1, keepdims=True)
    structured = norm > (_FLAT * flat.shape[1]) ** 0.5
    scaled: _Planes = np.divide(flat, norm, out=np.zeros_like(flat), where=structured)
    return scaled
