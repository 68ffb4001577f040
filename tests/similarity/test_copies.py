"""The near-copy limit: about one of a hundred new patients falls below it, and copies do."""

import numpy as np
import pytest

from medgan.preparation.images import LabelledImages
from medgan.similarity.copies import (
    CopyLimits,
    NewPatients,
    _spread_rows,
    compare_new_patients,
    equal_patient_weights,
    first_percentiles,
)
from medgan.similarity.nearest import Nearest, References, find_nearest
from tests.similarity.test_nearest import people, textures


def organ(count, seed, shape=(32, 32)):
    """Images of one organ: a common shape, and something of each patient's own."""
    common = textures(1, 99, shape)
    return (0.6 * common + 0.4 * textures(count, seed, shape)).astype(np.float32)


def measured(train, labels=None, **more):
    references = References.of(train.__getitem__, people(len(train)))
    labels = np.zeros(len(train), np.int64) if labels is None else labels
    return references, compare_new_patients(references, labels, **more)


def judged(references, limits, images):
    found = find_nearest(images.__getitem__, len(images), references)
    return limits.near_copies(found, np.zeros(len(images), np.int64))


def test_copies_are_told_and_strangers_pass():
    train = organ(150, 0)
    references, strangers = measured(train)
    limits = CopyLimits.of(strangers, 1)
    noise = 0.05 * train.std() * np.random.default_rng(1).normal(size=train[:60].shape)
    copies = np.roll(0.9 * train[:60] + noise, (1, -1), (2, 3)).astype(np.float32)
    assert judged(references, limits, copies).mean() == 1
    assert judged(references, limits, organ(150, 7)).mean() <= 0.04


def test_an_average_of_many_is_nobodys_copy():
    train = organ(150, 0)
    references, strangers = measured(train)
    averages = np.stack([train[start : start + 15].mean(axis=0) for start in range(0, 150, 15)])
    found = find_nearest(averages.__getitem__, 10, references)
    limits = CopyLimits.of(strangers, 1)
    assert (found.distance < limits.distance).any(), "averages are near everybody, or this shows nothing"
    assert not judged(references, limits, averages).any()


def test_held_out_patients_are_the_strangers_where_there_are_enough():
    train, other = organ(30, 0), organ(12, 5)
    held_out = LabelledImages(
        pixels=other, labels=np.zeros(12, np.int64), names=("a",), patients=people(12), sources=people(12)
    )
    _, strangers = measured(train, held_out=held_out)
    assert strangers.held_out
    assert len(strangers.labels) == 12
    assert not measured(train, held_out=held_out.take(range(3)))[1].held_out


def test_with_a_handful_of_patients_nothing_can_be_told():
    assert measured(organ(4, 0))[1] is None
    assert measured(organ(5, 0))[1] is not None


def test_a_scan_that_occurs_twice_does_not_undo_the_limit():
    train = organ(60, 0)
    limit = CopyLimits.of(measured(train)[1], 1).distance[0]
    twice = np.concatenate([train, train[:20]])
    assert CopyLimits.of(measured(twice)[1], 1).distance[0] == pytest.approx(limit, rel=0.05)


def test_slices_of_one_patient_count_as_one():
    patients = np.array(["a"] * 99 + ["b"])
    weights = equal_patient_weights(patients)
    assert weights.sum() == pytest.approx(2)
    values = np.array([0.0] * 99 + [1.0])
    rows = [np.arange(100)]
    assert (
        first_percentiles(values, np.ones(100), rows)[0] == first_percentiles(values, weights, rows)[0] == 0
    )
    assert first_percentiles(1 - values, weights, rows)[0] == 0
    assert first_percentiles(1 - values, np.r_[np.ones(99), 0.5], rows)[0] == 1


def test_a_class_has_limits_of_its_own_once_it_has_enough_patients():
    distance = np.r_[np.full(30, 0.5), np.full(10, 0.1)]
    found = Nearest(rows=np.zeros(40, np.int64), distance=distance, second=np.ones(40))
    labels = np.r_[np.zeros(30, np.int64), np.ones(10, np.int64)]
    strangers = NewPatients(labels=labels, patients=people(40), found=found, held_out=True)
    assert CopyLimits.of(strangers, 2).distance.tolist() == [0.5, 0.1]
    few = NewPatients(labels=1 - labels, patients=people(40), found=found, held_out=True)
    assert CopyLimits.of(few, 2).distance.tolist() == [0.1, 0.5]


def test_of_many_images_as_many_of_each_class_are_measured():
    rows = _spread_rows(np.repeat([0, 1, 2], [9000, 3000, 40]))
    counts = np.bincount(np.searchsorted([9000, 12000], rows, side="right"))
    assert counts.tolist() == [666, 666, 40]
    assert _spread_rows(np.zeros(7, np.int64)).tolist() == list(range(7))
