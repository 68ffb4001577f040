"""Draw candidates and select samples, class by class.

The selection of a class is stored at once, so that a command that was killed continues with the same one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from medgan.base import files
from medgan.base.errors import ModelError
from medgan.base.job import ALONE, Job
from medgan.base.progress import Progress
from medgan.base.results import CLASSES_NOT_CHECKED
from medgan.base.run_folder import read_memo
from medgan.filtering.selection import (
    CLASS,
    COPY,
    REALISM,
    SURPLUS,
    CandidateImage,
    FilterReference,
    check_candidates,
    select_best,
)
from medgan.filtering.separability import class_check_report, is_network_installed
from medgan.learners.gan.model import Model
from medgan.learners.gan.sample import draw
from medgan.preparation.stack import Stack
from medgan.similarity.appearance import Points
from medgan.similarity.features import lite0_features

_VERSION = 1

_PER_IMAGE = 4
"""Candidates drawn in a round for each image wanted."""
_LEAST = 20
"""Smallest number of candidates in a round: a share of fewer means nothing."""
_ROUNDS = 3
"""Largest number of rounds."""
_TOO_MANY = 0.2
"""Share of near copies among the candidates of a class above which the generator, and not chance, is to
blame."""
_CHUNK = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The candidates of every class with the filter's decisions, and what was checked."""

    compared_with: str = ""
    """SHA-256 of the data whose training images the candidates were compared with; empty where there was
    none."""
    checks: tuple[str, ...] = ()
    """What was checked: "copy", "class"."""
    class_check: Mapping[str, Any] = field(default_factory=lambda: CLASSES_NOT_CHECKED)
    """Which classes were checked, and which of them can hardly be told apart."""
    drawn: Mapping[str, tuple[CandidateImage, ...]] = field(default_factory=dict)
    """{label: candidates, in the order of their seeds}."""
    names: Mapping[str, str] = field(default_factory=dict)
    """{row of a training image: its name as `--real prepared` would write it}, of those nearest to a
    candidate."""

    def seeds(self, label: str) -> list[int]:
        """The seeds of the images that are kept, in order."""
        return [one.seed for one in self.drawn.get(label, ()) if one.kept]

    def hold(self, counts: Mapping[str, int]) -> Selection:
        """Limit the selection to these numbers of images per class.

        Images in doubt are dropped first, then the last ones.
        """
        return replace(
            self,
            drawn={label: tuple(_limit_kept(drawn, counts[label])) for label, drawn in self.drawn.items()},
        )

    def report(self) -> dict[str, Any]:
        """The entry in run.json and the documented JSON."""
        return {
            "on": True,
            "compared_with": self.compared_with,
            "checks": list(self.checks),
            "class_check": self.class_check,
            "counts": {label: count_outcomes(drawn) for label, drawn in self.drawn.items()},
        }


def _limit_kept(drawn: Sequence[CandidateImage], count: int) -> Iterator[CandidateImage]:
    """The candidates with at most `count` of them kept.

    The others become surplus, or stay in doubt of their class.
    """
    kept = sorted((one for one in drawn if one.kept), key=lambda one: (bool(one.reason), one.seed))
    over = {one.seed for one in kept[count:]}
    for one in drawn:
        yield replace(one, kept=False, reason=one.reason or SURPLUS) if one.seed in over else one


def count_outcomes(drawn: Sequence[CandidateImage]) -> dict[str, int]:
    """{outcome: number of candidates}."""
    lost = Counter(one.reason for one in drawn if not one.kept)
    kept = [one for one in drawn if one.kept]
    return {
        "drawn": len(drawn),
        **{reason: lost[reason] for reason in (COPY, CLASS, REALISM, SURPLUS)},
        "kept": len(kept),
        "kept_in_doubt": sum(one.reason == CLASS for one in kept),
    }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReferenceSet:
    """The training images that candidates are compared with."""

    real: FilterReference
    labels: tuple[str, ...]
    """Class names by number."""
    names: tuple[str, ...]
    """Name of every image, as `--real prepared` would write it."""
    data: str
    """SHA-256 of the data that the images are from."""

    @classmethod
    def of(cls, stack: Stack, folders: Mapping[str, str], data: str, job: Job = ALONE) -> ReferenceSet:
        """Measure the images of a stack.

        `folders` are the class folders, by which the images are named.
        """
        number: Counter[str] = Counter()
        names = []
        for row in stack.labels.tolist():
            label = stack.names[row]
            number[label] += 1
            names.append(f"{folders[label]}_real_{number[label]:06d}")
        see = lite0_features() if len(stack.names) > 1 and is_network_installed() else None
        people = stack.patients
        real = FilterReference.of(
            stack.images, stack.labels, people, len(stack.names), see=see, on_progress=job.tell
        )
        return cls(real=real, labels=stack.names, names=tuple(names), data=data)

    @property
    def checks(self) -> tuple[str, ...]:
        """What can be checked with them."""
        parts = ((COPY, self.real.limits is not None), (CLASS, bool(self.class_check["labels"])))
        return tuple(name for name, there in parts if there)

    @property
    def class_check(self) -> Mapping[str, Any]:
        """Which classes can be checked with them."""
        return class_check_report(self.real.judge, self.labels)


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleRequest:
    """How many images of each class are wanted, and from which seed on."""

    counts: Mapping[str, int]
    """{label: number of images}."""
    seed: int = 0
    """Seed of the first candidate; the others follow."""
    doubtful: bool = True
    """Whether images that show their class less surely than real ones may fill up a class of which too few
    others were drawn."""


def select_samples(
    stored: Path,
    model: Model,
    wish: SampleRequest,
    against: Callable[[], ReferenceSet | None],
    job: Job = ALONE,
) -> Selection:
    """Select the samples of every class, or continue a stored selection.

    Args:
        stored: the file that stores the selection.
        model: draws the candidates.
        wish: what is wanted.
        against: loads the training images to compare with; called only where a class is not selected yet.
        job: where images are drawn; told how many candidates are done.

    Raises:
        ModelError: more than _TOO_MANY of the candidates of a class are near copies of training images.
    """
    if not any(wish.counts.values()):
        return Selection()
    choice = _read_selection(stored)
    missing = [
        label for label, count in wish.counts.items() if count and not (choice and label in choice.drawn)
    ]
    if choice is not None and not missing:
        return choice
    known = against()
    if choice is None:
        choice = Selection() if known is None else _begin_selection(known)
    for label in missing:
        drawn = tuple(filter_class(model, label, wish, known, job))
        near = {
            str(one.nearest): known.names[one.nearest] for one in drawn if known and one.nearest is not None
        }
        choice = replace(choice, drawn={**choice.drawn, label: drawn}, names={**choice.names, **near})
        files.write_json(stored, {"version": _VERSION, "choice": choice})
    return choice


def _begin_selection(known: ReferenceSet) -> Selection:
    """The selection with these training images, before any class is selected."""
    return Selection(compared_with=known.data, checks=known.checks, class_check=known.class_check)


def _read_selection(stored: Path) -> Selection | None:
    """The stored selection of a command that was killed, None where there is none."""
    try:
        found: Selection = files.from_json(Selection, read_memo(stored).get("choice"))
    except ValueError:
        return None
    return found


def filter_class(
    model: Model, label: str, wish: SampleRequest, against: ReferenceSet | None, job: Job
) -> list[CandidateImage]:
    """Draw and filter one class.

    Raises:
        ModelError: more than _TOO_MANY of the candidates are near copies of training images.
    """
    drawn = draw_and_filter(model, label, wish, against, job)
    _refuse_copies(label, drawn)
    return drawn


def draw_and_filter(
    model: Model, label: str, wish: SampleRequest, against: ReferenceSet | None, job: Job
) -> list[CandidateImage]:
    """Draw candidates of one class and filter them.

    More are drawn where too few pass, and the least doubtful may fill up what is still missing. Where more
    than _TOO_MANY are near copies of training images, the filter stops, and none is kept.
    """
    wanted = wish.counts[label]
    drawn, points, sifted = [], [], []
    real = None if against is None else against.real
    number = 0 if against is None else against.labels.index(label)
    beside = None if real is None else real.points[real.labels == number]
    for first, size in _rounds(wanted):
        seeds = range(wish.seed + first, wish.seed + first + size)
        for some, features in _draw_candidates(model, label, seeds, (number, real), job.device):
            drawn += some
            points.append(features)
            job.tell(Progress("choosing", len(drawn), first + size, label))
        if has_too_many_copies(drawn):
            return [replace(one, kept=False) for one in drawn]
        sifted = select_best(drawn, np.concatenate(points), beside, wanted, doubtful=wish.doubtful)
        if sum(one.kept and not one.reason for one in sifted) == wanted:
            break
    return sifted


def most_candidates(wanted: int) -> int:
    """Largest number of candidates that may be drawn."""
    return sum(size for _, size in _rounds(wanted))


def _rounds(wanted: int) -> Iterator[tuple[int, int]]:
    """(first candidate, number of candidates) of each round."""
    size = max(_PER_IMAGE * wanted, _LEAST)
    for number in range(_ROUNDS):
        yield number * size, size


def _draw_candidates(
    model: Model, label: str, seeds: Sequence[int], known: tuple[int, FilterReference | None], device: str
) -> Iterator[tuple[list[CandidateImage], Points]]:
    """Draw candidates and check them, a few at a time.

    Their pixels are not stored: they are drawn again when they are written.
    """
    number, real = known
    for start in range(0, len(seeds), _CHUNK):
        some = seeds[start : start + _CHUNK]
        pixels = np.stack([sample.pixels for sample in draw(model, label, some, device=device)])
        yield check_candidates(pixels, some, number, real)


def has_too_many_copies(drawn: Sequence[CandidateImage]) -> bool:
    """Whether so many candidates are copies that the generator repeats what it saw."""
    return sum(one.reason == COPY for one in drawn) > _TOO_MANY * len(drawn)


def _refuse_copies(label: str, drawn: Sequence[CandidateImage]) -> None:
    """Raise ModelError where the generator repeats what it saw."""
    if has_too_many_copies(drawn):
        raise ModelError(
            f"{sum(one.reason == COPY for one in drawn)} of {len(drawn)} images drawn of class {label} are "
            "near copies of training images: the generator repeats what it saw",
            hint="Train for a shorter time (--minutes, --images), or add scans to the class. "
            "With --no-filter the images are written as they are.",
        )
