"""Holding out a validation split by patient."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medgan.base.errors import PlanError
from medgan.dataset.manifest import Holdout, Manifest, Record
from medgan.dataset.split import (
    _DEFAULT_HOLDOUT,
    _choose_holdout,
    default_holdout_text,
    hold_out,
    hold_out_for_training,
    holdout_of_training,
)


def manifest(scans: list[tuple[str, str]], **others: str) -> Manifest:
    """Records of (label, patient) in train; `others` are {patient: split} of further scans."""
    records = [
        Record(path=f"{n}.png", label=label, patient=patient, digest=f"d{n}", slices=(0,))
        for n, (label, patient) in enumerate(scans)
    ]
    records += [
        Record(
            path=f"{who}-{split}", label="a", patient=who, split=split, digest=f"{who}{split}", slices=(0,)
        )
        for who, split in others.items()
    ]
    return Manifest(root=Path("scans"), records=tuple(records))


def patients(data: Manifest, split: str) -> set[str]:
    return {record.patient for record in data.usable(split)}


SCANS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 12).map(str)), min_size=1, max_size=60)


@given(SCANS, st.floats(0, 0.9), st.integers(0, 99))
def test_no_patient_is_in_two_splits_and_every_class_keeps_one_in_train(scans, fraction, seed):
    before = manifest(scans)
    after = hold_out(before, Holdout(share=fraction), seed)
    assert not patients(after, "train") & patients(after, "val")
    assert {record.label for record in after.usable("train")} == {record.label for record in before.usable()}
    assert [record.path for record in after.records] == [record.path for record in before.records]


def test_about_the_fraction_of_the_patients_of_every_class_is_held_out():
    scans = [("a", f"a{n}") for n in range(100)] + [("b", f"b{n}") for n in range(10)]
    after = hold_out(manifest(scans), Holdout(share=0.2), 0)
    assert after.patients()["val"] == {"a": 20, "b": 2}


def test_even_a_class_of_two_patients_is_represented_on_both_sides():
    after = hold_out(manifest([("a", "1"), ("a", "2")]), Holdout(share=0.1), 0)
    assert after.patients() == {"train": {"a": 1}, "val": {"a": 1}}


def test_the_seed_decides_who_is_held_out():
    data = manifest([("a", str(n)) for n in range(50)])
    assert hold_out(data, Holdout(share=0.2), 1) == hold_out(data, Holdout(share=0.2), 1)
    assert hold_out(data, Holdout(share=0.2), 1) != hold_out(data, Holdout(share=0.2), 2)


def test_nothing_is_held_out_by_a_fraction_of_zero():
    data = manifest([("a", str(n)) for n in range(5)])
    assert hold_out(data, Holdout(share=0.0), 0) == data


def test_test_scans_stay_where_they_are():
    after = hold_out(manifest([("a", str(n)) for n in range(10)], t="test"), Holdout(share=0.3), 0)
    assert patients(after, "test") == {"t"}


def test_a_fraction_of_one_or_more_is_refused():
    with pytest.raises(PlanError):
        hold_out(manifest([("a", "1")]), Holdout(share=1.0), 0)


# --- where nobody says ---


def by_default(data: Manifest) -> Manifest:
    return hold_out_for_training(data, None, 0)


def test_a_fifth_is_held_out_where_there_is_no_val_and_no_test():
    data = manifest([("a", f"a{n}") for n in range(20)] + [("b", f"b{n}") for n in range(6)])
    after = by_default(data)
    assert after.patients()["val"] == {"a": 4, "b": 1}
    assert after.holdout == _DEFAULT_HOLDOUT
    assert "5 of 26 patients are held out as val" in default_holdout_text(after)
    assert "--holdout 0" in default_holdout_text(after)


def test_of_a_small_data_set_one_patient_is_held_out():
    after = by_default(manifest([("a", f"a{n}") for n in range(6)] + [("b", f"b{n}") for n in range(2)]))
    assert "1 of 8 patients is held out as val" in default_holdout_text(after)
    assert "Of b none could be spared." in default_holdout_text(after)


@pytest.mark.parametrize("split", ["val", "test"])
def test_a_data_set_with_a_split_of_its_own_keeps_it(split):
    data = manifest([("a", str(n)) for n in range(20)], t=split)
    assert by_default(data) == data
    assert default_holdout_text(by_default(data)) == ""


def test_a_wish_wins_over_the_default():
    data = manifest([("a", str(n)) for n in range(20)])
    assert _choose_holdout(data, 0.0) == Holdout()
    assert _choose_holdout(data, 0.5) == Holdout(share=0.5)
    assert default_holdout_text(hold_out(data, Holdout(share=0.5), 0)) == ""
    assert default_holdout_text(hold_out(data, Holdout(share=0.0), 0)) == ""


def test_small_classes_give_nobody_away_unasked_and_that_is_said():
    """A patient who is of a small class, too, stays there."""
    data = manifest([("a", f"a{n}") for n in range(4)] + [("b", f"{'a' * (n < 4)}{n}") for n in range(10)])
    after = by_default(data)
    assert after.patients()["val"] == {"a": 0, "b": 2}
    assert "Of a none could be spared" in default_holdout_text(after)


def test_a_tiny_data_set_says_that_nobody_can_be_spared():
    after = by_default(manifest([(label, f"{label}{n}") for label in "ab" for n in range(4)]))
    assert set(after.patients()) == {"train"}
    assert "no class has the 5 patients" in default_holdout_text(after)
    assert after.holdout == _DEFAULT_HOLDOUT


@given(SCANS, st.integers(0, 99))
def test_the_default_leaves_every_class_its_patients_but_a_fifth(scans, seed):
    before = manifest(scans).patients()["train"]
    after = hold_out(manifest(scans), _DEFAULT_HOLDOUT, seed).patients()
    for label, count in before.items():
        assert after["train"][label] == count or count >= 5
        assert after["train"][label] >= 1


def test_a_model_says_what_was_held_out_and_another_wish_is_refused():
    assert (
        holdout_of_training(_DEFAULT_HOLDOUT, None)
        == holdout_of_training(_DEFAULT_HOLDOUT, 0.2)
        == _DEFAULT_HOLDOUT
    )
    for known, wish in ((_DEFAULT_HOLDOUT, 0.3), (_DEFAULT_HOLDOUT, 0.0), (Holdout(), 0.2)):
        with pytest.raises(PlanError, match="would be of other patients"):
            holdout_of_training(known, wish)


def test_a_model_that_does_not_know_is_asked_as_before():
    assert (holdout_of_training(None, None), holdout_of_training(None, 0.3)) == (
        Holdout(),
        Holdout(share=0.3),
    )
