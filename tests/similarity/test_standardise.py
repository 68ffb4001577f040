"""Features on one scale, also where a few images hardly have them."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from medgan.similarity.standardise import standardise


def test_features_are_standardised_by_those_of_real_images():
    features = np.random.default_rng(0).normal(3, 2, (50, 4)).astype(np.float32)
    found = standardise(features, features[:30])
    assert found.dtype == np.float32
    assert found[:30].mean(axis=0) == pytest.approx(np.zeros(4), abs=1e-5)
    assert found[:30].std(axis=0) == pytest.approx(np.ones(4), abs=1e-5)


def test_a_feature_that_is_constant_in_real_images_keeps_its_unit():
    features = np.zeros((10, 2), np.float32)
    features[8:] = 0.5, 100
    found = standardise(features, features[:8])
    assert found[:8].tolist() == [[0, 0]] * 8
    assert found[8:].tolist() == [[0.5, 5]] * 2


def test_a_feature_that_real_images_hardly_have_does_not_decide_alone():
    """Six synthetic images have a feature that is dead in the forty real ones; the class still shows."""
    rng = np.random.default_rng(0)
    labels = np.arange(46) % 2
    features = rng.normal(0, 1, (46, 9)).astype(np.float32)
    features[:, 0] += 4 * labels
    features[:, 8] = 0
    features[0, 8] = 1e-5  # dead but for rounding
    features[40:, 8] = 1
    scaled = standardise(features, features[:40])
    assert np.abs(scaled).max() <= 5
    fitted = LogisticRegression(C=1e-2).fit(scaled, labels)
    assert fitted.score(scaled[:40], labels[:40]) > 0.9
