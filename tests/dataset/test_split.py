"""Holding out a validation split by patient."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medgan.dataset.manifest import Manifest, Record
from medgan.dataset.split import hold_out
from medgan.errors import PlanError


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
    after = hold_out(before, fraction, seed)
    assert not patients(after, "train") & patients(after, "val")
    assert {record.label for record in after.usable("train")} == {record.label for record in before.usable()}
    assert [record.path for record in after.records] == [record.path for record in before.records]


def test_about_the_fraction_of_the_patients_of_every_class_is_held_out():
    scans = [("a", f"a{n}") for n in range(100)] + [("b", f"b{n}") for n in range(10)]
    after = hold_out(manifest(scans), 0.2, 0)
    assert after.patients()["val"] == {"a": 20, "b": 2}


def test_even_a_class_of_two_patients_is_represented_on_both_sides():
    after = hold_out(manifest([("a", "1"), ("a", "2")]), 0.1, 0)
    assert after.patients() == {"train": {"a": 1}, "val": {"a": 1}}


def test_the_seed_decides_who_is_held_out():
    data = manifest([("a", str(n)) for n in range(50)])
    assert hold_out(data, 0.2, 1) == hold_out(data, 0.2, 1)
    assert hold_out(data, 0.2, 1) != hold_out(data, 0.2, 2)


def test_nothing_is_held_out_by_a_fraction_of_zero():
    data = manifest([("a", str(n)) for n in range(5)])
    assert hold_out(data, 0.0, 0) == data


def test_test_scans_stay_where_they_are():
    after = hold_out(manifest([("a", str(n)) for n in range(10)], t="test"), 0.3, 0)
    assert patients(after, "test") == {"t"}


def test_a_fraction_of_one_or_more_is_refused():
    with pytest.raises(PlanError):
        hold_out(manifest([("a", "1")]), 1.0, 0)
