"""Curves and matrices beside those of scikit-learn."""

import dataclasses

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, confusion_matrix, roc_auc_score

from medgan.evaluation.endpoints import _sensitivity_at
from medgan.reports import curves
from tests.reports.sample_reports import Said, arm


@dataclasses.dataclass
class Three:
    """Three classes, one of them absent; scores rounded, so that some are equal."""

    names = ("a", "b", "c")
    rare = ("a", "c")
    arms = (("cnn", "real"), ("cnn", "share 0.25"))
    truth = np.random.default_rng(0).choice([0, 1], 80, p=[0.25, 0.75])
    probabilities = np.random.default_rng(1).dirichlet((1, 1, 1), (2, 80)).round(1).astype(np.float32)


@pytest.mark.parametrize("row", [0, 1])
def test_areas_are_those_of_scikit_learn_equal_scores_too(row):
    said = Three()
    truth, scores = said.truth == 0, said.probabilities[row, :, 0]
    false, true = curves._roc(truth, scores)
    assert np.sum(np.diff(false) * (true[1:] + true[:-1]) / 2) == pytest.approx(roc_auc_score(truth, scores))
    recall, precision = curves._precision_recall(truth, scores)
    assert np.sum(np.diff(recall, prepend=0) * precision) == pytest.approx(
        average_precision_score(truth, scores)
    )


def test_a_matrix_counts_every_image_of_every_class_that_is_there():
    said = Three()
    for row, matrix in enumerate(curves.confusion_matrices(said)):
        counts = [[count for count, _ in line] for _, line in matrix["lines"]]
        expected = confusion_matrix(said.truth, said.probabilities[row].argmax(axis=1), labels=[0, 1, 2])
        assert counts == expected[:2].tolist()
        assert [name for name, _ in matrix["lines"]] == ["a", "b"]
        assert all(sum(share for _, share in line) == pytest.approx(1) for _, line in matrix["lines"])


def test_sensitivity_at_fixed_specificity_is_the_highest_there():
    said = Three()
    lines = curves.operating_points(said)
    assert [line["label"] for line in lines] == ["a", "a"]  # of class c there is no image
    for row, line in enumerate(lines):
        assert line["shares"][1] == pytest.approx(
            _sensitivity_at(said.truth == 0, said.probabilities[row, :, 0])
        )
        assert sorted(line["shares"], reverse=True) == line["shares"]


def test_curves_are_drawn_of_the_two_that_are_compared_and_of_real_images():
    arms = [
        arm("real", 0.4, made=False),
        arm("class weights", 0.6, made=False, role="reference"),
        arm("share 0.25", 0.7, made=True, role="named"),
        arm("share 0.5", 0.8, made=True),
    ]
    assert curves.choose_arms(arms) == [("cnn", "class weights"), ("cnn", "share 0.25"), ("cnn", "real")]
    assert curves.choose_arms([]) == []


def test_equal_predictions_give_equal_pictures_and_strange_arms_none():
    wanted = [("cnn", "real"), ("cnn", "no such arm")]
    assert curves.curve_figures(Said(), wanted) == curves.curve_figures(Said(), wanted)
    assert len(curves.curve_figures(Said(), wanted)) == 1
    assert curves.curve_figures(Said(), wanted[1:]) == []
