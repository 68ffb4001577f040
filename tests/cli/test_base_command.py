import tomllib
from pathlib import Path

import pytest
import typer.main
from typer.testing import CliRunner

from medgan.base.errors import PlanError
from medgan.base.results import TrainResult
from medgan.cli import config, ticker
from medgan.cli.app import app
from medgan.cli.base_command import reword_refusal, settable

RUN = CliRunner()


@pytest.fixture
def trained(monkeypatch):
    """Calls of `train`, which does nothing here but leave its folder."""
    calls = []

    def train(source, out, *, overrides, on_progress, **options):
        calls.append((source, overrides, options))
        out.mkdir(exist_ok=True)
        return TrainResult(run=out, images_shown=0, seconds=0.0, model_digest="0", warnings=())

    monkeypatch.setattr("medgan.commands.train.train", train)
    return calls


def invoke(*words):
    return RUN.invoke(app, [str(word) for word in words])


def test_a_file_gives_the_options_that_are_not_typed(trained, tmp_path, cut_scans):
    file = tmp_path / "mine.toml"
    file.write_text("[train]\nsize = 48\nminutes = 2.5\neffort = 'quick'\n")
    done = invoke("train", cut_scans, "-o", tmp_path / "run", "--config", file, "--effort", "smoke")
    assert done.exit_code == 0, done.output
    ((_, wish, _),) = trained
    assert (wish.size, wish.minutes, wish.effort) == ((48, 48), 2.5, "smoke")


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("effort = 'fast'", 2, "'fast' is not one of"),  # checked as if it was typed
        ("minute = 3", 1, "Did you mean minutes?"),
    ],
)
def test_a_line_of_a_file_that_no_option_takes_is_refused(trained, tmp_path, cut_scans, line, code, words):
    file = tmp_path / "mine.toml"
    file.write_text(f"[train]\n{line}\n")
    done = invoke("train", cut_scans, "-o", tmp_path / "run", "--config", file)
    assert (done.exit_code, trained) == (code, [])
    assert words in done.output


def test_a_command_leaves_what_repeats_it_and_no_path(trained, tmp_path, cut_scans):
    table = tmp_path / "labels.csv"
    table.write_text("path,label\n")
    first = invoke(
        "train", cut_scans, "-o", tmp_path / "run", "--labels", table, "--size", "48x64", "--seed", 3, "-q"
    )
    assert first.exit_code == 0, first.output
    file = tmp_path / "run" / config._NAME
    assert tomllib.loads(file.read_text()) == {"train": {"size": "48x64", "seed": 3}}
    assert str(tmp_path) not in file.read_text()
    assert "# medgan train SOURCE --labels FILE --out FOLDER --config medgan.toml\n" in file.read_text()
    again = invoke("train", cut_scans, "-o", tmp_path / "other", "--labels", table, "--config", file)
    assert again.exit_code == 0, again.output
    assert trained[0] == trained[1]
    assert (tmp_path / "other" / config._NAME).read_bytes() == file.read_bytes()


def test_a_dry_run_leaves_nothing(trained, tmp_path, cut_scans):
    (tmp_path / "run").mkdir()
    assert invoke("train", cut_scans, "-o", tmp_path / "run", "--dry-run").exit_code in {0, 1}
    assert list((tmp_path / "run").iterdir()) == []


def test_no_file_of_options_can_name_a_place():
    for command in typer.main.get_command(app).commands.values():
        names = set(settable(command))
        assert not names & {"out", "labels", "model", "against", "config", "like", "json"}


@pytest.mark.parametrize(
    ("flag", "manner"), [("-q", (True, False)), ("-v", (False, True)), (None, (False, False))]
)
def test_quiet_and_verbose_hold_for_the_command_alone(trained, tmp_path, cut_scans, flag, manner):
    done = invoke("train", cut_scans, "-o", tmp_path / "run", *([flag] if flag else []))
    assert done.exit_code == 0, done.output
    assert (ticker._VERBOSITY.quiet, ticker._VERBOSITY.verbose) == manner


def test_jobs_are_the_processes_that_read(trained, tmp_path, cut_scans, monkeypatch):
    monkeypatch.setenv("MEDGAN_WORKERS", "7")
    assert invoke("train", cut_scans, "-o", tmp_path / "run", "-j", 1).exit_code == 0
    import os

    from medgan.base.workers import VARIABLE

    assert os.environ[VARIABLE] == "1"


@pytest.mark.parametrize(
    ("words", "plain"),
    [
        ("Value error, 'fast' is not one of 'quick'.", "'fast' is not one of 'quick'."),
        ("Input should be greater than or equal to 0.05", "it must be greater than or equal to 0.05"),
        ("write 64, or 64x80", "write 64, or 64x80"),
    ],
)
def test_a_refusal_is_in_plain_words(words, plain):
    assert reword_refusal(words) == plain


@pytest.mark.parametrize("words", [("help",), ("help", "train")])
def test_help_is_a_command_too(words):
    told = invoke(*words)
    flag = invoke(*words[1:], "--help")
    assert (told.exit_code, told.output.strip()) == (0, flag.output.strip())


def test_help_of_nothing_is_refused():
    done = invoke("help", "trian")
    assert done.exit_code == 2
    assert "there is no command trian" in done.output


def test_an_example_is_never_folded():
    narrow = RUN.invoke(app, ["balance", "--help"], env={"COLUMNS": "60", "TERMINAL_WIDTH": "60"})
    assert (
        "medgan balance scans/ --out balanced/ --model run/ --target 500 --class covid=800\n" in narrow.output
    )


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_can_be_shown(shell, monkeypatch):
    monkeypatch.setattr("shellingham.detect_shell", lambda: (shell, f"/bin/{shell}"))
    assert "medgan" in invoke("--show-completion").output


def test_a_path_object_is_what_out_is():
    command = typer.main.get_command(app).commands["train"]
    context = command.make_context("train", ["scans", "-o", "run"])
    assert context.params["out"] == Path("run")


@pytest.fixture
def balanced(monkeypatch):
    """Calls of `balance`, which does nothing here."""
    calls = []

    def balance(source, out, **task):
        calls.append(task)
        raise PlanError("enough")

    monkeypatch.setattr("medgan.commands.balance.balance", balance)
    return calls


def test_a_top_up_is_synthetic_images_alone(balanced, tmp_path, cut_scans):
    invoke("balance", cut_scans, "-o", tmp_path / "more", "--top-up")
    assert balanced[0]["options"].way == "none"
    done = invoke("balance", cut_scans, "-o", tmp_path / "more", "--top-up", "--real", "link")
    assert done.exit_code == 2
    assert "leave --real link away" in done.output


def test_whoever_links_originals_is_warned(balanced, tmp_path, cut_scans):
    assert (
        "edits the original" in invoke("balance", cut_scans, "-o", tmp_path / "out", "--real", "link").output
    )
    assert "edits the original" not in invoke("balance", cut_scans, "-o", tmp_path / "out").output


def test_tensorboard_is_no_wish_of_a_balance_that_trains_nothing(balanced, tmp_path, cut_scans):
    done = invoke("balance", cut_scans, "-o", tmp_path / "out", "--model", tmp_path, "--tensorboard")
    assert "Training options change nothing with --model" in done.output
    invoke("balance", cut_scans, "-o", tmp_path / "out", "--tensorboard")
    assert balanced[0]["tensorboard"]


@pytest.mark.slow
def test_a_dry_balance_tells_what_would_be_written(tmp_path, cut_scans):
    words = ("--dry-run", "--effort", "smoke", "--images", 32, "--size", 16, "--features", "none")
    done = invoke("balance", cut_scans, "-o", tmp_path / "out", *words)
    assert done.exit_code == 0, done.output
    assert "What would be written" in done.output
    assert "Nothing was written." in done.output
    assert not (tmp_path / "out").exists()
