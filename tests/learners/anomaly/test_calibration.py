"""Alarms of new normal patients stay below the rate that was asked for, whatever the scores are."""

import numpy as np
import pytest

from medgan.learners.anomaly.calibration import (
    PARTS,
    PlaceScale,
    alarm_sentence,
    calibration_size,
    combine,
    highest_by_patient,
    p_value,
    patients_needed,
)


def draw(chance, count, kind):
    """Scores of `count` normal patients: parts that share a cause, with heavy tails or many ties."""
    shared = chance.standard_normal(count)
    scores = {part: shared + chance.standard_normal(count) for part in PARTS}
    if kind == "heavy":
        return {part: np.exp(2 * own) for part, own in scores.items()}
    return {part: np.round(own) if kind == "ties" else own for part, own in scores.items()}


@pytest.mark.parametrize("kind", ["normal", "heavy", "ties"])
@pytest.mark.parametrize(("patients", "alarms"), [(19, 0.05), (39, 0.1), (60, 0.05)])
def test_at_most_the_share_asked_for_of_new_normal_patients_alarms(kind, patients, alarms):
    chance, trials = np.random.default_rng(7), 3000
    count = 0
    for _ in range(trials):
        drawn = draw(chance, patients + 1, kind)
        known = {part: own[:-1] for part, own in drawn.items()}
        count += p_value(known, {part: own[-1] for part, own in drawn.items()}) <= alarms
    error = np.sqrt(alarms * (1 - alarms) / trials)
    assert count / trials <= alarms + 3 * error
    if kind == "normal":
        least = np.floor(alarms * (patients + 1)) / (patients + 1)
        assert count / trials >= least - 3 * error, "and nothing is given away"


def test_the_whole_permutation_of_patients_alarms_at_exactly_the_rate():
    drawn = draw(np.random.default_rng(1), 20, "normal")
    values = [
        p_value(
            {part: np.delete(own, one) for part, own in drawn.items()},
            {part: own[one] for part, own in drawn.items()},
        )
        for one in range(20)
    ]
    assert sorted(values) == pytest.approx(np.arange(1, 21) / 20), "each patient in turn is the new one"


def test_a_patient_far_beyond_in_one_part_alarms_although_the_others_see_nothing():
    drawn = draw(np.random.default_rng(2), 40, "normal")
    usual = {part: float(np.median(own)) for part, own in drawn.items()}
    assert p_value(drawn, usual | {"memory": 50.0}) == pytest.approx(1 / 41)
    assert p_value(drawn, usual) > 0.2


def test_too_few_patients_allow_no_alarm_and_that_is_said():
    few = {part: np.arange(18.0) for part in PARTS}
    least = p_value(few, dict.fromkeys(PARTS, 1e6))
    assert least == pytest.approx(1 / 19)
    assert least > 0.05
    assert patients_needed(0.05) == 19
    assert "No alarm is possible" in alarm_sentence(18, 0.05)
    assert "needs 99" in alarm_sentence(19, 0.01)
    assert "At most 0.05" in alarm_sentence(19, 0.05)
    assert "0.05 (1 in 20)" in alarm_sentence(19)


def test_a_fifth_of_the_patients_calibrates_at_least_19_and_at_most_half():
    assert [calibration_size(n) for n in (20, 38, 60, 200)] == [10, 19, 19, 40]


def test_scores_beyond_all_normal_ones_keep_their_order():
    known = {part: np.arange(20.0) for part in PARTS}
    scores = combine(known, {part: np.array([5.0, 30.0, 60.0]) for part in PARTS})
    assert (np.diff(scores) > 0).all()
    assert combine(known, {part: np.array([9.5]) for part in PARTS}) == pytest.approx([0.0])


def test_a_patient_counts_by_their_highest_image():
    assert highest_by_patient(["a", "b", "a"], np.array([1.0, 2.0, 3.0])) == {"a": 3.0, "b": 2.0}


def test_a_map_says_how_rare_a_distance_is_at_its_place():
    chance = np.random.default_rng(3)
    normal = chance.random((4000, 2, 2)).astype(np.float32)
    normal[:, 1, 1] += 5
    scale = PlaceScale.fit(normal, 0)
    shown = scale.surprise(np.array([[[0.5, 0.99], [2.0, 5.5]]], np.float32))[0]
    assert shown[0, 0] == pytest.approx(0.3, abs=0.05), "one in two lies as far"
    assert shown[0, 1] == pytest.approx(2, abs=0.15), "one in a hundred"
    assert shown[1, 0] == pytest.approx(3), "none does; the scale ends there"
    assert shown[1, 1] == pytest.approx(0.3, abs=0.05), "each place by its own normal cells"
