import numpy as np
import pytest

from medgan.evaluation.bootstrap import interval, resample_patients


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
    low, high = interval(weights @ data / weights.sum(axis=1))
    assert high - low == pytest.approx(2 * 1.96 * data.std() / 200**0.5, rel=0.08)
    assert low < data.mean() < high


def test_an_interval_without_resamples_is_a_point():
    assert interval(np.array([3.0])) == (3.0, 3.0)
    assert interval(np.array([3.0, np.nan])) == (3.0, 3.0)
