"""What is concluded from a difference, its interval and the number of patients who judge."""

import pytest

from medgan.evaluation.usefulness.verdict import (
    CANNOT_TELL,
    HARMS,
    HELPS,
    NO_DIFFERENCE,
    Comparison,
    Panel,
    conclude,
    round_up,
    verdict_text,
)

MANY = Panel(label="covid", patients=40)


def found(difference, low, high):
    return Comparison(arm="share 0.25", reference="oversampling", difference=difference, interval=(low, high))


@pytest.mark.parametrize(
    ("difference", "verdict"),
    [
        ((0.2, 0.01, 0.39), HELPS),  # a wide interval on one side of 0 says enough
        ((0.004, 0.001, 0.008), HELPS),
        ((-0.11, -0.178, -0.037), HARMS),
        ((-0.004, -0.008, -0.001), HARMS),
        ((0.0, -0.01, 0.01), NO_DIFFERENCE),
        ((0.0, -0.0101, 0.005), CANNOT_TELL),
        ((0.079, -0.067, 0.256), CANNOT_TELL),
        ((-0.11, -0.178, 0.0), CANNOT_TELL),
    ],
)
def test_a_verdict_needs_an_interval_that_says_it(difference, verdict):
    assert conclude(found(*difference), MANY) == verdict
    assert conclude(found(*difference), Panel(label="covid", patients=4)) == CANNOT_TELL


@pytest.mark.parametrize(
    ("patients", "difference", "reach", "needed"),
    [
        (40, 0.05, 0.1, 160),  # half the width leaves out 0: four times as many
        (40, 0.0, 0.02, 160),  # half the width lies within a point
        (40, 0.003, 0.014, 160),  # within a point sooner than away from 0
        (2, 0.05, 0.0, 5),
        (12, 0.1, 0.05, 13),
    ],
)
def test_how_many_patients_are_needed_follows_from_the_spread(patients, difference, reach, needed):
    panel = Panel(label="covid", patients=patients)
    assert panel.patients_needed(found(difference, difference - reach, difference + reach)) == needed


@pytest.mark.parametrize(("count", "told"), [(7, 7), (47, 47), (471, 480), (4710, 4800), (100, 100)])
def test_two_digits_matter(count, told):
    assert round_up(count) == told


def test_few_patients_are_told_with_how_many_it_takes():
    two = Panel(label="covid", patients=2)
    assert verdict_text(CANNOT_TELL, found(0.0, 0.0, 0.0), two, ["covid"], "cnn") == (
        "Cannot tell whether synthetic images help: only 2 held-out patients have covid; a verdict needs"
        " at least 5."
    )
    one = Panel(label="covid", patients=1)
    assert "only 1 held-out patient has covid;" in verdict_text(
        CANNOT_TELL, found(0, 0, 0), one, ["covid"], "cnn"
    )


def test_a_wide_interval_is_told_with_how_many_it_takes():
    panel = Panel(label="covid", patients=12)
    assert verdict_text(CANNOT_TELL, found(0.05, -0.05, 0.15), panel, ["covid"], "cnn") == (
        "Cannot tell whether synthetic images help to find covid: the difference is +5.0 points of"
        " AUPRC, but anything from -5.0 to"
        " +15.0 is plausible (95 % interval), share 0.25 against oversampling (judge cnn). 12 held-out"
        " patients have covid; a verdict"
        " needs about 48."
    )


@pytest.mark.parametrize(
    ("verdict", "told"),
    [
        (HELPS, "Synthetic images help to find mass and nodule in held-out patients:"),
        (HARMS, "Synthetic images harm: classifiers that learn from them find mass and nodule less well"),
        (NO_DIFFERENCE, "Synthetic images make no difference: mass and nodule"),
    ],
)
def test_a_verdict_has_its_figures_and_its_arms_in_the_sentence(verdict, told):
    words = verdict_text(verdict, found(-0.08, -0.135, -0.006), MANY, ["mass", "nodule"], "probe")
    assert words.startswith(told)
    assert words.endswith(
        ": -8.0 points of AUPRC (95 % interval -13.5 to -0.6), share 0.25 against oversampling (judge probe)."
    )


def test_no_difference_has_no_minus():
    words = verdict_text(NO_DIFFERENCE, found(-0.0001, -0.01, 0.01), MANY, ["mass"], "cnn")
    assert "+0.0 points" in words
