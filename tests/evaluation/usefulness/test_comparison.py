"""What is said of synthetic images whose worth is known."""

import dataclasses
import json

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from medgan.base.errors import DatasetError
from medgan.base.files import from_json, to_json
from medgan.evaluation.usefulness import comparison
from medgan.evaluation.usefulness import predictions as module
from medgan.evaluation.usefulness.comparison import Usefulness, measure_usefulness
from medgan.evaluation.usefulness.image_sets import Split
from medgan.evaluation.usefulness.predictions import average_predictions
from medgan.evaluation.usefulness.verdict import CANNOT_TELL, HELPS
from tests.evaluation.rings import SMALL, shapes

TRAIN, TEST, TRUE = shapes(60, 12, 0), shapes(150, 60, 2), shapes(60, 60, 3)
ARMS = ("class weights", "oversampling", "one-sided", "share 0.5", "finish on real + classical")
SETTINGS = dataclasses.replace(SMALL, recipes={"cnn": ARMS})
BRIEF = dataclasses.replace(SETTINGS, steps={"cnn": (2,)}, headroom=True)


@pytest.fixture(scope="module")
def plain_runs():
    """Runs of the arms without synthetic images, shared by all tests that judge by the same settings."""
    return {}


def judged(synthetic, plain_runs, settings=SETTINGS, held_out=TEST):
    runs = dict(plain_runs)
    found = measure_usefulness(Split(TRAIN, held_out, synthetic), settings=settings, seed=0, runs=runs)
    if settings == SETTINGS and held_out is TEST:
        plain_runs |= {key: value for key, value in runs.items() if key.split("/")[1] in ARMS[:2]}
    return found


@pytest.mark.slow
def test_synthetic_images_of_the_true_distribution_help(plain_runs):
    found = judged(TRUE, plain_runs)
    assert found.verdict == HELPS
    assert found.interval[0] > 0
    assert (found.arm, found.judge) == ("finish on real + classical", "cnn")
    assert found.sentence.startswith("Synthetic images help to find rare in held-out patients: +")


@pytest.fixture(scope="module")
def brief():
    """A result of hardly trained classifiers, to look at its form."""
    return measure_usefulness(Split(TRAIN, TEST, TRUE), settings=BRIEF, seed=0, more_real=shapes(0, 12, 7))


def test_the_result_is_json_and_back(brief):
    assert from_json(Usefulness, json.loads(json.dumps(to_json(brief)))) == brief


def test_the_result_tells_how_it_was_measured(brief):
    assert brief.rare == ("rare",)
    assert brief.tested == {"normal": 150, "rare": 60}
    assert (brief.patients, brief.rare_patients) == (210, {"rare": 60})
    assert "exploration" in brief.method
    assert [arm.name for arm in brief.arms] == list(ARMS)
    roles = {arm.role: arm.name for arm in brief.arms}
    assert (roles["named"], roles["reference"]) == (brief.arm, brief.reference)
    assert [arm.role for arm in brief.arms].count("") == 3
    for arm in brief.arms:
        assert arm.low <= arm.auprc <= arm.high or arm.high - arm.low < 0.02
        assert np.mean(arm.per_seed) == pytest.approx(arm.auprc, abs=1e-4)
        assert 0 <= arm.sensitivity_low <= arm.sensitivity_high <= 1


def test_the_difference_is_that_of_the_two_arms(brief):
    by_role = {arm.role: arm.auprc for arm in brief.arms}
    assert brief.difference == pytest.approx(by_role["named"] - by_role["reference"], abs=1e-4)
    assert brief.interval[0] <= brief.difference <= brief.interval[1]
    assert brief.judges[0].comparison.interval == brief.interval


def test_what_a_careless_schedule_costs_is_told(brief):
    assert f"median of the schedules tried instead of the best one, {brief.reference} loses " in brief.care


def test_what_more_patients_would_bring_is_told(brief):
    found = brief.headroom
    assert [level.patients for level in found.levels] == [6, 9, 12]
    assert found.ceiling.patients == 24
    assert found.sentence.startswith("Cannot tell whether more real patients with rare would help: ")
    assert "Measured with 24 such patients" in found.sentence


def test_what_arms_say_of_each_image_that_judges_gives_their_figures(brief):
    one = dataclasses.replace(BRIEF, seeds=1, headroom=False)
    heard = comparison.compare_arms(Split(TRAIN, TEST, TRUE), settings=one, seed=0)
    said = average_predictions(TEST, heard.outcomes, heard.rare)
    assert said.probabilities.shape == (len(said.arms), len(TEST), 2)
    for arm, told in zip(comparison.judgement(heard, one).arms, said.probabilities, strict=True):
        assert arm.auprc == pytest.approx(average_precision_score(said.truth, told[:, 1]), abs=1e-3)
        assert told.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert said.arms[0] == ("cnn", "class weights")


def test_where_there_is_too_much_to_say_an_even_choice_of_images_stands_for_all(monkeypatch):
    monkeypatch.setattr(module, "_MOST", len(ARMS) * 2 * 30)
    one = dataclasses.replace(BRIEF, seeds=1, folds=0, headroom=False)
    heard = comparison.compare_arms(Split(TRAIN, TEST, TRUE), settings=one, seed=0)
    said = average_predictions(TEST, heard.outcomes, heard.rare)
    assert said.probabilities.shape == (len(ARMS), 30, 2)
    assert np.bincount(said.truth).tolist() == [22, 8]


def test_several_rare_classes_count_alike():
    three = ("normal", "rare", "scar")
    sets = [dataclasses.replace(one, names=three) for one in (TRAIN, TEST, TRUE)]
    for number, one in enumerate(sets):
        labels = one.labels.copy()
        labels[np.flatnonzero(labels == 0)[: 10 * (number + 1)]] = 2
        sets[number] = dataclasses.replace(one, labels=labels)
    found = measure_usefulness(Split(*sets), settings=BRIEF, seed=0)
    assert found.rare == ("rare", "scar")
    assert "rare and scar" in found.sentence


def test_held_out_images_without_a_rare_class_are_refused():
    with pytest.raises(DatasetError, match="there are no held-out images of rare"):
        measure_usefulness(Split(TRAIN, TEST.of("normal"), TRUE), settings=BRIEF, seed=0)


def test_without_a_useful_synthetic_image_there_is_nothing_to_judge():
    with pytest.raises(DatasetError, match="nothing to judge"):
        measure_usefulness(Split(TRAIN, TEST, shapes(20, 0, 9)), settings=BRIEF, seed=0)


def test_of_a_few_rare_patients_nothing_is_concluded():
    few = shapes(150, 40, 2, per_patient=10)
    found = measure_usefulness(Split(TRAIN, few, TRUE), settings=BRIEF, seed=0)
    assert found.verdict == CANNOT_TELL
    assert found.rare_patients == {"rare": 4}
    assert found.sentence == (
        "Cannot tell whether synthetic images help: only 4 held-out patients have rare; a verdict needs"
        " at least 5."
    )


def test_the_same_classifiers_are_asked_about_another_hospital_and_nothing_else_changes():
    theirs = shapes(30, 12, 5)
    runs, both = {}, {}
    alone = measure_usefulness(Split(TRAIN, TEST, TRUE), settings=BRIEF, seed=0, runs=runs)
    found = measure_usefulness(Split(TRAIN, TEST, TRUE), settings=BRIEF, seed=0, external=theirs, runs=both)
    assert runs.keys() == both.keys()
    assert dataclasses.replace(found, external=None) == alone
    beyond = found.external
    assert (beyond.tested, beyond.patients) == (theirs.counts, 42)
    assert [(arm.name, arm.role, arm.schedule) for arm in beyond.arms] == [
        (arm.name, arm.role, arm.schedule) for arm in found.arms
    ]
    assert "external patients" in beyond.sentence
    assert "held-out" not in beyond.sentence
    again = measure_usefulness(Split(TRAIN, theirs, TRUE), settings=BRIEF, seed=0)
    assert [arm.auprc for arm in again.arms] == pytest.approx([arm.auprc for arm in beyond.arms], abs=1e-4)
    assert again.interval == pytest.approx(beyond.interval, abs=1e-3)


def test_external_images_without_a_rare_class_are_refused():
    with pytest.raises(DatasetError, match="there are no external images of rare"):
        measure_usefulness(Split(TRAIN, TEST, TRUE), settings=BRIEF, seed=0, external=shapes(9, 0, 5))
