"""Nothing in training adds up in an order that threads are free to choose.

torch.use_deterministic_algorithms alone is no guard: on a processor it mends in silence the very operation
that must not be used, in tests and not for a user. So operations are watched, and weights compared on two
threads; the switch guards the operations that it refuses.
"""

from typing import ClassVar

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from medgan.learners.gan.class_gaussian import ClassGaussian
from medgan.learners.gan.fit import fit
from medgan.learners.gan.steps import GanState, update
from medgan.training.runtime import Runtime, reseed
from tests.learners.gan.phantoms import ABOUT, dcgan_plan, known, matched_plan, tiny_plan, tiny_stack

PLANS = {
    "adversary": lambda: tiny_plan(latent=64),
    "dcgan": dcgan_plan,
    "features": lambda: matched_plan(latent=64),
    "places": lambda: tiny_plan(latent=64, discriminator_widths=(8, 16)),
    "features and adversary": lambda: matched_plan(latent=64, adversary=1.0, augment=1.0),
}


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


class Watched(TorchDispatchMode):
    """Every operation is carried out; one that adds into the same place from several threads is an error."""

    ADDING: ClassVar = {"aten::index_put", "aten::index_put_", "aten::_index_put_impl_"}
    RACING: ClassVar = {"aten::put_", "aten::put", "aten::scatter_reduce", "aten::scatter_reduce_"}

    def __init__(self):
        super().__init__()
        self.seen = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.seen += 1
        name = func._schema.name
        assert name not in self.RACING, name
        if name in self.ADDING and (args[3] if len(args) > 3 else (kwargs or {}).get("accumulate")):
            places = torch.broadcast_tensors(*(one for one in args[1] if one is not None))
            rows = torch.stack([one.flatten() for one in places], dim=1)
            assert len(torch.unique(rows, dim=0)) == len(rows), f"{name} adds to a place more than once"
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("make", PLANS.values(), ids=PLANS)
def test_no_operation_of_a_step_adds_in_an_order_of_its_own(make):
    plan = make()
    reseed(plan.budget.seed, -1)
    learners = GanState(plan, Runtime("cpu", "fp32"), known(plan))
    labels = torch.arange(plan.budget.batch) // plan.recipe.group % 2
    with Watched() as watched:
        for step in range(2):  # with a penalty and without
            update(
                learners,
                torch.rand(plan.budget.batch, 1, *plan.frame.size) * 2 - 1,
                labels,
                step * plan.budget.batch,
            )
    assert watched.seen > 100


@pytest.mark.parametrize("make", PLANS.values(), ids=PLANS)
def test_no_operation_of_a_training_is_one_that_torch_calls_nondeterministic(make, tmp_path):
    torch.use_deterministic_algorithms(mode=True)
    try:
        fit(tiny_stack(), make().replace(images_shown=32), tmp_path, about=ABOUT)
        with pytest.raises(RuntimeError, match="deterministic"):
            torch.zeros(3).put_(torch.tensor([0, 0]), torch.ones(2))  # the switch is on
    finally:
        torch.use_deterministic_algorithms(mode=False)


def test_such_an_operation_would_be_seen():
    table = torch.zeros(2, 3, requires_grad=True)
    with Watched(), pytest.raises(AssertionError, match="more than once"):
        table[torch.tensor([0, 1, 1])].sum().backward()


@pytest.mark.parametrize("labels", [[0] * 8 + [1] * 8, [0, 1] * 8, [1, 1, 0, 1] * 4], ids=str)
@pytest.mark.usefixtures("two_threads")
def test_the_gradient_of_an_outline_is_the_same_every_time(labels):
    torch.manual_seed(0)
    outline, z, slope = ClassGaussian((1, 24, 24), 256, 2), torch.randn(16, 256), torch.randn(16, 1, 24, 24)

    def gradients():
        outline.zero_grad()
        (outline(z, torch.tensor(labels)) * slope).sum().backward()
        return [weight.grad.clone() for weight in outline.parameters()]

    first = gradients()
    for _ in range(20):
        assert all(torch.equal(*pair) for pair in zip(first, gradients(), strict=True))


@pytest.mark.parametrize(
    ("name", "precision"),
    [
        ("adversary", "fp32"),
        ("adversary", "bf16"),
        ("dcgan", "fp32"),
        pytest.param("features", "fp32", marks=pytest.mark.slow),
        pytest.param("features and adversary", "fp32", marks=pytest.mark.slow),
    ],
)
@pytest.mark.usefixtures("two_threads")
def test_a_training_stopped_on_two_threads_is_one_that_was_not(tmp_path, name, precision):
    def stop(progress):
        if progress.stage == "training" and progress.done >= 56:
            raise KeyboardInterrupt

    plan = PLANS[name]().replace(precision=precision, images_shown=80)
    with pytest.raises(KeyboardInterrupt):
        fit(tiny_stack(), plan, tmp_path / "cut", about=ABOUT, on_progress=stop)
    again, straight = (
        fit(tiny_stack(), plan, tmp_path / folder, about=ABOUT) for folder in ("cut", "straight")
    )
    assert again.digest == straight.digest
