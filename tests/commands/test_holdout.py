"""Whom training holds out unasked is held out in every command, and everybody is told."""

import json
from dataclasses import replace

import pytest

from medgan.base.errors import ModelError, PlanError
from medgan.base.job import ALONE
from medgan.base.progress import NOTE
from medgan.commands.balance import balance
from medgan.commands.dry_run import foresee
from medgan.commands.inspect import inspect
from medgan.commands.options import BalanceOptions, DrawOptions
from medgan.commands.sample import sample
from medgan.commands.train import train
from medgan.evaluation.data import _CHECKED, Request, load_evaluation_data
from medgan.evaluation.options import EvidenceOptions
from medgan.learners.gan.model import Model
from medgan.plan import Overrides
from tests.commands.blobs import discs, tree

QUICK = Overrides(effort="smoke", size=(16, 24), images=32, batch=8, device="cpu", features="none", seed=3)
PLAIN = BalanceOptions(no_filter=True)


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """Of 15 and 10 scans without a split 3 and 2 are held out."""
    return discs(tmp_path_factory.mktemp("scans"), normal=15, covid=10)


@pytest.fixture(scope="module")
def run(scans, tmp_path_factory):
    """Trained as the README types it."""
    return train(scans, tmp_path_factory.mktemp("run") / "run", overrides=QUICK).run


def notes(command):
    """The notes that are told while `command` is at work."""
    told = []
    command(told.append)
    return [one.words for one in told if one.stage == NOTE and "held out" in one.words]


def test_training_says_whom_it_holds_out_and_the_model_keeps_it(scans, run, tmp_path):
    assert Model.load(run).counts == {"covid": 8, "normal": 12}
    (sentence,) = notes(
        lambda told: train(scans, tmp_path / "r", overrides=QUICK, dry_run=True, on_progress=told)
    )
    assert "5 of 25 patients are held out as val" in sentence
    assert sentence in inspect(scans, overrides=QUICK).warnings


def test_a_model_is_judged_on_those_whom_its_training_held_out(scans, run):
    found = load_evaluation_data(
        Request(source=scans, model=run, per_class=2, evidence=EvidenceOptions(no_filter=True)), ALONE
    )
    assert found.unseen == _CHECKED
    assert found.held_out.counts == {"covid": 2, "normal": 3}


def test_a_balanced_folder_of_the_model_knows_them_too(scans, run, tmp_path):
    done = balance(scans, tmp_path / "out", options=replace(PLAIN, model=run))
    assert done.counts["before"] == {"covid": 8, "normal": 12}
    found = load_evaluation_data(Request(source=scans, synthetic=tmp_path / "out"), ALONE)
    assert (found.unseen, found.held_out.counts) == (_CHECKED, {"covid": 2, "normal": 3})
    balance(scans, tmp_path / "again", options=replace(PLAIN, model=run), holdout=0.2)
    for name in ("out", "again"):
        (tmp_path / name / "report.html").unlink()  # names the folder it lies in
    assert tree(tmp_path / "out") == tree(tmp_path / "again")


def test_balancing_that_trains_and_what_is_foreseen_of_it_hold_out_the_same(scans, tmp_path):
    seen = foresee(scans, tmp_path / "b", options=PLAIN, overrides=QUICK)
    done = balance(scans, tmp_path / "b", options=PLAIN, overrides=QUICK)
    assert seen.before == done.counts["before"] == {"covid": 8, "normal": 12}


def test_sampling_beside_the_scans_compares_with_those_learned_from(scans, run, tmp_path):
    sample(run, tmp_path / "out", options=DrawOptions(count=2, against=scans.path))
    facts = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))
    assert facts["filter"]["compared_with"] == Model.load(run).data_digest
    assert facts["holdout"] == {"share": 0.2, "least": 5}


def test_another_holdout_than_the_models_is_refused_in_words(scans, run, tmp_path):
    with pytest.raises(PlanError, match=r"trained with --holdout 0\.2"):
        load_evaluation_data(Request(source=scans, model=run, evidence=EvidenceOptions(holdout=0.3)), ALONE)
    with pytest.raises(PlanError, match=r"trained with --holdout 0\.2"):
        balance(scans, tmp_path / "out", options=BalanceOptions(model=run), holdout=0.0)
    with pytest.raises(PlanError, match=r"trained with --holdout 0\.2"):
        sample(run, tmp_path / "out", options=DrawOptions(against=scans.path, holdout=0.5))
    assert not (tmp_path / "out").exists()


def test_scans_of_another_data_set_are_not_held_out(scans, run, tmp_path):
    options = BalanceOptions(model=run, share=0, any_model=True, no_filter=True)
    done = balance(scans, tmp_path / "out", options=options)
    assert done.counts["before"] == {"covid": 10, "normal": 15}


def test_zero_learns_from_all_and_says_nothing(scans, tmp_path):
    found = inspect(scans, holdout=0.0)
    assert set(found.counts) == {"train"}
    assert not [sentence for sentence in found.warnings if "held out" in sentence]
    run = train(scans, tmp_path / "run", overrides=QUICK, holdout=0.0).run
    assert Model.load(run).counts == {"covid": 10, "normal": 15}


def test_a_model_of_before_holds_out_what_is_asked_for(scans, run, tmp_path):
    place = run / "model" / "model.json"
    facts = json.loads(place.read_text(encoding="utf-8"))
    old = tmp_path / "old"
    old.mkdir()
    (old / "generator.safetensors").write_bytes((run / "model" / "generator.safetensors").read_bytes())
    kept = {name: value for name, value in facts.items() if name not in {"holdout", "cautions"}}
    (old / "model.json").write_text(json.dumps(kept), encoding="utf-8")
    assert Model.load(old).holdout is None
    request = Request(source=scans, model=old, per_class=2, evidence=EvidenceOptions(no_filter=True))
    assert load_evaluation_data(
        replace(request, evidence=EvidenceOptions(no_filter=True, holdout=0.2)), ALONE
    ).held_out.counts == {
        "covid": 2,
        "normal": 3,
    }
    with pytest.raises(ModelError, match="may have seen the patients"):
        load_evaluation_data(request, ALONE)
