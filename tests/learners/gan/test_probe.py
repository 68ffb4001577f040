"""The probe times the very steps of a run, penalties by their share."""

import pytest
import torch

from medgan.learners.gan import probe
from medgan.learners.gan.probe import _Cost, _TimingTrial, measure_costs
from tests.learners.gan.phantoms import dcgan_plan, tiny_plan


def test_a_cost_is_measured_for_every_precision():
    found = measure_costs(tiny_plan(), ("fp32", "bf16"))
    assert list(found) == ["fp32", "bf16"]
    assert all(min(cost.processor, cost.wall) > 0 for cost in found.values())


@pytest.mark.parametrize(("plan", "expected"), [(tiny_plan(penalty_every=4), 0.002), (dcgan_plan(), 0.003)])
def test_a_penalty_counts_by_its_share_of_the_steps(plan, expected, monkeypatch):
    monkeypatch.setattr(
        _TimingTrial, "step", lambda _, number: _Cost((0.005, 0.001)[number], (0.005, 0.001)[number])
    )
    cost = _TimingTrial(plan).round()
    assert (cost.processor, cost.wall) == pytest.approx((expected, expected))


def test_the_first_round_warms_up_and_does_not_count(monkeypatch):
    rounds = iter([_Cost(9.0, 9.0), _Cost(1.0, 4.0), _Cost(3.0, 2.0), _Cost(2.0, 3.0)])
    monkeypatch.setattr(_TimingTrial, "round", lambda _: next(rounds))
    assert measure_costs(tiny_plan(), ("fp32",)) == {"fp32": _Cost(2.0, 3.0)}
    assert probe.ROUNDS == 3


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_is_timed_by_the_wall_clock():
    for cost in measure_costs(tiny_plan(device="cuda"), ("fp32", "bf16")).values():
        assert cost.processor == cost.wall > 0


def test_a_probe_says_what_it_times_and_takes_the_rounds_it_is_told():
    told = []
    measure_costs(tiny_plan(), ("fp32",), rounds=1, on_progress=told.append)
    assert {(report.stage, report.words) for report in told} == {("timing one step", "size 16x12, fp32")}
    assert [(report.done, report.total) for report in told] == [(0, 2), (1, 2), (2, 2)]
