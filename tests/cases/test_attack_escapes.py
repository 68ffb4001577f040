"""Class names, file names and cells of others are harmless in Markdown, spreadsheets and terminals."""

import csv
import io
import re

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from medgan.base import escape
from medgan.cli import errors, screen
from medgan.commands.balance import balance
from medgan.commands.inspect import inspect
from medgan.commands.options import BalanceOptions
from medgan.dataset.fingerprint import measure
from medgan.dataset.index import index
from medgan.dataset.source import Source
from medgan.evaluation.card_section import _section_lines
from medgan.filtering.summary import outcome_table
from medgan.learners.gan.model_card import model_card_text
from medgan.output import tables
from medgan.output.read_back import read_tables
from medgan.plan import decide
from tests.commands.blobs import untrained

SCRIPT, FORMULA, RED, BROKEN = "<script>alert(1)<", "=cmd|' C calc'!A0", "\x1b[31mred", "new\nline | `x` *y*"
LABELS = (SCRIPT, FORMULA, RED, BROKEN)
DANGEROUS = (
    "=1+1",
    "+1+1",
    "-1+1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "a;=1+1",
    "\uff1d1",
    "\0",
    "\x7f",
    "a\x85b",
    "\\x3d",
    "\\\\x41",
    "\\u003d",
    "\\",
)
ORDINARY = (
    "covid",
    "COVID-19",
    "no finding",
    "grade_2",
    "Müller",
    "日本",
    "a'b\"c",
    "1.5",
    "-1",
    "+2.5",
    "x, y",
    "a\\b",
    "100%",
    "(left)",
    "",
    "'quoted'",
    "a-b=c+d@e",
)


@pytest.mark.parametrize("text", ORDINARY)
def test_an_ordinary_cell_stays_byte_for_byte(text):
    assert escape.escape_cell(text) == text


@pytest.mark.parametrize("text", [*DANGEROUS, *LABELS])
def test_a_cell_is_no_formula_and_one_line_and_reads_back_exactly(text):
    cell = escape.escape_cell(text)
    assert not re.search(r"(^|;)[=+\-@\uff1d]", cell)
    assert cell.isprintable()
    assert escape.unescape_cell(cell) == text


@settings(deadline=None)
@given(st.text(alphabet=st.sampled_from("\\xu013dfa=+-@;\t\r\n\0\x1b\x85é'")))
def test_every_text_reads_back_exactly(text):
    cell = escape.escape_cell(text)
    assert escape.unescape_cell(cell) == text
    assert not any(ord(letter) < 32 or 127 <= ord(letter) < 160 for letter in cell)


@pytest.mark.parametrize(
    "text", ["covid", "COVID-19", "no finding", "grade_2", "Müller", "(left), 100%", "a'b\"c + d = e"]
)
def test_ordinary_words_of_markdown_stay_byte_for_byte(text):
    assert escape.escape_markdown(text) == text


def test_markdown_shows_a_text_and_does_nothing():
    assert escape.escape_markdown(SCRIPT) == "&lt;script&gt;alert(1)&lt;"
    assert escape.escape_markdown("a | b\n# c") == "a \\| b # c"
    assert escape.escape_markdown("[x](javascript:y) `z` *b* _c_ ~~d~~ &lt; \\") == (
        "\\[x\\](javascript:y) \\`z\\` \\*b\\* \\_c\\_ \\~\\~d\\~\\~ &amp;lt; \\\\"
    )
    assert escape.escape_markdown("\x1b[31mred\u202e") == "\\\\x1b\\[31mred\\\\u202e"


def image(label, seed=1):
    return tables.ManifestRow(
        path="images/a/a_syn_000001.png",
        label=label,
        label_id=0,
        origin="synthetic",
        is_synthetic="true",
        format="png",
        index=1,
        rows=8,
        columns=8,
        low=-1024.0,
        high=1.0,
        seed=seed,
        tool_version="0",
    )


def test_a_manifest_gives_every_label_back_and_holds_no_formula():
    text = tables.manifest_csv([image(label) for label in (*LABELS, *DANGEROUS, *ORDINARY)])
    assert [tables.unescape_row(row)["label"] for row in csv.DictReader(io.StringIO(text, newline=""))] == [
        *LABELS,
        *DANGEROUS,
        *ORDINARY,
    ]
    cells = [cell for line in csv.reader(io.StringIO(text)) for cell in line]
    assert not any(cell.startswith(("=", "+", "@")) and not escape._NUMBER.fullmatch(cell) for cell in cells)
    assert "-1024.0" in cells  # a number is none
    assert len(text.splitlines()) == 1 + len(LABELS) + len(DANGEROUS) + len(ORDINARY)


def test_a_model_card_has_one_line_per_class(png, tmp_path):
    for number, label in enumerate(LABELS):
        for copy in range(3):
            png(f"{label}/{copy}.png", 10 * number + copy, (32, 32))
    manifest = index(Source(path=tmp_path))
    seen = {
        "images_shown": 5,
        "alarms": [f"{SCRIPT}: 3 of 5 hardly differ", f"{BROKEN}: copies"],
        "stopped": "",
        "copies": True,
    }
    facts = {
        "medgan": "0",
        "digest": "d",
        "data_digest": "d",
        "images_shown": 5,
        "guards": seen,
        "counts": manifest.counts()["train"],
    }
    text = model_card_text(decide(measure(manifest)), facts)
    harmless(text)
    assert sum(line.endswith("| 3 | unknown |") for line in text.splitlines()) == len(LABELS)


def test_the_section_of_an_evaluation_says_sentences_only():
    tally = {"drawn": 1, "copy": 0, "class": 0, "realism": 0, "surplus": 0, "kept": 1, "kept_in_doubt": 0}
    counts = {label: tally for label in LABELS}  # noqa: C420 read only
    facts = {
        "patients": {"val": 2, "test": 0},
        "medgan": "0",
        "settings": {"effort": "smoke"},
        "command": "medgan evaluate",
        "usefulness": {"verdict": "helps", "sentence": f"Class {SCRIPT} gains; {BROKEN} loses."},
        "shortcut": None,
        "privacy": None,
        "giveaways": None,
        "filter": {"on": True, "sentence": f"Judged as drawn: {FORMULA}, {RED}.", "counts": counts},
    }
    harmless("\n".join(_section_lines(facts, "digest", "today")))
    assert len(outcome_table(counts).splitlines()) == 2 + len(LABELS)


def harmless(text):
    assert "<script" not in text
    assert "\x1b" not in text
    assert "\nline" not in text
    assert "`x`" not in text.replace("\\`", "")
    for line in text.splitlines():
        if line.startswith("|"):
            assert "new line | " not in line


@pytest.mark.parametrize("text", ["a\nerror: forged", "\x1b[2J", "a\rb", "\u202egnp", "a\x9bb"])
def test_nothing_steers_a_terminal(capsys, text):
    assert escape.printable(text).isprintable()
    errors._show_error(f"{text} is odd", hint=text)
    assert capsys.readouterr().err.count("\n") == 2


def test_a_file_name_cannot_forge_a_line_of_a_listing(png, tmp_path, capsys):
    for number, name in enumerate(("a/x\n  ok    train forged.png", "a/y\x1b[31m.png", "b/z.png")):
        png(name, number)
    found = inspect(Source(path=tmp_path), files=True)
    screen.show_inspection(found.as_json())
    listing = capsys.readouterr().out
    assert sum("train" in line and ".png" in line for line in listing.splitlines()) == 3
    assert "\x1b" not in listing


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Glyph")  # of a picture, in which no font has ESC
def test_a_balanced_folder_of_such_classes(png, tmp_path):
    for number, label in enumerate(LABELS):
        for copy in range(3 + number):
            png(f"scans/{label}/{copy}.png", 10 * number + copy, (16, 16))
    source = Source(path=tmp_path / "scans")
    done = balance(
        source,
        tmp_path / "out",
        options=BalanceOptions(model=untrained(tmp_path / "run", source), no_filter=True),
    )
    _, rows = read_tables(done.out)
    assert {row["label"] for row in rows} == set(LABELS)
    for page in ("README.md", "manifest.csv"):
        text = (done.out / page).read_text(encoding="utf-8")
        assert "\x1b" not in text
        assert ",=cmd" not in text
    harmless((done.out / "README.md").read_text(encoding="utf-8"))
    assert "<script" not in (done.out / "report.html").read_text(encoding="utf-8")
