"""What more real patients would bring, from levels that are known."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from medgan.evaluation.usefulness.arm_scores import BootstrapSet
from medgan.evaluation.usefulness.headroom import FALLING, FLAT, RISING, _trend, headroom
from medgan.evaluation.usefulness.trials import Rung
from medgan.evaluation.usefulness.verdict import CANNOT_TELL, WITHIN
from tests.evaluation.rings import shapes

HELD = shapes(60, 30, 0)
TEST_SET = BootstrapSet.of(HELD, [1], 200, 0)


def rung(patients, found):
    """Two classifiers that put `found` of 30 rare images first and all others last."""
    score = np.where(HELD.labels == 1, -2.0, 0.0)
    score[np.flatnonzero(HELD.labels == 1)[:found]] = 2.0
    one = np.stack([0 * score, score], axis=1).astype(np.float32)
    return Rung(patients=patients, logits=np.stack([one, one]))


def told(*rungs, ceiling=None, named=0.0, reference=0.0, test_set=TEST_SET):
    entries = (SimpleNamespace(arm=SimpleNamespace(auprc=value)) for value in (named, reference))
    return headroom(test_set, SimpleNamespace(rungs=rungs, ceiling=ceiling), *entries, ["rare"])


def test_what_twice_as_many_bring_is_the_slope_over_the_logarithm():
    found = told(rung(10, 6), rung(20, 18), rung(40, 30))
    levels = [level.auprc for level in found.levels]
    assert found.doubled == pytest.approx((levels[2] - levels[0]) / 2, abs=1e-4)
    assert 0 < found.interval[0] < found.doubled < found.interval[1]
    assert found.trend == RISING
    assert found.sentence.startswith("Even twice as many real patients with rare would bring about +")


def test_a_flat_curve_expects_no_help_of_more_patients():
    found = told(rung(10, 18), rung(20, 18), rung(40, 18))
    assert (found.trend, found.doubled) == (FLAT, 0)
    assert found.sentence == (
        "The learning curve is flat: more real patients with rare are not expected to help at this size"
        " (twice as many: +0.0 points of AUPRC, 95 % interval +0.0 to +0.0)."
    )


def test_a_falling_curve_is_called_so_and_promises_nothing():
    found = told(rung(10, 30), rung(20, 18), rung(40, 6))
    assert found.trend == FALLING
    assert found.interval[1] < 0
    low, high = (f"{100 * end:+.1f}" for end in found.interval)
    assert found.sentence == (
        "The learning curve falls: classifiers found rare better with fewer real patients of it (twice as"
        f" many: {100 * found.doubled:+.1f} points of AUPRC, 95 % interval {low} to {high}). More are not"
        " expected to help; look for wrong labels, or scans unlike those of the held-out patients."
    )


def test_a_noisy_curve_cannot_tell_and_says_how_wide_it_is():
    """Two classifiers that disagree, so that the interval over classifiers is wide."""
    first, second = rung(40, 6), rung(40, 30)
    found = told(rung(10, 18), Rung(patients=40, logits=np.stack([first.logits[0], second.logits[0]])))
    assert (found.interval[0] < 0, found.interval[1] > WITHIN) == (True, True)
    assert found.trend == CANNOT_TELL
    low, high = (f"{100 * end:+.1f}" for end in found.interval)
    assert found.sentence.startswith(
        "Cannot tell whether more real patients with rare would help: twice as many may change the AUPRC by"
        f" anything from {low} to {high} points (95 % interval; estimate {100 * found.doubled:+.1f})"
    )


@pytest.mark.parametrize(
    ("ends", "judged", "trend"),
    [
        ((0.001, 0.2), 5, RISING),
        ((0.001, 0.2), 4, CANNOT_TELL),
        ((-0.2, -0.001), 5, FALLING),
        ((-0.01, 0.01), 5, FLAT),
        ((-0.08, 0.01), 5, FLAT),  # whether it falls is open, but no gain is expected
        ((-0.005, 0.0101), 5, CANNOT_TELL),
    ],
)
def test_the_trend_follows_from_the_interval_and_the_patients(ends, judged, trend):
    assert _trend(ends, judged) == trend


def test_two_patients_tell_no_trend_however_sure_it_looks():
    few = replace(HELD, patients=np.array([f"{n % 2}-{k}" for n, k in enumerate(HELD.labels)]))
    test_set = BootstrapSet.of(few, [1], 200, 0)
    found = told(rung(10, 6), rung(20, 18), rung(40, 30), test_set=test_set)
    assert found.trend == CANNOT_TELL
    assert found.sentence == (
        "Cannot tell whether more real patients with rare would help: only 2 held-out patients have rare, and"
        " at least 5 are needed."
    )


def test_the_ceiling_and_what_is_recovered_of_it_are_told():
    found = told(rung(10, 6), rung(20, 12), ceiling=rung(60, 30), named=0.7, reference=0.6)
    assert found.ceiling.auprc == 1
    assert found.recovered == pytest.approx(0.25)
    assert (
        "Measured with 60 such patients: +40.0 points, 25% of which synthetic images recover."
        in found.sentence
    )


def test_where_synthetic_images_lose_none_of_the_gain_is_recovered():
    found = told(ceiling=rung(60, 30), named=0.5, reference=0.6)
    assert found.sentence.endswith("+40.0 points, none of which synthetic images recover.")


def test_where_more_patients_bring_nothing_no_share_is_told():
    found = told(rung(10, 6), rung(20, 30), ceiling=rung(60, 6), named=0.9, reference=1.0)
    assert found.recovered is None
    assert "recover" not in found.sentence


def test_a_ceiling_is_told_without_any_other_level():
    found = told(ceiling=rung(60, 30), named=0.7, reference=0.6)
    assert (found.levels, found.doubled, found.interval) == ((), None, None)
    assert (
        found.sentence
        == "Measured with 60 such patients: +40.0 points, 25% of which synthetic images recover."
    )


def test_without_levels_nothing_is_said():
    assert told() is None
    assert told(rung(1, 3), rung(1, 3)) is None
