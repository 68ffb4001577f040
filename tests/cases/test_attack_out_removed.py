"""An output folder removed during a command is noticed and not made again in part; a new run starts anew."""

import shutil

import pytest

from medgan.base import files
from medgan.base.errors import OutputError
from medgan.commands.balance import balance
from medgan.commands.options import BalanceOptions, DrawOptions
from medgan.commands.sample import sample
from medgan.commands.train import train
from medgan.plan import Overrides
from tests.commands.blobs import discs, tree, untrained

QUICK = Overrides(effort="smoke", size=(16, 24), images=32, batch=8, device="cpu", features="none")
REMOVED = "was removed or replaced while this command was writing to it"


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    return discs(tmp_path_factory.mktemp("scans"), normal=6, covid=4)


@pytest.fixture(scope="module")
def model(tmp_path_factory, scans):
    return untrained(tmp_path_factory.mktemp("model") / "model", scans)


def remover(out, stage, at, replacement=None):
    """A watcher who removes `out` when `at` units of `stage` are done, once."""
    left = [True]

    def on_progress(report):
        if left and report.stage == stage and report.done >= at:
            left.clear()
            shutil.rmtree(out)
            if replacement is not None:
                replacement()

    return on_progress


@pytest.mark.parametrize("at", [16, 32], ids=["midway", "end"])
def test_train_notices_and_starts_anew(scans, tmp_path, at):
    out = tmp_path / "run"
    with pytest.raises(OutputError, match=REMOVED) as caught:
        train(scans, out, overrides=QUICK, on_progress=remover(out, "training", at))
    assert "Repeat the same command" in caught.value.hint
    assert not out.exists()
    assert train(scans, out, overrides=QUICK).images_shown == 32


def test_a_folder_of_the_same_name_is_not_taken_for_it(scans, tmp_path):
    out = tmp_path / "run"
    with pytest.raises(OutputError, match=REMOVED):
        train(scans, out, overrides=QUICK, on_progress=remover(out, "training", 16, replacement=out.mkdir))
    assert tree(out) == {}
    assert train(scans, out, overrides=QUICK).images_shown == 32


@pytest.mark.parametrize("stage", ["writing", "checking"])
@pytest.mark.parametrize("at", [1, 6])
def test_sample_notices_and_starts_anew(model, tmp_path, stage, at):
    out = tmp_path / "out"
    with pytest.raises(OutputError, match=REMOVED):
        sample(model, out, options=DrawOptions(count=3, no_filter=True), on_progress=remover(out, stage, at))
    assert not out.exists()
    assert sample(model, out, options=DrawOptions(count=3, no_filter=True)).written == {
        "covid": 3,
        "normal": 3,
    }


@pytest.mark.parametrize(
    ("stage", "at"), [("training", 16), ("writing", 2), ("repeating", 1), ("checking", 1)]
)
def test_balance_notices_and_starts_anew(scans, tmp_path, stage, at):
    out, how = tmp_path / "out", {"options": BalanceOptions(no_filter=True), "holdout": 0.0}
    with pytest.raises(OutputError, match=REMOVED):
        balance(scans, out, **how, overrides=QUICK, on_progress=remover(out, stage, at))
    assert not out.exists()
    assert balance(scans, out, **how, overrides=QUICK).written == {"covid": 2, "normal": 2}


def test_the_run_beside_a_balanced_folder_is_watched_too(scans, tmp_path):
    out, run = tmp_path / "out", tmp_path / "out.run"
    with pytest.raises(OutputError, match="run was removed or replaced"):
        balance(scans, out, overrides=QUICK, on_progress=remover(run, "training", 16))
    assert not run.exists()


def test_other_folders_may_come_and_go(tmp_path):
    (tmp_path / "kept").mkdir()
    with files.keep_in_place(tmp_path / "kept"):
        files.write_text(tmp_path / "other" / "a.txt", "a")
        shutil.rmtree(tmp_path / "other")
        files.write_text(tmp_path / "other" / "a.txt", "a")
        files.write_text(tmp_path / "kept" / "a.txt", "a")
    shutil.rmtree(tmp_path / "kept")
    files.write_text(tmp_path / "kept" / "a.txt", "a")  # nobody relies on it any longer
