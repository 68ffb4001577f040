"""A detail stage draws the texture of the scans on layouts, at the size of the scans."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from medgan.learners.gan.detail import DetailStage, to_grid, to_layout
from medgan.learners.gan.detail_steps import _Patches
from medgan.learners.gan.fit import fit
from medgan.learners.gan.sample import draw_class
from medgan.learners.gan.steps import GanState, build_generator, update
from medgan.plan import Overrides, decide
from medgan.training.runtime import Runtime
from tests.learners.gan.phantoms import ABOUT, cascade_plan, tiny_plan, tiny_stack
from tests.test_plan import facts


@pytest.mark.parametrize(
    ("size", "layout", "doublings"),
    [
        ((64, 64), (64, 64), 0),
        ((65, 40), (40, 24), 1),
        ((128, 128), (64, 64), 1),
        ((224, 224), (56, 56), 2),
        ((256, 192), (64, 48), 2),
        ((512, 512), (64, 64), 3),
    ],
)
def test_what_is_larger_than_64_pixels_is_drawn_on_a_layout_of_32_to_64(size, layout, doublings):
    recipe = decide(facts(), Overrides(size=size)).recipe
    assert (recipe.grid, recipe.detail_doublings) == (layout, doublings)


def test_the_baseline_of_2015_draws_every_size_by_itself():
    recipe = decide(facts(), Overrides(size=(128, 128), arch="dcgan")).recipe
    assert (recipe.grid, recipe.detail_widths) == ((128, 128), ())


@pytest.mark.parametrize(("size", "channels"), [((32, 24), 1), ((30, 23), 3)])
def test_images_have_the_size_of_the_frame_and_every_number_of_the_latent_counts(size, channels):
    torch.manual_seed(0)
    plan = cascade_plan(size=size, channels=channels)
    generator, labels = build_generator(plan), torch.tensor([0, 1])
    z = torch.randn(2, plan.recipe.latent_numbers, requires_grad=True)
    images = generator(z, labels)
    assert images.shape == (2, channels, *size)
    (slope,) = torch.autograd.grad(images.square().sum(), z)
    assert (slope != 0).float().mean() > 0.99


def test_the_stage_draws_on_a_part_of_a_layout_what_it_draws_on_the_whole():
    torch.manual_seed(0)
    plan = cascade_plan(size=(128, 96), base=(8, 6), widths=(8, 8, 8, 8))
    stage, labels = DetailStage(plan), torch.tensor([1])
    layout, noise = torch.randn(1, 1, 64, 48), torch.randn(1, 2, 64, 48)
    whole = stage(layout, noise.flatten(1), labels)
    part = stage(layout[:, :, 8:56, 4:44], noise[:, :, 8:56, 4:44].flatten(1), labels)
    far = 13  # cells that eleven convolutions and the enlargement look at
    inner = whole[:, :, 2 * (8 + far) : 2 * (56 - far), 2 * (4 + far) : 2 * (44 - far)]
    assert torch.allclose(inner, part[:, :, 2 * far : -2 * far, 2 * far : -2 * far], atol=1e-5)


def test_patches_lie_in_their_images_all_over_and_their_context_holds_them():
    torch.manual_seed(0)
    plan = cascade_plan()
    inner = _Patches.at_random(plan, 400, torch.device("cpu"))
    outer = inner.with_context(plan)
    assert (inner.shape, outer.shape) == ((8, 8), (16, 12))
    assert inner.starts.amin(0).tolist() == [0, 0]
    assert inner.starts.amax(0).tolist() == [8, 4]  # the last of 16 x 12 cells
    places = torch.arange(32 * 24.0).reshape(1, 1, 32, 24).expand(400, 1, 32, 24)
    cut = inner.cut(places, 2)
    assert cut.shape == (400, 1, 16, 16)
    assert torch.equal(cut[:, 0, 0, 0], (2 * inner.starts[:, 0] * 24 + 2 * inner.starts[:, 1]).float())
    assert torch.equal(inner.within(outer).cut(outer.cut(places, 2), 2), cut)


def test_a_plan_without_a_detail_stage_matches_the_images_themselves():
    images = torch.randn(2, 1, 16, 12)
    assert to_layout(images, tiny_plan()) is images
    reduced = to_layout(torch.randn(2, 1, 30, 23), cascade_plan(size=(30, 23)))
    assert reduced.shape == (2, 1, 16, 12)


def stripes(count=48):
    """A stack whose images are bright on one side, with stripes of two pixels all over."""
    stack = tiny_stack(count, size=(32, 24))
    pixels = stack.pixels.astype(np.float32) / 65535
    smooth = pixels.mean(axis=(2, 3), keepdims=True) + 0 * pixels
    pattern = 0.1 * (-1.0) ** np.arange(32)[None, None, :, None]
    return dataclasses.replace(stack, pixels=((smooth + 0.1 + pattern) * 65535).astype(np.uint16))


def strength_of_stripes(images):
    """Mean difference of neighbouring rows (N, 1, H, W), with the sign that it has in real ones."""
    rows = images.mean(dim=(0, 1, 3))
    return float((rows[::2] - rows[1::2]).mean())


def test_a_texture_that_no_layout_shows_is_learned(tmp_path):
    stack, plan = stripes(), cascade_plan(images_shown=1600, tick=800, guarded=False)
    real = torch.from_numpy(stack.images(np.arange(len(stack)))) * 2 - 1
    assert abs(strength_of_stripes(to_layout(real, plan))) < 1e-3
    torch.manual_seed(0)
    fresh = strength_of_stripes(draw_class(build_generator(plan), plan, 0, 16))
    model = fit(stack, plan, tmp_path, about=ABOUT)
    drawn = draw_class(model.network, plan, 0, 16)
    assert abs(fresh) < 0.1 * strength_of_stripes(real)
    assert 0.5 < strength_of_stripes(drawn) / strength_of_stripes(real) < 1.5
    layout = model.network.layout(torch.zeros(1, 8), torch.tensor([0]))
    again = F.avg_pool2d(model.network.detail(layout, torch.zeros(1, 2 * 16 * 12), torch.tensor([0])), 2)
    assert (again - layout).abs().mean() < 0.1


def test_detail_is_measured_in_units_of_its_deviation_in_real_images():
    stack, plan = stripes(), cascade_plan()

    def images(number):
        return (stack.images(np.flatnonzero(stack.labels == number)) * 2 - 1).astype(np.float32)

    torch.manual_seed(0)
    gan = GanState(plan, Runtime("cpu", "fp32"), images)
    assert gan.detail is not None
    for network in (gan.detail.stage.network, gan.detail.critic.network, gan.average.detail):
        assert float(network.deviation) == pytest.approx(0.2, rel=0.05)  # stripes of +- 0.1 of half the range
    assert to_grid(torch.from_numpy(images(0)), plan).shape[2:] == (32, 24)


@pytest.mark.parametrize(("noise", "farthest"), [("uniform", 1.0), ("normal", 10.0)])
def test_the_stage_learns_from_the_kind_of_noise_that_it_draws_from(noise, farthest):
    torch.manual_seed(0)
    plan, seen = cascade_plan(noise=noise), []
    gan = GanState(plan, Runtime("cpu", "fp32"), lambda _: np.zeros((4, 1, 32, 24), np.float32))
    assert gan.detail is not None
    gan.detail.stage.network.register_forward_hook(lambda _, inputs, __: seen.append(inputs[1]))
    update(gan, torch.rand(8, 1, 32, 24) * 2 - 1, torch.arange(8) % 2, 0)
    assert farthest / 10 < seen[0].abs().max() <= farthest
    assert seen[0].shape == (8, 2 * 16 * 12)
