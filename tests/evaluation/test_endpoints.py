import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from medgan.evaluation.endpoints import _log_odds, auroc_under, corrected_t, endpoints, endpoints_under


def guesses(count=120, classes=3, seed=0, skill=1.0):
    """Logits of a classifier of some skill, and the truth."""
    chance = np.random.default_rng(seed)
    labels = chance.choice(classes, size=count, p=[0.2, 0.3, 0.5])
    logits = chance.normal(size=(count, classes)) + skill * np.eye(classes)[labels]
    return logits.astype(np.float32), labels


def test_a_perfect_classifier_has_ones_everywhere():
    labels = np.array([0, 1, 2, 2, 1])
    found = endpoints((20 * np.eye(3)[labels]).astype(np.float32), labels, [0, 1])
    assert {getattr(found, name) for name in found.__dataclass_fields__} == {1.0}


def test_log_odds_rank_as_probabilities_do_but_are_never_rounded_to_one():
    logits, _ = guesses()
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    for column in range(3):
        assert (_log_odds(logits)[:, column].argsort() == chances[:, column].argsort()).all()
    sure = _log_odds(np.array([[60, 0, 0], [90, 0, 0]], np.float32))[:, 0]
    assert sure[0] < sure[1]


def test_sensitivity_is_read_where_nine_of_ten_others_are_left_alone():
    labels = np.array([0] * 10 + [1] * 10)
    scores = np.r_[[9, 8, 7, 6, 5, 4, 3, 2, 1, 0], [8.5, 0.5, *[-1] * 8]]
    logits = np.stack([scores, np.zeros(20)], axis=1).astype(np.float32)
    assert endpoints(logits, labels, [0]).sensitivity == pytest.approx(0.9)


def test_a_class_that_is_absent_from_the_test_images_is_passed_over():
    logits, labels = guesses()
    kept = labels != 1
    found = endpoints(logits[kept], labels[kept], [0])
    assert 0 < found.balanced_accuracy < 1
    assert 0 < found.auroc < 1


# --- bootstrap ---


@pytest.mark.parametrize("rounded", [False, True])
def test_the_resampled_area_is_scikit_learns_for_every_weighting(rounded):
    logits, labels = guesses()
    logits = logits.round(0) if rounded else logits  # equal scores
    weights = np.random.default_rng(1).integers(0, 3, (20, len(labels)))
    ours = endpoints_under(logits, labels, [0], weights)[0]
    theirs = [
        average_precision_score(labels == 0, _log_odds(logits)[:, 0], sample_weight=row) for row in weights
    ]
    assert ours == pytest.approx(theirs)


@pytest.mark.parametrize("rounded", [False, True])
def test_the_resampled_sensitivity_is_that_of_images_repeated_as_often_as_they_count(rounded):
    logits, labels = guesses(skill=2.0)
    logits = logits.round(0) if rounded else logits
    weights = np.random.default_rng(1).integers(0, 3, (20, len(labels)))
    ours = endpoints_under(logits, labels, [0, 1], weights)[1]
    theirs = [
        endpoints(np.repeat(logits, row, axis=0), np.repeat(labels, row), [0, 1]).sensitivity
        for row in weights
    ]
    assert ours == pytest.approx(theirs)
    assert len(set(theirs)) > 5


def test_a_resample_of_one_class_alone_has_no_sensitivity():
    logits, labels = guesses()
    weights = np.stack([labels == 0, labels != 0, np.ones_like(labels)]).astype(np.int64)
    values = endpoints_under(logits, labels, [0], weights)[1]
    assert np.isnan(values).tolist() == [True, True, False]


def test_the_corrected_test_is_wider_the_more_its_training_sets_overlap():
    differences = [0.01, 0.03, 0.02, 0.04, 0.00]
    mean, low, high = corrected_t(differences, 0.0)
    assert mean == pytest.approx(0.02)
    from scipy.stats import ttest_1samp

    assert (low, high) == pytest.approx(tuple(ttest_1samp(differences, 0).confidence_interval()))
    _, lower, higher = corrected_t(differences, 0.25)
    assert (higher - lower) / (high - low) == pytest.approx((1 / 5 + 0.25) ** 0.5 / (1 / 5) ** 0.5)


def test_auroc_under_weights_is_that_of_images_repeated_as_often_and_ties_count_half():
    logits, labels = guesses(skill=0.5)
    scores, truth = logits[:, 0].astype(np.float64).round(1), labels == 0
    weights = np.random.default_rng(1).integers(0, 4, (5, len(labels)))
    ours = auroc_under(scores, truth, weights)
    theirs = [roc_auc_score(np.repeat(truth, one), np.repeat(scores, one)) for one in weights]
    assert ours == pytest.approx(theirs)
    assert auroc_under(np.zeros(4), np.array([1, 0, 0, 0]) > 0, np.ones((1, 4), int)) == pytest.approx([0.5])
    assert np.isnan(auroc_under(scores, truth, np.zeros((1, len(labels)), int))).all()
