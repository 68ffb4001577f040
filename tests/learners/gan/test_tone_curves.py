from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import wasserstein_distance

from medgan.base.errors import ModelError
from medgan.learners.gan.fit import fit
from medgan.learners.gan.model import Model
from medgan.learners.gan.monitor import Monitor
from medgan.learners.gan.networks import Generator
from medgan.learners.gan.sample import draw
from medgan.learners.gan.tone_curves import _KNOTS, apply_curves, fit_tone_curves, tone_quantiles
from tests.learners.gan.phantoms import ABOUT, tiny_plan, tiny_stack

values = arrays(np.float32, st.integers(1, 600), elements=st.floats(-1, 1, width=16))


def curve_of(drawn, real):
    """The curve (2, KNOTS) from flat values onto flat values."""
    return fit_tone_curves(
        *(tone_quantiles(np.asarray(one, np.float32).reshape(1, 1, 1, -1)) for one in (drawn, real))
    )[0]


@given(values, values)
def test_a_curve_is_monotone_and_stays_within_what_is_real(drawn, real):
    before, after = curve_of(drawn, real)
    written = np.interp(np.linspace(-3, 3, 500), before, after)
    assert (np.diff(written) >= 0).all()
    assert real.min() <= written.min()
    assert written.max() <= real.max()


@given(values)
def test_what_has_the_intensities_already_is_left_as_it_is(real):
    before, after = curve_of(real, real)
    np.testing.assert_allclose(np.interp(real, before, after), real, atol=2 / _KNOTS)


def test_what_overshoots_gets_the_intensities_that_are_real():
    chance = np.random.default_rng(0)
    real = np.concatenate([chance.normal(0.7, 0.05, 8000), chance.normal(-0.8, 0.05, 2000)])
    drawn = chance.permutation(1.6 * real + 0.2)
    written = np.interp(drawn, *curve_of(drawn, real))
    np.testing.assert_allclose(np.sort(written)[::100], np.sort(real)[::100], atol=0.03)


@pytest.mark.parametrize("air", [0.4, 0.6, 0.8])
def test_air_stays_black_however_much_of_it_is_drawn(air):
    def body(share):
        return np.concatenate([np.full(round(share * 10_000), -1.0), np.linspace(-0.4, 0.9, 4000)])

    assert np.interp(-1.0, *curve_of(body(air), body(0.6))) == -1


def test_each_channel_has_a_curve_of_its_own():
    chance = np.random.default_rng(0)
    real = chance.random((9, 3, 8, 8), np.float32) * np.array([1, 0.5, 0.1], np.float32)[:, None, None]
    drawn = 2 * real[:, ::-1]
    written = apply_curves(drawn, fit_tone_curves(tone_quantiles(drawn), tone_quantiles(real)))
    assert (written.shape, written.dtype) == (drawn.shape, np.float32)
    for channel in range(3):
        assert wasserstein_distance(written[:, channel].ravel(), real[:, channel].ravel()) < 0.005


def loud(plan):
    """A generator whose images overshoot the range at both ends."""
    torch.manual_seed(0)
    network = Generator(plan)
    passed = network.forward
    network.forward = lambda *inputs: 4 * passed(*inputs)
    return network


def test_images_are_written_by_the_curves_of_their_class(tmp_path):
    plan, stack = tiny_plan(toned=True), tiny_stack()
    network = loud(plan)
    tones = Monitor(stack, plan).tones(network, 128)
    plain = Model.save(tmp_path / "plain", network, plan, {**ABOUT, "images_shown": 1})
    model = Model.save(tmp_path / "toned", network, plan, {**ABOUT, "images_shown": 1}, tones)
    assert plain.digest != model.digest
    assert plain.tones == {}
    plain.network.forward = model.network.forward = lambda *inputs: network.forward(*inputs)
    for label in plan.frame.labels:
        real = stack.images(stack.rows_of(label))
        before, after = (
            np.stack([one.pixels for one in draw(of, label, range(64))]) for of in (plain, model)
        )
        missed = [wasserstein_distance(images.ravel(), real.ravel()) for images in (before, after)]
        assert 10 * missed[1] < missed[0]
        assert after.min() >= real.min()
        assert after.max() <= real.max()


@pytest.mark.parametrize("wanted", [True, False])
def test_guards_look_at_images_as_they_would_be_written(wanted):
    plan, stack = tiny_plan(toned=wanted), tiny_stack()
    watch, real = Monitor(stack, plan), stack.images(stack.rows_of("left")) * 2 - 1
    seen = watch.draw_as_written(loud(plan), 0, 1.0)
    assert seen.shape == (watch.per_class, *stack.pixels.shape[1:])
    assert (wasserstein_distance(seen.numpy().ravel(), real.ravel()) < 0.03) == wanted


def test_a_changed_curve_is_noticed(tmp_path):
    plan = tiny_plan()
    torch.manual_seed(0)
    network, tones = Generator(plan), np.zeros((2, 1, 2, _KNOTS), np.float32)
    model = Model.save(tmp_path / "model", network, plan, {**ABOUT, "images_shown": 1}, tones)
    other = Model.save(tmp_path / "other", network, plan, {**ABOUT, "images_shown": 1}, tones + 1)
    (model.folder / "generator.safetensors").write_bytes(
        (other.folder / "generator.safetensors").read_bytes()
    )
    with pytest.raises(ModelError, match="do not match the digest"):
        Model.load(model.folder)


@pytest.mark.parametrize("wanted", [True, False])
def test_training_ends_with_curves_where_the_plan_wants_them(wanted, tmp_path):
    plan, stack = tiny_plan(toned=wanted), tiny_stack()
    model = fit(stack, plan, tmp_path / "run", about=ABOUT)
    assert set(model.tones) == (set(plan.frame.labels) if wanted else set())
    if wanted:
        again = Monitor(stack, plan).tones(model.network, 256)
        np.testing.assert_allclose(model.tones["right"], again[1], atol=1e-6)
