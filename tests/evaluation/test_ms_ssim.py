import numpy as np
import pytest

from medgan.evaluation.ms_ssim import _BETAS, _scales, likeness, likeness_under, pairs_of
from tests.evaluation.phantoms import discs, noise


def pairs(count):
    return pairs_of(np.arange(count).astype(str), 50, 0)


def test_an_image_is_as_like_itself_as_can_be():
    image = np.repeat(discs(1, 0), 4, axis=0)
    assert likeness(image, pairs(4)) == pytest.approx(1, abs=1e-5)


def test_images_of_noise_are_less_alike_than_discs():
    assert likeness(noise(8, 0), pairs(8)).mean() < 0.3 < likeness(discs(8, 0), pairs(8)).mean()


@pytest.mark.parametrize(("side", "count"), [(11, 1), (32, 2), (64, 3), (128, 4), (176, 5)])
def test_small_images_have_room_for_fewer_scales(side, count):
    assert len(_scales(side)) == count
    assert sum(_scales(side)) == pytest.approx(1)
    image = np.random.default_rng(0).uniform(0, 1, (2, 1, side, side)).astype(np.float32)
    assert likeness(image, np.array([[0, 1]])).shape == (1,)


def test_with_room_for_all_scales_the_weights_are_the_published_ones():
    assert _scales(256) == pytest.approx(_BETAS, rel=2e-4)


def test_two_images_of_one_patient_are_no_pair():
    patients = np.array(["a", "a", "b", "b"])
    assert {tuple(pair) for pair in pairs_of(patients, 100, 0)} == {(0, 2), (0, 3), (1, 2), (1, 3)}
    assert len(pairs_of(patients, 2, 0)) == 2


def test_a_pair_counts_as_often_as_both_of_its_images():
    found = likeness_under(
        np.array([0.2, 0.6]), np.array([[0, 1], [1, 2]]), np.array([[1.0, 1, 1], [1, 2, 0], [1, 0, 1]])
    )
    assert found[:2] == pytest.approx([0.4, 0.2])
    assert np.isnan(found[2])
