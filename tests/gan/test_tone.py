from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import wasserstein_distance

from medgan.errors import ModelError
from medgan.gan.draw import draw
from medgan.gan.fit import fit
from medgan.gan.model import Model
from medgan.gan.networks import Generator
from medgan.gan.tone import KNOTS, tone_curve, tone_curves
from medgan.learn.feed import Pool, of_class
from tests.gan.phantoms import ABOUT, tiny_plan, tiny_stack

values = arrays(np.float32, st.integers(1, 600), elements=st.floats(-1, 1, width=16))


@given(values, values)
def test_a_curve_is_monotone_and_stays_within_what_is_real(drawn, real):
    before, after = tone_curve(drawn, real)
    written = np.interp(np.linspace(-3, 3, 500), before, after)
    assert (np.diff(written) >= 0).all()
    assert real.min() <= written.min()
    assert written.max() <= real.max()


@given(values)
def test_what_has_the_intensities_already_is_left_as_it_is(real):
    before, after = tone_curve(real, real)
    np.testing.assert_allclose(np.interp(real, before, after), real, atol=2 / KNOTS)


def test_what_overshoots_gets_the_intensities_that_are_real():
    chance = np.random.default_rng(0)
    real = np.concatenate([chance.normal(0.7, 0.05, 8000), chance.normal(-0.8, 0.05, 2000)])
    drawn = chance.permutation(1.6 * real + 0.2)
    before, after = tone_curve(drawn, real)
    np.testing.assert_allclose(
        np.sort(np.interp(drawn, before, after))[::100], np.sort(real)[::100], atol=0.03
    )


@pytest.mark.parametrize("air", [0.4, 0.6, 0.8])
def test_air_stays_black_however_much_of_it_is_drawn(air):
    def body(share):
        return np.concatenate([np.full(round(share * 10_000), -1.0), np.linspace(-0.4, 0.9, 4000)])

    before, after = tone_curve(body(air), body(0.6))
    assert np.interp(-1.0, before, after) == -1


def test_each_class_and_channel_has_a_curve_of_its_own():
    torch.manual_seed(0)
    plan = tiny_plan(channels=3)
    real = [np.full((4, 3, 16, 12), number, np.float32) for number in range(2)]
    real[1][:, 2] = 0.5
    curves = tone_curves(Generator(plan), plan, real.__getitem__)
    assert curves.shape == (2, 3, 2, KNOTS)
    assert curves.dtype == np.float32
    assert [np.unique(curve[1]).tolist() for curve in curves[1]] == [[1], [1], [0.5]]
    assert np.unique(curves[0, :, 1]).tolist() == [0]


def loud(plan):
    """A generator whose images overshoot the range at both ends."""
    torch.manual_seed(0)
    network = Generator(plan)
    passed = network.forward
    network.forward = lambda *inputs: 4 * passed(*inputs)
    return network


def test_images_are_written_by_the_curve_of_their_class(tmp_path):
    plan, stack = tiny_plan(toned=True), tiny_stack()
    network = loud(plan)
    curves = tone_curves(network, plan, of_class(Pool.of(stack), plan))
    plain = Model.save(tmp_path / "plain", network, plan, {**ABOUT, "images_shown": 1})
    toned = Model.save(tmp_path / "toned", network, plan, {**ABOUT, "images_shown": 1}, curves)
    assert plain.digest != toned.digest
    assert plain.tones == {}
    plain.network.forward = toned.network.forward = lambda *inputs: network.forward(*inputs)
    for label in plan.labels:
        real = stack.images(stack.rows_of(label))
        before, after = (
            np.stack([one.pixels for one in draw(model, label, range(64))]) for model in (plain, toned)
        )
        missed = [wasserstein_distance(images.ravel(), real.ravel()) for images in (before, after)]
        assert 10 * missed[1] < missed[0]
        assert after.min() >= real.min()
        assert after.max() <= real.max()


def test_a_changed_curve_is_noticed(tmp_path):
    plan = tiny_plan()
    torch.manual_seed(0)
    network, curves = Generator(plan), np.zeros((2, 1, 2, KNOTS), np.float32)
    model = Model.save(tmp_path / "model", network, plan, {**ABOUT, "images_shown": 1}, curves)
    other = Model.save(tmp_path / "other", network, plan, {**ABOUT, "images_shown": 1}, curves + 1)
    (model.folder / "generator.safetensors").write_bytes(
        (other.folder / "generator.safetensors").read_bytes()
    )
    with pytest.raises(ModelError, match="not those"):
        Model.load(model.folder)


@pytest.mark.parametrize("toned", [True, False])
def test_training_ends_with_curves_where_the_plan_wants_them(toned, tmp_path):
    plan, stack = tiny_plan(toned=toned), tiny_stack()
    model = fit(stack, plan, tmp_path / "run", about=ABOUT)
    assert set(model.tones) == (set(plan.labels) if toned else set())
    if toned:
        again = tone_curves(model.network, plan, of_class(Pool.of(stack), plan))
        np.testing.assert_allclose(model.tones["left"], again[0], atol=1e-6)
