"""bf16 is a matter of the passes alone: weights, averages, logits, losses and penalties are fp32."""

import pytest
import torch

from medgan.learners.gan import losses
from medgan.learners.gan.fit import fit
from medgan.learners.gan.latents import draw_latents
from medgan.learners.gan.steps import GanState, _paired_logits, update
from medgan.training.runtime import Runtime, reseed
from tests.learners.gan.phantoms import ABOUT, dcgan_plan, known, tiny_plan, tiny_stack

PLANS = {"repaired": tiny_plan(), "dcgan": dcgan_plan()}


def learners(plan, precision):
    reseed(plan.budget.seed, -1)
    return GanState(plan, Runtime("cpu", precision), known(plan))


def batch(plan):
    torch.manual_seed(1)
    return torch.rand(plan.budget.batch, plan.frame.channels, *plan.frame.size) * 2 - 1, torch.arange(
        plan.budget.batch
    ) % 2


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_weights_averages_and_moments_stay_fp32(plan):
    pair = learners(plan, "bf16")
    update(pair, *batch(plan), 0)
    kept = [weight for network in pair.networks.values() for weight in network.parameters()]
    kept += [
        moment
        for adam in pair.optimisers.values()
        for state in adam.state.values()
        for moment in state.values()
    ]
    assert {tensor.dtype for tensor in kept} == {torch.float32}


def test_logits_are_made_in_fp32_and_not_only_handed_on_as_such():
    pair = learners(tiny_plan(), "bf16")
    real, labels = batch(pair.plan)
    on_real, on_fake = _paired_logits(pair.plan, pair.discriminator, real, real.flip(0), labels)
    for logits in (on_real, on_fake):
        assert logits.dtype == torch.float32
        assert not torch.equal(logits, logits.bfloat16().float())


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_the_passes_do_run_in_bf16_and_near_fp32(plan):
    images = {}
    for precision in ("fp32", "bf16"):
        pair = learners(plan, precision)
        torch.manual_seed(2)
        z = draw_latents(plan, plan.budget.batch, torch.device("cpu"))
        images[precision] = pair.layout.wrapped(z, batch(plan)[1], 0.0).float().detach()
    difference = (images["bf16"] - images["fp32"]).abs().max().item()
    assert 0 < difference < 0.1


def test_a_penalty_is_the_same_number_whatever_the_precision():
    found = []
    for precision in ("fp32", "bf16"):
        pair = learners(tiny_plan(), precision)
        real, labels = batch(pair.plan)
        found.append(losses.gradient_penalty(pair.discriminator.network, real, labels, (1.0, 0.5)))
    assert found[0].dtype == torch.float32
    assert torch.equal(*found)


def test_a_run_in_bf16_resumes_exactly(tmp_path):
    plan, stack = tiny_plan(precision="bf16", images_shown=80), tiny_stack()
    straight = fit(stack, plan, tmp_path / "straight", about=ABOUT)

    def stop(row, grid):
        if row["images_shown"] == 80:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(stack, plan, tmp_path / "stopped", about=ABOUT, on_tick=stop)
    assert fit(stack, plan, tmp_path / "stopped", about=ABOUT).digest == straight.digest
    other = fit(stack, plan.replace(precision="fp32"), tmp_path / "exact", about=ABOUT)
    assert other.digest != straight.digest
