"""Write the section "Evaluation" of a model card; nothing else in the run folder changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from medgan.base import files
from medgan.base.errors import OutputError
from medgan.base.escape import escape_markdown
from medgan.filtering.summary import outcome_table
from medgan.learners.gan.model import CARD, model_folder, read_card
from medgan.learners.gan.model_card import is_card_of, replace_evaluation

_PARTS = {
    "usefulness": "Usefulness",
    "giveaways": "Giveaways of the scans themselves",
    "shortcut": "Shortcut",
    "privacy": "Privacy",
}
"""{part that ends in a verdict: heading}."""


def write_verdicts(run: Path, told: Mapping[str, Any], day: str) -> str:
    """Write the verdicts, if there are any, into the card of the model in `run`.

    Args:
        run: The run folder.
        told: The documented JSON of `evaluate`.
        day: When it was measured.

    Returns:
        A note if the card cannot take them, else an empty string.
    """
    obstacle = _write_section(model_folder(run), told, day) if any(told[part] for part in _PARTS) else ""
    return obstacle and f"the model card carries no verdict: {CARD} {obstacle}"


def _write_section(place: Path, told: Mapping[str, Any], day: str) -> str:
    """Write the section; return what prevents it, or an empty string."""
    text, digest = read_card(place), told["sources"]["model"]
    if text is None:
        return "is absent or cannot be read"
    if not is_card_of(text, digest):
        return "speaks of other weights"
    new = replace_evaluation(text, "\n".join(_section_lines(told, digest, day)))
    try:
        if new != text:
            files.write_text(place / CARD, new)
    except OutputError:
        return "cannot be written"
    return ""


def _section_lines(told: Mapping[str, Any], digest: str, day: str) -> Iterator[str]:
    """The lines of the section."""
    held = [f"{told['patients'][split]:,} in {split}" for split in ("val", "test") if told["patients"][split]]
    whom = f"Real patients held out from training (files, where none are known): {', '.join(held)}."
    yield from ("## Evaluation", "")
    effort = told["settings"]["effort"]
    yield f"Of the weights `{digest}`, measured on {day} by medgan {told['medgan']}, effort {effort}."
    yield whom if held else "No patient was held out: training patients stand in their place."
    yield ""
    for part, heading in _PARTS.items():
        found = told[part]
        words = (
            escape_markdown(f"{found['verdict']}. {found.get('sentence', '')}") if found else "not measured."
        )
        yield f"- {heading}: {words}"
        there = told.get("external") if part == "usefulness" else (found or {}).get("external")
        if there:
            words = escape_markdown(f"{there['verdict']}. {there['sentence']}")
            yield f"- {heading} at another hospital ({told['patients']['external']:,} patients): {words}"
    bare = " The model without the filter draws what it left out, too." if told["filter"]["on"] else ""
    yield f"- Images: {escape_markdown(told['filter']['sentence'])}{bare}"
    if told["filter"]["counts"]:
        yield from ("", outcome_table(told["filter"]["counts"]))
    yield from ("", f"Measured by `{told['command']}`.")
