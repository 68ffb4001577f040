import numpy as np
import pytest

from medgan.base.errors import DatasetError
from medgan.base.progress import ignore
from medgan.evaluation import analyses
from medgan.evaluation.analyses import AnalysisInput, _giveaways, _shortcut, _usefulness
from medgan.evaluation.data import _CHECKED, EvaluationData
from tests.evaluation.phantoms import drawn


@pytest.mark.parametrize("part", [_giveaways, _usefulness, _shortcut])
def test_without_held_out_patients_nothing_is_judged(part):
    train = drawn((9, 4), 0)
    nobody = train.take([])
    images = EvaluationData(
        train=train, val=nobody, test=nobody, synthetic=train.take(np.arange(4)), unseen=_CHECKED, sources={}
    )
    given = AnalysisInput(images=images, effort="quick", seed=0, runs={}, on_progress=ignore)
    with pytest.raises(DatasetError, match="no real patients are held out"):
        part(given)


@pytest.mark.parametrize(
    ("part", "measure"), [(_usefulness, "measure_usefulness"), (_shortcut, "measure_shortcut")]
)
@pytest.mark.parametrize("split", ["val", "test"])
def test_patients_of_either_split_can_judge(part, measure, split, monkeypatch):
    """`--holdout` makes a val split and no test split."""
    train = drawn((9, 4), 0)
    held = {"val": train.take([]), "test": train.take([]), split: drawn((5, 3), 1)}
    images = EvaluationData(
        train=train, **held, synthetic=train.take(np.arange(4)), unseen=_CHECKED, sources={}
    )
    asked = []
    monkeypatch.setattr(analyses, measure, lambda sets, **_: asked.append(len(sets.held_out)))
    part(AnalysisInput(images=images, effort="quick", seed=0, runs={}, on_progress=ignore))
    assert asked == [8]
