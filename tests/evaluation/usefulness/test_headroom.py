"""What more real patients would bring, from levels that are known."""

from types import SimpleNamespace

import numpy as np
import pytest

from medgan.evaluation.usefulness.arm_scores import Bench
from medgan.evaluation.usefulness.headroom import headroom
from medgan.evaluation.usefulness.trials import Rung
from tests.evaluation.rings import shapes

HELD = shapes(60, 30, 0)
BENCH = Bench.of(HELD, [1], 200, 0)


def rung(patients, found):
    """Two classifiers that put `found` of 30 rare images first and all others last."""
    score = np.where(HELD.labels == 1, -2.0, 0.0)
    score[np.flatnonzero(HELD.labels == 1)[:found]] = 2.0
    one = np.stack([0 * score, score], axis=1).astype(np.float32)
    return Rung(patients=patients, logits=np.stack([one, one]))


def told(*rungs, ceiling=None, named=0.0, reference=0.0):
    entries = (SimpleNamespace(arm=SimpleNamespace(auprc=value)) for value in (named, reference))
    return headroom(BENCH, SimpleNamespace(rungs=rungs, ceiling=ceiling), *entries, ["rare"])


def test_what_twice_as_many_bring_is_the_slope_over_the_logarithm():
    found = told(rung(10, 6), rung(20, 18), rung(40, 30))
    levels = [level.auprc for level in found.levels]
    assert found.doubled == pytest.approx((levels[2] - levels[0]) / 2, abs=1e-4)
    assert 0 < found.interval[0] < found.doubled < found.interval[1]
    assert found.sentence.startswith("Even twice as many real patients with rare would bring about +")


def test_the_ceiling_and_what_is_recovered_of_it_are_told():
    found = told(rung(10, 6), rung(20, 12), ceiling=rung(60, 30), named=0.7, reference=0.6)
    assert found.ceiling.auprc == 1
    assert found.recovered == pytest.approx(0.25)
    assert (
        "Measured with 60 such patients: +40.0 points, 25% of which synthetic images recover."
        in found.sentence
    )


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
