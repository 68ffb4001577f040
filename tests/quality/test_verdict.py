"""What is concluded from a difference, its interval and the number of patients who judge."""

import pytest

from medgan.quality.verdict import (
    CANNOT_TELL,
    HARMS,
    HELPS,
    NO_BENEFIT,
    Comparison,
    Panel,
    Round,
    conclude,
    round_up,
    sentence,
)

MANY = Panel(label="covid", patients=40, fewest=40, turns=1)


def side(difference, low, high, rounds=None):
    """A comparison with that outcome."""
    rounds = rounds or [("synthetic", "1", "oversampling", difference)]
    told = (
        Round(arm=arm, ratio=ratio, auprc=0.5 + gap, alternative=other, alternative_ratio="", alternative_auprc=0.5)
        for arm, ratio, other, gap in rounds
    )  # fmt: skip
    return Comparison(
        best_arm="synthetic",
        ratio="1",
        alternative="oversampling",
        difference=difference,
        interval=(low, high),
        agreed=len(rounds) == 1,
        rounds=tuple(told),
    )


@pytest.mark.parametrize(
    ("best", "whole", "verdict"),
    [
        ((0.2, 0.01, 0.39), (0.2, 0.01, 0.39), HELPS),  # a wide interval on one side of 0 says enough
        ((0.01, 0.002, 0.02), (-0.1, -0.2, -0.01), HELPS),
        ((0.0, -0.02, 0.02), (-0.1, -0.2, -0.01), HARMS),
        ((0.0, -0.2, 0.2), (-0.1, -0.2, -0.01), HARMS),
        ((0.0, -0.05, 0.05), (0.0, -0.05, 0.05), NO_BENEFIT),
        ((0.0, -0.05, 0.0501), (0.0, -0.05, 0.05), CANNOT_TELL),
        ((0.079, -0.067, 0.256), (0.079, -0.067, 0.256), CANNOT_TELL),
        ((-0.11, -0.178, -0.037), (-0.02, -0.2, 0.1), NO_BENEFIT),  # surely no gain, however wide
        ((-0.11, -0.178, 0.0), (-0.02, -0.2, 0.1), NO_BENEFIT),
    ],
)
def test_a_verdict_needs_an_interval_that_says_it(best, whole, verdict):
    assert conclude(side(*best), side(*whole), MANY) == verdict
    few = Panel(label="covid", patients=4, fewest=4, turns=1)
    assert conclude(side(*best), side(*whole), few) == CANNOT_TELL


@pytest.mark.parametrize(
    ("patients", "fewest", "turns", "width", "needed"),
    [
        (40, 40, 1, 0.2, 160),  # four times as many for half the width
        (12, 12, 1, 0.323, 130),
        (2, 2, 1, 0.0, 5),
        (2, 2, 1, 0.4, 32),
        (2, 1, 2, 0.0, 10),  # five in each half
        (10, 4, 2, 0.0, 11),
        (1, 1, 1, 0.0, 5),
    ],
)
def test_how_many_patients_are_needed_follows_from_the_spread(patients, fewest, turns, width, needed):
    panel = Panel(label="covid", patients=patients, fewest=fewest, turns=turns)
    assert panel.needed(width) == needed


@pytest.mark.parametrize(("count", "told"), [(7, 7), (47, 47), (471, 480), (4710, 4800), (100, 100)])
def test_two_digits_matter(count, told):
    assert round_up(count) == told


def test_few_patients_are_told_with_how_many_it_takes():
    two = Panel(label="covid", patients=2, fewest=2, turns=1)
    assert sentence(CANNOT_TELL, side(0.0, 0.0, 0.0), two, ["covid"], "cnn") == (
        "Cannot tell whether synthetic images help: only 2 held-out patients have covid; at least 5 are needed for a verdict."
    )
    one = Panel(label="covid", patients=1, fewest=1, turns=1)
    assert "only 1 held-out patient has covid;" in sentence(CANNOT_TELL, side(0, 0, 0), one, ["covid"], "cnn")


def test_a_wide_interval_is_told_with_how_many_it_takes():
    panel = Panel(label="covid", patients=12, fewest=6, turns=2)
    assert sentence(CANNOT_TELL, side(0.079, -0.067, 0.256), panel, ["covid"], "cnn") == (
        "Cannot tell whether synthetic images help to find covid: the difference is +7.9 points of AUPRC, but anything from -6.7 to"
        " +25.6 is plausible (95 % interval). 12 held-out patients have covid; about 130 are needed to narrow that to 10 points."
    )


@pytest.mark.parametrize(
    ("verdict", "told"),
    [
        (HELPS, "Synthetic images help to find mass and nodule in held-out patients:"),
        (
            HARMS,
            "Synthetic images harm: classifiers that learn from all of them find mass and nodule less well",
        ),
        (NO_BENEFIT, "No benefit: with synthetic images, classifiers find mass and nodule no better"),
    ],
)
def test_a_verdict_has_its_figures_and_its_arms_in_the_sentence(verdict, told):
    words = sentence(verdict, side(-0.08, -0.135, -0.006), MANY, ["mass", "nodule"], "probe")
    assert words.startswith(told)
    assert words.endswith(
        ": -8.0 points of AUPRC (95 % interval -13.5 to -0.6), synthetic at ratio 1 against oversampling (judge probe)."
    )
    assert "by -" not in words


def test_halves_that_chose_otherwise_are_told_one_by_one():
    rounds = [("synthetic", "parity", "class weights", -0.101), ("everywhere", "1", "real", -0.059)]
    words = sentence(HARMS, side(-0.08, -0.135, -0.006, rounds), MANY, ["mass"], "cnn")
    assert words.endswith(
        "-8.0 points of AUPRC (95 % interval -13.5 to -0.6), the mean of two halves of the patients, each judging what the other half chose:"
        " synthetic at ratio parity against class weights (-10.1) and everywhere at ratio 1 against real (-5.9) (judge cnn)."
    )


def test_no_difference_has_no_minus():
    assert "+0.0 points" in sentence(NO_BENEFIT, side(-0.0001, -0.01, 0.01), MANY, ["mass"], "cnn")
