"""Choose the images that an evaluation's page shows.

They are kept beside the page, so that it can be made again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medgan.evaluation.data import EvaluationData
from medgan.evaluation.predictions import Predictions
from medgan.filtering.selection import CLASS, COPY, REALISM
from medgan.pictures.contact_sheet import MOST_CLASSES, images_per_class
from medgan.pictures.spread import choose_spread
from medgan.prepare.images import LabelledImages
from medgan.reports import exhibits
from medgan.training.run_log import read_log

PAIRS, RANKED = 3, 4
"""Nearest pairs per class; images per class that are best, in the middle, and worst."""
ROOM = 96 * 1024**2
"""Values of all images that are kept: of large images, or of many classes, fewer are shown."""
WHY = {
    COPY: "a near copy",
    CLASS: "shows its class less surely than real images do",
    REALISM: "least realistic",
}
"""{reason: why an image was rejected, in words}."""

Pixels = NDArray[np.float32]


def exhibit(out: Path, images: EvaluationData, said: Predictions | None = None) -> None:
    """Keep what the page shows in `exhibits.npz`.

    Of each class some real and synthetic images, the nearest pairs, those that the filter thought best and worst, and what arms said.
    No name of a real image or patient is kept.
    """
    hung: list[Pixels] = []

    def hang(pixels: Pixels) -> list[int]:
        hung.extend(pixels)
        return list(range(len(hung) - len(pixels), len(hung)))

    there = [label for label, count in images.synthetic.counts.items() if count or images.train.counts[label]]
    shown = sorted(there, key=lambda label: images.train.counts[label])[:MOST_CLASSES]  # rare ones first
    wanted = most(images, len(shown))
    walls, pairs, ranked = [], [], []
    for label in (label for label in there if label in shown):
        real = images.held_out.of(label) if images.held_out.counts[label] else images.train.of(label)
        made = images.synthetic.of(label)
        some = made.take(choose_spread(made.sources.tolist(), wanted))
        others = real.take(choose_spread(real.patients.tolist(), wanted))
        walls.append(
            {
                "label": label,
                "real": hang(others.pixels),
                "synthetic": hang(some.pixels),
                "names": seeds(some),
            }
        )
        for ours, theirs, words in nearest(made, images.train.of(label)):
            pairs.append({"label": label, "words": words, "rows": [*hang(ours[None]), *hang(theirs[None])]})
        rows = [
            {"title": title, "rows": hang(row.pixels), "captions": captions}
            for title, row, captions in by_score(images, label)
        ]
        if rows:
            ranked.append({"label": label, "rows": rows})
    facts = {"walls": walls, "pairs": pairs, "ranked": ranked, "log": read_log(images.run)}
    exhibits.write(out, hung, facts, said)


def most(images: EvaluationData, classes: int) -> int:
    """Images per class and side that have room."""
    size = int(np.prod(images.train.pixels.shape[1:]))
    return max(
        min(images_per_class(classes), ROOM // (size * max(classes, 1)) // 2 - 2 * PAIRS - 4 * RANKED), 2
    )


def seeds(images: LabelledImages) -> list[str]:
    """What synthetic images are called: by their seeds, for files of other tools may be named after a person."""
    return [source if source.startswith("seed ") else "" for source in images.sources.tolist()]


def by_score(images: EvaluationData, label: str) -> Iterator[tuple[str, LabelledImages, list[str]]]:
    """(title, images, captions) of the kept images that scored best, in the middle and worst, and of rejected ones."""
    rows = images.synthetic.rows_of(label)
    scores = [(images.realism[row], int(row)) for row in rows.tolist() if row < len(images.realism)]
    told = sorted(
        ((score, row) for score, row in scores if score is not None), key=lambda one: (-one[0], one[1])
    )
    if len(told) < 3 * RANKED:  # all of them are on the wall
        return
    middle = (len(told) - RANKED) // 2
    for title, some in (
        ("kept, best scores", told[:RANKED]),
        ("kept, in the middle", told[middle : middle + RANKED]),
        ("kept, worst scores", told[-RANKED:]),
    ):
        chosen = images.synthetic.take([row for _, row in some])
        yield title, chosen, captions(chosen, [f"score {score:.2f}" for score, _ in some])
    if images.rejected is not None and len(lost := images.rejected.rows_of(label)):
        chosen = images.rejected.take(lost)
        yield (
            "rejected",
            chosen,
            captions(chosen, [WHY.get(images.reasons[row], "") for row in lost.tolist()]),
        )


def captions(images: LabelledImages, words: Sequence[str]) -> list[str]:
    """The name of each image and what is said of it."""
    return [", ".join(filter(None, pair)) for pair in zip(seeds(images), words, strict=True)]


def nearest(synthetic: LabelledImages, train: LabelledImages) -> Iterator[tuple[Pixels, Pixels, str]]:
    """The synthetic images most like a training image, with that image: by the correlation of their pixels."""
    if not len(synthetic) or not len(train):
        return
    alike = unit(synthetic.pixels) @ unit(train.pixels).T
    best = alike.max(axis=1)
    for row in np.argsort(-best, kind="stable")[:PAIRS].tolist():
        named = f" ({name})" if (name := seeds(synthetic.take([row]))[0]) else ""
        words = f"Correlation {best[row]:.2f}{named}."
        yield synthetic.pixels[row], train.pixels[int(alike[row].argmax())], words


def unit(pixels: Pixels) -> Pixels:
    """Rows of mean 0 and length 1."""
    rows = pixels.reshape(len(pixels), -1)
    rows = rows - rows.mean(axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-8), np.float32)
