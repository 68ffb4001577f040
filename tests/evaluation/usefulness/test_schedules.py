import numpy as np
import pytest

from medgan.evaluation.usefulness.arms import ArmRecipe
from medgan.evaluation.usefulness.classifiers import linear_tries, network_tries
from medgan.evaluation.usefulness.schedules import _FEW, Schedule, choose, fold_auprc, folds_of, middle
from tests.evaluation.rings import shapes


def by_steps(*values):
    return {Schedule(rate=1e-3, steps=50 * 2**place): value for place, value in enumerate(values)}


@pytest.mark.parametrize(
    ("values", "steps", "spread"),
    [((0.5, 0.7, 0.6), 100, 0.1), ((0.699, 0.7, 0.6), 50, 0.001), ((0.5, 0.6, 0.7), 200, 0.1)],
)
def test_the_best_schedule_is_chosen_or_a_shorter_one_nearly_as_good(values, steps, spread):
    found = choose(by_steps(*values))
    assert found.schedule.steps == steps
    assert found.spread == pytest.approx(spread)
    assert found.inner == values[(50, 100, 200).index(steps)]


def test_of_equals_the_slower_rate_is_chosen():
    rates = {Schedule(rate=rate, steps=50): 0.5 for rate in (1e-3, 1e-4)}
    assert choose(rates).schedule.rate == 1e-4


@pytest.mark.parametrize(("discriminant", "strictest"), [(False, min), (True, max)])
def test_of_equals_the_strictest_penalty_is_chosen(discriminant, strictest):
    """A small C is strict, and so is a large shrinkage."""
    (group,) = linear_tries(ArmRecipe(name="test", discriminant=discriminant))
    assert choose(dict.fromkeys(group, 0.5)).schedule.penalty == strictest(one.penalty for one in group)
    lax, best = group[-1], group[2]
    assert choose({**dict.fromkeys(group, 0.5), lax: 0.8, best: 0.799}).schedule == best


def test_of_half_the_images_half_the_steps_are_as_many_passes():
    assert Schedule(rate=1e-3, steps=50).shorten(0.5) == Schedule(rate=1e-3, steps=25)
    assert Schedule(rate=1e-3, steps=1).shorten(0.5).steps == 1
    assert Schedule(penalty=0.1).shorten(0.5) == Schedule(penalty=0.1)


def test_where_nobody_can_be_asked_the_middle_is_taken():
    found = middle(tuple(by_steps(1, 2, 3)))
    assert (found.schedule.steps, found.inner, found.spread) == (100, None, None)


@pytest.mark.parametrize(
    ("rates", "steps", "middle_one"),
    [
        ((3e-5, 1e-4, 3e-4), (25, 50, 100, 200), (1e-4, 100)),
        ((1e-3, 3e-3), (50, 100, 200, 400), (1e-3, 200)),  # neither the first nor the last of either
        ((1e-4,), (25, 50, 100, 200), (1e-4, 100)),
    ],
)
def test_the_middle_of_a_grid_is_the_middle_of_its_rates_and_of_its_steps(rates, steps, middle_one):
    grid = [one for group in network_tries(rates, steps) for one in group]
    for order in (grid, grid[::-1]):
        found = middle(order).schedule
        assert (found.rate, found.steps) == middle_one


def test_the_middle_penalty_is_neither_the_strictest_nor_the_mildest():
    assert middle([Schedule(penalty=value) for value in (0.1, 0.001, 0.01)]).schedule.penalty == 0.01


def test_folds_do_not_divide_patients_and_deal_every_class_out_evenly():
    images = shapes(40, 12, 0, per_patient=2)
    folds = folds_of(images, [1], 3, 0)
    for patient in np.unique(images.patients):
        assert len(set(folds[images.patients == patient])) == 1
    for number in (0, 1):
        counts = np.bincount(folds[images.labels == number])
        assert counts.max() - counts.min() <= 2


@pytest.mark.parametrize("count", [0, 1, 4])
def test_without_patients_for_every_fold_there_are_none(count):
    assert folds_of(shapes(40, 6, 0, per_patient=2), [1], count, 0) is None


def test_folds_with_few_rare_images_are_judged_together():
    labels = np.array([1, 0, 0, 1, 0, 0])
    folds = np.array([0, 0, 0, 1, 1, 1])
    score = np.array([1, 0, 0, 4, 3, 3], np.float32)  # right in each fold, not over both
    logits = np.stack([0 * score, score], axis=1)
    assert fold_auprc(logits, labels, folds, [1]) < 1
    many = [np.repeat(one, _FEW, axis=0) for one in (logits, labels, folds)]
    assert fold_auprc(*many, [1]) == 1
