"""What an image looks like in numbers: layout and texture weigh alike."""

import numpy as np
import pytest

from medgan.similarity.appearance import _TEXTURES, FeatureScale, layout_texture_features
from medgan.similarity.radiomics import radiomic_features
from tests.similarity.test_nearest import textures


@pytest.mark.parametrize(("shape", "layout"), [((64, 64), 256), ((16, 24), 11 * 16), ((4, 6), 24)])
def test_a_thumbnail_and_texture(shape, layout):
    points = layout_texture_features(textures(3, 0, shape))
    assert points.shape == (3, layout + _TEXTURES)
    assert np.isfinite(points).all()


def test_there_are_as_many_textures_as_radiomics_has():
    assert radiomic_features(textures(1, 0)).shape[1] == _TEXTURES


def test_layout_and_texture_weigh_alike():
    points = layout_texture_features(textures(40, 0, (32, 32)))
    scaled = FeatureScale.of(points)(points)
    assert scaled.mean(axis=0) == pytest.approx(0, abs=1e-9)
    layout = scaled.shape[1] - _TEXTURES
    for part in (scaled[:, :layout], scaled[:, layout:]):
        assert part.var(axis=0).sum() == pytest.approx(1)


def test_what_never_varies_weighs_nothing():
    points = np.repeat(layout_texture_features(textures(1, 0, (32, 32))), 3, axis=0)
    assert (FeatureScale.of(points)(points + 1) == 0).all()
