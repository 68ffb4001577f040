import numpy as np
import pytest

from medgan.evaluation.bootstrap import (
    interval_about_value,
    percentile_interval,
    resample_patients,
    resample_seeds,
    resample_within_classes,
)


def test_the_first_row_is_the_data_as_they_are():
    weights = resample_patients(np.array(["a", "a", "b"]), 10, 0)
    assert weights.shape == (11, 3)
    assert weights[0].tolist() == [1, 1, 1]


def test_a_patient_comes_with_all_of_his_images():
    weights = resample_patients(np.array(["a", "b", "a", "c"]), 50, 0)
    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[1:, [0, 1, 3]].sum(axis=1) == 3).all()


def test_the_interval_of_a_mean_is_that_of_the_textbook():
    data = np.random.default_rng(0).normal(size=200)
    weights = resample_patients(np.arange(200).astype(str), 2000, 1)
    low, high = interval_about_value(weights @ data / weights.sum(axis=1))
    assert high - low == pytest.approx(2 * 1.96 * data.std() / 200**0.5, rel=0.08)
    assert low < data.mean() < high


def test_an_interval_without_resamples_is_a_point():
    assert interval_about_value(np.array([3.0])) == (3.0, 3.0)
    assert interval_about_value(np.array([3.0, np.nan])) == (3.0, 3.0)


def test_images_of_one_patient_are_drawn_together_and_classes_keep_their_patients():
    labels = np.repeat([0, 1], [40, 20])
    patients = np.array([f"p{row // 4}" for row in range(60)])
    weights = resample_within_classes(patients, labels, 50, 0)
    assert weights.shape == (50, 60)
    assert (weights.reshape(50, 15, 4) == weights.reshape(50, 15, 4)[:, :, :1]).all()
    assert (weights[:, labels == 1].sum(axis=1) == 20).all()


def test_a_patient_with_images_of_several_classes_belongs_to_the_rarest():
    labels = np.array([0, 0, 0, 0, 1, 1])
    patients = np.array(["a", "a", "b", "c", "a", "d"])
    weights = resample_within_classes(patients, labels, 200, 0)
    assert (weights[:, 0] + weights[:, 5] == 2).all()  # a and d are drawn for one another
    assert (weights[:, 2] + weights[:, 3] == 2).all()


def test_seeds_are_drawn_with_replacement():
    shares = resample_seeds(4, 500, 0)
    assert shares.sum(axis=1) == pytest.approx(1)
    assert shares.mean(axis=0) == pytest.approx(0.25, abs=0.03)
    assert shares.max() > 0.5


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    """Mean of 40 normal numbers of mean 0: 95 % intervals, 200 times."""
    chance = np.random.default_rng(0)
    covered = 0
    for turn in range(200):
        values = chance.normal(size=40)
        weights = resample_within_classes(np.arange(40).astype(str), np.zeros(40, np.int64), 400, turn)
        low, high = percentile_interval(weights @ values / 40)
        covered += low < 0 < high
    assert 0.88 < covered / 200 < 0.98
