"""Where stdout or stderr is closed, full or a pipe closed midway, the work is done or a sentence is said."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

MEDGAN = [sys.executable, "-m", "medgan"]
FULL = Path("/dev/full")

pytestmark = pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")


def shell(line, *words):
    """(exit code, stdout, stderr) of `medgan <words>` with the redirections of `line`."""
    done = subprocess.run(
        ["bash", "-c", f'"$@" {line}', "bash", *MEDGAN, *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_with_stdout_closed_the_work_is_done(cut_scans):
    code, out, told = shell(">&-", "inspect", cut_scans, "--json")
    assert (code, out) == (0, "")
    assert "error" not in told


def test_no_file_takes_the_place_of_a_stream_that_is_closed():
    # What a library prints would else end up in the first file that is opened.
    script = (
        "import os, sys; from medgan.cli.terminal import steady; steady(); "
        "sys.exit(open(os.devnull).fileno())"
    )
    line = ["bash", "-c", '"$@" >&- 2>&- <&-', "bash", sys.executable, "-c", script]
    assert subprocess.run(line, check=False, capture_output=True).returncode > 2


@pytest.mark.parametrize("words", [["--json"], []], ids=["json", "tables"])
def test_a_full_disk_is_a_sentence_and_exit_code_1(cut_scans, words):
    code, _, told = shell("> /dev/full", "inspect", cut_scans, *words)
    assert code == 1
    assert "error: standard output: the disk is full\nnext: " in told
    assert "Exception ignored" not in told


@pytest.mark.parametrize("words", [["--version"], ["train", "--help"]], ids=" ".join)
def test_a_full_disk_is_a_sentence_for_help_too(words):
    code, _, told = shell("> /dev/full", *words)
    assert (code, told) == (1, "error: the disk is full\nnext: Free some space and repeat the command.\n")


def test_with_stderr_closed_results_come_all_the_same(cut_scans):
    code, out, told = shell("2>&-", "inspect", cut_scans, "--json")
    assert (code, told) == (0, "")
    assert json.loads(out)["counts"]["train"] == {"mass": 4, "normal": 8}


@pytest.mark.parametrize("line", ["2>&-", "2> /dev/full", ">&- 2>&- <&-"])
def test_an_error_that_cannot_be_told_keeps_its_exit_code(line):
    assert shell(line, "inspect", "nowhere", "--labels", "a.csv", "--label-column", "b")[0] == 1


def test_a_list_from_a_stdin_that_is_closed_is_an_empty_list():
    code, _, told = shell("<&-", "inspect", "-")
    assert code == 1
    assert "The list of files is empty" in told


def test_a_reader_of_stderr_that_leaves_stops_no_work(cut_scans, tmp_path):
    # `medgan ... 2>&1 >result.json | head -1`: the first line of progress is enough for the reader.
    result = tmp_path / "result.json"
    line = f"2>&1 > {result} | head -c 1 > {os.devnull}; exit ${{PIPESTATUS[0]}}"
    code, _, _ = shell(line, "inspect", cut_scans, "--json")
    assert code == 0
    assert json.loads(result.read_text())["counts"]["train"]["normal"] == 8


def test_a_reader_of_stdout_that_leaves_late_is_no_error(cut_scans):
    line = f"| head -n 2 > {os.devnull}; exit ${{PIPESTATUS[0]}}"
    code, _, told = shell(line, "inspect", cut_scans, "--files")
    assert code == 0
    assert "error" not in told
