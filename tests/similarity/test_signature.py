from __future__ import annotations

import pytest
import torch

from medgan.similarity.distances import kernel_distance
from medgan.similarity.signature import signatures, thumbnails


@pytest.mark.parametrize("shape", [(1, 16, 12), (3, 64, 80), (1, 48, 48), (1, 6, 10), (1, 9, 11)])
def test_every_shape_of_image_has_vectors_of_finite_numbers(shape):
    for images in (torch.randn(5, *shape), torch.zeros(5, *shape)):
        for vectors in (thumbnails(images), signatures(images)):
            assert vectors.shape[0] == 5
            assert torch.isfinite(vectors).all()
    assert thumbnails(images).shape[1] <= shape[0] * 16 * 16


def test_thumbnails_keep_what_lies_where_and_average_noise_away():
    image = torch.zeros(1, 1, 64, 64)
    image[..., 8:24, 40:56] = 1.0
    noise = 0.2 * torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    clean, noisy = thumbnails(image), thumbnails(image + noise)
    assert (clean - noisy).abs().max() < 0.25
    assert clean.reshape(16, 16)[2:6, 10:14].min() == 1.0


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x * 0.6,  # contrast
        lambda x: x + 0.5,  # brightness
        lambda x: x.roll(6, dims=3),  # place
        lambda x: torch.nn.functional.avg_pool2d(x, 3, 1, 1),  # sharpness
        lambda x: x[:1].expand_as(x),  # variety
    ],
    ids=["contrast", "brightness", "place", "sharpness", "variety"],
)
def test_a_distance_of_signatures_sees_every_way_in_which_a_generator_fails(change):
    chance = torch.Generator().manual_seed(0)
    images = 0.3 * torch.randn(120, 1, 24, 24, generator=chance)
    images[..., 8:14] += 0.4 + 0.3 * torch.rand(120, 1, 1, 1, generator=chance)
    found = signatures(images)
    found = (found - found[:60].mean(0)) / found[:60].std(0)
    real, same = found[:60], found[60:]
    other = signatures(change(images[60:]))
    raw = signatures(images)[:60]
    other = (other - raw.mean(0)) / raw.std(0)
    floor, error = kernel_distance(real, same)
    assert kernel_distance(real, other)[0] > floor + 4 * error
