"""Word the verdict and the answers at the top of an evaluation's report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from medgan.reports.wording import QUESTIONS, SCORES, TONES, VERDICTS

_LIKENESS_QUESTION = "Are they like real images?"
_ELSEWHERE = "At another hospital:"
_WORST_FIRST = ("bad", "even", "none", "good")
"""Tones of answers."""


def verdict_of(evaluation: Mapping[str, Any]) -> dict[str, str]:
    """The verdict on usefulness as {"tone", "word", "sentence"}."""
    tone, word, sentence = VERDICTS.get(
        str(evaluation.get("verdict")),
        ("none", "Not tested", "Whether these images help a classifier has not been measured."),
    )
    return {"tone": tone, "word": word, "sentence": str(evaluation.get("sentence") or sentence)}


def findings(
    evaluation: Mapping[str, Any], scores: Sequence[Mapping[str, Any]]
) -> list[tuple[str, str, str]]:
    """(tone, question, answer) for everything except usefulness."""
    found = []
    beyond = (evaluation.get("usefulness") or {}).get("external")
    if beyond:
        tone = VERDICTS.get(str(beyond.get("verdict")), ("none",))[0]
        found.append((tone, "And at another hospital?", str(beyond.get("sentence", ""))))
    if scores:
        found.append(_likeness(scores))
    for name, question in (
        ("giveaways", "Do the scans give their class away?"),
        ("privacy", "Do they show a patient?"),
        ("shortcut", "Can a classifier cheat?"),
    ):
        part = evaluation.get(name)
        if part:
            tone, answer = _answer(part)
            if part.get("external"):
                there, words = _answer(part["external"])
                tone, answer = min(tone, there, key=_WORST_FIRST.index), f"{answer} {_ELSEWHERE} {words}"
            found.append((tone, question, answer))
    return found


def _answer(part: Mapping[str, Any]) -> tuple[str, str]:
    """The tone of a part's verdict, and its sentence."""
    tone = TONES.get(str(part.get("verdict")), "bad")
    return tone, str(part.get("sentence") or part.get("verdict", ""))


def _likeness(scores: Sequence[Mapping[str, Any]]) -> tuple[str, str, str]:
    """(tone, question, answer) on how many scores are as good as those of other real images."""
    parts, shares, doubts = [], [], False
    for kind, words in (("distance", "closeness"), ("realism", "realism"), ("variety", "variety")):
        judged = [
            score
            for score in scores
            if SCORES[score["name"]][1] == kind and score["label"] and score["at_floor"] is not None
        ]
        if judged:
            reached = sum(score["at_floor"] for score in judged)
            parts.append(f"{reached} of {len(judged)} {words} scores")
            shares.append(reached / len(judged))
            doubts |= any(score["at_floor"] and _is_unsure(score) for score in judged)
    if not shares:
        return "none", _LIKENESS_QUESTION, "There are too few images to tell."
    least = min(shares)
    tone = "good" if least > 0.8 and not doubts else "even" if least > 0.4 else "bad"  # noqa: PLR2004
    limit = " Some classes have too few images or patients to conclude that they are alike." * doubts
    told = " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
    return tone, _LIKENESS_QUESTION, f"{told} are as good as those of other real images.{limit}"


def class_marks(scores: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """{label, counts, answer to each question} per class.

    An answer is "good", "even" or "bad" if all, some or no scores are as good as those of real images.
    """
    lines = []
    for line in scores_by_class(scores):
        tones = {kind: {chip["tone"] for chip in chips} for kind, chips in line["cells"].items()}
        told = {
            kind: (found.pop() if len(found) == 1 else "even") if found else None
            for kind, found in tones.items()
        }
        lines.append({"label": line["label"], "n": line["n"], "n_real": line["n_real"], **told})
    return lines


def _is_unsure(score: Mapping[str, Any]) -> bool:
    """Whether there are too few images or patients to conclude that both are alike."""
    return "cannot be concluded" in score["note"]


def scores_by_class(scores: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """{label, scores per question, first limiting note} per class."""
    lines = []
    for label in dict.fromkeys(score["label"] for score in scores):
        own = [score for score in scores if score["label"] == label]
        cells = {
            kind: [
                chip
                for name, (_, asked) in SCORES.items()
                if asked == kind and (chip := _agreement(name, own))
            ]
            for kind in QUESTIONS
        }
        limits = [score["note"] for score in own if _is_unsure(score) or score["value"] is None]
        limit = limits[0].rpartition("; ")[2] if limits else ""
        lines.append(
            {
                "label": label or "all classes together",
                "cells": cells,
                "n": own[0]["n"],
                "n_real": own[0]["n_real"],
                "limit": limit,
            }
        )
    return lines


def _agreement(name: str, scores: Sequence[Mapping[str, Any]]) -> dict[str, str] | None:
    """In how many spaces a score is as good as for real images; None if it was not measured."""
    judged = [score for score in scores if score["name"] == name and score["at_floor"] is not None]
    if not judged:
        return None
    reached, every = sum(score["at_floor"] for score in judged), len(judged)
    tone = "bad" if not reached else "even" if reached < every or any(map(_is_unsure, judged)) else "good"
    alone = "as real" if reached else "not as real"
    words = alone if every == 1 else f"as real in {reached} of {every} comparisons"
    mark = {"good": "✓", "even": "~", "bad": "✗"}[tone]
    return {"tone": tone, "mark": mark, "words": f"{SCORES[name][0]}: {words}"}
