import json

import numpy as np
import pytest
from PIL import Image

from medgan.pictures.film import compose_frame, write_film
from medgan.scans import formats

LINES = "SYNTHETIC, not filtered", "covid"


def tile(side=(40, 20), channels=1, value=0.5):
    return np.full((channels, *side), value, np.float32)


def test_images_stand_side_by_side_below_their_text():
    frame = compose_frame([tile(value=0.2), tile(value=0.8)], LINES)
    assert frame.shape == (48 + 240, 2 * 120 + 4)
    assert set(np.unique(frame[48:, :120])) == {51}
    assert set(np.unique(frame[48:, 124:])) == {204}
    assert frame[:24].max() > 150  # text
    assert frame[24:48].max() > 120


@pytest.mark.parametrize(
    ("side", "count", "height"),
    [((16, 16), 1, 256), ((224, 224), 1, 224), ((896, 448), 1, 448), ((896, 448), 3, 256)],
)
def test_small_images_are_enlarged_and_large_ones_reduced(side, count, height):
    assert len(compose_frame([tile(side)] * count, LINES)) == 48 + height


def test_a_narrow_image_leaves_room_for_its_text():
    assert compose_frame([tile((64, 8))], LINES).shape[1] == 224


@pytest.mark.parametrize("channels", [1, 3])
def test_a_film_is_an_endless_animation_marked_as_synthetic(tmp_path, channels):
    frames = [compose_frame([tile(channels=channels, value=value)], LINES) for value in (0.1, 0.5, 0.9)]
    write_film(tmp_path / "film.png", frames, [80, 900, 80], {"Seeds": [3], "Filtered": False})
    with Image.open(tmp_path / "film.png") as film:
        assert (film.n_frames, film.info["loop"]) == (3, 0)
        assert film.mode == {1: "L", 3: "RGB"}[channels]
        for number, (frame, duration) in enumerate(zip(frames, (80, 900, 80), strict=True)):
            film.seek(number)
            assert film.info["duration"] == duration
            np.testing.assert_array_equal(np.asarray(film.convert(film.mode)), frame)
        assert json.loads(film.info["Description"]) == {"Seeds": [3], "Filtered": False}
        assert film.info["Disclaimer"].startswith("SYNTHETIC")
    assert "synthetic" in formats.read_header(tmp_path / "film.png").notes
