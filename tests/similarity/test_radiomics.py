"""Radiomic features tell texture, contrast and level apart, and know the same image by the same numbers."""

import numpy as np
import pytest

from medgan.similarity.radiomics import radiomic_features


def noise(count, *, scale=0.1, level=0.5, smooth=0, channels=1, side=32):
    chance = np.random.default_rng(0)
    images = chance.normal(level, scale, (count, channels, side, side))
    for _ in range(smooth):
        images = (images + np.roll(images, 1, 2) + np.roll(images, 1, 3) + np.roll(images, -1, 2)) / 4
    return images.clip(0, 1).astype(np.float32)


def test_shape_and_repetition():
    images = noise(3)
    rows = radiomic_features(images)
    assert rows.shape == (3, 43)
    assert rows.dtype == np.float32
    assert np.isfinite(rows).all()
    assert np.array_equal(rows, radiomic_features(images))
    assert np.array_equal(rows[1:2], radiomic_features(images[1:2]))


@pytest.mark.parametrize("other", [{"scale": 0.2}, {"level": 0.3}, {"smooth": 2}])
def test_every_change_of_texture_shows_beyond_the_scatter_between_images(other):
    ours, theirs = radiomic_features(noise(20)), radiomic_features(noise(20, **other))
    gap = np.abs(ours.mean(0) - theirs.mean(0)) / (ours.std(0) + 1e-6)
    assert (gap > 3).sum() >= 5


def test_flat_images_and_odd_sides_have_finite_features():
    assert np.isfinite(radiomic_features(np.full((1, 1, 17, 23), 0.5, np.float32))).all()


def test_colour_is_averaged():
    grey = noise(2)
    assert np.allclose(radiomic_features(np.repeat(grey, 3, axis=1)), radiomic_features(grey), atol=1e-5)
