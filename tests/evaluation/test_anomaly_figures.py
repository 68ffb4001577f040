"""AUROC of anomaly scores and of the shortcuts beside them."""

import numpy as np
import pytest

from medgan.evaluation.anomaly_figures import WORDS, compare

SICK = np.array([True, True, False, False])


def test_the_area_under_the_curve_counts_ties_half():
    found = compare(SICK, dict.fromkeys(WORDS, np.array([2.0, 1.0, 1.0, 0.0])))
    assert {one["name"]: one["auroc"] for one in found} == pytest.approx(dict.fromkeys(WORDS, 0.875))


def test_shortcuts_without_a_direction_count_in_their_better_one():
    found = compare(SICK, dict.fromkeys(WORDS, np.array([0.0, 1.0, 1.0, 2.0])))
    areas = {one["name"]: one["auroc"] for one in found}
    assert areas["brightness"] == areas["picture shape"] == pytest.approx(0.875)
    assert areas["score"] == pytest.approx(0.125)


@pytest.mark.parametrize("sick", [np.ones(4, bool), np.zeros(4, bool)])
def test_without_both_sides_there_is_no_figure(sick):
    assert compare(sick, dict.fromkeys(WORDS, np.arange(4.0))) == ()
