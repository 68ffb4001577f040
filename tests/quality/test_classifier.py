import numpy as np
import pytest
import torch

from medgan.quality.arms import Pool
from medgan.quality.classifier import SHIFT, Training, inputs_of, logits, standardised, trained, varied
from tests.quality.rings import shapes


def even(rows, classes=2):
    count = len(rows)
    return Pool(rows=np.asarray(rows), chances=np.full(count, 1 / count), costs=np.ones(classes, np.float32))


def training(steps=20, **wishes):
    return Training(steps=steps, batch=16, classes=2, seed=0, **wishes)


def test_the_network_tells_easy_images_apart():
    images = shapes(60, 60, 0)
    bright = images.pixels * 0.5 + 0.4 * images.labels[:, None, None, None].astype(np.float32)
    inputs = inputs_of(bright, 24)
    network = trained(inputs, images.labels, even(range(120)), training(30))
    assert (logits(network, inputs).argmax(axis=1) == images.labels).mean() > 0.95


def test_a_linear_layer_judges_feature_vectors():
    chance = np.random.default_rng(0)
    labels = np.repeat([0, 1], 50)
    features = (chance.normal(size=(100, 30)) + labels[:, None]).astype(np.float32)
    inputs = standardised(features, features)
    network = trained(inputs, labels, even(range(100)), training(100))
    assert isinstance(network, torch.nn.Linear)
    assert (logits(network, inputs).argmax(axis=1) == labels).mean() > 0.9


def test_equal_seeds_give_equal_classifiers_and_leave_chance_alone():
    images = shapes(20, 20, 0)
    inputs, state = inputs_of(images.pixels, 24), torch.get_rng_state()
    first, again = (
        logits(trained(inputs, images.labels, even(range(40)), training(classical=True)), inputs)
        for _ in range(2)
    )
    assert (first == again).all()
    assert torch.equal(state, torch.get_rng_state())


def test_only_images_of_the_pool_are_learned_from():
    images = shapes(20, 20, 0)
    inputs = inputs_of(images.pixels, 24)
    spoiled = inputs.clone()
    spoiled[30:] = 9
    first, other = (
        logits(trained(x, images.labels, even(range(30)), training()), inputs) for x in (inputs, spoiled)
    )
    assert (first == other).all()


def test_images_are_made_small_and_keep_their_shape_and_scale():
    pixels = np.random.default_rng(0).random((5, 1, 96, 64)).astype(np.float32)
    inputs = inputs_of(pixels, 48)
    assert inputs.shape == (5, 1, 48, 32)
    assert inputs_of(pixels, 128).shape == pixels.shape
    assert abs(float(inputs.mean())) < 0.1


def test_classical_augmentation_shifts_a_little_and_never_mirrors():
    images = torch.zeros(200, 1, 40, 20)
    images[:, :, 12, 5] = 1  # off the middle: a mirrored image has it elsewhere
    seen = varied(images, torch.Generator().manual_seed(0))[:, 0]
    places = [divmod(int(one.argmax()), 20) for one in seen]
    for row, column in places:
        assert abs(row - 12) <= SHIFT * 40 + 3
        assert abs(column - 5) <= SHIFT * 20 + 3
    assert len(set(places)) > 10


def test_classical_augmentation_turns_by_pixels_not_by_sides():
    """A straight line stays straight and as long in an image that is not square."""
    images = torch.zeros(1, 1, 64, 32)
    images[:, :, 24:40, 16] = 1
    for seed in range(5):
        seen = varied(images, torch.Generator().manual_seed(seed))[0, 0]
        bright = (seen > seen.max() / 3).nonzero().double()
        length = (bright.max(dim=0).values - bright.min(dim=0).values).norm()
        assert float(length) == pytest.approx(16, abs=2.5)


def test_every_image_is_changed_differently():
    images = torch.rand(1, 1, 24, 24).repeat(4, 1, 1, 1)
    seen = varied(images, torch.Generator().manual_seed(0))
    assert len({one.sum().item() for one in seen}) == 4
