"""The ratio is chosen on validation patients alone."""

import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest

from medgan.errors import DatasetError
from medgan.files import plain, revive
from medgan.quality import ratios
from medgan.quality.contest import Settings
from medgan.quality.ratios import ENOUGH, Chosen, Trial, choose_ratio, doubt, sentence, wish_of
from tests.quality.rings import shapes, with_pixels

TRAIN, VAL = shapes(200, 12, 0), shapes(100, 40, 1)
TRUE = shapes(0, 188, 3)
SETTINGS = Settings(
    judges=("cnn",), steps=120, seeds=2, side=24, ratios=("1", "parity"),
    recipes=("oversampling", "oversampling + classical", "synthetic + classical"),
)  # fmt: skip


@pytest.mark.slow
def test_true_images_are_taken_and_noise_is_left():
    runs = {}
    taken = choose_ratio(TRAIN, VAL, TRUE, settings=SETTINGS, seed=0, runs=runs)
    assert taken.ratio in {"1", "parity"}
    assert "do best here" in taken.sentence
    wrong = dataclasses.replace(shapes(188, 0, 4), labels=np.ones(188, np.int64))
    plain_runs = {key: value for key, value in runs.items() if "synthetic" not in key}
    left = choose_ratio(TRAIN, VAL, wrong, settings=SETTINGS, seed=0, runs=plain_runs)
    assert left.ratio == "0"
    assert left.sentence.startswith(
        "oversampling with classical augmentation is enough here; nothing synthetic was added"
    )


@pytest.fixture(scope="module")
def brief():
    settings = dataclasses.replace(SETTINGS, steps=2)
    return choose_ratio(TRAIN, VAL, with_pixels(TRUE, TRUE.pixels), settings=settings, seed=0)


def test_the_choice_is_that_of_the_best_trial_and_json(brief):
    scores = [trial.auprc for trial in brief.trials]
    assert scores == sorted(scores, reverse=True)
    assert (brief.arm, brief.ratio) == (brief.trials[0].arm, brief.trials[0].ratio)
    assert len(brief.trials) == 4
    assert revive(Chosen, json.loads(json.dumps(plain(brief)))) == brief


def test_of_equals_that_which_adds_less_is_taken():
    flat = with_pixels(VAL, np.full(VAL.pixels.shape, 0.5))  # nothing can be told apart
    settings = dataclasses.replace(SETTINGS, steps=2)
    assert choose_ratio(TRAIN, flat, TRUE, settings=settings, seed=0).ratio == "0"


@pytest.mark.parametrize("arm", ENOUGH)
def test_when_nothing_is_added_the_sentence_says_so_plainly(arm):
    trials = [
        Trial(judge="cnn", arm=arm, ratio="0", auprc=0.7),
        Trial(judge="cnn", arm="synthetic", ratio="0.5", auprc=0.6),
    ]
    words = sentence(trials, ("covid",))
    assert "is enough here; nothing synthetic was added" in words
    assert "0.600 with synthetic images at ratio 0.5" in words


def test_only_arms_that_can_be_written_take_part():
    assert "everywhere" not in wish_of(Settings(), everywhere=False).recipes
    assert "synthetic" not in wish_of(Settings(), everywhere=True).recipes
    assert "everywhere + classical" in wish_of(Settings(), everywhere=True).recipes


def test_validation_patients_must_show_the_rare_class():
    with pytest.raises(DatasetError, match="the validation images hold none of rare"):
        choose_ratio(TRAIN, VAL.of("normal"), TRUE, settings=SETTINGS, seed=0)


def test_of_equals_of_two_judges_that_which_adds_nothing_is_taken(monkeypatch):
    def outcome(judge, ratio, **added):
        recipe = SimpleNamespace(name="synthetic" if added else "oversampling", made=bool(added))
        sure = 9 * np.eye(2, dtype=np.float32)[VAL.labels][None]
        return SimpleNamespace(
            judge=judge, logits=sure, variant=SimpleNamespace(recipe=recipe, ratio=ratio, added=added)
        )

    outcomes = [outcome("cnn", "1", rare=20), outcome("cnn", "0.25", rare=5), outcome("probe", "0")]
    monkeypatch.setattr(ratios, "contest", lambda *_, **__: outcomes)
    found = choose_ratio(TRAIN, VAL, TRUE, settings=SETTINGS, seed=0)
    assert [trial.ratio for trial in found.trials] == ["0", "0.25", "1"]
    assert "is enough here" in found.sentence


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
