"""Check candidates of one class and select the best, with a reason for all others.

First, near copies of training images are rejected, then images that show their class less surely than real
ones do, then the least realistic tenth. Of the rest, those are selected that cover the class best. All of it
is deterministic, in the order of the seeds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from medgan.base.progress import OnProgress, ignore
from medgan.filtering.class_check import ClassChecker
from medgan.similarity.appearance import FeatureScale, Points, layout_texture_features
from medgan.similarity.copies import CopyLimits, compare_new_patients
from medgan.similarity.features import FeatureFunction
from medgan.similarity.nearest import Pixels, ReadRows, References, find_nearest

_WORST = 0.1
"""Share that is dropped for being least realistic."""
_NEIGHBOURS = 3
"""The k of the realism score, as in its paper."""
_MOST = 100.0
"""Realism is cut off here: more means nothing."""
_COMPONENTS = 32
"""Number of principal components in which coverage is computed."""
_DIGITS = 4
"""Decimals to which scores are rounded, so that the last bits of a sum decide nothing."""
_CHUNK = 256
_MOST_TAUGHT = 500
"""Largest number of real images of a class on which the class checker is trained."""

COPY, CLASS, REALISM, SURPLUS, _FINE = "copy", "class", "realism", "surplus", ""
"""Why an image is not kept; FINE where nothing speaks against it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateImage:
    """One drawn image with its checks, None for what could not be checked."""

    seed: int
    kept: bool = True
    reason: str = _FINE
    """"copy", "class", "realism" or "surplus" (not needed). "class" of a kept image says that it is doubtful,
    but too few others were left."""
    nearest: int | None = None
    """Row of the nearest training image."""
    distance: float | None = None
    """1 - correlation with it, over shifts and mirroring."""
    lead: float | None = None
    """That distance as a share of the distance to the next patient."""
    odds: float | None = None
    """Log-odds of its own class."""
    doubt: float = 0.0
    """How far they are below the limit of its class."""
    realism: float | None = None
    """From 1 on, it is as near to a real image as that one's own neighbours are."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FilterReference:
    """Measurements of the training images that the filter needs."""

    references: References
    labels: NDArray[np.int64]
    """(N,): class numbers."""
    points: Points
    """(N, D): their layout and texture."""
    limits: CopyLimits | None
    """None where there are too few patients to tell a copy from a likeness."""
    judge: ClassChecker | None
    """None where classes cannot be checked: one class only, a single patient in each, or no network."""
    see: FeatureFunction | None
    """The features that the class checker uses."""

    @classmethod
    def of(
        cls,
        pick: ReadRows,
        labels: NDArray[np.int64],
        patients: NDArray[np.str_],
        classes: int,
        *,
        see: FeatureFunction | None = None,
        on_progress: OnProgress = ignore,
    ) -> FilterReference:
        """Measure the training images, and train the class checker on them.

        Args:
            pick: returns the images of some rows.
            labels: (N,) class numbers.
            patients: (N,) patients.
            classes: number of classes.
            see: features for the class checker; None turns the class check off.
            on_progress: told how many images are done.
        """
        references = References.of(pick, patients)
        points = np.concatenate([layout_texture_features(pick(rows)) for rows in _chunk_rows(len(labels))])
        strangers = compare_new_patients(references, labels, on_progress=on_progress)
        judge = None if see is None else _train_class_checker(pick, labels, references.patients, classes, see)
        return cls(
            references=references,
            labels=labels,
            points=points,
            limits=None if strangers is None else CopyLimits.of(strangers, classes),
            judge=judge,
            see=see,
        )


def _train_class_checker(
    pick: ReadRows, labels: NDArray[np.int64], patients: NDArray[np.str_], classes: int, see: FeatureFunction
) -> ClassChecker | None:
    """Train a class checker on at most _MOST_TAUGHT images per class.

    They are evenly spaced over the patients.
    """
    order = np.lexsort((patients, labels))
    groups = np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)
    even = (np.linspace(0, len(own) - 1, min(len(own), _MOST_TAUGHT)).round().astype(int) for own in groups)
    rows = np.sort(np.concatenate([own[few] for own, few in zip(groups, even, strict=True)]))
    if len(groups) < 2:
        return None
    seen = np.concatenate([see(pick(rows[some])) for some in _chunk_rows(len(rows))]).astype(np.float64)
    return ClassChecker.of(seen, labels[rows], patients[rows], classes)


def check_candidates(
    pixels: Pixels, seeds: Sequence[int], label: int, real: FilterReference | None
) -> tuple[list[CandidateImage], Points]:
    """Check drawn images (M, C, H, W) of class number `label` one by one.

    Returns:
        The images with what speaks against each, and their layout and texture (M, D).
    """
    points = layout_texture_features(pixels)
    if real is None:
        return [CandidateImage(seed=seed) for seed in seeds], points
    labels, none = np.full(len(pixels), label), np.zeros(len(pixels), bool)
    found = find_nearest(pixels.__getitem__, len(pixels), real.references)
    copies = none if real.limits is None else real.limits.near_copies(found, labels)
    odds, doubt = _class_log_odds(pixels, label, real)
    drawn = [
        CandidateImage(
            seed=seed,
            reason=COPY if copies[n] else CLASS if doubt[n] > 0 else _FINE,
            nearest=int(found.rows[n]),
            distance=round(float(found.distance[n]), _DIGITS),
            lead=round(float(found.lead[n]), _DIGITS),
            odds=None if odds is None else float(odds[n]),
            doubt=float(doubt[n]),
        )
        for n, seed in enumerate(seeds)
    ]
    return drawn, points


def _class_log_odds(pixels: Pixels, label: int, real: FilterReference) -> tuple[Points | None, Points]:
    """Log-odds of class number `label` in drawn images, and how doubtful they are.

    Both are (M,). The log-odds are None where the class cannot be checked.
    """
    judge = real.judge
    odds = (
        judge.odds(real.see(pixels).astype(np.float64), label)
        if judge is not None and real.see is not None
        else None
    )
    if judge is None or odds is None:
        return None, np.zeros(len(pixels))
    rounded: Points = np.round(odds, _DIGITS)
    return rounded, np.round(judge.doubt(rounded, label), _DIGITS)


def select_best(
    drawn: Sequence[CandidateImage],
    points: Points,
    real: Points | None,
    wanted: int,
    *,
    doubtful: bool = True,
) -> list[CandidateImage]:
    """Select `wanted` of M drawn images of one class.

    There are fewer where all others are near copies, which are never kept. Where too few show their class
    surely, the least doubtful ones fill up what is missing, unless `doubtful` is false.

    Args:
        drawn: the candidates, checked.
        points: (M, D) their layout and texture.
        real: (N, D) those of the real images of the class, compared with which realism is measured. None, or
            a single one, compares each with all that were drawn.
        wanted: number of images.
        doubtful: whether images in doubt of their class may be kept.
    """
    # Realism, compared with the real images where there are any.
    beside = points if real is None or len(real) < 2 else real
    scale = FeatureScale.of(beside)
    ours = scale(points)
    scores = _realism_scores(ours, scale(beside), own=beside is points)
    # Of what passed the checks, drop the least realistic and select those that cover the class.
    passed = [n for n, one in enumerate(drawn) if one.reason == _FINE]
    tail = min(int(_WORST * len(passed)), max(len(passed) - wanted, 0))
    worst = set(sorted(passed, key=lambda n: scores[n])[:tail])
    rest = np.array([n for n in passed if n not in worst], np.int64)
    kept = {int(rest[n]) for n in _cover(ours[rest], scores[rest], wanted)}
    # Fill up with the least doubtful, and give every candidate its reason.
    misfits = [n for n, one in enumerate(drawn) if one.reason == CLASS]
    misfits.sort(key=lambda n: drawn[n].doubt)
    kept.update(misfits[: max(wanted - len(kept), 0)] if doubtful else ())
    reasons = [
        one.reason or (_FINE if n in kept else REALISM if n in worst else SURPLUS)
        for n, one in enumerate(drawn)
    ]
    return [
        replace(one, kept=n in kept, reason=reasons[n], realism=float(scores[n]))
        for n, one in enumerate(drawn)
    ]


def _realism_scores(points: Points, others: Points, *, own: bool = False) -> Points:
    """Realism (M,) of `points` (M, D) among `others` (N, D): arXiv 1904.06991, eq. 5.

    It is the largest ratio, over real images, of the distance to their own _NEIGHBOURS-th neighbour to their
    distance to the point. Real images whose neighbourhood is wider than the median are left out. With `own`,
    both are the same images, and none is compared with itself.
    """
    if len(others) < 2:
        return np.zeros(len(points))
    rank = min(_NEIGHBOURS, len(others) - 1)
    radius = np.concatenate(
        [np.sort(_distances(others[rows], others), axis=1)[:, rank] for rows in _chunk_rows(len(others))]
    )
    dense = np.flatnonzero(radius <= np.median(radius))
    found = []
    for rows in _chunk_rows(len(points)):
        far = _distances(points[rows], others[dense])
        if own:
            far[rows[:, None] == dense[None]] = np.inf
        found.append(np.divide(radius[dense], far, out=np.full_like(far, _MOST), where=far > 0).max(axis=1))
    scores: Points = np.round(np.minimum(np.concatenate(found), _MOST), _DIGITS)
    return scores


def _cover(points: Points, scores: Points, wanted: int) -> list[int]:
    """Select at most `wanted` rows of `points` (M, D) that leave no point far from all.

    Greedy k-centre, starting from the best of `scores` (M,). Each next row is the farthest from those
    selected, and the result is at most twice as far as the best possible (Gonzalez 1985; for choosing
    training images arXiv 1708.00489).
    """
    if not len(points) or wanted < 1:
        return []
    flat = _principal_components(points)
    chosen = [int(np.argmax(scores))]
    far = np.linalg.norm(flat - flat[chosen[0]], axis=1)
    while len(chosen) < min(wanted, len(points)):
        far[chosen[-1]] = -1  # equal images are still different choices
        chosen.append(int(np.argmax(far)))
        far = np.minimum(far, np.linalg.norm(flat - flat[chosen[-1]], axis=1))
    return chosen


def _principal_components(points: Points) -> Points:
    """`points` (M, D) in their first _COMPONENTS principal components."""
    centred = points - points.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    found: Points = centred @ axes[:, -_COMPONENTS:]
    return found


def _distances(points: Points, others: Points) -> Points:
    """Euclidean distances (M, N)."""
    distances: Points = torch.cdist(torch.from_numpy(points), torch.from_numpy(others)).numpy()
    return distances


def _chunk_rows(count: int) -> Iterator[NDArray[np.int64]]:
    """The rows 0 to `count` - 1, chunk by chunk."""
    for start in range(0, count, _CHUNK):
        yield np.arange(start, min(start + _CHUNK, count))
