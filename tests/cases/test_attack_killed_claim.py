"""A command killed at any of its first changes of the disk is not refused by the same command."""

import subprocess
import sys
from pathlib import Path

import pytest

from medgan.base.errors import OutputError
from medgan.commands import balance as balancing
from medgan.commands.balance import balance
from medgan.commands.options import BalanceOptions
from medgan.commands.train import train
from medgan.learners.gan.model import Model
from medgan.plan import Overrides
from tests.commands.blobs import discs, tree

ROOT = Path(__file__).parents[2]
QUICK = Overrides(effort="smoke", size=(16, 24), images=16, batch=8, device="cpu", features="none")
KILLED = """
import os, signal, sys
left, under, *sys.argv[1:] = [int(sys.argv[1]), *sys.argv[2:]]
def look(event, args):
    "Die just before the change of `under` that is the last one allowed."
    global left
    opens = event == "open" and args[1] and set(args[1]) & set("wxa+")
    changes = event in {"os.mkdir", "os.rename", "os.remove"} or opens
    if changes and str(args[0]).startswith(under):
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
from medgan.__main__ import main
sys.addaudithook(look)
main()
"""


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    return discs(tmp_path_factory.mktemp("scans"), normal=6, covid=4)


def left_behind(out):
    """What a write of run.json leaves that was killed."""
    out.mkdir()
    (out / ".run.json.partial").write_bytes(b'{"vers')


def test_train_goes_on_where_it_was_killed_as_it_claimed_its_folder(scans, tmp_path):
    left_behind(tmp_path / "run")
    train(scans, tmp_path / "run", overrides=QUICK)
    assert Model.load(tmp_path / "run").images_shown == 16
    assert not [*tmp_path.rglob("*.partial")]


def test_balance_goes_on_where_the_training_beside_it_was_killed_as_it_claimed(scans, tmp_path, monkeypatch):
    monkeypatch.setattr(balancing, "write_dataset", lambda *_: pytest.skip("it goes on"))
    left_behind(tmp_path / "out.run")
    with pytest.raises(pytest.skip.Exception):
        balance(scans, tmp_path / "out", options=BalanceOptions(no_filter=True), overrides=QUICK)
    assert Model.load(tmp_path / "out.run").images_shown == 16


@pytest.mark.parametrize("name", ["notes.partial", ".hidden", ".run.json.partial.txt"])
def test_what_is_no_leftover_is_still_refused(scans, tmp_path, name):
    left_behind(tmp_path / "run")
    (tmp_path / "run" / name).write_text("mine")
    before = tree(tmp_path)
    with pytest.raises(OutputError, match="not empty"):
        train(scans, tmp_path / "run", overrides=QUICK)
    assert tree(tmp_path) == before


@pytest.mark.slow
@pytest.mark.parametrize("kills", range(7))
def test_a_training_killed_at_each_of_its_first_changes_is_taken_up(scans, tmp_path, kills):
    words = [
        "train",
        scans.path,
        "--out",
        tmp_path / "run",
        *["--effort", "smoke", "--size", "16x24", "--images", "16"],
    ]
    words += ["--batch", "8", "--device", "cpu", "--features", "none"]
    job = [sys.executable, "-c", KILLED, str(kills), str(tmp_path / "run"), *map(str, words)]
    assert subprocess.run(job, capture_output=True, cwd=ROOT).returncode == -9
    job[3] = "1000"
    done = subprocess.run(job, capture_output=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr.decode()
