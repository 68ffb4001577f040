"""Whether made images are taken, and which share of them, is decided by validation patients alone."""

import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest

from medgan.base.errors import DatasetError
from medgan.base.files import from_json, to_json
from medgan.evaluation.usefulness import share_choice
from medgan.evaluation.usefulness.arms import RECIPES
from medgan.evaluation.usefulness.image_sets import Split
from medgan.evaluation.usefulness.share_choice import _ARM_WORDS, Chosen, _doubt_text, choose_share, wish_of
from medgan.evaluation.usefulness.trials import EFFORTS, Settings
from tests.evaluation.rings import shapes

TRAIN, VAL = shapes(60, 12, 0), shapes(50, 20, 1)
TRUE = shapes(60, 60, 3)
BRIEF = Settings(
    judges=("cnn",),
    steps={"cnn": (2,)},
    rates={"cnn": (1e-3,)},
    seeds=2,
    folds=0,
    side=16,
    headroom=False,
    recipes={"cnn": ("oversampling", "oversampling + classical", "share 0.25", "share 0.5 + classical")},
)


@pytest.fixture(scope="module")
def brief():
    return choose_share(Split(TRAIN, VAL, TRUE), settings=BRIEF, seed=0)


def test_every_arm_is_told_the_best_first_and_all_is_json(brief):
    scores = [trial.auprc for trial in brief.trials]
    assert scores == sorted(scores, reverse=True)
    shares = {
        "oversampling": "0",
        "oversampling + classical": "0",
        "share 0.25": "0.25",
        "share 0.5 + classical": "0.5",
    }
    assert {trial.arm: trial.share for trial in brief.trials} == shares
    assert from_json(Chosen, json.loads(json.dumps(to_json(brief)))) == brief


def outcome(name, lead, judge="cnn"):
    """An arm whose classifiers put rare images higher by `lead`, and are not sure."""
    recipe = next(one for one in RECIPES if one.name == name)
    noise = np.random.default_rng(len(name)).normal(size=(2, len(VAL)))
    score = noise + lead * VAL.labels
    logits = np.stack([0 * score, score], axis=2).astype(np.float32)
    return SimpleNamespace(judge=judge, recipe=recipe, logits=logits)


def chosen(monkeypatch, *rounds):
    told = [
        SimpleNamespace(judge=judge, outcomes=[outcome(*arm, judge) for arm in arms])
        for judge, *arms in rounds
    ]
    monkeypatch.setattr(share_choice, "run_trials", lambda *_, **__: told)
    return choose_share(Split(TRAIN, VAL, TRUE), settings=BRIEF, seed=0)


def test_a_share_that_is_ahead_by_more_than_a_standard_error_is_taken(monkeypatch):
    found = chosen(
        monkeypatch, ("cnn", ("oversampling", 0.5), ("share 0.25", 2.0), ("share 0.5 + classical", 1.0))
    )
    assert (found.share, found.arm) == ("0.25", "share 0.25")
    assert found.difference > found.error > 0
    assert found.sentence.startswith("synthetic images that make up 0.25 of every class do best here (")


@pytest.mark.parametrize(("lead", "share"), [(0.0, "0"), (0.5, "0"), (0.8, "0"), (2.0, "0.25")])
def test_else_nothing_is_added(monkeypatch, lead, share):
    found = chosen(monkeypatch, ("cnn", ("oversampling", 0.8), ("share 0.25", lead)))
    assert found.share == share
    assert (found.difference > found.error) == (share != "0")
    if share == "0":
        assert found.arm == "oversampling"
        assert found.sentence.startswith("oversampling is enough here; nothing synthetic was added (")


def test_where_another_judge_does_better_without_synthetic_images_it_is_said(monkeypatch):
    found = chosen(
        monkeypatch,
        ("cnn", ("oversampling", 0.5), ("share 0.25", 1.5)),
        ("probe", ("discriminant", 3.0), ("share 0.5", 4.0)),
    )
    assert (found.judge, found.share) == ("cnn", "0.25")
    assert "; best of all, and without synthetic images, is a discriminant analysis with" in found.sentence


def test_every_arm_without_synthetic_images_has_its_words():
    assert set(_ARM_WORDS) == {one.name for one in RECIPES if not one.made}


@pytest.mark.parametrize(
    ("judge", "arms"),
    [
        ("cnn", {"share 0.25 + classical", "share 0.5 + classical", "finish on real + classical"}),
        ("finetuned", {"share 0.25 + classical", "share 0.5 + classical", "finish on real + classical"}),
        ("probe", {"share 0.25", "share 0.5", "share 0.25 at weight 0.3"}),
    ],
)
def test_only_arms_that_can_be_written_take_part(judge, arms):
    quick = EFFORTS["quick"]
    wish = wish_of(dataclasses.replace(quick, judges=(judge,)))
    assert {one.name for one in wish.recipes_of(judge) if one.made} == arms
    others = {one.name for one in wish.recipes_of(judge) if not one.made}
    assert others == {one.name for one in quick.recipes_of(judge) if not one.made}


def test_without_an_image_of_every_class_no_share_can_be_tried():
    with pytest.raises(DatasetError, match="left no synthetic image of some class"):
        choose_share(Split(TRAIN, VAL, TRUE.of("rare")), settings=BRIEF, seed=0)


def test_validation_patients_must_show_the_rare_class():
    with pytest.raises(DatasetError, match="there are no validation images of rare"):
        choose_share(Split(TRAIN, VAL.of("normal"), TRUE), settings=BRIEF, seed=0)


@pytest.mark.parametrize(
    ("count", "told"),
    [
        (
            1,
            "; only 1 validation patient has rare, so the choice may be due to chance (at least 5 are"
            " needed)",
        ),
        (
            4,
            "; only 4 validation patients have rare, so the choice may be due to chance (at least 5 are"
            " needed)",
        ),
        (5, ""),
    ],
)
def test_a_choice_by_few_patients_is_doubted(count, told):
    assert _doubt_text(shapes(21, 3 * count, 0, per_patient=3), ("rare",)) == told
