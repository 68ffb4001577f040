from __future__ import annotations

import numpy as np
import pytest

from medgan.training.monitoring_rows import choose_monitoring_rows


def patients_of(count, images_each=1, offset=0):
    """Names of patients in no particular order, each with several rows."""
    chance = np.random.default_rng(offset)
    names = np.array([f"{number:016x}" for number in chance.integers(0, 2**60, count)])
    return np.repeat(names, images_each)


@pytest.mark.parametrize(("size", "held"), [(49, 0), (50, 5), (52, 5), (100, 10), (400, 40), (3000, 100)])
def test_a_tenth_of_a_large_class_is_held_back_and_nothing_of_a_small_one(size, held):
    labels = np.array([0] * size + [1] * 30)
    rows = choose_monitoring_rows(labels, patients_of(size + 30))
    assert np.bincount(labels[rows], minlength=2).tolist() == [held, 0]


def test_all_rows_of_a_patient_are_held_back_or_none():
    labels, patients = np.zeros(210, np.int64), patients_of(70, images_each=3)
    rows = choose_monitoring_rows(labels, patients)
    assert len(rows) == 21
    assert not set(patients[rows]) & set(np.delete(patients, rows))


def test_a_patient_of_many_slices_is_never_split_to_fill_the_share():
    assert not len(choose_monitoring_rows(np.zeros(64, np.int64), patients_of(2, images_each=32)))


def test_who_is_also_in_a_small_class_is_seen():
    labels = np.array([0] * 100 + [1] * 20)
    patients = patients_of(100)
    patients = np.concatenate([patients, patients[:20]])
    rows = choose_monitoring_rows(labels, patients)
    assert len(rows) == 10
    assert not set(patients[rows]) & set(patients[:20])


def test_the_choice_does_not_follow_the_order_of_the_rows():
    labels, patients = np.repeat([0, 1], [120, 80]), patients_of(200)
    chance = np.random.default_rng(3).permutation(200)
    first = set(patients[choose_monitoring_rows(labels, patients)])
    assert first == set(patients[chance][choose_monitoring_rows(labels[chance], patients[chance])])
