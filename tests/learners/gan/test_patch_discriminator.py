"""A discriminator that judges every place of an image by itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from medgan.base.errors import PlanError
from medgan.learners.gan.fit import fit
from medgan.learners.gan.patch_discriminator import PatchDiscriminator, detail_deviation, detail_of
from medgan.learners.gan.sample import draw_class
from medgan.learners.gan.steps import GanState, build_generator
from medgan.plan import Overrides, decide
from medgan.training.runtime import Runtime
from tests.learners.gan.phantoms import ABOUT, known, tiny_plan
from tests.learners.gan.test_detail import strength_of_stripes, stripes
from tests.test_plan import facts

WIDTHS = (8, 16)


def judge(**changes):
    """A fresh discriminator of images of 64 x 48 pixels, which reduces them by two."""
    torch.manual_seed(0)
    return PatchDiscriminator(tiny_plan(), WIDTHS, 2, **changes)


def test_every_place_of_an_image_has_its_logits_image_by_image():
    images, labels = torch.randn(3, 1, 64, 48), torch.tensor([0, 1, 0])
    together = judge()(images, labels)
    assert together.shape == (3 * 16 * 12, 2)
    alone = [judge()(images[n : n + 1], labels[n : n + 1]) for n in range(3)]
    assert torch.allclose(together, torch.cat(alone), atol=1e-5)


def test_a_place_is_judged_by_the_pixels_around_it():
    images = torch.randn(1, 1, 64, 48, requires_grad=True)
    logits = judge()(images, torch.tensor([1])).view(16, 12, 2)
    (slope,) = torch.autograd.grad(logits[8, 6].sum(), images)
    rows, columns = (axis.unique() for axis in torch.nonzero(slope[0, 0], as_tuple=True))
    assert 18 <= len(rows) <= 22
    assert 18 <= len(columns) <= 22
    assert rows.min() <= 8 * 4 <= rows.max()
    assert columns.min() <= 6 * 4 <= columns.max()


@pytest.mark.parametrize(("whole", "alike"), [(None, True), ((64, 48), False)])
def test_where_a_place_lies_counts_only_where_whole_images_are_judged(whole, alike):
    logits = judge(whole=whole)(torch.full((1, 1, 64, 48), 0.3), torch.tensor([0])).view(16, 12, 2)
    inside = logits[3:-3, 3:-3]
    assert torch.allclose(inside, inside[:1, :1].expand_as(inside), atol=1e-6) == alike


def test_the_class_enters_the_second_logit_alone():
    images, network = torch.randn(1, 1, 64, 48), judge()
    one, other = (network(images, torch.tensor([label])) for label in (0, 1))
    assert torch.equal(one[:, 0], other[:, 0])
    assert not torch.allclose(one[:, 1], other[:, 1])


def test_images_between_grids_are_brought_to_the_grid():
    assert judge(whole=(64, 48))(torch.randn(2, 1, 60, 41), torch.tensor([0, 1])).shape == (2 * 16 * 12, 2)


def test_detail_is_what_reducing_an_image_loses():
    stripes = torch.tensor([1.0, -1.0]).repeat(8).expand(1, 1, 16, 16)
    assert torch.allclose(detail_of(stripes, 2), stripes)
    assert torch.allclose(detail_of(torch.ones(1, 1, 16, 16), 2), torch.zeros(1, 1, 16, 16))
    assert detail_deviation([stripes, torch.ones(5, 1, 16, 16)], 2) == pytest.approx(0.5**0.5)


def test_a_run_measures_detail_in_units_of_its_deviation_in_real_images():
    plan = tiny_plan(discriminator_widths=WIDTHS)
    images = known(plan)
    gan = GanState(plan, Runtime("cpu", "fp32"), images)
    real = [torch.from_numpy(images(number)) for number in range(2)]
    assert gan.discriminator.network.deviation == pytest.approx(detail_deviation(real, 2).item())


def test_it_teaches_beside_the_matching_by_default_and_not_where_its_weight_is_zero(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    beside, alone = (decide(facts(), Overrides(adversary=weight)).recipe for weight in (None, 0.0))
    assert (beside.matching, beside.adversary > 0, beside.discriminator_widths) == (1.0, True, (32, 64))
    assert (alone.matching, alone.adversary, alone.discriminator_widths) == (1.0, 0.0, ())
    chosen = decide(facts(), Overrides(adversary=0.5))
    assert (chosen.recipe.adversary, chosen.why["adversary"]) == (0.5, "override: as asked")


def test_without_features_whole_images_are_judged():
    recipe = decide(facts(), Overrides(features="none")).recipe
    assert (recipe.adversary, recipe.discriminator_widths) == (1.0, ())
    assert decide(facts(), Overrides(features="none", adversary=2.0)).recipe.adversary == 2.0


@pytest.mark.parametrize(
    ("wish", "words"),
    [({"features": "none", "adversary": 0.0}, "no teacher"), ({"arch": "dcgan", "adversary": 1.0}, "dcgan")],
)
def test_a_weight_that_nothing_can_do_is_refused(wish, words):
    with pytest.raises(PlanError, match=words):
        decide(facts(), Overrides(**wish))


def test_a_texture_that_the_blurred_start_lacks_is_learned(tmp_path):
    stack = stripes()
    plan = tiny_plan(
        size=(32, 24),
        widths=(12, 8, 8, 8),
        gaussian_level=2,
        discriminator_widths=WIDTHS,
        penalty=0.2,
        penalty_end=0.2,
        augment=0.0,
        images_shown=3200,
        tick=1600,
        guarded=False,
    )
    real = torch.from_numpy(stack.images(np.arange(len(stack)))) * 2 - 1
    torch.manual_seed(0)
    fresh = strength_of_stripes(draw_class(build_generator(plan), plan, 0, 16))
    model = fit(stack, plan, tmp_path, about=ABOUT)
    drawn = strength_of_stripes(draw_class(model.network, plan, 0, 16))
    assert abs(fresh) < 0.1 * strength_of_stripes(real)
    assert 0.5 < drawn / strength_of_stripes(real) < 1.5
