from __future__ import annotations

import numpy as np
import pytest
import torch

from medgan.similarity import distances
from tests.evaluation.unweighted import kid


def drawn(count, width=12, seed=0):
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed))


def test_the_distance_is_the_kid_that_evaluate_computes():
    real, fake = drawn(40), drawn(30, seed=1) + 0.5
    value, _ = distances.kernel_distance(real, fake)
    assert value == pytest.approx(kid(real.numpy(), fake.numpy()), rel=1e-9)


def test_the_error_of_a_distance_is_how_much_it_varies_from_one_choice_of_fakes_to_the_next():
    real = drawn(60)
    found = [distances.kernel_distance(real, drawn(32, seed=seed) + 0.7) for seed in range(1, 200)]
    values, errors = np.array(found).T
    assert np.mean(errors) == pytest.approx(values.std(), rel=0.25)


@pytest.mark.parametrize("modes", [1, 2, 4, 8])
def test_variety_counts_different_images_however_often_each_is_drawn(modes):
    apart = 100 * torch.eye(12)[:modes].repeat(16 // modes, 1)  # so far apart that nothing is shared
    assert distances.variety(apart, scale=1.0) == pytest.approx(modes)


def test_four_modes_show_far_less_variety_than_a_sample_though_their_mean_distance_is_alike():
    real, modes = drawn(32, 64), drawn(4, 64, seed=1).repeat(8, 1)
    scale = distances.median_distance(real)
    assert torch.pdist(modes).mean() > 0.7 * torch.pdist(real).mean()
    assert distances.variety(modes, scale) < 0.3 * distances.variety(real, scale)


def test_a_copy_is_close_to_one_patient_and_a_vague_image_to_none():
    references, patients = drawn(50, 64), torch.arange(50)
    copies = references[:5] + 0.1 * drawn(5, 64, seed=1)
    vague = references.mean(dim=0).expand(5, -1) + 0.1 * drawn(5, 64, seed=2)
    fresh = drawn(5, 64, seed=3)
    nearest, near = distances.nearest_ratio(copies, references, patients)
    assert nearest.tolist() == [0, 1, 2, 3, 4]
    assert near.max() < 0.2
    for others in (vague, fresh):
        assert distances.nearest_ratio(others, references, patients)[1].min() > 0.8


def test_slices_of_one_patient_are_no_two_patients_and_his_own_do_not_count():
    base = drawn(10, 64).repeat_interleave(3, dim=0)
    references, patients = base + 0.2 * drawn(30, 64, seed=1), torch.arange(10).repeat_interleave(3)
    assert distances.nearest_ratio(references[:6] + 0.01, references, patients)[1].max() < 0.1
    left_out = distances.nearest_ratio(references, references, patients, own=patients)[1]
    assert left_out.min() > 0.7


def test_brightness_and_contrast_make_no_new_image():
    references, patients = drawn(20, 64), torch.arange(20)
    changed = references * 0.5 + 3
    assert distances.nearest_ratio(changed, references, patients)[1].max() < 1e-3


def test_without_a_second_patient_nothing_is_called_a_copy_of_him():
    references = drawn(4, 16)
    assert distances.nearest_ratio(drawn(3, 16, seed=1), references, torch.zeros(4))[1].max() < 1.0
