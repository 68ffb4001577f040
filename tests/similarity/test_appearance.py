"""What an image looks like in numbers: layout and texture weigh alike."""

import numpy as np
import pytest

from medgan.similarity.appearance import TEXTURES, Scale, looks
from medgan.similarity.radiomics import radiomics
from tests.similarity.test_nearest import textures


@pytest.mark.parametrize(("shape", "layout"), [((64, 64), 256), ((16, 24), 11 * 16), ((4, 6), 24)])
def test_a_thumbnail_and_texture(shape, layout):
    points = looks(textures(3, 0, shape))
    assert points.shape == (3, layout + TEXTURES)
    assert np.isfinite(points).all()


def test_there_are_as_many_textures_as_radiomics_has():
    assert radiomics(textures(1, 0)).shape[1] == TEXTURES


def test_layout_and_texture_weigh_alike():
    points = looks(textures(40, 0, (32, 32)))
    scaled = Scale.of(points)(points)
    assert scaled.mean(axis=0) == pytest.approx(0, abs=1e-9)
    layout = scaled.shape[1] - TEXTURES
    for part in (scaled[:, :layout], scaled[:, layout:]):
        assert part.var(axis=0).sum() == pytest.approx(1)


def test_what_never_varies_weighs_nothing():
    points = np.repeat(looks(textures(1, 0, (32, 32))), 3, axis=0)
    assert (Scale.of(points)(points + 1) == 0).all()
