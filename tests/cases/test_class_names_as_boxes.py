"""Class names in scripts that the font of pictures lacks are readable or escaped, never identical boxes.

Nor does a library warn of them.
"""

import json
import re
import warnings

import pytest

from medgan.commands.report import report
from medgan.pictures import canvas, letters
from medgan.pictures.letters import drawable_text
from medgan.reports import figures
from tests.reports.folders import balanced, run

NAMES = {
    "chinese": ("肺炎", "正常"),
    "arabic": ("ذات الرئة", "طبيعي"),
    "hindi": ("निमोनिया", "सामान्य"),
    "emoji": ("🫁🦠", "🫁👍"),
    "unseen": ("rare\u200b", "rare\u200c"),
    "long": ("pneumonia of the lower lobe " * 9 + "left", "pneumonia of the lower lobe " * 9 + "right"),
    "formula": ("$x_1$", "$x_2"),
}


@pytest.fixture
def written(monkeypatch):
    """Every line that is written on a picture."""
    found = []
    write = canvas.Canvas.write

    def noted(self, left, middle, text, *look):
        found.append(drawable_text(text))
        write(self, left, middle, text, *look)

    monkeypatch.setattr(canvas.Canvas, "write", noted)
    return found


@pytest.mark.parametrize("script", NAMES)
def test_classes_can_be_told_apart_on_the_sheet_in_figures_and_in_the_report(tmp_path, written, script):
    labels = NAMES[script]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # such as "Glyph ... missing from font(s)"
        folder = balanced(tmp_path / "balanced", labels)
        text = report(folder).report.read_text(encoding="utf-8")
        grids = report(run(tmp_path / "run", labels)).report.read_text(encoding="utf-8")
    drawn = [letter for line in written for letter in line]
    assert not letters._find_fonts(
        frozenset(drawn) - letters._family_letters(letters._FONT, frozenset(drawn))
    )[1]
    assert len(set(written)) >= len(labels)
    for page in (text, grids):
        told = re.findall(r'<th scope="row">(.*?)</th>', page, flags=re.DOTALL)
        assert set(labels) <= set(told)  # the reader's browser has fonts of its own


@pytest.mark.parametrize("script", NAMES)
def test_names_on_an_axis_differ(monkeypatch, script):
    monkeypatch.setattr(figures, "_to_svg", lambda figure: figure)
    counts = dict.fromkeys(NAMES[script], 3)
    drawn = [text.get_text() for text in figures.counts_figure(counts, counts).axes[0].get_yticklabels()]
    assert len(set(drawn)) == 2
    assert max(map(len, drawn)) <= figures._MOST_LETTERS


def test_without_another_font_names_become_escapes(tmp_path, monkeypatch, written):
    monkeypatch.setattr(letters, "_find_fonts", lambda wanted: ((), wanted))
    balanced(tmp_path / "balanced", NAMES["chinese"])
    assert {r"\u80ba\u708e", r"\u6b63\u5e38"} <= set(written)


def test_the_run_keeps_the_names_as_they_are(tmp_path):
    folder = balanced(tmp_path / "balanced", NAMES["hindi"])
    facts = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    assert [entry["label"] for entry in facts["labels"]] == list(NAMES["hindi"])
