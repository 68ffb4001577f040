"""The judge of classes: right where classes differ, silent where it cannot tell them apart."""

import numpy as np
import pytest

from medgan.quality.judge import SURE, Judge
from tests.quality.test_neighbours import people


def clouds(apart, count=80, seed=0, features=6):
    chance = np.random.default_rng(seed)
    labels = np.repeat([0, 1], [count, count // 4])
    points = chance.normal(size=(len(labels), features))
    points[:, 0] += apart * labels
    return points, labels


def test_classes_that_differ_are_told_apart():
    points, labels = clouds(8)
    judge = Judge.of(points, labels, people(len(labels)), 2)
    unseen, theirs = clouds(8, seed=1)
    chances = judge.chances(unseen)
    assert chances.sum(axis=1) == pytest.approx(1)
    assert (chances.argmax(axis=1) == theirs).mean() > 0.98
    assert judge.objects(chances, 1 - theirs).mean() > 0.9
    assert judge.objects(chances, theirs).mean() < 0.02
    assert (judge.sure < 0.9).all()


def test_where_classes_look_alike_it_objects_to_almost_nothing():
    points, labels = clouds(0)
    judge = Judge.of(points, labels, people(len(labels)), 2)
    unseen, theirs = clouds(0, seed=1)
    assert judge.objects(judge.chances(unseen), theirs).mean() < 0.12
    assert (judge.sure >= SURE).all()


def test_a_patient_with_many_slices_cannot_teach_it_to_trust_itself():
    """Slices of a patient are alike: judged by its other slices, each would be recognised and the judge would seem sure of itself."""
    chance = np.random.default_rng(0)
    labels = np.repeat([0, 1], [100, 100])
    patients = np.repeat([f"p{n}" for n in range(20)], 10)
    own = np.repeat(chance.normal(size=(20, 6)), 10, axis=0)
    points = own + 0.01 * chance.normal(size=own.shape)
    honest = Judge.of(points, labels, patients, 2).sure
    fooled = Judge.of(points, labels, people(200), 2).sure
    assert honest.sum() > fooled.sum()


def test_far_outliers_do_not_make_it_surer_than_real_images_do():
    points, labels = clouds(8)
    judge = Judge.of(points, labels, people(len(labels)), 2)
    far = np.zeros((2, 6))
    far[0, 0], far[1, 0] = 1e6, 3 * points[:, 0].std() + points[:, 0].mean()
    assert judge.chances(far)[0] == pytest.approx(judge.chances(far)[1])


def test_one_class_needs_no_judge():
    points, _ = clouds(1)
    assert Judge.of(points, np.zeros(len(points), np.int64), people(len(points)), 1) is None


def test_a_class_with_a_single_patient_is_never_held_against_an_image():
    points, labels = clouds(8, count=20)
    labels[:] = 0
    labels[-1] = 1
    judge = Judge.of(points, labels, people(len(labels)), 2)
    assert judge.sure[1] > 0.99
