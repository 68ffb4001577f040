import numpy as np
import pytest

from medgan.evaluation.endpoints import endpoints
from medgan.evaluation.usefulness.arm_scores import NAMED, BootstrapSet
from medgan.evaluation.usefulness.arms import RECIPES
from medgan.evaluation.usefulness.schedules import Schedule, ScheduleChoice
from medgan.evaluation.usefulness.trials import Outcome
from tests.evaluation.rings import shapes

HELD = shapes(40, 20, 0)


def outcome(seeds=3, signal=1.0):
    chance = np.random.default_rng(0)
    logits = chance.normal(size=(seeds, len(HELD), 2)).astype(np.float32)
    logits[:, :, 1] += signal * HELD.labels
    choice = ScheduleChoice(schedule=Schedule(rate=1e-3, steps=100), inner=0.5, spread=0.1)
    return Outcome(
        judge="cnn", recipe=RECIPES[0], added={"normal": 0, "rare": 0}, choice=choice, logits=logits
    )


def test_an_arm_has_the_means_of_its_classifiers():
    told = outcome()
    arm = BootstrapSet.of(HELD, [1], 200, 0).entry(told, NAMED).arm
    each = [endpoints(one, HELD.labels, [1]) for one in told.logits]
    assert arm.auprc == pytest.approx(np.mean([one.auprc for one in each]), abs=1e-5)
    assert arm.per_seed == tuple(round(one.auprc, 5) for one in each)
    assert arm.low < arm.auprc < arm.high
    assert arm.sensitivity_low < arm.sensitivity < arm.sensitivity_high
    assert (arm.name, arm.role, arm.schedule.steps) == ("real", "named", 100)


def test_resamples_are_the_same_for_every_arm():
    test_set = BootstrapSet.of(HELD, [1], 200, 0)
    weak, strong = (test_set.entry(outcome(signal=signal), "") for signal in (0.5, 2.0))
    again = test_set.entry(outcome(signal=0.5), "")
    assert np.array_equal(weak.resampled, again.resampled)
    both = np.std(strong.resampled - weak.resampled)
    assert both < np.hypot(np.std(strong.resampled), np.std(weak.resampled))
