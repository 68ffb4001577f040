"""Commands in several processes, as torchrun starts them: one result, told once, as one process writes it."""

import json
import os
import subprocess
import sys

import pytest

from medgan.cli import config
from medgan.commands.balance import balance
from medgan.commands.options import BalanceOptions, DrawOptions
from medgan.commands.sample import sample
from tests import jobs
from tests.commands.blobs import discs, tree, untrained

pytestmark = pytest.mark.slow
SMOKE = ["--effort", "smoke", "--size", "16x24", "--device", "cpu", "--json"]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return discs(tmp_path_factory.mktemp("discs"), normal=5, mass=3)


@pytest.fixture(scope="module")
def model(source, tmp_path_factory):
    return untrained(tmp_path_factory.mktemp("model"), source)


def told_once(ended):
    """The JSON of the first process, where the others said nothing."""
    (first, _), *others = ended
    assert all(out == err == "" for out, err in others)
    return json.loads(first)


def test_torchrun_trains_one_model_for_a_budget_of_time(source, tmp_path):
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    words = ["-m", "medgan", "train", str(source.path), "--out", str(tmp_path / "run"), "--minutes", "0.05"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(jobs.ROOT)}
    command = [*torchrun, *words, "--batch", "16", *SMOKE]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=jobs.PATIENCE)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    log = (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    shown = [json.loads(line)["images_shown"] for line in log]
    assert shown == sorted(set(shown))
    assert shown[-1] == report["images_shown"]
    assert len(list((tmp_path / "run" / "grids").iterdir())) == len(shown)


LAST = """
import atexit, torch.distributed
atexit.register(lambda: print(torch.distributed.is_initialized()))  # registered first, so called last
from medgan.commands.job import join_job
print(join_job("cpu").first(lambda: 7), torch.distributed.is_initialized())
"""


def test_processes_leave_each_other_before_python_ends():
    ended = jobs.finish(jobs.start(2, "-c", LAST))
    assert [out.split() for out, _ in ended] == [["7", "True", "False"]] * 2


def test_images_drawn_by_two_processes_are_those_of_one(model, tmp_path):
    words = "--label mass --count 5 --format nifti --no-filter --json"
    command = ["-m", "medgan", "sample", model, "--out", tmp_path / "two", *words.split()]
    report = told_once(jobs.finish(jobs.start(2, *command)))
    assert report["written"] == {"mass": 5, "normal": 0}
    sample(
        model,
        tmp_path / "one",
        options=DrawOptions(label=["mass"], count=5, format="nifti", no_filter=True),
    )
    (tmp_path / "two" / config._NAME).unlink()  # which the command line leaves
    assert tree(tmp_path / "two") == tree(tmp_path / "one")


def balanced_alike(source, model, folder, *, filtered):
    """What two processes tell of a balanced folder, which is that of one."""
    words = f"--model {model} --target 9 --json" + (" --no-filter" if not filtered else "")
    command = ["-m", "medgan", "balance", source.path, "--out", folder / "two" / "out", *words.split()]
    report = told_once(jobs.finish(jobs.start(2, *command)))
    balance(
        source, folder / "one" / "out", options=BalanceOptions(model=model, target=9, no_filter=not filtered)
    )
    (folder / "two" / "out" / config._NAME).unlink()  # which the command line leaves
    assert tree(folder / "two") == tree(folder / "one")
    return report


def test_a_folder_balanced_by_two_processes_is_that_of_one(source, model, tmp_path):
    report = balanced_alike(source, model, tmp_path, filtered=False)
    assert report["counts"]["after"] == {"mass": 12, "normal": 12}
    assert report["repeated"] == {"mass": 6, "normal": 4}


def test_filtered_images_of_two_processes_are_those_of_one(source, model, tmp_path):
    report = balanced_alike(source, model, tmp_path, filtered=True)
    assert all(
        seen["drawn"] > seen["kept"] for seen in report["filter"]["counts"].values()
    )  # it had to choose


def test_an_evaluation_and_its_report_are_made_by_the_first_process_alone(source, model, tmp_path):
    words = "--only fidelity --device cpu --json"
    command = ["-m", "medgan", "evaluate", source.path, "--model", model, "--out", tmp_path / "out"]
    report = told_once(jobs.finish(jobs.start(2, *command, *words.split())))
    assert report["counts"]["synthetic"] == {"mass": 200, "normal": 200}
    lines = (tmp_path / "out" / "parts" / "choice.jsonl").read_text("utf-8").splitlines()
    assert len(lines) == 2  # a class each: nobody has chosen beside the first process
    (tmp_path / "out" / "report.html").unlink()
    page = told_once(jobs.finish(jobs.start(2, "-m", "medgan", "report", tmp_path / "out", "--json")))
    assert page == {"report": str(tmp_path / "out" / "report.html")}
    assert (tmp_path / "out" / "report.html").exists()


def test_what_an_evaluation_refuses_is_told_once(source, tmp_path):
    words = ["evaluate", source.path, "--out", tmp_path / "out", "--device", "cpu"]
    ended = [(job, *job.communicate(timeout=jobs.PATIENCE)) for job in jobs.start(2, "-m", "medgan", *words)]
    assert [job.returncode for job, _, _ in ended] == [1, 1]
    assert "there is nothing synthetic to judge" in ended[0][2]
    assert ended[1][1:] == ("", "")


def test_what_all_would_refuse_is_told_once_and_nothing_is_made(source, tmp_path):
    words = ["train", source.path, "--out", tmp_path / "run", "--batch", "5", *SMOKE]
    ended = [(job, *job.communicate(timeout=jobs.PATIENCE)) for job in jobs.start(2, "-m", "medgan", *words)]
    assert [job.returncode for job, _, _ in ended] == [1, 1]
    assert "2 processes cannot share a batch of 5 images evenly" in ended[0][2]
    assert ended[1][1:] == ("", "")
    assert not (tmp_path / "run").exists()
