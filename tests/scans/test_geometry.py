import numpy as np
import pytest

from medgan.scans.geometry import resample, resize, slice_distances, slice_normal, square_shape
from tests.scans.phantoms import ramp


def test_image_of_the_right_size_is_left_alone():
    assert np.array_equal(resize(ramp(), (8, 8)), ramp())


@pytest.mark.parametrize("shape", [(20, 30), (20, 30, 3)])
def test_stretching_gives_the_size_in_float32_and_keeps_the_colours(shape):
    out = resize(np.full(shape, 7.0), (16, 8))
    assert out.shape == (16, 8, *shape[2:])
    assert out.dtype == np.float32
    assert out == pytest.approx(7.0)


def test_shrinking_averages_what_it_drops():
    stripes = np.tile([0.0, 1.0], (64, 32))
    assert resize(stripes, (16, 16))[4:-4, 4:-4] == pytest.approx(0.5, abs=0.1)


def test_millimetres_are_kept_and_the_rest_is_background():
    # 10 x 20 pixels of 2 x 1 mm are a square of 20 mm; at 1 mm a pixel it fills the middle of 40 x 40.
    out = resample(np.ones((10, 20)), (2, 1), 1, (40, 40), -5)
    assert out[10:30, 10:30] == pytest.approx(1)
    assert (out == -5).sum() == 40 * 40 - 20 * 20


def test_cropping_keeps_the_centre():
    image = np.zeros((9, 9))
    image[4, 4] = 1
    out = resample(image, (1, 1), 1, (3, 3), 0)
    assert out.tolist() == [[0, 0, 0], [0, 1, 0], [0, 0, 0]]


def test_one_side_may_be_padded_while_the_other_is_cropped():
    assert resample(np.ones((4, 12, 3)), (1, 1), 1, (8, 6), 0).sum() == 4 * 6 * 3


@pytest.mark.parametrize(
    ("aspect", "size"), [(1, (10, 20)), (2, (20, 20)), (0.5, (10, 40)), (4 / 3, (13, 20))]
)
def test_pixels_are_made_square_by_growing_the_short_side(aspect, size):
    assert square_shape((10, 20), aspect) == size


def test_distance_is_measured_along_the_slice_normal():
    coronal = (1, 0, 0, 0, 0, -1)
    assert slice_normal(coronal).tolist() == [0, 1, 0]
    assert slice_distances([(5, 2, 9), (7, 4, 1)], coronal).tolist() == [2, 4]


def test_useless_orientation_falls_back_to_z():
    assert slice_normal((0, 0, 0, 0, 0, 0)).tolist() == [0, 0, 1]
