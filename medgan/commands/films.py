"""Write films of what a model draws: a walk within each class, and one from class to class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from medgan.base import files
from medgan.base.job import Job
from medgan.base.progress import Progress
from medgan.learners.gan.film import draw_change, draw_walk
from medgan.learners.gan.model import Model
from medgan.output.folder import FILMS
from medgan.pictures.film import compose_frame, write_film
from medgan.scans.provenance import NOTICES, SOFTWARE

_STEPS = 16
"""Frames from one seed or class to the next."""
_SEEDS = 6
"""Seeds that a walk passes through."""
_BESIDE = 3
"""Seeds beside each other in the film from class to class."""
_MOST_CLASSES = 8
"""Classes that the film from class to class passes through, at most."""
_DURATION, _STOP = 80, 900
"""Milliseconds that a frame is shown, and one that shows a class as it is between two changes."""
_NOTICE = "SYNTHETIC, not filtered"
"""What stands above every frame."""
_BETWEEN = "between-classes.png"
"""The film from class to class; those of the classes begin with another word."""


def film_names(labels: Sequence[str], folders: Mapping[str, str]) -> dict[str, str]:
    """{file in the folder of films: class that it shows}; "" for the film from class to class."""
    names = {f"class-{folders[label]}.png": label for label in labels}
    return {**names, _BETWEEN: ""} if len(labels) > 1 else names


def film_notes(labels: Sequence[str]) -> tuple[str, ...]:
    """Sentences on what the films of these classes do not show."""
    left = len(labels) - _MOST_CLASSES
    return (
        "the folder films shows what the model draws before any filter, so a frame may be a near copy of a"
        " training image: look at the films before you pass them on",
        *([f"the film from class to class leaves out the last {left} classes"] if left > 0 else ()),
    )


def write_films(
    out: Path, model: Model, labels: Sequence[str], folders: Mapping[str, str], seed: int, job: Job
) -> tuple[str, ...]:
    """Write the films that the folder still lacks, and return the paths of all within it.

    Args:
        out: The output folder.
        model: Draws the frames, which no filter sees.
        labels: Classes to show.
        folders: {label: name of its folder}.
        seed: The first seed.
        job: Its device draws; it is told of the progress.
    """
    names = film_names(labels, folders)
    for name, label in names.items():
        place = out / FILMS / name
        if place.exists():
            continue
        files.make_folder(place.parent)
        if label:
            _write_walk(place, model, label, seed, job)
        else:
            _write_change(place, model, labels[:_MOST_CLASSES], seed, job)
    return tuple(f"{FILMS}/{name}" for name in names)


def _write_walk(place: Path, model: Model, label: str, seed: int, job: Job) -> None:
    """Write the film of a class: a closed walk through the images of some seeds."""
    seeds, frames = range(seed, seed + _SEEDS), []
    for image in draw_walk(model, label, seeds, _STEPS, job.device):
        frames.append(compose_frame([image], (_NOTICE, label)))
        job.tell(Progress("drawing", len(frames), _SEEDS * _STEPS, f"film {label}"))
    write_film(place, frames, [_DURATION] * len(frames), _facts(model, (label,), seeds))


def _write_change(place: Path, model: Model, labels: Sequence[str], seed: int, job: Job) -> None:
    """Write the film from class to class: the same seeds while the class changes."""
    seeds, frames = range(seed, seed + _BESIDE), []
    for shares, images in draw_change(model, labels, seeds, _STEPS, job.device):
        frames.append(compose_frame(images, (_NOTICE, _mixture_text(shares))))
        job.tell(Progress("drawing", len(frames), len(labels) * _STEPS, "film from class to class"))
    durations = [_DURATION if number % _STEPS else _STOP for number in range(len(frames))]
    write_film(place, frames, durations, _facts(model, labels, seeds))


def _mixture_text(shares: Mapping[str, float]) -> str:
    """Say of which classes a frame is, and in which shares."""
    alone = len(shares) == 1
    return ", ".join(label if alone else f"{label} {share:.0%}" for label, share in shares.items())


def _facts(model: Model, labels: Sequence[str], seeds: Sequence[int]) -> dict[str, object]:
    """What the text of a film says."""
    return {
        "SyntheticData": True,
        "Notice": NOTICES[True],
        "Labels": list(labels),
        "Seeds": list(seeds),
        "Model": model.digest,
        "Filtered": False,
        "Software": SOFTWARE,
    }
