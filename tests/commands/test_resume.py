"""Every command that fills a folder refuses and resumes alike: foreign, other, locked, stopped, complete."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from medgan.base.errors import OutputError
from medgan.base.progress import ignore
from medgan.commands.balance import balance
from medgan.commands.evaluate import evaluate
from medgan.commands.options import BalanceOptions, DrawOptions
from medgan.commands.prepare import prepare
from medgan.commands.sample import sample
from medgan.commands.train import train
from medgan.evaluation.data import Request
from medgan.evaluation.options import EvidenceOptions
from medgan.plan import Overrides
from tests.commands.blobs import discs, tree, untrained

ROOT = Path(__file__).parents[2]
HOLD = """
import sys
from pathlib import Path
from medgan.base.run_folder import RunFolder
with RunFolder(path=Path(sys.argv[1]), command="sample").lock():
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A data set and a model of it, only to be looked at."""
    place = tmp_path_factory.mktemp("world")
    scans = discs(place / "scans", normal=6, covid=4)
    return scans, untrained(place / "model", scans)


def train_into(world, out, *, changed=False, on_progress=ignore):
    quick = Overrides(effort="smoke", size=(16, 24), images=32, batch=8, device="cpu", features="none")
    wish = replace(quick, seed=3) if changed else quick
    train(world[0], out, overrides=wish, on_progress=on_progress)


def sample_into(world, out, *, changed=False, on_progress=ignore):
    options = DrawOptions(count=2, seed=3 if changed else 0)
    sample(world[1], out, options=options, on_progress=on_progress)


def balance_into(world, out, *, changed=False, on_progress=ignore):
    options = BalanceOptions(model=world[1], target=7 if changed else "largest")
    balance(world[0], out, options=options, on_progress=on_progress)


def prepare_into(world, out, *, changed=False, on_progress=ignore):
    form = "nifti" if changed else "auto"
    prepare(world[0], out, like=world[1], format=form, on_progress=on_progress)


def evaluate_into(world, out, *, changed=False, on_progress=ignore):
    evidence = EvidenceOptions(only="giveaways,privacy", seed=3 if changed else 0)
    request = Request(source=world[0], model=world[1], per_class=2, evidence=evidence)
    evaluate(request, out, on_progress=on_progress)


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command, and what of it shows that its folder resumes."""

    name: str
    work: Callable
    """Called with the world, the output folder, whether a setting differs, and an `on_progress`."""
    change: str
    """How the differing setting is named."""
    stop: tuple[str, int] = ("writing", 2)
    """(stage, units done) at which the command is stopped."""
    outcome: str = "**/*"
    """Pattern of the files that are equal after a stop, and untouched where nothing is left to do."""


COMMANDS = (
    Command(
        name="train",
        work=train_into,
        change="--seed was not given, is now 3",
        stop=("training", 24),
        outcome="model/generator.safetensors",
    ),
    Command(name="sample", work=sample_into, change="seed was 0, is now 3"),
    Command(name="balance", work=balance_into, change="target was largest, is now 7"),
    Command(name="prepare", work=prepare_into, change="format was auto, is now nifti"),
    Command(
        name="evaluate",
        work=evaluate_into,
        change="seed was 0, is now 3",
        stop=("evaluating", 1),
        outcome="parts/[gp]*.json",
    ),
)


@pytest.fixture(scope="module")
def straight(world, tmp_path_factory):
    """A function of a command's name that gives its finished folder, only to be copied."""
    finished = {}

    def finish(name):
        if name not in finished:
            command = next(command for command in COMMANDS if command.name == name)
            finished[name] = tmp_path_factory.mktemp(name) / "out"
            command.work(world, finished[name])
        return finished[name]

    return finish


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


each_command = pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)


@each_command
def test_a_folder_of_somebody_else_is_refused_and_left_as_it_is(world, out, command):
    out.mkdir()
    (out / "thesis.txt").write_text("precious", encoding="utf-8")
    with pytest.raises(OutputError) as caught:
        command.work(world, out)
    assert f"{out} is not empty, and medgan {command.name} cannot continue it: it has no" in str(caught.value)
    assert tree(out) == {"thesis.txt": b"precious"}


@each_command
def test_a_folder_of_another_command_is_refused_and_left_as_it_is(world, straight, out, command):
    shutil.copytree(straight("sample" if command.name != "sample" else "balance"), out)
    before = tree(out)
    with pytest.raises(OutputError, match=f"medgan {command.name} cannot continue it"):
        command.work(world, out)
    assert tree(out) == before


@each_command
def test_a_file_in_the_place_of_the_folder_is_refused(world, out, command):
    out.touch()
    with pytest.raises(OutputError, match="is a file, not a folder"):
        command.work(world, out)
    with pytest.raises(OutputError):
        command.work(world, out / "below")


@each_command
def test_other_settings_are_refused_by_name_with_the_next_step(world, straight, out, command):
    shutil.copytree(straight(command.name), out)
    before = tree(out)
    with pytest.raises(OutputError) as caught:
        command.work(world, out, changed=True)
    assert f"{out} holds another run of medgan {command.name}: {command.change}" in caught.value.message
    assert caught.value.hint == "Repeat the command as it was to continue that run, or choose another --out."
    assert tree(out) == before


@each_command
def test_what_another_process_is_writing_is_left_alone(world, out, command):
    half = out / ".writing" / "0"
    half.mkdir(parents=True)
    (half / "half.png").write_bytes(b"written by another")
    words = [sys.executable, "-c", HOLD, str(out)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as other:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(OutputError, match="another command is writing into"):
            command.work(world, out)
        assert tree(out) == {".writing/0/half.png": b"written by another"}
        other.stdin.close()
        assert other.wait(60) == 0
    command.work(world, out)
    assert not (out / ".writing").exists()


@each_command
def test_a_run_that_was_stopped_goes_on_and_ends_as_a_straight_one(world, straight, out, command):
    def stop(report):
        if report.stage == command.stop[0] and report.done >= command.stop[1]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        command.work(world, out, on_progress=stop)
    begun = {path for path in out.rglob("*") if path.is_file()}
    assert begun
    command.work(world, out)
    assert outcome(out, command) == outcome(straight(command.name), command)


@each_command
def test_a_complete_run_is_answered_at_once(world, straight, out, command):
    shutil.copytree(straight(command.name), out)
    before = times(out, command)
    assert before
    command.work(world, out)
    assert times(out, command) == before
    assert outcome(out, command) == outcome(straight(command.name), command)


def outcome(out, command):
    """{file: bytes} of what the command is for."""
    wanted = {path.relative_to(out).as_posix() for path in out.glob(command.outcome)}
    return {name: data for name, data in tree(out).items() if name in wanted}


def times(out, command):
    """{file: when it was written}."""
    return {path: path.stat().st_mtime_ns for path in out.glob(command.outcome) if path.is_file()}
