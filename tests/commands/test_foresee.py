import pytest

from medgan.commands.balance import BalanceOptions
from medgan.commands.foresee import foresee
from medgan.dataset.source import Source
from medgan.errors import MedganError, PlanError
from medgan.plan import Overrides

SMALL = Overrides(effort="smoke", images=32, size=(16, 16), batch=16, features="none")


def test_what_is_foreseen_is_what_is_missing_and_nothing_is_written(cut_scans, tmp_path):
    seen = foresee(
        Source(path=cut_scans), tmp_path / "out", model=None, options=BalanceOptions(), overrides=SMALL
    )
    assert (seen.before, seen.missing) == ({"mass": 4, "normal": 8}, {"mass": 4, "normal": 0})
    assert (seen.trains, seen.at_most) == (True, False)
    assert seen.plan.size == (16, 16)
    assert seen.estimate_seconds > 0
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_trained_where_nothing_is_missing(cut_scans, tmp_path):
    options = BalanceOptions(target=2)
    seen = foresee(Source(path=cut_scans), tmp_path / "out", model=None, options=options, overrides=SMALL)
    assert (seen.trains, seen.estimate_seconds) == (False, 0.0)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (BalanceOptions(target=2, real="none"), "nothing to write"),
        (BalanceOptions(per_class={"lung": 3}), "no class 'lung'"),
    ],
)
def test_what_balance_would_refuse_is_refused(cut_scans, tmp_path, options, sentence):
    with pytest.raises(PlanError, match=sentence):
        foresee(Source(path=cut_scans), tmp_path / "out", model=None, options=options, overrides=SMALL)


def test_a_folder_of_somebody_else_is_refused(cut_scans, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(MedganError, match="did not write it"):
        foresee(Source(path=cut_scans), tmp_path, model=None, options=BalanceOptions(), overrides=SMALL)
