"""What any pair of eyes owes the arms, by the small network."""

import numpy as np
import torch
from torch.nn import functional as F

from medgan.evaluation.usefulness.inputs import SmallNetInputs
from tests.evaluation.rings import shapes


def eyes(count=20):
    images = shapes(count, count, 0)
    return SmallNetInputs(images.pixels, shapes(5, 5, 1).pixels, like=images.pixels, side=24), images


def test_a_network_depends_on_the_seed_alone_and_leaves_chance_as_it_was():
    sight, _ = eyes()
    state = torch.get_rng_state()
    first, again, other = (sight.logits(sight.fresh(2, seed)) for seed in (3, 3, 4))
    assert (first == again).all()
    assert (first != other).any()
    assert torch.equal(state, torch.get_rng_state())


def test_views_are_new_each_time_and_plain_images_are_not():
    sight, _ = eyes()
    rows, chance = np.array([0, 0, 5]), np.random.default_rng(0)
    plain = sight.batch(rows, views=False, rng=chance)
    assert torch.equal(plain[0], plain[1])
    one, other = (sight.batch(rows, views=True, rng=chance) for _ in range(2))
    assert len({image.sum().item() for image in [*one, *other, plain[0]]}) == 7


def test_what_is_asked_of_learned_images_is_what_would_be_asked_of_them_elsewhere():
    sight, images = eyes()
    network, rows = sight.fresh(2, 0), np.array([30, 2])
    again = SmallNetInputs(images.pixels[:1], images.pixels[rows], like=images.pixels, side=24)
    np.testing.assert_allclose(sight.logits_of(network, rows), again.logits(network), rtol=1e-5, atol=1e-6)


def test_every_weight_learns_once_at_the_rate():
    sight, images = eyes()
    network = sight.fresh(2, 0)
    (group,) = sight.groups(network, 0.5)
    assert group["lr"] == 0.5
    assert [id(weight) for weight in group["params"]] == [id(weight) for weight in network.parameters()]
    assert [later / before for before, later in zip(sight.steps, sight.steps[1:], strict=False)] == [2.0] * (
        len(sight.steps) - 1
    )
    batch = sight.batch(np.arange(40), views=False, rng=np.random.default_rng(0))
    F.cross_entropy(network(batch), torch.from_numpy(images.labels)).backward()
    assert all(weight.grad is not None for weight in network.parameters())
