from __future__ import annotations

import pytest
import torch

from medgan.learners.gan import dcgan, networks, steps
from tests.learners.gan.phantoms import dcgan_plan, tiny_plan

SHAPES = [((4, 4), 3, 1), ((3, 5), 2, 3), ((6, 3), 1, 1), ((5, 6), 4, 3)]


def sized(make, base, doublings, channels):
    widths = tuple(8 for _ in range(doublings + 1))
    size = tuple(side << doublings for side in base)
    if make is dcgan_plan:
        widths = (*widths[:-1], 1)
    return make(base=base, size=size, widths=widths, channels=channels)


@pytest.mark.parametrize("make", [tiny_plan, dcgan_plan])
@pytest.mark.parametrize(("base", "doublings", "channels"), SHAPES)
def test_networks_are_built_for_any_cells_doublings_and_channels(make, base, doublings, channels):
    plan = sized(make, base, doublings, channels)
    labels = torch.tensor([0, 1])
    images = steps.GENERATORS[plan.recipe.arch](plan)(torch.randn(2, plan.recipe.latent), labels)
    assert images.shape == (2, channels, *plan.frame.size)
    assert steps._DISCRIMINATORS[plan.recipe.arch](plan)(images, labels).shape == (
        2,
        2 if plan.recipe.arch == "repaired" else 1,
    )


@pytest.mark.parametrize("make", [tiny_plan, dcgan_plan])
@pytest.mark.parametrize("size", [(15, 11), (13, 9), (16, 7)])
def test_networks_draw_and_judge_images_of_sizes_between_their_grids(make, size):
    torch.manual_seed(0)
    plan, labels = make(size=size), torch.tensor([0, 1])
    assert plan.recipe.grid == (16, 12)
    generator, critic = (
        steps.GENERATORS[plan.recipe.arch](plan),
        steps._DISCRIMINATORS[plan.recipe.arch](plan),
    )
    images = generator(torch.randn(2, plan.recipe.latent), labels)
    assert images.shape == (2, 1, *size)
    (slope,) = torch.autograd.grad(critic(images, labels).sum(), images, create_graph=True)
    slope.square().sum().backward()  # as a gradient penalty asks
    assert sum(weight.grad.abs().sum() for weight in critic.parameters() if weight.grad is not None) > 0


def test_an_image_between_grids_shows_what_the_grid_shows():
    torch.manual_seed(0)
    whole, less = (networks.Generator(tiny_plan(size=size)).eval() for size in ((16, 12), (8, 6)))
    less.load_state_dict(whole.state_dict())
    z, labels = torch.randn(2, 8), torch.tensor([0, 1])
    halved = torch.nn.functional.avg_pool2d(whole(z, labels), 2)
    assert torch.corrcoef(torch.stack([less(z, labels).flatten(), halved.flatten()]))[0, 1] > 0.9


@pytest.mark.parametrize(("outlined", "begun"), [(0, (4, 3)), (1, (8, 6)), (2, (8, 6))])
def test_the_first_image_is_as_large_as_planned_and_never_the_whole(outlined, begun):
    generator = networks.Generator(tiny_plan(gaussian_level=outlined))
    assert generator.outline.shape == (1, *begun)
    assert len(generator.details) == len(generator.stages) - generator.gaussian_level


def test_every_stage_lies_channels_last():
    plan, lain = tiny_plan(), []
    generator = networks.Generator(plan).to(memory_format=torch.channels_last)
    for stage in generator.stages:
        stage.register_forward_hook(
            lambda _, images, made: lain.extend(
                x.is_contiguous(memory_format=torch.channels_last) for x in (images[0], made)
            )
        )
    generator(torch.randn(2, plan.recipe.latent), torch.tensor([0, 1]))
    assert lain == [True] * 2 * len(plan.recipe.widths)


def test_class_does_not_enter_below_sixteen_pixels():
    torch.manual_seed(0)
    plan = tiny_plan(size=(8, 6), widths=(8, 8))
    generator = networks.Generator(plan).eval()
    z = torch.randn(1, plan.recipe.latent)
    assert torch.equal(generator(z, torch.tensor([0])), generator(z, torch.tensor([1])))


def test_class_enters_at_sixteen_pixels_and_only_as_far_as_it_has_faded_in():
    torch.manual_seed(0)
    plan = tiny_plan()
    generator = networks.Generator(plan).eval()
    z, left, right = torch.randn(1, plan.recipe.latent), torch.tensor([0]), torch.tensor([1])
    assert torch.equal(generator(z, left, 0.0), generator(z, right, 0.0))
    assert not torch.equal(generator(z, left, 1.0), generator(z, right, 1.0))


def test_class_embeddings_are_noisy_in_training_only():
    torch.manual_seed(0)
    generator = networks.Generator(tiny_plan())
    z, labels = torch.randn(1, 8), torch.tensor([0])
    assert not torch.equal(generator(z, labels), generator(z, labels))
    generator.eval()
    assert torch.equal(generator(z, labels), generator(z, labels))


def test_one_class_has_no_condition_and_its_second_logit_is_zero():
    plan = tiny_plan(labels=("only",))
    logits = networks.Discriminator(plan)(torch.randn(3, 1, 16, 12), torch.zeros(3, dtype=torch.long))
    assert torch.equal(logits[:, 1], torch.zeros(3))
    assert logits[:, 0].abs().sum() > 0


def test_repaired_networks_have_no_normalisation_layer():
    for network in (networks.Generator(tiny_plan()), networks.Discriminator(tiny_plan())):
        assert not [part for part in network.modules() if "Norm" in type(part).__name__]


def test_dcgan_is_the_one_of_2015():
    plan = dcgan_plan()
    generator, critic = dcgan.DcganGenerator(plan), dcgan.DcganDiscriminator(plan)
    kinds = [type(layer).__name__ for layer in generator.layers]
    assert kinds == ["ConvTranspose2d", "BatchNorm2d", "ReLU"] * 2 + ["ConvTranspose2d", "Tanh"]
    kinds = [type(layer).__name__ for layer in critic.layers]
    assert kinds == ["Conv2d", "LeakyReLU", "Conv2d", "BatchNorm2d", "LeakyReLU", "Conv2d"]
    weights = torch.cat(
        [part.weight.flatten() for part in generator.modules() if "Conv" in type(part).__name__]
    )
    assert weights.std().item() == pytest.approx(0.02, rel=0.1)


def test_dcgan_images_stay_between_minus_one_and_one():
    images = dcgan.DcganGenerator(dcgan_plan())(torch.randn(4, 8) * 50, torch.tensor([0, 1, 0, 1]))
    assert images.abs().max() <= 1
