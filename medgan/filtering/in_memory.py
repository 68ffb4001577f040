"""Select and draw synthetic images in memory, as `sample` and `balance` would."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from medgan.base import files
from medgan.base.job import Job
from medgan.base.progress import Progress
from medgan.base.results import FILTER_OFF
from medgan.filtering.candidates import (
    ReferenceSet,
    SampleRequest,
    count_outcomes,
    draw_and_filter,
    filter_class,
    has_too_many_copies,
)
from medgan.filtering.selection import CLASS, COPY, REALISM, CandidateImage
from medgan.filtering.summary import filter_sentence
from medgan.learners.gan.model import Model
from medgan.learners.gan.sample import draw
from medgan.preparation.images import LabelledImages

_SHOWN = 4
"""Number of rejected images of each reason that a page shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _InMemorySelection:
    """The seeds of a model's images to evaluate, and what the filter decided."""

    seeds: Mapping[str, Sequence[int]]
    """{class: seeds}."""
    filter: Mapping[str, Any]
    """The documented JSON."""

    scores: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """{class: {seed: realism}} of the images that were kept."""
    lost: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """{class: {seed: reason}} of some images that were rejected."""

    @property
    def rejected(self) -> dict[str, Sequence[int]]:
        """{class: seeds of some images that were rejected}."""
        return {label: [int(seed) for seed in why] for label, why in self.lost.items()}

    def realism(self, labels: Sequence[str]) -> tuple[float | None, ...]:
        """Realism of every image, class by class in the order of `labels`, or None."""
        return tuple(
            self.scores.get(label, {}).get(str(seed))
            for label in labels
            for seed in self.seeds.get(label, ())
        )

    def reasons(self, labels: Sequence[str]) -> tuple[str, ...]:
        """Reason of every rejected image shown, class by class in the order of `labels`."""
        return tuple(why for label in labels for why in self.lost.get(label, {}).values())

    @property
    def notes(self) -> tuple[str, ...]:
        """A sentence for each class of which the generator copies training images."""
        return tuple(
            f"class {label}: {counts['copy']} of {counts['drawn']} images drawn are near copies of training "
            "images, so `sample` and `balance` write none of them; here they are judged as they are drawn"
            for label, counts in self.filter["counts"].items()
            if label in self.filter["as_drawn"]
        )


def choose_seeds(
    model: Model, wish: SampleRequest, against: Callable[[], ReferenceSet] | None, job: Job
) -> dict[str, Sequence[int]]:
    """{class: seeds of the images wanted}, unfiltered where `against` is None.

    Raises:
        ModelError: the generator copies training images of a class.
    """
    if against is None:
        return {label: _unfiltered_seeds(wish, label) for label in wish.counts}
    known = against()
    return {
        label: [one.seed for one in filter_class(model, label, wish, known, job) if one.kept]
        for label, count in wish.counts.items()
        if count
    }


def select_in_memory(
    model: Model,
    wish: SampleRequest,
    against: Callable[[], ReferenceSet] | None,
    known: MutableMapping[str, Any],
    job: Job,
) -> _InMemorySelection:
    """Choose the seeds to evaluate.

    A class of which the generator copies training images is taken as it is drawn.

    Args:
        model: draws the candidates.
        wish: what is wanted.
        against: loads the training images to compare with; None turns the filter off.
        known: stores and recalls the selection of each class.
        job: where images are drawn; told how many candidates are done.
    """
    if against is None:
        return _InMemorySelection(
            seeds=choose_seeds(model, wish, None, job), filter=_filter_report(FILTER_OFF, ())
        )
    # Each class: draw and filter it, or take what is known from before.
    beside, found = None, {}
    for label, count in wish.counts.items():
        key = files.digest_of([label, count, wish.seed, model.digest])
        if key not in known:
            beside = against() if beside is None else beside
            drawn = draw_and_filter(model, label, wish, beside, job)
            known[key] = {
                "copied": has_too_many_copies(drawn),
                "seeds": [one.seed for one in drawn if one.kept],
                "counts": count_outcomes(drawn),
                "checks": list(beside.checks),
                "class_check": beside.class_check,
                "scores": {
                    str(one.seed): one.realism for one in drawn if one.kept and one.realism is not None
                },
                "lost": _rejection_reasons(drawn),
            }
        found[label] = known[key]
    # The report; all classes were compared with the same images.
    any_class: Mapping[str, Any] = next(iter(found.values()), FILTER_OFF)
    filtered = {
        "on": True,
        "compared_with": model.data_digest,
        **{name: any_class[name] for name in ("checks", "class_check")},
        "counts": {label: one["counts"] for label, one in found.items()},
    }
    # The seeds.
    as_drawn = tuple(label for label, one in found.items() if one["copied"])
    seeds = {
        label: _unfiltered_seeds(wish, label) if one["copied"] else one["seeds"]
        for label, one in found.items()
    }
    scores, lost = (
        {label: one.get(name) or {} for label, one in found.items()} for name in ("scores", "lost")
    )
    return _InMemorySelection(
        seeds=seeds, filter=_filter_report(filtered, as_drawn), scores=scores, lost=lost
    )


def _rejection_reasons(drawn: Sequence[CandidateImage]) -> dict[str, str]:
    """{seed: reason} of some rejected images: the clearest cases of each reason."""
    loudest: dict[str, Callable[[CandidateImage], float]] = {
        COPY: lambda one: one.distance or 0.0,
        CLASS: lambda one: -one.doubt,
        REALISM: lambda one: one.realism or 0.0,
    }
    found: list[CandidateImage] = []
    for reason, key in loudest.items():
        found += sorted((one for one in drawn if not one.kept and one.reason == reason), key=key)[:_SHOWN]
    return {str(one.seed): one.reason for one in found}


def _filter_report(filtered: Mapping[str, Any], as_drawn: Sequence[str]) -> dict[str, Any]:
    """The filter's report with the classes that were taken as drawn, and in words."""
    report = {**filtered, "as_drawn": list(as_drawn)}
    return {**report, "sentence": filter_sentence(report)}


def _unfiltered_seeds(wish: SampleRequest, label: str) -> range:
    """The seeds of a class without the filter."""
    return range(wish.seed, wish.seed + wish.counts[label])


def draw_images(model: Model, seeds: Mapping[str, Sequence[int]], job: Job) -> LabelledImages:
    """Draw the images of these seeds, each as a patient of its own."""
    total, pixels, labels, patients, sources = sum(map(len, seeds.values())), [], [], [], []
    for number, label in enumerate(model.labels):
        for one in draw(model, label, seeds.get(label, ()), device=job.device):
            pixels.append(one.pixels)
            labels.append(number)
            patients.append(f"synthetic {label} {one.seed}")
            sources.append(f"seed {one.seed}")
            job.tell(Progress("drawing", len(pixels), total))
    shape = (0, *model.plan.frame.shape)
    return LabelledImages(
        pixels=np.stack(pixels) if pixels else np.zeros(shape, np.float32),
        labels=np.array(labels, np.int64),
        names=model.labels,
        patients=np.array(patients, str),
        sources=np.array(sources, str),
    )
