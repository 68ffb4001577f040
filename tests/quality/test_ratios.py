"""Whether made images are taken is decided by validation patients alone."""

import json

import numpy as np
import pytest

from medgan.errors import DatasetError
from medgan.files import plain, revive
from medgan.quality.contest import Settings
from medgan.quality.ratios import ENOUGH, Chosen, Trial, choose_ratio, doubt, sentence, wish_of
from tests.quality.rings import shapes, with_pixels

TRAIN, VAL = shapes(60, 12, 0), shapes(50, 20, 1)
TRUE = shapes(60, 60, 3)
BRIEF = Settings(
    judges=("cnn",), steps={"cnn": (2,)}, rates={"cnn": (1e-3,)}, seeds=2, folds=0, side=16, headroom=False,
    recipes={"cnn": ("oversampling", "oversampling + classical", "one-sided + classical")},
)  # fmt: skip


@pytest.fixture(scope="module")
def brief():
    return choose_ratio(TRAIN, VAL, TRUE, settings=BRIEF, seed=0)


def test_the_choice_is_that_of_the_best_trial_and_json(brief):
    scores = [trial.auprc for trial in brief.trials]
    assert scores == sorted(scores, reverse=True)
    assert (brief.arm, brief.ratio) == (brief.trials[0].arm, brief.trials[0].ratio)
    assert len(brief.trials) == 3
    assert revive(Chosen, json.loads(json.dumps(plain(brief)))) == brief


def test_of_equals_that_which_adds_less_is_taken():
    flat = with_pixels(VAL, np.full(VAL.pixels.shape, 0.5))  # nothing can be told apart
    assert choose_ratio(TRAIN, flat, TRUE, settings=BRIEF, seed=0).ratio == "0"


@pytest.mark.parametrize("arm", ENOUGH)
def test_when_nothing_is_added_the_sentence_says_so_plainly(arm):
    trials = [
        Trial(judge="cnn", arm=arm, ratio="0", auprc=0.7),
        Trial(judge="cnn", arm="one-sided", ratio="parity", auprc=0.6),
    ]
    words = sentence(trials, ("covid",))
    assert "is enough here; nothing synthetic was added" in words
    assert "0.600 with synthetic images at ratio parity" in words


@pytest.mark.parametrize(("everywhere", "kind"), [(False, "one-sided"), (True, "share 0.5")])
def test_only_arms_that_can_be_written_take_part(everywhere, kind):
    wish = wish_of(Settings(judges=("cnn",)), everywhere=everywhere)
    assert {one.name for one in wish.recipes_of("cnn") if one.made} == {kind, f"{kind} + classical"}


def test_validation_patients_must_show_the_rare_class():
    with pytest.raises(DatasetError, match="the validation images hold none of rare"):
        choose_ratio(TRAIN, VAL.of("normal"), TRUE, settings=BRIEF, seed=0)


@pytest.mark.parametrize(
    ("count", "told"),
    [
        (1, "; only 1 validation patient has rare, so that chance may have chosen (5 are needed at least)"),
        (4, "; only 4 validation patients have rare, so that chance may have chosen (5 are needed at least)"),
        (5, ""),
    ],
)
def test_a_choice_by_few_patients_is_doubted(count, told):
    assert doubt(shapes(21, 3 * count, 0, per_patient=3), ("rare",)) == told
