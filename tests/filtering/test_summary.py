"""The data card says what was checked, what was found and what was not looked for."""

from medgan.filtering.candidates import Choice
from medgan.filtering.selection import Drawn
from medgan.filtering.separability import class_check
from medgan.filtering.summary import checked

DRAWN = {
    "a | b": (
        Drawn(seed=0),
        Drawn(seed=1, kept=False, reason="copy"),
        Drawn(seed=2, reason="class"),
        Drawn(seed=3, kept=False, reason="surplus"),
    )
}


def test_what_became_of_the_candidates_is_a_table():
    text = checked(Choice(compared_with="d", checks=("copy", "class"), drawn=DRAWN), "d")
    assert r"| a \| b | 4 | 1 | 0 | 0 | 1 | 2 | 1 |" in text
    assert "a screen, not a proof" in text
    assert "not looked for" not in text


def test_what_was_not_checked_is_said():
    assert "not looked for, and classes were not checked" in checked(Choice(drawn=DRAWN), "d")
    assert "cannot be told from a likeness" in checked(Choice(compared_with="d", checks=("class",)), "d")
    alone = Choice(compared_with="d", checks=("copy",), class_check=class_check(None, ["a"]))
    assert "Class check: not done, for there is one class only." in checked(alone, "d")
    assert "not those that the model learned from" in checked(Choice(compared_with="d"), "other")
    assert "The filter was off" in checked(None, "d")
