"""CUDA graphs: a replayed step is the same step, a trial says where it is not, no pass leaves the device.

What is replayed is what torch.compile traces. Without a GPU it is traced alike and then run by torch itself
(backend "aot_eager"), so all but the recording itself is proved here; with one, the recording too.
"""

import contextlib

import numpy as np
import pytest
import torch
from torch._dynamo.utils import counters
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from medgan.learners.gan.feature_matching import FeatureMatcher
from medgan.learners.gan.fit import fit
from medgan.learners.gan.networks import Discriminator, Generator
from medgan.learners.gan.probe import GanTrial
from medgan.training import runtime
from medgan.training.probe import _ALIKE, _largest_difference, time_with_graphs
from medgan.training.runtime import Runtime
from tests.learners.gan.phantoms import ABOUT, dcgan_plan, matched_plan, tiny_plan, tiny_stack

pytestmark = pytest.mark.filterwarnings("ignore")  # torch warns of itself while it traces
PLANS = {"adversarial": tiny_plan(), "matched": matched_plan(), "dcgan": dcgan_plan()}


@pytest.fixture
def traced(monkeypatch):
    """A processor that takes itself for a GPU: passes are traced for replaying, and run by torch."""
    monkeypatch.setattr(runtime, "can_replay", lambda _: True)
    monkeypatch.setattr(runtime, "_GRAPHS", {"backend": "aot_eager", "dynamic": False})
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def graphs():
    """Passes traced so far."""
    return counters["stats"]["unique_graphs"]


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_a_replayed_step_has_the_gradients_of_a_plain_one(plan, traced):
    before = graphs()
    pace, against = time_with_graphs(GanTrial, plan)
    assert graphs() > before
    assert (pace > 0, against) == (True, "")
    trials = [GanTrial(plan.replace(graphed=graphed)) for graphed in (False, True)]
    plain, replayed = (trial.gradients() for trial in trials)
    assert _largest_difference(plain, replayed)[1] < 1e-4
    assert all(slope.any() for name, slope in plain.items() if "class" in name or "embedding" in name)


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_passes_are_traced_once_however_far_the_condition_has_faded_in(plan, traced):
    trial = GanTrial(plan.replace(graphed=True))
    seen = set()
    for number in range(plan.budget.images_shown // plan.budget.batch):
        trial.step(number)
        seen.add(graphs()) if number else None
    assert len(seen) == 1


@pytest.mark.parametrize("lost", [torch.zeros_like, lambda slope: slope * 1.1])
def test_a_trial_notices_that_the_gradient_of_a_single_weight_is_another(traced, monkeypatch, lost):
    def with_graphs(self, passes):
        if self.replays and isinstance(passes, Generator):
            passes.stages[0].first.bias.register_hook(lost)
        return passes

    monkeypatch.setattr(Runtime, "with_graphs", with_graphs)
    assert "another gradient of generator.stages.0.first.bias" in time_with_graphs(GanTrial, tiny_plan())[1]


def test_a_trial_says_in_words_that_recording_fails(traced, monkeypatch):
    def refuses(graph, inputs):
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(runtime, "_GRAPHS", {"backend": refuses})
    pace, against = time_with_graphs(GanTrial, tiny_plan())
    assert pace == float("inf")
    assert against.startswith("do not work here (")
    assert "not permitted" in against


def test_a_gradient_that_is_no_number_is_not_alike():
    plain, other = torch.ones(2), torch.tensor([1.0, torch.nan])
    where, apart = _largest_difference({"a": plain, "b": plain}, {"a": plain * 3, "b": other})
    assert where == "b"
    assert not apart <= _ALIKE


def test_a_gradient_of_next_to_nothing_is_measured_beside_all():
    large, small = torch.ones(1), torch.full((1,), 1e-7)
    assert _largest_difference({"a": large, "b": small}, {"a": large, "b": 2 * small})[1] < _ALIKE


def test_a_run_begun_on_a_gpu_goes_on_where_there_is_none(tmp_path):
    models = [
        fit(tiny_stack(), tiny_plan(images_shown=40, graphed=graphed), tmp_path / str(graphed), about=ABOUT)
        for graphed in (True, False)
    ]
    weights = [model.network.state_dict().values() for model in models]
    assert all(torch.equal(one, other) for one, other in zip(*weights, strict=True))


class Leaks(TorchDispatchMode):
    """Operations that touch another device than `meta`, which stands for a GPU here."""

    def __init__(self):
        super().__init__()
        self.found, self.seen = [], 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        tensors = [one for one in tree_leaves((args, kwargs, made)) if isinstance(one, torch.Tensor)]
        self.seen += 1
        if any(tensor.device.type != "meta" for tensor in tensors):
            self.found.append(str(func))
        return made


def test_no_pass_leaves_the_device(monkeypatch):
    monkeypatch.setattr(
        torch, "autocast", lambda *_, **__: contextlib.nullcontext()
    )  # of which meta knows nothing
    plan, leaks = tiny_plan(), Leaks()
    with torch.device("meta"):
        generator, critic = Generator(plan), Discriminator(plan)
        z, labels = torch.empty(8, plan.recipe.latent), torch.empty(8, dtype=torch.int64)
        share = torch.empty(())
    looker = FeatureMatcher(
        matched_plan(), lambda _: np.zeros((2, 1, 16, 12), np.float32), torch.device("cpu")
    )
    looker.network.to("meta")
    features = looker.features
    with leaks:
        images = generator(z, labels, share)
        (critic(images, labels).sum() + sum(table.sum() for table in features(images))).backward()
    assert leaks.seen > 300
    assert not leaks.found


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_a_gpu_replays_what_it_recorded(plan):
    recorded = counters["inductor"]["cudagraph_recorded_non_static_inputs"]
    pace, against = time_with_graphs(GanTrial, plan.replace(device="cuda"))
    assert (pace > 0, against) == (True, "")
    assert counters["inductor"]["cudagraph_recorded_non_static_inputs"] > recorded
