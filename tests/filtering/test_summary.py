"""The data card says what was checked, what was found and what was not looked for."""

from medgan.filtering.candidates import Selection
from medgan.filtering.selection import CandidateImage
from medgan.filtering.separability import class_check_report
from medgan.filtering.summary import checks_section

DRAWN = {
    "a | b": (
        CandidateImage(seed=0),
        CandidateImage(seed=1, kept=False, reason="copy"),
        CandidateImage(seed=2, reason="class"),
        CandidateImage(seed=3, kept=False, reason="surplus"),
    )
}


def test_what_became_of_the_candidates_is_a_table():
    text = checks_section(Selection(compared_with="d", checks=("copy", "class"), drawn=DRAWN), "d")
    assert r"| a \| b | 4 | 1 | 0 | 0 | 1 | 2 | 1 |" in text
    assert "a screen, not a proof" in text
    assert "not checked" not in text


def test_what_was_not_checked_is_said():
    assert "Near copies and classes were not checked" in checks_section(Selection(drawn=DRAWN), "d")
    assert "cannot be told from a likeness" in checks_section(
        Selection(compared_with="d", checks=("class",)), "d"
    )
    alone = Selection(compared_with="d", checks=("copy",), class_check=class_check_report(None, ["a"]))
    assert "Class check: not done, because there is only one class." in checks_section(alone, "d")
    assert "not those that the model was trained on" in checks_section(Selection(compared_with="d"), "other")
    assert "The filter was off" in checks_section(None, "d")
