"""The memory compares cells by place, and the Gaussian is the textbook's."""

import numpy as np
import pytest
import torch

from medgan.learners.anomaly.gaussian import Gaussian, shrink_images
from medgan.learners.anomaly.images import centre_box
from medgan.learners.anomaly.memory import CELLS, Memory, choose_centres, image_scores

WIDTH = 152


def memory_of(vectors, places):
    """A memory of these vectors, with features that are standardised already."""
    return Memory(
        {
            "mean": torch.zeros(WIDTH),
            "scale": torch.ones(WIDTH),
            "vectors": torch.stack(vectors),
            "places": torch.tensor(places, dtype=torch.int32),
        }
    )


def test_a_cell_is_compared_with_vectors_from_about_its_place_only():
    near, far = torch.zeros(WIDTH), torch.ones(WIDTH)
    memory = memory_of([near, far], [[2, 2], [20, 20]])
    found = memory.distances(torch.zeros(1, CELLS, CELLS, WIDTH))[0]
    assert found[2, 2] == found[5, 5] == pytest.approx(0)
    assert found[20, 20] == pytest.approx(WIDTH**0.5), "the equal vector lies elsewhere"
    assert np.isfinite(found).all(), "where no vector is near, the nearest place counts"


def test_an_image_scores_by_its_highest_cells():
    distances = np.zeros((2, CELLS, CELLS), np.float32)
    distances[1, :4, :4] = 1.0
    assert image_scores(distances).tolist() == [0.0, 1.0]


def test_the_centres_cover_every_cluster_before_a_second_of_any():
    chance = torch.Generator().manual_seed(0)
    middles = torch.arange(5.0)[:, None] * 100
    points = (middles[:, None] + torch.randn(5, 40, 2, generator=chance)).reshape(-1, 2)
    assert sorted((choose_centres(points, 5) // 40).tolist()) == [0, 1, 2, 3, 4]
    assert len(set(choose_centres(points, 500).tolist())) == 200


def test_a_memory_of_a_large_data_set_keeps_4000_vectors():
    chance = torch.Generator().manual_seed(0)
    batches = (torch.randn(2, CELLS, CELLS, WIDTH, generator=chance) for _ in range(4))
    memory = Memory.fit(batches, 8, seed=0)
    assert memory.vectors.shape == (4000, WIDTH)
    assert memory.places.min() >= 0
    assert memory.places.max() < CELLS


def test_the_gaussian_equals_the_distance_by_its_inverted_covariance():
    chance = np.random.default_rng(0)
    small = chance.random((30, 1024))
    gaussian = Gaussian.fit(small)
    directions, floor = gaussian.directions, gaussian.floor
    covariance = floor * np.eye(1024) + directions.T @ np.diag(gaussian.variances - floor) @ directions
    apart = chance.random((3, 1024)) - gaussian.centre
    expected = np.sqrt(np.einsum("ni,ij,nj->n", apart, np.linalg.inv(covariance), apart))
    assert gaussian.scores(apart + gaussian.centre) == pytest.approx(expected, rel=1e-3)
    sample = np.cov(small.T, bias=True)
    assert np.trace(covariance) == pytest.approx(np.trace(sample), rel=1e-3), "shrinkage keeps the trace"


def test_residuals_vanish_where_the_components_span_the_images():
    small = np.random.default_rng(0).random((10, 1024))
    gaussian = Gaussian.fit(small)
    assert gaussian.residuals(small, 10).max() < 1e-3 < gaussian.residuals(small, 0).min()


def test_small_images_are_means_over_areas():
    square = np.repeat(np.repeat(np.eye(32, dtype=np.float32), 7, 0), 7, 1)[None]
    assert shrink_images(square).reshape(32, 32) == pytest.approx(np.eye(32))


def test_the_box_is_a_square_about_the_centre_by_millimetres():
    assert centre_box((100, 60), None) == (slice(20, 80), slice(0, 60))
    assert centre_box((100, 100), (1.0, 2.0, 1.0)) == (slice(25, 75), slice(0, 100))
