"""Render quiz.html, the page on which a reader tells real from synthetic images."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medgan import __version__
from medgan.base import files
from medgan.evaluation.data import EvaluationData
from medgan.evaluation.quiz import Quiz, choose_quiz, exact_interval
from medgan.pictures.display import Window, display_window, png
from medgan.reports.templates import data_uri, load_templates

PAGE = "quiz.html"
"""The quiz, in the folder of an evaluation."""
_SMALL = 96
"""Pictures with a longer side below this many pixels are enlarged without smoothing."""


def save_quiz(
    out: Path, data: EvaluationData, seed: int, detector: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Write quiz.html, and say what it holds.

    Args:
        out: The folder of the evaluation.
        data: Its real and synthetic images.
        seed: Decides which images are shown, and their order.
        detector: The JSON of the part `shortcut`; None if it was not measured.

    Raises:
        DatasetError: no class has both a held-out real image and a synthetic one.
    """
    quiz = choose_quiz(data, seed)
    files.write_text(out / PAGE, render_quiz(quiz, data, seed, detector))
    return {"page": PAGE, "images": len(quiz.images), "classes": quiz.images.counts}


def render_quiz(quiz: Quiz, data: EvaluationData, seed: int, detector: Mapping[str, Any] | None) -> str:
    """Render the quiz as HTML with one inline script and without external resources."""
    environment = load_templates()
    environment.filters["source_hash"] = _source_hash
    asked = len(quiz.images)
    intervals = [[round(end, 4) for end in exact_interval(right, asked)] for right in range(asked + 1)]
    labels = [quiz.images.names[label] for label in quiz.images.labels.tolist()]
    return environment.get_template("quiz.html.j2").render(
        pictures=list(zip(_pictures(quiz), labels, strict=True)),
        small=max(quiz.images.pixels.shape[2:]) < _SMALL,
        facts={
            "answers": _conceal(quiz.synthetic, seed),
            "intervals": intervals,
            "quiz": files.digest_of([data.digest, seed])[:12],
            "medgan": __version__,
        },
        half=asked // 2,
        filtered=(data.filter or {}).get("sentence", ""),
        unseen=data.unseen,
        detector=detector,
        version=__version__,
    )


def _pictures(quiz: Quiz) -> Iterator[str]:
    """The images as data URIs; all images of a class are seen through one window."""
    windows: dict[int, Window] = {}
    for label in np.unique(quiz.images.labels).tolist():
        sides = [
            quiz.images.pixels[(quiz.images.labels == label) & (quiz.synthetic == kind)] for kind in (0, 1)
        ]
        windows[label] = display_window(*sides)
    for image, label in zip(quiz.images.pixels, quiz.images.labels.tolist(), strict=True):
        yield data_uri(png(image, windows[label], compressed=False))


def _conceal(synthetic: NDArray[np.bool_], seed: int) -> str:
    """Write the answers so that nobody reads them by accident.

    An image has two hexadecimal digits: a random byte, in which the number of ones is odd if the image is
    synthetic.
    """
    noise = np.random.default_rng(seed).integers(0, 256, len(synthetic)).tolist()
    pairs = zip(noise, synthetic.tolist(), strict=True)
    return "".join(f"{byte ^ ((byte.bit_count() & 1) ^ int(made)):02x}" for byte, made in pairs)


def _source_hash(text: str) -> str:
    """The hash by which a Content-Security-Policy allows one inline script or style."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode()
