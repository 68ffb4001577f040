"""Model and numbers wanted -> the images that medgan hands out, in memory: those the filter chooses, or as they are drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from medgan import files
from medgan.commands.screened import sentence
from medgan.commands.sifting import OFF, Against, Wish, chosen, copied, picked, tally
from medgan.gan.draw import draw
from medgan.gan.model import Model
from medgan.progress import OnProgress, Progress
from medgan.quality.images import Images


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """The images of a model that are judged, by their seeds, and what the filter made of the candidates."""

    seeds: Mapping[str, Sequence[int]]
    """{class: seeds}."""
    filter: Mapping[str, Any]
    """The documented JSON."""

    @property
    def notes(self) -> tuple[str, ...]:
        """A sentence for each class that the generator copies."""
        return tuple(
            f"class {label}: {counts['copy']} of {counts['drawn']} images drawn are near copies of training images, so `sample` and"
            " `balance` write none of them; here they are judged as they are drawn"
            for label, counts in self.filter["counts"].items()
            if label in self.filter["as_drawn"]
        )


def seeds_of(
    model: Model, wish: Wish, against: Callable[[], Against] | None, on_progress: OnProgress
) -> dict[str, Sequence[int]]:
    """{class: seeds of the images wanted}: those the filter keeps, or without `against` the first; ModelError where one is copied."""
    if against is None:
        return {label: first(wish, label) for label in wish.counts}
    known = against()
    return {
        label: [one.seed for one in chosen(model, label, wish, known, on_progress) if one.kept]
        for label, count in wish.counts.items()
        if count
    }


def offer(
    model: Model,
    wish: Wish,
    against: Callable[[], Against] | None,
    known: MutableMapping[str, Any],
    on_progress: OnProgress,
) -> Offer:
    """The seeds that `seeds_of` gives, to be measured: a class that is copied is no refusal, and is taken as it is drawn.

    What is chosen for a class is put into `known`, and taken from there when it is asked for again.
    """
    if against is None:
        return Offer(seeds=seeds_of(model, wish, None, on_progress), filter=reported(OFF, ()))
    beside, found = None, {}
    for label, count in wish.counts.items():
        key = files.digest_of([label, count, wish.seed, model.digest])
        if key not in known:
            beside = against() if beside is None else beside
            drawn = picked(model, label, wish, beside, on_progress)
            known[key] = {
                "copied": copied(drawn),
                "seeds": [one.seed for one in drawn if one.kept],
                "counts": tally(drawn),
                "checks": list(beside.checks),
            }
        found[label] = known[key]
    checks: list[str] = next((one["checks"] for one in found.values()), [])
    counts = {label: one["counts"] for label, one in found.items()}
    filtered = {"on": True, "compared_with": model.data_digest, "checks": checks, "counts": counts}
    as_drawn = tuple(label for label, one in found.items() if one["copied"])
    seeds = {label: first(wish, label) if one["copied"] else one["seeds"] for label, one in found.items()}
    return Offer(seeds=seeds, filter=reported(filtered, as_drawn))


def reported(filtered: Mapping[str, Any], as_drawn: Sequence[str]) -> dict[str, Any]:
    """The report of the filter, with the classes that were taken as drawn though it was on, and a sentence for a person."""
    report = {**filtered, "as_drawn": list(as_drawn)}
    return {**report, "sentence": sentence(report)}


def first(wish: Wish, label: str) -> range:
    """The seeds of a class without the filter."""
    return range(wish.seed, wish.seed + wish.counts[label])


def drawn_images(
    model: Model, seeds: Mapping[str, Sequence[int]], device: str, on_progress: OnProgress
) -> Images:
    """The images of these seeds, each a patient of its own."""
    total, pixels, labels, patients, sources = sum(map(len, seeds.values())), [], [], [], []
    for number, label in enumerate(model.labels):
        for one in draw(model, label, seeds.get(label, ()), device=device):
            pixels.append(one.pixels)
            labels.append(number)
            patients.append(f"synthetic {label} {one.seed}")
            sources.append(f"seed {one.seed}")
            on_progress(Progress("drawing", len(pixels), total))
    shape = (0, model.plan.channels, *model.plan.size)
    return Images(
        pixels=np.stack(pixels) if pixels else np.zeros(shape, np.float32),
        labels=np.array(labels, np.int64),
        names=model.labels,
        patients=np.array(patients, str),
        sources=np.array(sources, str),
    )
