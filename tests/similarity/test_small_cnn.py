import numpy as np
import pytest
import torch

from medgan.similarity.small_cnn import (
    _SHIFT,
    SmallNet,
    augment_classically,
    predict_logits,
    to_inputs,
)


def test_logits_are_those_of_every_image_however_many():
    network = SmallNet(1, 3).eval()
    images = torch.rand(300, 1, 8, 8)
    assert predict_logits(network, images) == pytest.approx(network(images).detach().numpy(), abs=1e-5)
    assert not len(predict_logits(network, images[:0]))


def test_images_are_made_small_and_keep_their_shape_and_scale():
    pixels = np.random.default_rng(0).random((5, 1, 96, 64)).astype(np.float32)
    inputs = to_inputs(pixels, 48)
    assert inputs.shape == (5, 1, 48, 32)
    assert to_inputs(pixels, 128).shape == pixels.shape
    assert abs(float(inputs.mean())) < 0.1


def test_classical_augmentation_shifts_a_little_and_never_mirrors():
    images = torch.zeros(200, 1, 40, 20)
    images[:, :, 12, 5] = 1  # off the middle: a mirrored image has it elsewhere
    seen = augment_classically(images, torch.Generator().manual_seed(0))[:, 0]
    places = [divmod(int(one.argmax()), 20) for one in seen]
    for row, column in places:
        assert abs(row - 12) <= _SHIFT * 40 + 3
        assert abs(column - 5) <= _SHIFT * 20 + 3
    assert len(set(places)) > 10


def test_classical_augmentation_turns_by_pixels_not_by_sides():
    """A straight line stays straight and as long in an image that is not square."""
    images = torch.zeros(1, 1, 64, 32)
    images[:, :, 24:40, 16] = 1
    for seed in range(5):
        seen = augment_classically(images, torch.Generator().manual_seed(seed))[0, 0]
        bright = (seen > seen.max() / 3).nonzero().double()
        length = (bright.max(dim=0).values - bright.min(dim=0).values).norm()
        assert float(length) == pytest.approx(16, abs=2.5)


def test_every_image_is_changed_differently():
    images = torch.rand(1, 1, 24, 24).repeat(4, 1, 1, 1)
    seen = augment_classically(images, torch.Generator().manual_seed(0))
    assert len({one.sum().item() for one in seen}) == 4
