"""The class check rejects wrong classes, passes right ones, and names classes that it can hardly separate."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from medgan.filtering.class_check import (
    _FOLDS,
    _SEPARABLE,
    _SURE,
    ClassChecker,
    _clustered_auc,
    _least_odds,
    _log_odds,
    _patient_folds,
)
from tests.similarity.test_nearest import people


def clouds(apart, counts=(200, 100), seed=0, features=20):
    """Classes `apart` deviations from one to the next along the first feature."""
    chance = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    points = chance.normal(size=(len(labels), features))
    points[:, 0] += apart * labels
    return points, labels


def judged(apart, counts=(200, 100), **more):
    points, labels = clouds(apart, counts, **more)
    return ClassChecker.of(points, labels, people(len(labels)), len(counts))


def passing(judge, points, label):
    return (judge.doubt(judge.odds(points, label), label) == 0).mean()


@pytest.mark.parametrize("counts", [(200, 100), (150, 100, 60)])
def test_of_plainly_separate_classes_images_of_the_class_pass_and_those_of_another_do_not(counts):
    judge = judged(4, counts)
    points, labels = clouds(4, (500,) * len(counts), seed=1)
    for label in range(len(counts)):
        assert passing(judge, points[labels == label], label) > 0.95
        for other in set(range(len(counts))) - {label}:
            assert passing(judge, points[labels == other], label) < 0.05


def test_with_few_images_of_many_features_a_sure_image_passes_however_large_the_log_odds_are():
    """Those of real images are hundreds; an image that shows its class a little less is sure all the same."""
    judge = judged(60, (20, 20), features=400)
    points, _ = clouds(0, (100,), seed=1, features=400)
    for label in (0, 1):
        for toward, share in ((0.9, 1), (0.7, 1), (0.3, 0), (0.0, 0)):  # from the other class to its own
            points[:, 0] = 60 * (toward if label else 1 - toward)
            odds = judge.odds(points, label)
            assert (judge.doubt(odds, label) == 0).mean() == share
    assert abs(odds).min() > 100


@pytest.mark.parametrize("apart", [0, 1])
def test_of_classes_that_overlap_half_of_the_images_of_the_class_pass(apart):
    judge = judged(apart, (300, 300))
    points, labels = clouds(apart, (1000, 1000), seed=1)
    for label in (0, 1):
        own, other = (passing(judge, points[labels == one], label) for one in (label, 1 - label))
        assert own == pytest.approx(_SURE, abs=0.1)
        assert other == pytest.approx((0.5, 0.16)[apart], abs=0.1)  # of a normal distribution


def test_the_limit_is_the_median_of_the_class_or_less_if_that_leaves_every_other_class_behind():
    numbers = np.repeat([0, 1, 2], [3, 21, 21])
    own, low, high = [8.0, 10, 90], [*range(-60, -39)], [*range(-15, 6)]
    assert _least_odds(np.array([*own, *low, *high]), numbers, 0) == 4  # 19 of 20 of the nearer class
    assert _least_odds(np.array([*own, *low, *low]), numbers, 0) == 0  # never what another class shows more
    assert _least_odds(np.array([*own, *low, *[20 + one for one in high]]), numbers, 0) == 10


def test_the_less_surely_an_image_shows_its_class_the_more_doubtful_it_is():
    judge = judged(3)
    along = np.zeros((6, 20))
    along[:, 0] = [5, 3, 2, 1, 0, -1]
    doubt = judge.doubt(judge.odds(along, 1), 1)
    assert (doubt[:1] == 0).all()
    assert (np.diff(doubt[2:]) > 0).all()


def test_of_classes_that_are_the_same_it_says_that_it_cannot_tell_them_apart():
    points, labels = clouds(0, (150, 150))
    points = np.concatenate([points, clouds(0, (60,), seed=5)[0] + 6])
    judge = ClassChecker.of(points, np.append(labels, np.full(60, 2)), people(360), 3)
    hardly = {pair.classes: pair.hardly for pair in judge.pairs}
    assert hardly == {(0, 1): True, (0, 2): False, (1, 2): False}
    same = judge.pairs[0]
    assert 0 <= same.low < 0.5 < same.high < _SEPARABLE


def test_a_copy_of_a_patient_tells_nothing_of_what_is_unseen():
    """Features of noise: whoever meets a patient's other slices recognises each, and would tell apart what
    cannot be."""
    chance = np.random.default_rng(0)
    own = np.repeat(chance.normal(size=(40, 60)), 8, axis=0)
    points, labels = own + 0.01 * chance.normal(size=own.shape), np.repeat([0, 1], 160)
    honest = ClassChecker.of(points, labels, people(320, slices=8), 2).pairs[0]
    fooled = ClassChecker.of(points, labels, people(320), 2).pairs[0]
    assert fooled.auc > 0.9 > _SEPARABLE > honest.auc
    assert honest.high - honest.low > 0.2  # forty patients, not 320 images


def test_every_class_is_spread_over_the_parts_and_no_patient_is_in_two():
    labels, patients = np.repeat([0, 1, 2, 3], [40, 12, 3, 2]), people(57)
    patients[:6] = patients[40]  # of two classes
    folds = _patient_folds(labels, patients)
    assert (folds[:6] == folds[40]).all()
    assert [len(set(folds[labels == label])) for label in range(4)] == [_FOLDS, _FOLDS, 3, 2]
    assert np.bincount(folds[labels == 1]).tolist() in ([2, 2, 2, 3, 3], [3, 3, 2, 2, 2], [3, 2, 3, 2, 2])


def test_a_class_of_few_images_is_known_and_not_checked():
    judge = judged(5, (60, 60, 3))
    assert judge.known.tolist() == [0, 1, 2]
    assert judge.checks == (0, 1)
    assert [pair.classes for pair in judge.pairs] == [(0, 1)]
    points, labels = clouds(5, (50, 50, 50), seed=1)
    assert passing(judge, points, 2) == 1
    assert passing(judge, points[labels == 2], 1) < 0.2  # it has seen what the third class looks like


def test_a_class_with_one_patient_is_not_known():
    points, labels = clouds(5, (60, 60, 30))
    patients = people(150)
    patients[120:] = "one"
    judge = ClassChecker.of(points, labels, patients, 3)
    assert judge.known.tolist() == [0, 1]
    assert judge.odds(points, 2) is None


def test_one_class_needs_no_judge():
    points, labels = clouds(1, (40,))
    assert ClassChecker.of(points, labels, people(40), 1) is None
    points, labels = clouds(1, (40, 1))
    assert ClassChecker.of(points, labels, people(41), 2) is None


def test_equal_images_are_judged_alike_in_any_company():
    judge, again = judged(2), judged(2)
    points, _ = clouds(2, (30, 30), seed=3)
    assert (judge.odds(points, 1) == again.odds(points, 1)).all()
    np.testing.assert_allclose(judge.odds(points[20:], 1), judge.odds(points, 1)[20:], rtol=1e-12)


def test_log_odds_stay_finite_however_sure_it_is():
    logits = np.array([[900.0, -900, 0], [0, 0, 0]])
    odds = _log_odds(logits)
    assert odds[0] == pytest.approx([900, -1800, -900])
    assert odds[1] == pytest.approx([-np.log(2)] * 3)


def test_the_area_is_that_of_the_curve_and_its_error_that_of_repeated_data():
    chance = np.random.default_rng(0)
    own = np.arange(60) < 25
    found = []
    for _ in range(300):
        scores = np.round(chance.normal(size=60) + own, 1)  # with ties
        found.append(_clustered_auc(scores, own, people(60)))
    assert found[-1][0] == pytest.approx(roc_auc_score(own, scores))
    areas, errors = np.array(found).T
    assert errors.mean() == pytest.approx(areas.std(), rel=0.1)
