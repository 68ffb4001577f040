from __future__ import annotations

import dataclasses

import pytest
import torch

from medgan.learners.gan import guards
from medgan.learners.gan.guards import Check, Guards, Snapshot

WELL = Check(
    images_shown=100,
    overfit=0.1,
    overfit_error=0.1,
    variety={"a": 0.9, "b": 0.8},
    copies={"a": 0.0, "b": 0.03},
    kid={"a": 1.0, "b": 2.0},
    kid_error=0.1,
)


def look(**changes):
    return dataclasses.replace(WELL, **changes)


def kept(images_shown, distance, **changes):
    kid = {"a": distance, "b": distance}
    return Snapshot(look(images_shown=images_shown, kid=kid, **changes), {"w": torch.tensor(images_shown)})


def test_nothing_amiss_raises_no_alarm_and_is_said():
    assert guards.alarms(WELL) == ()
    assert guards.guard_status([WELL], 0.5, 0.5) == "guards: no problems"
    assert guards.guard_status([], 0.5, 0.5) == ""


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"overfit": 0.8, "overfit_error": 0.2}, "memorised its training images (overfitting 0.80"),
        ({"variety": {"a": 0.9, "b": 0.1}}, "b: synthetic images hardly differ (10% of the variety"),
        ({"copies": {"a": 0.4, "b": 0.0}}, "a: 40% of the synthetic images are near copies"),
    ],
)
def test_every_fault_is_told_in_words(change, sentence):
    (told,) = guards.alarms(look(**change))
    assert sentence in told
    assert sentence in guards.guard_status([WELL, look(**change)], 0.5, 0.5)


def test_a_rough_guess_of_overfitting_is_no_alarm_and_none_at_all_is_said():
    assert guards.alarms(look(overfit=0.6, overfit_error=0.21)) == ()
    assert "cannot be measured with 3 held-back patients" in guards.guard_status(
        [look(overfit=None, patients=3)], 0.5, 0.5
    )
    assert guards.guard_status([look(overfit=None, patients=None)], 0.0, 0.0) == "guards: no problems"


def test_a_generator_that_has_just_begun_has_not_collapsed():
    assert guards.alarms(look(settled=False, variety={"a": 0.02, "b": 0.02})) == ()


def test_augmentation_goes_up_to_its_bound_while_something_is_learned_by_heart_and_down_to_the_plan_again():
    for fault in ({"overfit": 0.9}, {"copies": {"a": 0.5}}):
        strength, path = 0.5, []
        for _ in range(6):
            strength = guards.next_strength(look(**fault), strength, 0.5)
            path.append(strength)
        assert path == [0.75, 1.0, 1.25, 1.5, 1.5, 1.5]
    assert guards.next_strength(look(overfit=0.4), 1.0, 0.5) == 1.0  # between the two limits nothing changes
    path = [strength := guards.next_strength(WELL, strength, 0.5) for _ in range(10)]
    assert path[:2] == [1.375, 1.25]
    assert path[-1] == 0.5


@pytest.mark.parametrize("least", [0.0, 2.0])
def test_a_plan_without_augmentation_stays_without_and_one_above_the_bound_where_it_is(least):
    assert guards.next_strength(look(overfit=0.9), least, least) == least


def test_the_best_two_and_the_latest_are_kept():
    found = []
    for images_shown, distance in ((1, 5.0), (2, 1.0), (3, 4.0), (4, 2.0), (5, 9.0)):
        found = guards.keep_snapshots(found, kept(images_shown, distance))
        assert len(found) <= guards._KEPT
    assert [one.check.images_shown for one in found] == [2, 4, 5]


@pytest.mark.parametrize(
    ("distances", "error", "chosen"),
    [((1.0, 3.0, 2.0), 0.1, 1), ((1.0, 3.0, 1.05), 0.1, 3), ((3.0, 1.0, 1.0), 0.0, 3), ((2.0,), 0.5, 1)],
)
def test_the_model_is_the_latest_within_one_standard_error_of_the_best(distances, error, chosen):
    found = [kept(number, distance, kid_error=error) for number, distance in enumerate(distances, start=1)]
    assert guards.choose_snapshot(found).check.images_shown == chosen


def test_a_sound_generator_is_chosen_before_a_nearer_one_that_collapsed_or_copies():
    found = [
        kept(1, 9.0),
        kept(2, 1.0, variety={"a": 0.9, "b": 0.1}),
        kept(3, 0.5, copies={"a": 0.9, "b": 0.9}),
    ]
    assert guards.choose_snapshot(found).check.images_shown == 1
    assert guards.choose_snapshot(found[1:]).check.images_shown == 2  # one class in trouble rather than two


def test_training_stops_after_four_looks_in_trouble_when_a_sound_generator_is_kept():
    trouble = [look(images_shown=n, variety={"a": 0.1}) for n in range(2, 6)]
    sound = [kept(1, 2.0), Snapshot(trouble[-1], {})]
    assert "stopped at 5 images" in guards.reason_to_stop([WELL, *trouble], sound)
    assert "of 1 images, which is sound" in guards.reason_to_stop([WELL, *trouble], sound)
    assert guards.reason_to_stop([WELL, *trouble[1:]], sound) == ""  # three are not enough
    assert guards.reason_to_stop([*trouble, WELL], sound) == ""  # it has recovered
    assert guards.reason_to_stop(trouble, sound[1:]) == ""  # nothing better is kept: it may yet recover


def test_what_guards_remember_survives_a_checkpoint(tmp_path):
    before = Guards(checks=[WELL, look(overfit=None)], kept=[kept(1, 2.0)], stopped="why")
    torch.save(before.state(), tmp_path / "state.pt")
    after = Guards.restore(torch.load(tmp_path / "state.pt", weights_only=True))
    assert (after.checks, after.stopped) == (before.checks, "why")
    assert after.kept[0].check == before.kept[0].check
    assert torch.equal(after.kept[0].weights["w"], torch.tensor(1))
