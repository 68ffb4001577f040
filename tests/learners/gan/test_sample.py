from __future__ import annotations

import dataclasses
import time

import numpy as np
import pytest
import torch

from medgan.base.errors import ModelError
from medgan.learners.gan import sample as draw_module
from medgan.learners.gan.latents import latent_of
from medgan.learners.gan.model import Model
from medgan.learners.gan.networks import Generator
from medgan.learners.gan.sample import BATCH, draw
from medgan.learners.gan.steps import build_generator
from medgan.plan import Overrides, decide
from tests.learners.gan.phantoms import ABOUT, tiny_plan
from tests.test_plan import facts


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    torch.manual_seed(0)
    plan = tiny_plan()
    return Model.save(tmp_path_factory.mktemp("model"), Generator(plan), plan, {**ABOUT, "images_shown": 160})


def test_image_depends_only_on_its_seed_label_and_model(model):
    together = {sample.seed: sample.pixels for sample in draw(model, "left", [5, 6, 7])}
    (alone,) = draw(model, "left", [6])
    assert np.array_equal(together[6], alone.pixels)
    torch.manual_seed(99)
    (again,) = draw(model, "left", [6])
    assert np.array_equal(again.pixels, alone.pixels)


@pytest.mark.parametrize(
    ("arch", "size"),
    [("repaired", (64, 64)), ("repaired", (48, 80)), ("repaired", (96, 90)), ("dcgan", (32, 32))],
)
def test_image_is_the_same_in_every_place_of_a_batch_and_on_any_number_of_threads(arch, size, tmp_path):
    plan = decide(facts(), Overrides(size=size, arch=arch, device="cpu", precision="fp32"))
    torch.manual_seed(0)
    model = Model.save(tmp_path, build_generator(plan), plan, {**ABOUT, "images_shown": 1})
    straight = {one.seed: one.pixels for one in draw(model, "rare", range(2 * BATCH))}
    threads = torch.get_num_threads()
    try:
        for count, seeds in ((1, range(5, BATCH + 9)), (2, [7]), (1, [3, 20, 3])):
            torch.set_num_threads(count)
            for one in draw(model, "rare", seeds):
                assert np.array_equal(one.pixels, straight[one.seed])
    finally:
        torch.set_num_threads(threads)


def test_the_next_batch_is_drawn_while_this_one_is_written(model, monkeypatch):
    begun, finished = [], draw_module._draw_pixels

    def told(network, plan, z, labels, **tones):
        begun.append(len(z))
        return finished(network, plan, z, labels, **tones)

    monkeypatch.setattr(draw_module, "_draw_pixels", told)
    images = draw(model, "left", range(3 * BATCH))
    next(images)
    for _ in range(1000):
        if len(begun) == 2:
            break
        time.sleep(0.01)
    assert begun == [BATCH, BATCH]
    assert len(list(images)) == 3 * BATCH - 1
    assert list(draw(model, "left", [])) == []


def test_other_seed_and_other_label_give_another_image(model):
    (one,), (other,), (right,) = draw(model, "left", [1]), draw(model, "left", [2]), draw(model, "right", [1])
    assert not np.array_equal(one.pixels, other.pixels)
    assert not np.array_equal(one.pixels, right.pixels)


def test_pixels_are_between_zero_and_one_and_name_their_origin(model):
    (sample,) = draw(model, "right", [4])
    assert sample.pixels.shape == (1, 16, 12)
    assert 0 <= sample.pixels.min() <= sample.pixels.max() <= 1
    assert (sample.label, sample.seed, sample.model) == ("right", 4, model.digest)


def test_unknown_label_is_refused_with_the_known_ones(model):
    with pytest.raises(ModelError, match="'up'") as caught:
        next(draw(model, "up", [0]))
    assert "left, right" in caught.value.hint


def test_uniform_noise_is_uniform():
    z = torch.cat([latent_of(tiny_plan(noise="uniform", latent=100), seed) for seed in range(50)])
    assert z.abs().max() <= 1
    assert z.std().item() == pytest.approx(3**-0.5, rel=0.05)


def test_what_networks_see_closely_is_put_back_where_it_belongs(model):
    (whole,) = draw(model, "left", [3])
    narrow = dataclasses.replace(model, plan=tiny_plan(span=(0.2, 0.4)))
    (part,) = draw(narrow, "left", [3])
    inside = (whole.pixels > 0) & (whole.pixels < 1)
    np.testing.assert_allclose(part.pixels[inside], 0.2 + whole.pixels[inside] * 0.2, atol=1e-6)
