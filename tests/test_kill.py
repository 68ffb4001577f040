"""A power cut at any moment: the same command, repeated, ends as if nothing had happened."""

import random
import signal
import subprocess
import sys
import time

import pytest

from medgan.scans import formats
from tests.commands.blobs import discs, tree, untrained

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no kill -9"),
]
PATIENCE = 120
"""Seconds after which a job that shows no sign has failed."""


def start(*words):
    return subprocess.Popen(
        [sys.executable, "-m", "medgan", *map(str, words)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


def finish(*words):
    job = start(*words)
    _, told = job.communicate(timeout=PATIENCE)
    assert job.returncode == 0, told.decode()


def kill_when(sign, *words, pause=0.0):
    """Start the command and kill it `pause` seconds after `sign()` turned true; whether it still ran then."""
    job, began = start(*words), time.monotonic()
    while not sign() and job.poll() is None:
        assert time.monotonic() - began < PATIENCE, "the job shows no sign"
        time.sleep(0.002)
    time.sleep(pause)
    job.kill()
    job.communicate()
    return job.returncode == -signal.SIGKILL


def test_a_killed_training_ends_in_the_same_weights(tmp_path):
    scans = discs(tmp_path / "scans", normal=12, covid=6).path
    options = "--effort smoke --size 16x24 --images 640 --batch 8 --device cpu"
    chance, log = random.Random(2), tmp_path / "killed" / "log.jsonl"

    def command(name):
        return "train", scans, "--out", tmp_path / name, *options.split()

    def ticks():
        return log.read_text().count("\n") if log.exists() else 0

    kills = 0
    for _ in range(2):
        goal = ticks() + chance.randint(1, 6)
        kills += kill_when(
            lambda goal=goal: ticks() >= goal, *command("killed"), pause=chance.uniform(0, 0.4)
        )
    assert kills == 2, "the run ended before it could be killed"
    assert not (tmp_path / "killed" / "model" / "model.json").exists()
    finish(*command("killed"))
    finish(*command("straight"))
    weights = [tree(tmp_path / name)["model/generator.safetensors"] for name in ("killed", "straight")]
    assert weights[0] == weights[1]
    grids = [sorted(tree(tmp_path / name / "grids")) for name in ("killed", "straight")]  # they tell the time
    assert grids[0] == grids[1]


def test_a_killed_balance_leaves_no_half_file_and_ends_in_the_same_bytes(tmp_path):
    source = discs(tmp_path / "discs", normal=2, mass=2)
    model = untrained(tmp_path / "model", source)
    out, chance = tmp_path / "killed", random.Random(4)

    def command(name):
        words = f"--model {model} --target 20 --format nifti"  # two files per image, so most can go wrong
        return "balance", source.path, "--out", tmp_path / name, *words.split()

    def images():
        return [path for path in (out / "images").rglob("*") if path.is_file()]

    goal = chance.randint(1, 60)
    for sign in ((out / ".choice.json").exists, lambda: len(images()) >= goal, (out / "manifest.csv").exists):
        assert kill_when(sign, *command("killed")), "the job ended before it could be killed"
        for path in images():
            if path.suffix != ".json":
                formats.read(path)
        assert {path.parent.name for path in images()} <= {"normal", "mass"}
    finish(*command("killed"))
    finish(*command("straight/killed"))  # pages name their folder
    assert tree(out) == tree(tmp_path / "straight" / "killed")
