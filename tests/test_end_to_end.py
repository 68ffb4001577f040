"""The command line as a user types it, on real files: the main job, pipelines, and every refusal."""

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from medgan.cli import app as cli
from tests.commands.blobs import tree

SMALL = ("--effort", "smoke", "--size", "16", "--images", "64", "--batch", "8", "--device", "cpu")


def medgan(*words, stdin=None):
    return CliRunner().invoke(cli.app, [str(word) for word in words], input=stdin)


def without_progress(stderr):
    """What stderr got beside the lines on progress, each of which begins with the time of day."""
    return "".join(line for line in stderr.splitlines(keepends=True) if not re.match(r"\d\d:\d\d ", line))


def told(result):
    """(what went wrong, what to do next) of a refusal; nothing of it is on stdout."""
    assert (result.exit_code, result.stdout) == (1, "")
    error, _, hint = without_progress(result.stderr).rstrip("\n").partition("\nnext: ")
    assert error.startswith("error: ")
    assert hint
    return error.removeprefix("error: "), hint


@pytest.fixture(scope="module")
def run(cut_scans, tmp_path_factory):
    """A trained run, only to be looked at and copied."""
    out = tmp_path_factory.mktemp("trained") / "run"
    assert medgan("train", cut_scans, "--out", out, *SMALL).exit_code == 0
    return out


# --- the main job ---


def test_inspect_tells_counts_what_is_rare_and_what_train_would_decide(cut_scans):
    result = medgan("inspect", cut_scans)
    assert result.exit_code == 0
    for words in ("normal", "mass", "missing", "Plan", "--size"):
        assert words in result.stdout


def test_train_leaves_a_model_a_log_and_grids(run):
    there = {path.relative_to(run).parts[0] for path in run.rglob("*")}
    assert {"run.json", "log.jsonl", "state.pt", "grids", "model"} <= there
    assert {path.name for path in (run / "model").iterdir()} == {
        "model.json",
        "generator.safetensors",
        "card.md",
    }


def test_sample_draws_what_is_asked_for(run, tmp_path):
    result = medgan(
        "sample", run, "--label", "mass", "--count", "5", "--out", tmp_path / "synthetic", "--json"
    )
    report = json.loads(result.stdout)
    assert report["written"] == {"mass": 5, "normal": 0}
    assert len(list((tmp_path / "synthetic" / "images" / "mass").glob("*.dcm"))) == 5


def test_balance_trains_when_no_model_is_given_and_evens_the_classes(cut_scans, run, tmp_path):
    result = medgan("balance", cut_scans, "--out", tmp_path / "balanced", *SMALL, "--json")
    report = json.loads(result.stdout)
    assert report["counts"] == {"before": {"mass": 4, "normal": 8}, "after": {"mass": 11, "normal": 11}}
    assert report["repeated"] == {"mass": 4, "normal": 0}
    assert report["written"] == {"mass": 3, "normal": 3}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["balanced", "balanced.run"]
    weights = "model/generator.safetensors"
    assert tree(tmp_path / "balanced.run")[weights] == tree(run)[weights]


def test_a_repeated_command_reports_the_same_and_touches_nothing(cut_scans, run, tmp_path):
    words = ("balance", cut_scans, "--out", tmp_path / "balanced", "--model", run, "--json")
    first, before = medgan(*words), tree(tmp_path)
    again = medgan(*words)
    assert first.exit_code == again.exit_code == 0
    assert again.stdout == first.stdout
    assert tree(tmp_path) == before


@pytest.mark.slow
def test_files_found_elsewhere_come_in_by_a_pipe(cut_scans):
    line = f"find . -name '*.dcm' | {sys.executable} -m medgan inspect - --json"
    done = subprocess.run(line, shell=True, cwd=cut_scans, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["counts"] == {"train": {"mass": 4, "normal": 8}}
    assert without_progress(done.stderr) == ""


def test_a_label_may_follow_a_tab(cut_scans):
    files = sorted(cut_scans.rglob("*.dcm"))
    lines = "".join(f"{path}\tclass {number % 2}\n" for number, path in enumerate(files))
    counts = json.loads(medgan("inspect", "-", "--holdout", "0", "--json", stdin=lines).stdout)["counts"]
    assert counts == {"train": {"class 0": 6, "class 1": 6}}


def test_a_dry_run_gives_plan_and_estimate_and_writes_nothing(cut_scans, tmp_path):
    result = medgan("train", cut_scans, "--out", tmp_path / "run", *SMALL, "--dry-run", "--json")
    report = json.loads(result.stdout)
    assert report["estimate_seconds"] > 0
    assert report["plan"]["images_shown"] == {"value": 64, "why": "override: as asked"}
    assert list(tmp_path.iterdir()) == []


def test_train_reports_the_documented_json(cut_scans, run):
    report = json.loads(medgan("train", cut_scans, "--out", run, *SMALL, "--json").stdout)
    assert set(report) == {"run", "images_shown", "seconds", "model_digest", "warnings"}


@pytest.mark.skipif(os.name == "nt", reason="Windows has no interrupt that is sent to one process")
@pytest.mark.slow
def test_an_interrupted_training_is_130_and_says_how_to_go_on(cut_scans, run, tmp_path):
    words = [sys.executable, "-m", "medgan", "train", cut_scans, "--out", tmp_path / "run", *SMALL]
    words[words.index("64")] = "4096"

    def listen():  # a suite that runs in the background has interrupts switched off, and hands that on
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    job = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=listen
    )
    began = time.monotonic()
    while not (tmp_path / "run" / "log.jsonl").exists() and time.monotonic() - began < 120:
        time.sleep(0.05)
    job.send_signal(signal.SIGINT)
    out, err = job.communicate(timeout=60)
    assert (job.returncode, out) == (130, "")
    assert (
        without_progress(err)
        == "error: interrupted\nnext: Repeat the same command: it goes on where it stopped.\n"
    )


# --- refusals ---


@pytest.mark.parametrize("command", ["inspect", "train", "balance"])
def test_a_wrong_path(command, tmp_path):
    out = [] if command == "inspect" else ["--out", tmp_path / "out"]
    error, hint = told(medgan(command, tmp_path / "scnas", *out))
    assert error == f"{tmp_path / 'scnas'} does not exist"
    assert "Check the path" in hint


def test_an_empty_folder(tmp_path):
    error, hint = told(medgan("inspect", tmp_path))
    assert error == f"{tmp_path} is empty"
    assert "one sub-folder per class" in hint


def test_scans_that_are_not_sorted_into_classes(cut_scans, tmp_path):
    for path in (cut_scans / "mass").iterdir():
        shutil.copy(path, tmp_path)
    error, hint = told(medgan("inspect", tmp_path))
    assert "has no class sub-folders" in error
    assert "--labels" in hint


def test_one_class_only(cut_scans, tmp_path):
    shutil.copytree(cut_scans / "normal", tmp_path / "scans" / "normal")
    result = medgan("inspect", tmp_path / "scans")
    assert result.exit_code == 0
    assert "There is only one class, normal: nothing can be balanced." in result.stdout


def test_a_class_with_a_single_image(cut_scans, tmp_path):
    shutil.copytree(cut_scans / "normal", tmp_path / "scans" / "normal")
    (tmp_path / "scans" / "mass").mkdir()
    shutil.copy(next((cut_scans / "mass").iterdir()), tmp_path / "scans" / "mass")
    for command in ("train", "balance"):
        error, hint = told(medgan(command, tmp_path / "scans", "--out", tmp_path / "out", *SMALL))
        assert "class 'mass' has 1 training image" in error
        assert "Add scans" in hint
    assert "Class mass has a single image" in medgan("inspect", tmp_path / "scans").stdout


def test_an_unknown_label(cut_scans, run, tmp_path):
    error, hint = told(medgan("sample", run, "--label", "mas", "--out", tmp_path / "out"))
    assert error == "There is no class 'mas'"
    assert hint == "Did you mean mass? The classes are mass, normal."
    wish = ("--class", "mas=9", "--model", run)
    assert told(medgan("balance", cut_scans, "--out", tmp_path / "out", *wish)) == (error, hint)


def test_a_model_from_a_newer_version(cut_scans, run, tmp_path):
    newer = shutil.copytree(run / "model", tmp_path / "model")
    facts = json.loads((newer / "model.json").read_text(encoding="utf-8"))
    (newer / "model.json").write_text(json.dumps({**facts, "version": 99}), encoding="utf-8")
    for words in (("sample", newer), ("balance", cut_scans, "--model", newer)):
        error, hint = told(medgan(*words, "--out", tmp_path / "out"))
        assert "written by a newer medgan" in error
        assert "Update medgan" in hint


def test_a_folder_without_a_model(tmp_path):
    error, hint = told(medgan("sample", tmp_path, "--out", tmp_path.parent / "out"))
    assert "no model here" in error
    assert "medgan train" in hint


@pytest.fixture
def commands(cut_scans, run, tmp_path):
    """One call of every command that writes."""
    return [
        ("train", cut_scans, "--out", tmp_path / "train", *SMALL),
        ("sample", run, "--out", tmp_path / "sample"),
        ("balance", cut_scans, "--out", tmp_path / "balance", "--model", run),
    ]


def test_a_full_disk(commands, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for words in commands:
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            error, hint = told(medgan(*words))
        assert error.endswith("the disk is full")
        assert "Free some space" in hint
        assert medgan(*words).exit_code == 0  # and it goes on


def test_a_place_that_cannot_be_written_to(commands, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "mkdir", refuse)
    for words in commands:
        error, hint = told(medgan(*words))
        assert " cannot be written" in error
        assert hint == "Choose another --out."


def test_an_output_inside_the_input(cut_scans, run):
    before = tree(cut_scans)
    for words in (("train", cut_scans), ("balance", cut_scans, "--model", run)):
        error, hint = told(medgan(*words, "--out", cut_scans / "out"))
        assert "lies inside the input" in error
        assert "elsewhere" in hint
    assert tree(cut_scans) == before


def test_a_file_that_only_claims_to_be_dicom(cut_scans, tmp_path):
    scans = shutil.copytree(cut_scans, tmp_path / "scans")
    (scans / "mass" / "fake.dcm").write_text("no DICOM", encoding="utf-8")
    report = json.loads(medgan("inspect", scans, "--files", "--json").stdout)
    assert report["verdicts"] == {"ok": 12, "skip:not-dicom": 1}
    (fake,) = (file for file in report["files"] if file["verdict"] != "ok")
    assert (fake["path"], fake["label"]) == ("mass/fake.dcm", "mass")
    assert "named like DICOM but is not" in fake["reason"]


def test_nothing_but_files_that_claim_to_be_dicom(tmp_path):
    (tmp_path / "scans" / "mass").mkdir(parents=True)
    (tmp_path / "scans" / "mass" / "fake.dcm").write_text("no DICOM", encoding="utf-8")
    error, hint = told(medgan("inspect", tmp_path / "scans"))
    assert "no usable scan: 1 skip:not-dicom" in error
    assert "medgan reads DICOM" in hint


def test_an_empty_list(tmp_path):
    error, hint = told(medgan("inspect", "-", stdin=""))
    assert error == "The list of files is empty"
    assert "find scans" in hint


def test_what_nobody_foresaw_is_exit_code_3_with_a_log(cut_scans, monkeypatch, tmp_path):
    def fail(*_, **__):
        raise ZeroDivisionError

    monkeypatch.setattr("medgan.commands.inspect.measure", fail)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    result = medgan("inspect", cut_scans)
    assert (result.exit_code, result.stdout) == (3, "")
    assert without_progress(result.stderr).startswith(
        "error: unexpected ZeroDivisionError; the details are in "
    )
    (log,) = tmp_path.iterdir()
    assert "Traceback" in log.read_text(encoding="utf-8")
