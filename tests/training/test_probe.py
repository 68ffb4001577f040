"""The probe times steps of any learner, and says what speaks against replaying them."""

import copy

import pytest
import torch
from torch import nn

from medgan.base.processes import Processes
from medgan.training import probe
from medgan.training.probe import (
    Cost,
    measure_costs,
    thread_choices,
    time_step,
    time_threads,
    time_with_graphs,
)
from medgan.training.runtime import Runtime, reseed
from tests.learners.gan.phantoms import tiny_plan


class LinearTrial:
    """Steps of a linear regression on noise; where it is `graphed`, `distort` may change its gradients."""

    costs = None
    distort = staticmethod(lambda gradient: gradient)

    def __init__(self, plan):
        reseed(plan.budget.seed, -1)
        self.plan, self.runtime = plan, Runtime("cpu", plan.budget.precision)
        network = nn.Linear(12, 1)
        adam = torch.optim.Adam(network.parameters(), lr=1e-2)
        self.network, self.optimiser = self.runtime.setup(network, adam)
        self.images = torch.rand(8, 12)

    def step(self):
        loss = (self.network(self.images + torch.randn(8, 12)) - 1).square().mean()
        self.optimiser.zero_grad()
        self.runtime.backward(loss)
        self.optimiser.step()
        return loss.item()

    def round(self):
        cost = time_step(self.step, 8, self.images.device)
        return cost if self.costs is None else next(self.costs)

    def state(self):
        parts = {"network": self.network, "optimiser": self.optimiser}
        return copy.deepcopy({name: part.state_dict() for name, part in parts.items()})

    def load_state(self, state):
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])

    def gradients(self):
        reseed(self.plan.budget.seed, 0)
        self.step()
        distort = self.distort if self.plan.budget.graphed else lambda gradient: gradient
        return {name: distort(weight.grad) for name, weight in self.network.named_parameters()}


def test_a_cost_is_measured_for_every_precision():
    found = measure_costs(LinearTrial, tiny_plan(), ("fp32", "bf16"))
    assert list(found) == ["fp32", "bf16"]
    assert all(min(cost.processor, cost.wall) > 0 for cost in found.values())


def test_the_first_round_warms_up_and_the_median_of_the_others_counts(monkeypatch):
    rounds = iter([Cost(9.0, 9.0), Cost(1.0, 4.0), Cost(3.0, 2.0), Cost(2.0, 3.0)])
    monkeypatch.setattr(LinearTrial, "costs", rounds)
    assert measure_costs(LinearTrial, tiny_plan(), ("fp32",)) == {"fp32": Cost(2.0, 3.0)}
    assert probe.ROUNDS == 3


def test_a_probe_says_what_it_times_and_takes_the_rounds_it_is_told():
    told = []
    measure_costs(LinearTrial, tiny_plan(), ("fp32",), rounds=1, on_progress=told.append)
    assert {(report.stage, report.words) for report in told} == {("timing one step", "size 16x12, fp32")}
    assert [(report.done, report.total) for report in told] == [(0, 2), (1, 2), (2, 2)]


@pytest.fixture
def three_threads(monkeypatch):
    """torch takes three threads, and the user has not said how many."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    yield
    assert torch.get_num_threads() == 3
    torch.set_num_threads(before)


def test_one_thread_and_all_are_a_choice_unless_the_user_has_made_it(three_threads, monkeypatch):
    assert thread_choices("cpu") == (1, 3)
    torch.set_num_threads(1)
    assert thread_choices("cpu") == (1,)
    torch.set_num_threads(3)
    with monkeypatch.context() as patch:
        patch.setattr(probe, "current_processes", lambda: Processes(rank=0, size=2))
        assert thread_choices("cpu") == (3,)
    with monkeypatch.context() as patch:
        patch.setattr(probe, "choose_device", lambda device: "cuda")
        assert thread_choices("auto") == (3,)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert thread_choices("cpu") == (3,)


def test_threads_take_turns_on_the_same_networks_and_the_median_counts(three_threads, monkeypatch):
    seen = []

    def round_of(trial):
        seen.append((id(trial), torch.get_num_threads()))
        return Cost(0.0, len(seen))

    monkeypatch.setattr(LinearTrial, "round", round_of)
    told = []
    found = time_threads(LinearTrial, tiny_plan(), (1, 3), on_progress=told.append)
    assert [threads for _, threads in seen] == [1, 3] * 4
    assert len({trial for trial, _ in seen}) == 1
    assert found == {1: 5, 3: 6}
    assert told[0].words == "size 16x12, 1 thread, 3 threads"


def test_nothing_speaks_against_graphs_that_give_the_same_gradients():
    seconds, against = time_with_graphs(LinearTrial, tiny_plan())
    assert (0 < seconds < 60, against) == (True, "")


def test_graphs_that_give_other_gradients_are_refused_by_the_weight(monkeypatch):
    monkeypatch.setattr(LinearTrial, "distort", staticmethod(lambda gradient: gradient * 1.1))
    assert "give another gradient of" in time_with_graphs(LinearTrial, tiny_plan())[1]
    assert "(different by 10% of its length)" in time_with_graphs(LinearTrial, tiny_plan())[1]


def test_graphs_that_fail_are_refused_in_words(monkeypatch):
    def refuse(trial):
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(LinearTrial, "round", refuse)
    assert time_with_graphs(LinearTrial, tiny_plan()) == (
        pytest.approx(float("inf")),
        "do not work here (RuntimeError: operation not permitted when stream is capturing)",
    )
