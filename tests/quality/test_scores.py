import numpy as np
import pytest
import torch

from medgan.quality.scores import kid, neighbourhood


def features(count, seed, shift=0.0):
    return (np.random.default_rng(seed).normal(shift, 1, (count, 16))).astype(np.float32)


def test_kid_is_that_of_torchmetrics():
    from torchmetrics.image.kid import poly_mmd

    real, fake = features(40, 0), features(40, 1, shift=0.5)
    theirs = poly_mmd(torch.from_numpy(real).double(), torch.from_numpy(fake).double())
    assert kid(real, fake) == pytest.approx(float(theirs), rel=1e-6)


def test_kid_is_about_zero_between_samples_of_one_distribution():
    scores = [kid(features(50, seed), features(80, seed + 100)) for seed in range(40)]
    assert abs(np.mean(scores)) < 3 * np.std(scores) / len(scores) ** 0.5


def test_kid_grows_with_distance():
    near, far = (kid(features(50, 0), features(50, 1, shift=shift)) for shift in (0.2, 0.8))
    assert near < far


def test_copies_of_the_real_images_have_perfect_neighbourhood():
    real = features(30, 0)
    assert neighbourhood(real, real) == {"precision": 1.0, "recall": 1.0, "coverage": 1.0}


def test_images_of_nothing_have_none():
    assert neighbourhood(features(30, 0), features(30, 1, shift=50)) == {
        "precision": 0.0,
        "recall": 0.0,
        "coverage": 0.0,
    }


def test_a_collapsed_generator_is_precise_but_recalls_little():
    real = features(60, 0)
    scores = neighbourhood(real, np.repeat(real[:1], 60, axis=0) + features(60, 2) * 1e-3)
    assert scores["precision"] == 1
    assert scores["recall"] < 0.1
    assert scores["coverage"] < 0.4
