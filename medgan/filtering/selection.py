"""Drawn images of one class (and the real ones) -> which to keep, with scores, and a reason for each of the others.

In this order: near copies of training images are rejected; then what shows its class less surely than real images do; then the tenth that
is least realistic; of the rest, those are kept that cover the class best. Every step is arithmetic, in the order of the seeds.
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
"""A realism beyond which more says nothing."""
_COMPONENTS = 32
"""Principal components in which coverage is chosen."""
_DIGITS = 4
"""Scores are rounded, so that the last bits of a sum decide nothing."""
_CHUNK = 256
_MOST_TAUGHT = 500
"""Real images of a class that teach the judge of classes, at most."""

COPY, CLASS, REALISM, SURPLUS, _FINE = "copy", "class", "realism", "surplus", ""
"""Why an image is not kept; FINE where nothing speaks against it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateImage:
    """One drawn image as the sieve saw it; None where something could not be looked at."""

    seed: int
    kept: bool = True
    reason: str = _FINE
    """"copy", "class", "realism" or "surplus"; "class" of a kept image: it is doubtful, and too few others were left."""
    nearest: int | None = None
    """Row of the nearest training image."""
    distance: float | None = None
    """1 - correlation with it, after shift and mirroring."""
    lead: float | None = None
    """That distance as a share of the distance to the next patient."""
    odds: float | None = None
    """Log-odds of its own class."""
    doubt: float = 0.0
    """How far these lie below what an image of its class must have."""
    realism: float | None = None
    """From 1 on: as near to a real image as that one's own neighbours are."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FilterReference:
    """The training images as the sieve needs them."""

    references: References
    labels: NDArray[np.int64]
    """(N,): class numbers."""
    points: Points
    """(N, D): their `layout_texture_features`."""
    limits: CopyLimits | None
    """None where there are too few patients to tell a copy from a likeness."""
    judge: ClassChecker | None
    """None where classes cannot be checked: one class only, a patient each, or no network."""
    see: FeatureFunction | None
    """What the judge sees of images."""

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
        """Look at the training images, which `pick` gives piece by piece, and learn from them; classes by what `see` sees of them."""
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
    """A judge of classes that has seen at most TAUGHT images of each, evenly taken from the patients."""
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
    """Drawn images (M, C, H, W) of class number `label`: what speaks against each by itself, and their `layout_texture_features` (M, D)."""
    points = layout_texture_features(pixels)
    if real is None:
        return [CandidateImage(seed=seed) for seed in seeds], points
    labels, nobody = np.full(len(pixels), label), np.zeros(len(pixels), bool)
    found = find_nearest(pixels.__getitem__, len(pixels), real.references)
    copies = nobody if real.limits is None else real.limits.near_copies(found, labels)
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
    """Log-odds (M,) of class number `label` in drawn images (M, C, H, W), None where nobody can tell; and how doubtful (M,) that makes them."""
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
    """Choose `wanted` of M drawn images of one class; fewer where all others are near copies, which are never kept.

    Where too few show their class surely, the least doubtful of the others fill up what is left, unless `doubtful` is false.

    `points` (M, D) are their looks, `real` (N, D) those of the real images of the class, beside which realism is judged. Without them,
    or with one alone, each is judged beside all that were drawn.
    """
    beside = points if real is None or len(real) < 2 else real
    scale = FeatureScale.of(beside)
    ours = scale(points)
    scores = _realism_scores(ours, scale(beside), own=beside is points)
    passed = [n for n, one in enumerate(drawn) if one.reason == _FINE]
    tail = min(int(_WORST * len(passed)), max(len(passed) - wanted, 0))
    worst = set(sorted(passed, key=lambda n: scores[n])[:tail])
    rest = np.array([n for n in passed if n not in worst], np.int64)
    kept = {int(rest[n]) for n in _cover(ours[rest], scores[rest], wanted)}
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
    """Realism score (M,) of `points` (M, D) beside `others` (N, D): arXiv 1904.06991, eq. 5.

    The largest of: how far a real image is from its own NEIGHBOURS-th neighbour, as a share of how far it is from the point, over those
    real images whose neighbourhood is no wider than the median. With `own` both are the same images, and none is compared with itself.
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
    """At most `wanted` rows of `points` (M, D) such that none is far from all of them: greedy k-centre, from the best of `scores` (M,) on.

    Each next one is the farthest from those chosen, which is at most twice as far as in the best choice (Gonzalez 1985; for choosing
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
    """`points` (M, D) in their COMPONENTS leading principal components."""
    centred = points - points.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    found: Points = centred @ axes[:, -_COMPONENTS:]
    return found


def _distances(points: Points, others: Points) -> Points:
    """Euclidean distances (M, N)."""
    distances: Points = torch.cdist(torch.from_numpy(points), torch.from_numpy(others)).numpy()
    return distances


def _chunk_rows(count: int) -> Iterator[NDArray[np.int64]]:
    """The rows 0 to `count` - 1, a chunk at a time."""
    for start in range(0, count, _CHUNK):
        yield np.arange(start, min(start + _CHUNK, count))
