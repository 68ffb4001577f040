"""Choose the images that the report of an evaluation shows, and store them beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medgan.evaluation.data import EvaluationData
from medgan.evaluation.usefulness.predictions import Predictions
from medgan.filtering.selection import CLASS, COPY, REALISM
from medgan.pictures.contact_sheet import MOST_CLASSES, images_per_class
from medgan.pictures.spread import choose_spread
from medgan.preparation.images import LabelledImages
from medgan.reports import exhibits
from medgan.reports.run_log import read_log
from medgan.similarity.nearest import References, find_nearest

_PAIRS = 3
"""Nearest pairs per class."""
_RANKED = 4
"""Images per class in each of the rows best, middle and worst."""
_MOST_VALUES = 96 * 1024**2
"""Pixel values of all stored images, at most; of large images or many classes fewer are shown."""
_REASONS = {
    COPY: "a near copy",
    CLASS: "shows its class less surely than real images do",
    REALISM: "least realistic",
}
"""{reason of rejection: caption}."""

_Pixels = NDArray[np.float32]


def save_exhibits(out: Path, images: EvaluationData, said: Predictions | None = None) -> None:
    """Store what the report shows in `exhibits.npz`, without any name of a real image or patient.

    These are, for each class, some real and synthetic images, the nearest pairs and the images with the
    best and worst filter scores; and the predictions of every arm.

    Args:
        out: The folder of the evaluation.
        images: Real and synthetic images.
        said: Predictions of every arm; None if usefulness was not measured.
    """
    stored: list[_Pixels] = []

    def add(pixels: _Pixels) -> list[int]:
        stored.extend(pixels)
        return list(range(len(stored) - len(pixels), len(stored)))

    # Choose the classes, rare ones first.
    there = [label for label, count in images.synthetic.counts.items() if count or images.train.counts[label]]
    shown = sorted(there, key=lambda label: images.train.counts[label])[:MOST_CLASSES]
    wanted = _images_per_side(images, len(shown))

    # Choose the images of each class.
    walls, pairs, ranked = [], [], []
    for label in (label for label in there if label in shown):
        real = images.held_out.of(label) if images.held_out.counts[label] else images.train.of(label)
        made = images.synthetic.of(label)
        some = made.take(choose_spread(made.sources.tolist(), wanted))
        others = real.take(choose_spread(real.patients.tolist(), wanted))
        walls.append(
            {
                "label": label,
                "real": add(others.pixels),
                "synthetic": add(some.pixels),
                "names": _seed_names(some),
            }
        )
        for ours, theirs, words in _nearest_pairs(made, images.train.of(label)):
            pairs.append({"label": label, "words": words, "rows": [*add(ours[None]), *add(theirs[None])]})
        rows = [
            {"title": title, "rows": add(row.pixels), "captions": captions}
            for title, row, captions in _rows_by_score(images, label)
        ]
        if rows:
            ranked.append({"label": label, "rows": rows})
    facts = {"walls": walls, "pairs": pairs, "ranked": ranked, "log": read_log(images.run)}
    exhibits.write_exhibits(out, stored, facts, said)


def _images_per_side(images: EvaluationData, classes: int) -> int:
    """How many images per class and side can be stored."""
    size = int(np.prod(images.train.pixels.shape[1:]))
    return max(
        min(
            images_per_class(classes),
            _MOST_VALUES // (size * max(classes, 1)) // 2 - 2 * _PAIRS - 4 * _RANKED,
        ),
        2,
    )


def _seed_names(images: LabelledImages) -> list[str]:
    """Names of synthetic images: only seeds, because file names of other tools may name a person."""
    return [source if source.startswith("seed ") else "" for source in images.sources.tolist()]


def _rows_by_score(images: EvaluationData, label: str) -> Iterator[tuple[str, LabelledImages, list[str]]]:
    """(title, images, captions) of kept images with best, middle and worst scores, and of rejected ones."""
    rows = images.synthetic.rows_of(label)
    scores = [(images.realism[row], int(row)) for row in rows.tolist() if row < len(images.realism)]
    told = sorted(
        ((score, row) for score, row in scores if score is not None), key=lambda one: (-one[0], one[1])
    )
    if len(told) < 3 * _RANKED:  # the gallery shows all of them
        return
    middle = (len(told) - _RANKED) // 2
    for title, some in (
        ("kept, best scores", told[:_RANKED]),
        ("kept, in the middle", told[middle : middle + _RANKED]),
        ("kept, worst scores", told[-_RANKED:]),
    ):
        chosen = images.synthetic.take([row for _, row in some])
        yield title, chosen, _captions(chosen, [f"score {score:.2f}" for score, _ in some])
    if images.rejected is not None and len(lost := images.rejected.rows_of(label)):
        chosen = images.rejected.take(lost)
        yield (
            "rejected",
            chosen,
            _captions(chosen, [_REASONS.get(images.reasons[row], "") for row in lost.tolist()]),
        )


def _captions(images: LabelledImages, words: Sequence[str]) -> list[str]:
    """Join the name of each image and its text to a caption."""
    return [", ".join(filter(None, pair)) for pair in zip(_seed_names(images), words, strict=True)]


def _nearest_pairs(
    synthetic: LabelledImages, train: LabelledImages
) -> Iterator[tuple[_Pixels, _Pixels, str]]:
    """(synthetic image, nearest training image, caption) of the pairs with the highest correlation."""
    if not len(synthetic) or not len(train):
        return
    found = find_nearest(
        synthetic.pixels.__getitem__,
        len(synthetic),
        References.of(train.pixels.__getitem__, train.patients),
    )
    for row in np.argsort(found.distance, kind="stable")[:_PAIRS].tolist():
        named = f" ({name})" if (name := _seed_names(synthetic.take([row]))[0]) else ""
        words = f"Correlation {1 - found.distance[row]:.2f} at the best shift, mirrored or not{named}."
        yield synthetic.pixels[row], train.pixels[found.rows[row]], words
