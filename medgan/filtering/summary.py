"""What the filter saw -> the words of the data card: what was checked, what was found, and what was not checked. Pure text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from medgan.base.escape import escape_markdown
from medgan.filtering.candidates import Selection, tally
from medgan.filtering.selection import CLASS, COPY
from medgan.filtering.separability import NONE
from medgan.similarity.copies import LEAST

OFF = """\
**Nothing.** The filter was off (`--no-filter`): near copies of training images, images of another class and failed images may be here."""
COPIES = """\
- Near copies: every candidate was compared with every training image, after shifts of up to a sixteenth of its side and mirroring.
  One that came nearer to a patient than 99 of 100 patients come to one another, and clearly nearer to that patient than to the next,
  was rejected. This is a screen, not a proof: it does not show that nobody can be recognised."""
NO_DATA = """\
- **Near copies were not looked for, and classes were not checked**: the training images were not at hand.
  Draw again with `--against SOURCE`, the scans that the model learned from."""
FEW = f"""\
- **Near copies were not looked for**: with fewer than {LEAST} patients a copy cannot be told from a likeness."""
OTHER = """\
- **The images compared with are not those that the model learned from** (their digest is another): copies of others were not found."""
JUDGED = """\
- Class: candidates were dropped that show their class less surely than half of the real images of the class do, to a judge that had not
  seen the patients of these."""
DOUBT = """\
- Images kept in doubt are such candidates, taken because too few others were left; a model trained for longer draws better ones."""
BESIDE_REAL = """\
- Realism: of the others, the tenth that is farthest from the real images of the class in layout and texture was dropped, and from the
  rest those were chosen that cover the class best."""
BESIDE_DRAWN = """\
- Realism: of all drawn images of a class, the tenth that is least like the others was dropped, and from the rest those were chosen that
  cover the class best. Beside real images nothing was judged."""
COLUMNS = {
    "drawn": "drawn",
    "copy": "near copies",
    "class": "class unsure",
    "realism": "least realistic",
    "surplus": "not needed",
    "kept": "kept",
    "kept_in_doubt": "of these in doubt",
}
"""{count of the tally: heading}."""


def checks_section(choice: Selection | None, data: str) -> str:
    """The section of the data card; `data` is the digest of what the model learned from."""
    if choice is None:
        return OFF
    counts = {label: tally(drawn) for label, drawn in choice.drawn.items()}
    return "\n\n".join([table(counts), "\n".join(_words(choice.report(), data)), TABLES])


TABLES = (
    "Each kept image has its scores in `manifest.csv`, each rejected candidate its reason in `rejected.csv`."
)


def paragraphs(filtered: Mapping[str, Any], data: str) -> list[str]:
    """What the data card says was checked, of the report of the filter, a paragraph each; `data` is as in `checks_section`."""
    if not filtered["on"]:
        return [OFF]
    told = _words(filtered, data)
    return [" ".join(text.removeprefix("- ").split()) for text in told]


def sentence(filtered: Mapping[str, Any]) -> str:
    """The report of the filter in words for a person: of what was judged in memory, and has no data card."""
    if not filtered["on"]:
        return "The images are judged as they were drawn: the filter was off (--no-filter)."
    sifted = [counts for label, counts in filtered["counts"].items() if label not in filtered["as_drawn"]]
    total = {name: f"{sum(counts[name] for counts in sifted):,}" for name in COLUMNS}
    told = [
        f"The filter kept {total['kept']} of {total['drawn']} images drawn ({total['kept_in_doubt']} of them in doubt of their class);"
        f" near copies: {total['copy']}, class unsure: {total['class']}, least realistic: {total['realism']},"
        f" not needed: {total['surplus']}."
    ] if sifted else []  # fmt: skip
    if filtered["as_drawn"]:
        told.append(
            f"Judged as drawn, for more than a fifth are near copies: {', '.join(filtered['as_drawn'])}."
        )
    if COPY not in filtered["checks"]:
        told.append(f"Near copies were not looked for: there are fewer than {LEAST} patients.")
    told += class_words(filtered)
    return " ".join(told)


def class_words(filtered: Mapping[str, Any]) -> list[str]:
    """What a person must know of the check of classes, in sentences; none in a report of before there was one."""
    said = filtered.get("class_check", NONE)["sentences"]
    return [f"{sentence[:1].upper()}{sentence[1:]}." for sentence in said]


def table(counts: Mapping[str, Mapping[str, int]]) -> str:
    """A line per class: what became of its candidates."""
    lines = [f"| label | {' | '.join(COLUMNS.values())} |", "| --- " * (len(COLUMNS) + 1) + "|"]
    for label, tallied in counts.items():
        lines.append(
            f"| {escape_markdown(label)} | {' | '.join(str(tallied[column]) for column in COLUMNS)} |"
        )
    return "\n".join(lines)


def _words(filtered: Mapping[str, Any], data: str) -> Iterator[str]:
    if not filtered["compared_with"]:
        yield from (NO_DATA, BESIDE_DRAWN)
        return
    yield COPIES if COPY in filtered["checks"] else FEW
    if filtered["compared_with"] != data:
        yield OTHER
    if CLASS in filtered["checks"]:
        yield JUDGED
        if any(counts["kept_in_doubt"] for counts in filtered["counts"].values()):
            yield DOUBT
    yield from (f"- {escape_markdown(sentence)}" for sentence in class_words(filtered))
    yield BESIDE_REAL
