import io

import numpy as np
import pytest
from PIL import Image

from medgan.pictures.display import display_window, png, resize_picture, to_display_bytes, zoom_to


def images(count, level=0.5):
    pixels = np.random.default_rng(count).normal(level, 0.05, (count, 1, 16, 24))
    return pixels.clip(0, 1).astype(np.float32)


def test_one_window_burns_out_neither_side():
    dim, bright = images(4, level=0.2), images(4, level=0.8)
    for sides in ((dim, bright), (bright, dim)):
        window = display_window(*sides)
        for side in sides:
            seen = to_display_bytes(side.reshape(1, -1, 24), window)
            assert (seen == 255).mean() <= 0.011
            assert (seen == 0).mean() <= 0.011


def test_a_side_that_is_empty_has_no_say():
    real = images(4)
    alone = display_window(real, None)
    assert alone == display_window(real) == display_window(None, real) == display_window(real, real[:0])
    assert alone[0] == pytest.approx(np.percentile(real, 0.5), abs=1e-6)
    assert display_window(None, None) == (0.0, 1.0)


def test_colour_is_shown_as_it_is():
    red = np.zeros((1, 3, 4, 4), np.float32)
    red[:, 0] = 0.8
    assert display_window(red) == (0.0, 1.0)
    assert to_display_bytes(red[0], (0.0, 1.0))[0, 0].tolist() == [204, 0, 0]


def test_images_grow_by_whole_pixels_and_shrink_smoothly():
    assert zoom_to((16, 24), 112) == (80, 120)
    assert zoom_to((512, 256), 112) == (112, 56)
    pixels = to_display_bytes(images(1)[0], (0.0, 1.0))
    assert (resize_picture(pixels, (32, 48))[::2, ::2] == pixels).all()
    assert resize_picture(pixels, (8, 12)).shape == (8, 12, 3)


def test_a_png_is_no_larger_than_asked_and_gray_where_the_image_is():
    found = Image.open(io.BytesIO(png(np.full((1, 600, 300), 0.5, np.float32), longest=200)))
    assert (found.size, found.mode) == ((100, 200), "L")
