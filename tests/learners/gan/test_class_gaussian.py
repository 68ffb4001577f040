"""Outlines have the mean and covariance of the real images; rare classes borrow variance from the others."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from medgan.learners.gan.class_gaussian import ClassGaussian

SHAPE = (1, 6, 4)


def drawn(outline, label, count=4000):
    chance = torch.Generator().manual_seed(0)
    latent = outline.directions.shape[1]
    z = F.normalize(torch.randn(count, latent, generator=chance), dim=1) * latent**0.5
    with torch.no_grad():
        return outline(z, torch.full((count,), label)).numpy().reshape(count, -1)


def images(count, mean, scale, seed=0):
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(5, 24)) * scale
    return (mean + rng.normal(size=(count, 5)) @ mixing).reshape(count, *SHAPE).astype(np.float32)


@pytest.fixture
def outline():
    return ClassGaussian(SHAPE, 8, 2)


def test_before_measuring_every_class_is_noise_around_mid_range(outline):
    assert abs(drawn(outline, 0).mean()) < 0.02
    assert np.array_equal(drawn(outline, 0, 8), drawn(outline, 1, 8))
    assert drawn(outline, 0, 8).std(axis=0).min() > 0.01


def test_mean_and_covariance_are_those_of_the_images(outline):
    real = [images(3000, 0.2, 0.1), images(3000, -0.3, 0.3, seed=1)]
    outline.measure(real)
    for label, x in enumerate(real):
        x, fake = x.reshape(len(x), -1), drawn(outline, label)
        np.testing.assert_allclose(fake.mean(0), x.mean(0), atol=0.05)
        assert np.linalg.norm(np.cov(fake.T) - np.cov(x.T)) < 0.12 * np.linalg.norm(np.cov(x.T))


def test_a_rare_class_varies_like_the_others_around_its_own_mean(outline):
    rare = images(2, 0.5, 0.0)
    outline.measure([images(500, 0.0, 0.2), rare])
    fake = drawn(outline, 1)
    np.testing.assert_allclose(fake.mean(0), 0.5, atol=0.05)
    assert fake.std(0).mean() > 0.1


def test_no_image_of_a_tiny_class_is_among_what_is_drawn(outline):
    rare = images(3, 0.5, 0.2, seed=5)
    outline.measure([images(500, 0.0, 0.2), rare])
    apart = np.linalg.norm(drawn(outline, 1)[:, None] - rare.reshape(3, -1)[None], axis=2)
    usual = np.linalg.norm(rare[0].ravel() - rare[1].ravel())
    assert apart.min() > 0.02 * usual


def test_more_latents_than_images_are_no_error():
    outline = ClassGaussian(SHAPE, 16, 1)
    outline.measure([images(3, 0.1, 0.1)])
    assert np.isfinite(drawn(outline, 0, 10)).all()
