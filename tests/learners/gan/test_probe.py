"""The probe times the very steps of a run, penalties by their share."""

import pytest
import torch

from medgan.learners.gan.probe import GanTrial
from medgan.training.probe import Cost, measure_costs
from tests.learners.gan.phantoms import dcgan_plan, tiny_plan


def test_a_cost_is_measured_for_every_precision():
    found = measure_costs(GanTrial, tiny_plan(), ("fp32", "bf16"))
    assert list(found) == ["fp32", "bf16"]
    assert all(min(cost.processor, cost.wall) > 0 for cost in found.values())


@pytest.mark.parametrize(("plan", "expected"), [(tiny_plan(penalty_every=4), 0.002), (dcgan_plan(), 0.003)])
def test_a_penalty_counts_by_its_share_of_the_steps(plan, expected, monkeypatch):
    monkeypatch.setattr(
        GanTrial, "step", lambda _, number: Cost((0.005, 0.001)[number], (0.005, 0.001)[number])
    )
    cost = GanTrial(plan).round()
    assert (cost.processor, cost.wall) == pytest.approx((expected, expected))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_is_timed_by_the_wall_clock():
    for cost in measure_costs(GanTrial, tiny_plan(device="cuda"), ("fp32", "bf16")).values():
        assert cost.processor == cost.wall > 0
