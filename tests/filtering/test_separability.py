"""What is told of the check of classes: of which it can tell apart, and where it was not done."""

import numpy as np
import pytest

from medgan.filtering import separability as told
from medgan.filtering.class_check import ClassChecker
from medgan.filtering.separability import class_check_report
from tests.similarity.test_nearest import people

NAMES = ["NORMAL", "BACTERIA", "VIRUS", "FEW"]


def judge(apart=(0, 6, 6.2), counts=(40, 40, 40, 3)):
    chance = np.random.default_rng(1)
    labels = np.repeat(np.arange(4), counts)
    points = chance.normal(size=(len(labels), 5))
    points[:, 0] += np.array([*apart, 3])[labels]
    return ClassChecker.of(points, labels, people(len(labels)), 4)


def test_classes_that_it_can_hardly_tell_apart_are_named_with_the_figure():
    found = class_check_report(judge(), NAMES)
    assert found["labels"] == NAMES[:3]
    assert [pair["classes"] for pair in found["pairs"] if pair["hardly"]] == [["BACTERIA", "VIRUS"]]
    pair = found["pairs"][2]
    assert 0.3 < pair["low"] < pair["auc"] < pair["high"] < 0.8
    few, alike = found["sentences"]
    assert few == "class check: not done for FEW (it needs two patients and 10 images)"
    assert alike == (
        f"class check: hardly separates BACTERIA from VIRUS (AUC {pair['auc']:.2f}), "
        "so a synthetic image of one may show the other"
    )


def test_several_such_pairs_share_a_sentence():
    *_, sentence = class_check_report(judge((0, 0, 0)), NAMES)["sentences"]
    assert sentence.count("(AUC ") == 3
    assert "NORMAL and BACTERIA (AUC " in sentence


@pytest.mark.parametrize(
    ("names", "there", "words"), [(["A"], True, "only one class"), (["A", "B"], False, "not installed")]
)
def test_where_nothing_was_checked_that_is_said(names, there, words, monkeypatch):
    monkeypatch.setattr(told, "is_network_installed", lambda: there)
    found = class_check_report(None, names)
    assert (found["labels"], found["pairs"]) == ([], [])
    assert len(found["sentences"]) == 1
    assert words in found["sentences"][0]
