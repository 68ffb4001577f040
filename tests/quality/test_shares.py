"""Whether made images are taken, and which share of them, is decided by validation patients alone."""

import dataclasses
import json

import numpy as np
import pytest

from medgan.errors import DatasetError
from medgan.files import plain, revive
from medgan.quality.contest import EFFORTS, Settings
from medgan.quality.shares import ENOUGH, Chosen, Trial, choose_share, doubt, sentence, wish_of
from tests.quality.rings import shapes, with_pixels

TRAIN, VAL = shapes(60, 12, 0), shapes(50, 20, 1)
TRUE = shapes(60, 60, 3)
BRIEF = Settings(
    judges=("cnn",), steps={"cnn": (2,)}, rates={"cnn": (1e-3,)}, seeds=2, folds=0, side=16, headroom=False,
    recipes={"cnn": ("oversampling", "oversampling + classical", "share 0.25", "share 0.5 + classical")},
)  # fmt: skip


@pytest.fixture(scope="module")
def brief():
    return choose_share(TRAIN, VAL, TRUE, settings=BRIEF, seed=0)


def test_the_choice_is_that_of_the_best_trial_and_json(brief):
    scores = [trial.auprc for trial in brief.trials]
    assert scores == sorted(scores, reverse=True)
    assert (brief.arm, brief.share) == (brief.trials[0].arm, brief.trials[0].share)
    shares = {
        "oversampling": "0",
        "oversampling + classical": "0",
        "share 0.25": "0.25",
        "share 0.5 + classical": "0.5",
    }
    assert {trial.arm: trial.share for trial in brief.trials} == shares
    assert revive(Chosen, json.loads(json.dumps(plain(brief)))) == brief


def test_of_equals_that_which_adds_less_is_taken():
    flat = with_pixels(VAL, np.full(VAL.pixels.shape, 0.5))  # nothing can be told apart
    assert choose_share(TRAIN, flat, TRUE, settings=BRIEF, seed=0).share == "0"


@pytest.mark.parametrize("arm", ENOUGH)
def test_when_nothing_is_added_the_sentence_says_so_plainly(arm):
    trials = [
        Trial(judge="cnn", arm=arm, share="0", auprc=0.7),
        Trial(judge="cnn", arm="share 0.5", share="0.5", auprc=0.6),
    ]
    words = sentence(trials, ("covid",))
    assert "is enough here; nothing synthetic was added" in words
    assert "0.600 where they make up 0.5 of every class" in words


@pytest.mark.parametrize("judge", ["cnn", "finetuned"])
def test_only_arms_that_can_be_written_take_part(judge):
    quick = EFFORTS["quick"]
    wish = wish_of(dataclasses.replace(quick, judges=(judge,)))
    made = {one.name for one in wish.recipes_of(judge) if one.made}
    assert made == {"share 0.25", "share 0.5", "share 0.25 + classical", "share 0.5 + classical"}
    others = {one.name for one in wish.recipes_of(judge) if not one.made}
    assert others == {one.name for one in quick.recipes_of(judge) if not one.made}


def test_without_an_image_of_every_class_no_share_can_be_tried():
    with pytest.raises(DatasetError, match="left no synthetic image of some class"):
        choose_share(TRAIN, VAL, TRUE.of("rare"), settings=BRIEF, seed=0)


def test_validation_patients_must_show_the_rare_class():
    with pytest.raises(DatasetError, match="the validation images hold none of rare"):
        choose_share(TRAIN, VAL.of("normal"), TRUE, settings=BRIEF, seed=0)


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
