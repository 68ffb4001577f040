import pytest

from medgan.base.errors import MedganError, PlanError
from medgan.commands.dry_run import foresee
from medgan.commands.options import BalanceOptions
from medgan.dataset.source import Source
from medgan.plan import Overrides

SMALL = Overrides(effort="smoke", images=32, size=(16, 16), batch=16, features="none")


def test_what_is_foreseen_is_what_is_missing_and_nothing_is_written(cut_scans, tmp_path):
    seen = foresee(Source(path=cut_scans), tmp_path / "out", options=BalanceOptions(), overrides=SMALL)
    assert (seen.before, seen.repeated) == ({"mass": 4, "normal": 8}, {"mass": 4, "normal": 0})
    assert seen.missing == {"mass": 3, "normal": 3}
    assert (seen.share["asked"], seen.share["reached"], seen.notes) == ("0.25", 0.2727, ())
    assert (seen.trains, seen.at_most) == (True, False)
    assert seen.plan["size"]["value"] == [16, 16]
    assert seen.estimate_seconds > 0
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_trained_where_nothing_is_made(cut_scans, tmp_path):
    options = BalanceOptions(share=0)
    seen = foresee(Source(path=cut_scans), tmp_path / "out", options=options, overrides=SMALL)
    assert (seen.trains, seen.estimate_seconds) == (False, 0.0)
    assert seen.repeated == {"mass": 4, "normal": 0}


def test_what_one_should_know_is_told_before_anything_is_done(cut_scans, tmp_path):
    def notes(**wishes):
        task = {"options": BalanceOptions(**wishes), "overrides": SMALL}
        return " ".join(foresee(Source(path=cut_scans), tmp_path / "out", **task).notes)

    assert "was 2.9 points" in notes(fill="synthetic")
    assert notes(max_synthetic_ratio=0.5) == (
        "share 0.2 instead of 0.25: 2 of 3 images of mass are allowed by --max-synthetic-ratio"
    )
    assert "repeated until every class has 8" in notes(real="none")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (BalanceOptions(share=0, real="none"), "nothing to write"),
        (BalanceOptions(class_={"lung": 3}), "no class 'lung'"),
    ],
)
def test_what_balance_would_refuse_is_refused(cut_scans, tmp_path, options, sentence):
    with pytest.raises(PlanError, match=sentence):
        foresee(Source(path=cut_scans), tmp_path / "out", options=options, overrides=SMALL)


def test_a_folder_of_somebody_else_is_refused(cut_scans, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(MedganError, match="medgan balance cannot continue it"):
        foresee(Source(path=cut_scans), tmp_path, options=BalanceOptions(), overrides=SMALL)
