import numpy as np
import pytest
import torch
from torch import nn

from medgan.evaluation.usefulness.arms import ArmRecipe, DrawPool, Lesson
from medgan.evaluation.usefulness.inputs import SmallNetInputs
from medgan.evaluation.usefulness.training import _BATCH, _weighted_loss, train_classifiers
from tests.evaluation.rings import shapes

IMAGES = shapes(30, 30, 0)
EYES = SmallNetInputs(IMAGES.pixels, IMAGES.pixels, like=IMAGES.pixels, side=24)


def even(rows, costs=1.0):
    count = len(rows)
    return DrawPool(
        rows=np.asarray(rows), chances=np.full(count, 1 / count), costs=np.full(count, costs, np.float32)
    )


def taught(*stages, prior=None, **how):
    stages = stages or ((1.0, even(range(60))),)
    recipe = ArmRecipe(name="test", **how)
    return Lesson(recipe=recipe, labels=IMAGES.labels, classes=2, real=60, stages=stages, prior=prior)


def weights(lesson, steps, seed=0):
    return {
        count: torch.cat([one.flatten() for one in network.parameters()])
        for count, network in train_classifiers(EYES, lesson, rate=1e-3, steps=steps, seed=seed)
    }


def test_one_run_gives_the_classifiers_of_all_shorter_runs_too():
    together = weights(taught(classical=True), (4, 8, 16))
    for count, found in together.items():
        assert torch.allclose(found, weights(taught(classical=True), (count,))[count], atol=1e-6)


def test_weights_are_the_mean_over_the_last_half_of_the_steps():
    class Line(nn.Module):
        """One weight, whose gradient is 1: at a constant rate it falls as the steps go."""

        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(1))

        def forward(self, x):
            return torch.cat([self.weight * 1e-4, self.weight * 0]).expand(len(x), 2)

    class Plain(SmallNetInputs):
        def fresh(self, classes, seed):
            return Line()

        def groups(self, network, rate):
            return [{"params": list(network.parameters()), "lr": rate, "weight_decay": 0.0}]

    lesson = Lesson(
        recipe=ArmRecipe(name="test"),
        labels=np.ones(60, np.int64),
        classes=2,
        real=60,
        stages=((1.0, even(range(60))),),
    )
    eyes = Plain(IMAGES.pixels, IMAGES.pixels, like=IMAGES.pixels)
    found = [
        float(network.weight)
        for _, network in train_classifiers(eyes, lesson, rate=0.1, steps=(4, 8), seed=0)
    ]
    assert found[0] == pytest.approx(-0.35, rel=0.02)  # of -0.3 and -0.4
    assert found[1] == pytest.approx(-0.65, rel=0.02)


def test_equal_seeds_give_equal_classifiers_and_leave_chance_alone():
    state = torch.get_rng_state()
    first, again, other = (weights(taught(mixed=True), (3,), seed)[3] for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(state, torch.get_rng_state())


def test_only_images_of_the_pool_are_learned_from():
    seen = []

    class Watched(SmallNetInputs):
        def batch(self, rows, *, views, rng):
            seen.append(rows.tolist())
            return super().batch(rows, views=views, rng=rng)

    eyes = Watched(IMAGES.pixels, IMAGES.pixels, like=IMAGES.pixels, side=24)
    lesson = taught((0.6, even(range(10))), (0.4, even(range(50, 60))))
    list(train_classifiers(eyes, lesson, rate=1e-3, steps=(10,), seed=0))
    assert [len(rows) for rows in seen] == [_BATCH] * 10
    assert [max(rows) < 10 for rows in seen] == [True] * 6 + [False] * 4
    with pytest.raises(AssertionError):  # where stages end depends on the number of steps
        list(train_classifiers(eyes, lesson, rate=1e-3, steps=(5, 10), seed=0))


def test_the_network_tells_easy_images_apart():
    bright = IMAGES.pixels * 0.5 + 0.4 * IMAGES.labels[:, None, None, None].astype(np.float32)
    eyes = SmallNetInputs(bright, bright, like=bright, side=24)
    ((_, network),) = train_classifiers(eyes, taught(), rate=3e-3, steps=(60,), seed=0)
    assert (eyes.logits(network).argmax(axis=1) == IMAGES.labels).mean() > 0.95


def test_costs_weigh_errors():
    logits, truth = torch.tensor([[2.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 0])
    each = [float(_weighted_loss(logits[row : row + 1], truth[:1], torch.ones(1))) for row in (0, 1)]
    both = float(_weighted_loss(logits, truth, torch.tensor([1.0, 0.3])))
    assert both == pytest.approx((each[0] + 0.3 * each[1]) / 1.3)


def test_a_prior_is_known_while_learning_and_not_when_asked():
    told = weights(taught(prior=np.array([0.0, 5.0], np.float32)), (2,))[2]
    assert not torch.equal(told, weights(taught(), (2,))[2])
