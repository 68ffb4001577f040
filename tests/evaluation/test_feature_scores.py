import numpy as np
import pytest
import torch

from medgan.evaluation.bootstrap import resample_patients
from medgan.evaluation.feature_scores import (
    frechet_under,
    kid_under,
    neighbourhood_under,
    sliced_wasserstein_under,
)
from tests.evaluation.unweighted import kid, neighbourhood, once, sliced_wasserstein


def features(count, seed, shift=0.0):
    return (np.random.default_rng(seed).normal(shift, 1, (count, 16))).astype(np.float32)


def test_kid_is_that_of_torchmetrics():
    from torchmetrics.image.kid import poly_mmd

    real, fake = features(40, 0), features(40, 1, shift=0.5)
    theirs = poly_mmd(torch.from_numpy(real).double(), torch.from_numpy(fake).double())
    assert kid(real, fake) == pytest.approx(float(theirs), rel=1e-6)


def test_kid_is_about_zero_between_samples_of_one_distribution():
    scores = [kid(features(50, seed), features(80, seed + 100)) for seed in range(40)]
    assert abs(np.mean(scores)) < 3 * np.std(scores) / len(scores) ** 0.5


def test_kid_grows_with_distance():
    near, far = (kid(features(50, 0), features(50, 1, shift=shift)) for shift in (0.2, 0.8))
    assert near < far


def test_copies_of_the_real_images_have_perfect_neighbourhood():
    real = features(30, 0)
    found = neighbourhood(real, real)
    assert found.pop("density") == pytest.approx(1, abs=0.1)
    assert found == {"precision": 1.0, "recall": 1.0, "coverage": 1.0}


def test_images_of_nothing_have_none():
    assert neighbourhood(features(30, 0), features(30, 1, shift=50)) == {
        "precision": 0.0,
        "recall": 0.0,
        "density": 0.0,
        "coverage": 0.0,
    }


def test_a_collapsed_generator_is_precise_but_recalls_little():
    real = features(60, 0)
    scores = neighbourhood(real, np.repeat(real[:1], 60, axis=0) + features(60, 2) * 1e-3)
    assert scores["precision"] == 1
    assert scores["recall"] < 0.1
    assert scores["coverage"] < 0.4


def test_the_frechet_distance_is_that_of_torchmetrics():
    from torchmetrics.image.fid import _compute_fid

    real, fake = features(200, 0), features(150, 1, shift=0.5)
    moments = [
        torch.from_numpy(value)
        for x in (real.astype(np.float64), fake.astype(np.float64))
        for value in (x.mean(axis=0), np.cov(x.T))
    ]
    assert frechet_under(real, fake, *once(real, fake))[0] == pytest.approx(
        float(_compute_fid(*moments)), rel=1e-6
    )


def test_the_frechet_distance_is_computed_on_one_core(monkeypatch):
    seen, eigh = set(), torch.linalg.eigh

    def watched(matrix):
        seen.add(torch.get_num_threads())
        return eigh(matrix)

    monkeypatch.setattr(torch.linalg, "eigh", watched)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        frechet_under(features(20, 0), features(20, 1), np.ones((2, 20)), np.ones((2, 20)))
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert seen == {1}


def test_the_sliced_distance_of_shifted_data_is_the_shift_seen_along_the_directions():
    real = features(4000, 0)
    shift = np.zeros(16, np.float32)
    shift[3] = 8
    assert sliced_wasserstein(real, real + shift) == pytest.approx(8 / 16**0.5, rel=0.2)
    assert sliced_wasserstein(real, real) == 0


def test_density_is_about_one_between_samples_of_one_distribution():
    assert neighbourhood(features(400, 0), features(400, 1))["density"] == pytest.approx(1, abs=0.15)


UNDER = {
    "kid": kid_under,
    "frechet": frechet_under,
    "sliced": sliced_wasserstein_under,
    "coverage": lambda *sets: neighbourhood_under(*sets)["coverage"],
}


@pytest.mark.parametrize("name", UNDER)
def test_a_weight_of_nothing_is_an_image_that_is_not_there(name):
    real, fake = features(60, 0), features(50, 1, shift=0.3)
    w, v = np.ones((1, 60)), np.ones((1, 50))
    v[0, 30:] = 0
    if name == "coverage":  # neighbourhoods stay those of the whole data: only what is judged changes
        w[0, 20:] = 0
        inside = neighbourhood_under(real, fake, np.eye(60), np.ones((60, 50)))["coverage"]
        assert UNDER[name](real, fake, w, v)[0] == pytest.approx(inside[:20].mean())
    else:
        plain = UNDER[name](real, fake[:30], np.ones((1, 60)), np.ones((1, 30)))
        assert UNDER[name](real, fake, w, v)[0] == pytest.approx(plain[0], rel=1e-6)


@pytest.mark.parametrize("name", ["frechet", "sliced"])
def test_a_weight_of_two_is_an_image_that_is_there_twice(name):
    real, fake = features(60, 0), features(40, 1, shift=0.3)
    w, v = np.ones((1, 60)), np.full((1, 40), 2.0)
    twice = UNDER[name](real, np.repeat(fake, 2, axis=0), w, np.ones((1, 80)))
    assert UNDER[name](real, fake, w, v)[0] == pytest.approx(twice[0], rel=1e-6)


def test_resampling_does_not_pull_kid_away_from_its_value():
    real, fake = features(80, 0), features(80, 1)
    patients = np.arange(80).astype(str)
    values = kid_under(real, fake, resample_patients(patients, 400, 0), resample_patients(patients, 400, 1))
    assert abs(values[1:].mean() - values[0]) < 0.25 * values[1:].std()


def slices(people, each, seed):
    """Features of `each` slices of every patient, alike within one; and whose they are."""
    chance = np.random.default_rng(seed)
    bodies = chance.normal(size=(people, 3)).repeat(each, axis=0)
    who = np.arange(people).repeat(each).astype(str)
    return (bodies + 0.1 * chance.normal(size=bodies.shape)).astype(np.float32), who


def test_slices_of_one_patient_are_no_neighbours_of_each_other_and_no_pairs():
    (real, whose), (fake, own) = slices(15, 12, 0), slices(180, 1, 1)
    weights = once(real, fake)
    blind = neighbourhood_under(real, fake, *weights)
    seeing = neighbourhood_under(real, fake, *weights, (whose, own))
    for name in ("coverage", "precision"):
        assert blind[name][0] < 0.5
        assert seeing[name][0] > 0.6
    assert abs(kid_under(real, fake, *weights, (whose, own))[0]) < 0.5 * kid_under(real, fake, *weights)[0]


def test_where_everybody_has_one_image_patients_change_nothing():
    real, fake = features(60, 0), features(50, 1, shift=0.3)
    weights, who = once(real, fake), (np.arange(60).astype(str), np.arange(50).astype(str))
    assert kid_under(real, fake, *weights, who) == pytest.approx(kid_under(real, fake, *weights))
    plain, known = (neighbourhood_under(real, fake, *weights, one) for one in (None, who))
    assert known == plain
