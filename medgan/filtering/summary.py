"""What the filter found, as tables and as text for data card and report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from medgan.base.escape import escape_markdown
from medgan.base.results import CLASSES_NOT_CHECKED
from medgan.filtering.candidates import Selection, count_outcomes
from medgan.filtering.selection import CLASS, COPY, CandidateImage
from medgan.similarity.copies import LEAST_PATIENTS

_FILTER_OFF = """\
**Nothing.** The filter was off (`--no-filter`): near copies of training images, images of another class and
failed images may be here."""
_COPIES = """\
- Near copies: every candidate was compared with every training image, after shifts of up to a sixteenth of
  its side and mirroring. One that came nearer to a patient than 99 of 100 patients come to one another, and
  clearly nearer to that patient than to the next, was rejected. This is a screen, not a proof: it does not
  show that no patient can be recognised."""
_NO_DATA = """\
- **Near copies and classes were not checked**: the training images were not available.
  Draw again with `--against SOURCE`, the scans that the model was trained on."""
_FEW = f"""\
- **Near copies were not checked**: with fewer than {LEAST_PATIENTS} patients
  a copy cannot be told from a likeness."""
_OTHER_DATA = """\
- **The images compared with are not those that the model was trained on** (their digest differs): copies of
  other images were not found."""
_CLASSES = """\
- Class: candidates were dropped that show their class less surely than half of the real images of the class
  do, and no more surely than one in twenty of another class, according to a classifier that had not seen the
  patients of these."""
_DOUBT = """\
- Images kept in doubt are such candidates, taken because too few others were left; a model trained for longer
  draws better ones."""
_BESIDE_REAL = """\
- Realism: of the others, the tenth that is farthest from the real images of the class in layout and texture
  was dropped, and from the rest those were chosen that cover the class best."""
_BESIDE_DRAWN = """\
- Realism: of all drawn images of a class, the tenth that is least like the others was dropped, and from the
  rest those were chosen that cover the class best. They were not compared with real images."""
_IN_DOUBT = "in-doubt"
"""Of a kept image that shows its class less surely than real images of the class."""
OUTCOME_COLUMNS = {
    "drawn": "drawn",
    "copy": "near copies",
    "class": "class unsure",
    "realism": "least realistic",
    "surplus": "not needed",
    "kept": "kept",
    "kept_in_doubt": "of these in doubt",
}
"""{outcome: column heading}."""


def kept_scores(choice: Selection) -> dict[tuple[str, int], dict[str, Any]]:
    """{(label, seed): columns of manifest.csv} of every image that was kept."""
    return {
        (label, one.seed): {"filter": _IN_DOUBT if one.reason else "kept", **_scores(choice, one)}
        for label, drawn in choice.drawn.items()
        for one in drawn
        if one.kept
    }


def rejected_rows(choice: Selection) -> list[dict[str, Any]]:
    """Rows of rejected.csv, one for every candidate that was not kept."""
    return [
        {"label": label, "seed": one.seed, "reason": one.reason, **_scores(choice, one)}
        for label, drawn in choice.drawn.items()
        for one in drawn
        if not one.kept
    ]


def _scores(choice: Selection, one: CandidateImage) -> dict[str, float | str]:
    """Columns of both tables that hold the scores of a candidate."""
    values = {
        "nearest_real": choice.names.get(str(one.nearest)),
        "nearest_distance": one.distance,
        "class_odds": one.odds,
        "realism": one.realism,
    }
    return {name: "" if value is None else value for name, value in values.items()}


def checks_section(choice: Selection | None, data: str) -> str:
    """The section of the data card on what was checked.

    `data` is the digest of what the model was trained on.
    """
    if choice is None:
        return _FILTER_OFF
    counts = {label: count_outcomes(drawn) for label, drawn in choice.drawn.items()}
    return "\n\n".join([outcome_table(counts), "\n".join(_check_items(choice.report(), data)), _TABLES])


_TABLES = (
    "Each kept image has its scores in `manifest.csv`, each rejected candidate its reason in `rejected.csv`."
)


def check_paragraphs(filtered: Mapping[str, Any], data: str) -> list[str]:
    """What the data card says was checked, a paragraph each, from the filter's report.

    `data` is as in `checks_section`.
    """
    if not filtered["on"]:
        return [_FILTER_OFF]
    sentences = _check_items(filtered, data)
    return [" ".join(text.removeprefix("- ").split()) for text in sentences]


def filter_sentence(filtered: Mapping[str, Any]) -> str:
    """The filter's report in words, for images in memory that have no data card."""
    if not filtered["on"]:
        return "The images are judged as they were drawn: the filter was off (--no-filter)."
    filtered_classes = [
        counts for label, counts in filtered["counts"].items() if label not in filtered["as_drawn"]
    ]
    total = {name: f"{sum(counts[name] for counts in filtered_classes):,}" for name in OUTCOME_COLUMNS}
    sentences = []
    if filtered_classes:
        sentences.append(
            f"The filter kept {total['kept']} of {total['drawn']} images drawn "
            f"({total['kept_in_doubt']} of them in doubt of their class); near copies: {total['copy']}, "
            f"class unsure: {total['class']}, least realistic: {total['realism']}, "
            f"not needed: {total['surplus']}."
        )
    if filtered["as_drawn"]:
        sentences.append(
            f"Judged as drawn, for more than a fifth are near copies: {', '.join(filtered['as_drawn'])}."
        )
    if COPY not in filtered["checks"]:
        sentences.append(f"Near copies were not checked: there are fewer than {LEAST_PATIENTS} patients.")
    sentences += _class_sentences(filtered)
    return " ".join(sentences)


def _class_sentences(filtered: Mapping[str, Any]) -> list[str]:
    """What a person should know about the class check, in sentences.

    There are none in the report of an older version without a class check.
    """
    said = filtered.get("class_check", CLASSES_NOT_CHECKED)["sentences"]
    return [f"{sentence[:1].upper()}{sentence[1:]}." for sentence in said]


def outcome_table(counts: Mapping[str, Mapping[str, int]]) -> str:
    """A Markdown table of outcomes, with a line per class."""
    lines = [
        f"| label | {' | '.join(OUTCOME_COLUMNS.values())} |",
        "| --- " * (len(OUTCOME_COLUMNS) + 1) + "|",
    ]
    for label, tallied in counts.items():
        lines.append(
            f"| {escape_markdown(label)} | {' | '.join(str(tallied[column]) for column in OUTCOME_COLUMNS)} |"
        )
    return "\n".join(lines)


def _check_items(filtered: Mapping[str, Any], data: str) -> Iterator[str]:
    if not filtered["compared_with"]:
        yield from (_NO_DATA, _BESIDE_DRAWN)
        return
    yield _COPIES if COPY in filtered["checks"] else _FEW
    if filtered["compared_with"] != data:
        yield _OTHER_DATA
    if CLASS in filtered["checks"]:
        yield _CLASSES
        if any(counts["kept_in_doubt"] for counts in filtered["counts"].values()):
            yield _DOUBT
    yield from (f"- {escape_markdown(sentence)}" for sentence in _class_sentences(filtered))
    yield _BESIDE_REAL
