"""The nearest reference of an image despite shift, mirroring, brightness and contrast.

References of the image's own patient are left out.
"""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from medgan.similarity.nearest import _FINE, References, _pair_correlation, find_nearest, to_gray


def textures(count, seed, shape=(64, 64), channels=1):
    """Smooth random images, no two alike."""
    chance = np.random.default_rng(seed)
    images = gaussian_filter(chance.normal(size=(count, channels, *shape)), (0, 0, 3, 3))
    low, high = images.min(), images.max()
    return ((images - low) / (high - low)).astype(np.float32)


def people(count, slices=1):
    return np.array([f"patient{number // slices:04d}" for number in range(count)])


def found(images, references, patients=None, **more):
    names = people(len(references)) if patients is None else patients
    return find_nearest(images.__getitem__, len(images), References.of(references.__getitem__, names), **more)


CHANGES = {
    "as it is": lambda x: x,
    "shifted by four pixels": lambda x: np.roll(x, (4, -4), (2, 3)),
    "shifted by one": lambda x: np.roll(x, (1, -1), (2, 3)),
    "mirrored": lambda x: x[:, :, :, ::-1],
    "mirrored and shifted": lambda x: np.roll(x[:, :, :, ::-1], (-3, 2), (2, 3)),
    "with other brightness and contrast": lambda x: 0.2 + 0.4 * x,
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_copy_is_found_at_no_distance(change):
    references = textures(60, 0)
    copies = np.ascontiguousarray(CHANGES[change](references[10:20]))
    near = found(copies, references)
    assert near.rows.tolist() == list(range(10, 20))
    assert near.distance.max() < 1e-3
    assert near.lead.max() < 0.01


def test_noise_adds_a_distance_that_stays_far_below_that_of_others():
    references = textures(60, 0)
    noise = 0.2 * references.std() * np.random.default_rng(1).normal(size=references[:10].shape)
    near = found((references[:10] + noise).astype(np.float32), references)
    assert near.rows.tolist() == list(range(10))
    assert near.distance.max() < 0.05 < found(textures(10, 5), references).distance.min()


def test_an_image_of_nobody_in_particular_leads_to_nobody():
    references = textures(60, 0)
    average = references.mean(axis=0, keepdims=True)
    assert found(average, references).lead[0] > 0.8


@pytest.mark.parametrize("shape", [(64, 64), (128, 96), (16, 24), (8, 8), (48, 64)])
def test_the_quick_search_finds_what_the_exhaustive_one_finds(shape):
    references, images = textures(50, 0, shape), textures(12, 1, shape)
    images[:4] = references[7:11]
    near = found(images, references)
    ours, theirs = to_gray(images, _FINE), to_gray(references, _FINE)
    all_pairs = [_pair_correlation(np.repeat(ours[n : n + 1], 50, axis=0), theirs) for n in range(12)]
    best = np.max(all_pairs, axis=1)
    assert (np.argmax(all_pairs, axis=1) == near.rows).mean() > 0.8
    assert near.rows[:4].tolist() == [7, 8, 9, 10]
    np.testing.assert_allclose(1 - near.distance, best, atol=0.05)


def test_the_correlation_is_the_plain_one_over_all_shifts():
    one, other = (image[0, 0] for image in (textures(1, 3, (32, 32)), textures(1, 4, (32, 32))))
    reach, values = 2, []
    for turned in (one, one[:, ::-1]):
        middle = turned[reach:-reach, reach:-reach].ravel()
        for top in range(2 * reach + 1):
            for left in range(2 * reach + 1):
                window = other[top : top + 28, left : left + 28].ravel()
                values.append(np.corrcoef(middle, window)[0, 1])
    assert _pair_correlation(one[None], other[None])[0] == pytest.approx(max(values), abs=1e-5)


def test_nobody_is_compared_with_himself():
    references = textures(12, 0)
    references[1::2] = np.roll(references[::2], 1, axis=3)  # two slices of each patient, nearly alike
    patients = people(12, slices=2)
    near = found(references, references, patients, own=patients)
    assert (patients[near.rows] != patients).all()
    assert near.distance.min() > 0.1


def test_the_second_is_another_patient_and_no_other_slice_of_the_first():
    references = textures(12, 0)
    references[1::2] = np.roll(references[::2], 1, axis=3)
    near = found(references[:1], references, people(12, slices=2))
    assert near.distance[0] == 0
    assert near.second[0] > 0.1


def test_patients_who_share_the_very_same_image_are_one():
    references = textures(8, 0)
    references[5] = references[2]
    patients = people(8)
    made = References.of(references.__getitem__, patients)
    assert made.people == 7
    assert made.patients[5] == made.patients[2] == patients[2]
    near = find_nearest(references.__getitem__, 8, made, own=made.patients)
    assert near.distance.min() > 0.1


def test_flat_images_resemble_nothing():
    flat = np.full((2, 1, 32, 32), 0.5, np.float32)
    assert found(flat, textures(6, 0, (32, 32))).distance.tolist() == [1, 1]
    assert (found(textures(2, 0, (32, 32)), np.repeat(flat, 3, axis=0)).distance == 1).all()


def test_colour_is_compared_in_gray():
    references = textures(8, 0, channels=3)
    assert found(references[3:4], references).rows.tolist() == [3]


def test_no_image_has_no_neighbour():
    assert len(found(textures(2, 0)[:0], textures(4, 0)).rows) == 0
