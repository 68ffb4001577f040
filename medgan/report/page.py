"""What was measured, and some images -> report.html: one file that holds everything, for a reader who is a clinician."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup
from numpy.typing import NDArray

from medgan import __version__
from medgan.report import figures
from medgan.report.sheet import display_window

Pixels = NDArray[Any]
"""(n, C, H, W) float32 in [0, 1]."""

SCORES = {
    "kid": ("KID", "distance"),
    "fd": ("FD-PCA64", "distance"),
    "sliced_wasserstein": ("sliced Wasserstein", "distance"),
    "precision": ("precision", "realism"),
    "density": ("density", "realism"),
    "recall": ("recall", "variety"),
    "coverage": ("coverage", "variety"),
    "ms_ssim_gap": ("MS-SSIM gap", "variety"),
}
"""{score: (its usual name, the question it answers)}."""
QUESTIONS = {
    "distance": "Is the whole like real images?",
    "realism": "Does each look real?",
    "variety": "Are they as varied?",
}
VERDICTS = {
    "helps": ("good", "Helps", "Synthetic images improved the classifier on real test patients."),
    "no-benefit": ("even", "No benefit", "Nothing was gained over the best treatment without synthetic images."),
    "harms": ("bad", "Harms", "The classifier did worse on real test patients with synthetic images."),
    "cannot-tell": ("none", "Cannot tell", "Too few held-out patients have the rare class for a verdict."),
}  # fmt: skip
HOW = {
    "usefulness": "medgan evaluate SOURCE --model RUN --only usefulness --out EVALUATION",
    "fidelity": "medgan evaluate SOURCE --model RUN --only fidelity --out EVALUATION",
    "shortcut": "medgan evaluate SOURCE --model RUN --only shortcut --out EVALUATION",
    "privacy": "medgan evaluate SOURCE --model RUN --only privacy --out EVALUATION",
    "images": "medgan evaluate SOURCE --model RUN --out EVALUATION",
    "counts": "medgan balance SOURCE --model RUN --out BALANCED",
    "curves": "medgan train SOURCE --out RUN",
}
"""{section: the command that fills it}."""


TONES = {
    "pass": "good",
    "passed": "good",
    "clear": "good",
    "none": "good",
    "visible": "even",
    "undecided": "even",
    "cannot-tell": "none",
}
"""{verdict of a part: its tone}; any other is bad news."""
WORDS = {"True": "yes", "False": "no", "None": "-"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A synthetic image and the training image nearest to it."""

    label: str
    words: str
    """How alike they are."""
    synthetic: Pixels
    real: Pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """All that a page can tell; whatever is empty is replaced by the command that makes it."""

    title: str
    evaluation: Mapping[str, Any] = field(default_factory=dict)
    """The documented JSON of `evaluate`."""
    galleries: Sequence[tuple[str, Pixels, Pixels]] = ()
    """(class, real images, synthetic images)."""
    pairs: Sequence[Pair] = ()
    sheet: bytes = b""
    """A contact sheet that lies there already (PNG), where there are no galleries."""
    before: Mapping[str, int] = field(default_factory=dict)
    """{class: real training images}."""
    after: Mapping[str, int] = field(default_factory=dict)
    log: Sequence[Mapping[str, Any]] = ()
    """Lines of log.jsonl."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """What one must know to make it again: {name: value}."""
    notes: Sequence[str] = ()
    """What limits the evidence."""


def page(story: Story) -> str:
    """The page as HTML: no script, and nothing from anywhere else."""
    evaluation = story.evaluation
    scores, arms = list(evaluation.get("scores") or ()), list(evaluation.get("arms") or ())
    shares = any(score["name"] in figures.SHARES and score["value"] is not None for score in scores)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "score_name": score_name, "plainly": plainly}
    return environment.get_template("page.html.j2").render(
        story=story,
        evaluation=evaluation,
        verdict=verdict_of(evaluation),
        findings=findings(evaluation, scores),
        classes=by_class(scores),
        scores=scores,
        questions=QUESTIONS,
        galleries=[gallery(*wall) for wall in story.galleries],
        pairs=[shown_pair(pair) for pair in story.pairs],
        sheet=picture(story.sheet),
        arms_plot=picture(figures.arms_figure(arms, str(evaluation.get("best_arm"))), "svg+xml") if arms else "",
        variety_plot=picture(figures.variety_figure(scores), "svg+xml") if shares else "",
        counts_plot=picture(figures.counts_figure(story.before, story.after), "svg+xml") if story.after else "",
        curves_plot=picture(figures.curves_figure(story.log), "svg+xml") if story.log else "",
        arms=sorted(arms, key=lambda arm: -arm["auprc"]),
        how=HOW,
        version=__version__,
    )  # fmt: skip


def picture(data: bytes, kind: str = "png") -> str:
    """The bytes as an address that an <img> shows (letters and digits only, so nothing to escape); empty for none."""
    return Markup(f"data:image/{kind};base64,{base64.b64encode(data).decode()}") if data else ""


def gallery(label: str, real: Pixels, synthetic: Pixels) -> dict[str, Any]:
    """A class's images as addresses, all seen through one window."""
    window = display_window([(label, real, synthetic)])
    return {
        "label": label,
        "real": [picture(figures.png(image, window)) for image in real],
        "synthetic": [picture(figures.png(image, window)) for image in synthetic],
    }


def shown_pair(pair: Pair) -> dict[str, Any]:
    """Both images of a pair as addresses."""
    window = display_window([(pair.label, pair.real[None], pair.synthetic[None])])
    sides = {
        side: picture(figures.png(image, window))
        for side, image in (("real", pair.real), ("synthetic", pair.synthetic))
    }
    return {"label": pair.label, "words": pair.words, **sides}


# --- words ---


def verdict_of(evaluation: Mapping[str, Any]) -> dict[str, str]:
    """The verdict on usefulness: its tone, its word and its sentence."""
    tone, word, sentence = VERDICTS.get(
        str(evaluation.get("verdict")),
        ("none", "Not tested", "Whether these images help a classifier has not been measured."),
    )
    return {"tone": tone, "word": word, "sentence": str(evaluation.get("sentence") or sentence)}


def findings(
    evaluation: Mapping[str, Any], scores: Sequence[Mapping[str, Any]]
) -> list[tuple[str, str, str]]:
    """(tone, question, answer) of everything but usefulness."""
    found = []
    if scores:
        found.append(likeness(scores))
    for name, question in (
        ("privacy", "Do they show a patient?"),
        ("shortcut", "Can a classifier cheat?"),
    ):
        part = evaluation.get(name)
        if part:
            tone = TONES.get(str(part.get("verdict")), "bad")
            found.append((tone, question, str(part.get("sentence") or part.get("verdict", ""))))
    return found


def likeness(scores: Sequence[Mapping[str, Any]]) -> tuple[str, str, str]:
    """How many scores of each question cannot be told from those of real images."""
    parts, shares, doubts = [], [], False
    for kind, words in (("distance", "closeness"), ("realism", "realism"), ("variety", "variety")):
        judged = [
            score
            for score in scores
            if SCORES[score["name"]][1] == kind and score["label"] and score["at_floor"] is not None
        ]
        if judged:
            reached = sum(score["at_floor"] for score in judged)
            parts.append(f"{words}: {reached} of {len(judged)}")
            shares.append(reached / len(judged))
            doubts |= any(score["at_floor"] and unsure(score) for score in judged)
    if not shares:
        return "none", "Are they like real images?", "There are too few images to tell."
    tone = "good" if min(shares) > 0.8 and not doubts else "even" if min(shares) > 0.4 else "bad"  # noqa: PLR2004
    limit = " Of some classes there are too few images or patients to conclude that they are alike." * doubts
    return (
        tone,
        "Are they like real images?",
        f"Scores that cannot be told from those of other real images: {', '.join(parts)}.{limit}",
    )


def unsure(score: Mapping[str, Any]) -> bool:
    """Whether there are too few images or patients to conclude that the two are alike."""
    return "cannot be concluded" in score["note"]


def by_class(scores: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A line per class: for each question, its scores; and the first note of what cannot be concluded."""
    lines = []
    for label in dict.fromkeys(score["label"] for score in scores):
        own = [score for score in scores if score["label"] == label]
        cells = {
            kind: [
                chip
                for name, (_, asked) in SCORES.items()
                if asked == kind and (chip := agreement(name, own))
            ]
            for kind in QUESTIONS
        }
        limits = [score["note"] for score in own if unsure(score) or score["value"] is None]
        limit = limits[0].rpartition("; ")[2] if limits else ""
        lines.append({"label": label or "all classes together", "cells": cells, "n": own[0]["n"], "n_real": own[0]["n_real"], "limit": limit})  # fmt: skip
    return lines


def agreement(name: str, scores: Sequence[Mapping[str, Any]]) -> dict[str, str] | None:
    """In how many spaces a score cannot be told from that of real images; None where it was measured in none."""
    judged = [score for score in scores if score["name"] == name and score["at_floor"] is not None]
    if not judged:
        return None
    reached, every = sum(score["at_floor"] for score in judged), len(judged)
    tone = "bad" if not reached else "even" if reached < every or any(map(unsure, judged)) else "good"
    alone = "as real" if reached else "not as real"
    words = alone if every == 1 else f"as real in {reached} of {every} spaces"
    mark = {"good": "✓", "even": "~", "bad": "✗"}[tone]
    return {"tone": tone, "mark": mark, "words": f"{SCORES[name][0]}: {words}"}


def score_name(name: str) -> str:
    """The usual name of a score."""
    return SCORES[name][0]


def number(value: float | None) -> str:
    """Three digits that matter."""
    return "-" if value is None else f"{value:.3g}"


def plainly(value: Any) -> str:
    """A value of a part's JSON, as short as it can be said."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {plainly(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return (" to " if len(value) == 2 else ", ").join(map(plainly, value))
    if isinstance(value, float):
        return number(value)
    return WORDS.get(str(value), str(value))
