"""The loop trains a learner that is no GAN: it ticks, resumes, rolls back, keeps to the minutes and ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from medgan.base.errors import ModelError
from medgan.base.progress import NOTE
from medgan.training import loop
from medgan.training.loop import LOG, STATE, train
from tests.learners.gan.phantoms import tiny_plan, tiny_stack
from tests.training.linear_learner import LinearLearner

ROOT = __file__.rsplit("/tests/", 1)[0]
SCRIPT = """
import sys
from pathlib import Path
from medgan.training.loop import train
from tests.learners.gan.phantoms import tiny_plan, tiny_stack
from tests.training.linear_learner import LinearLearner
plan = tiny_plan(images_shown=8000, tick=80)
train(LinearLearner(tiny_stack(), plan), plan, Path(sys.argv[1]))
"""
PLAN = tiny_plan(rate=1e-2)


def train_linear(folder, plan=PLAN, learner=None, **options):
    return train(learner or LinearLearner(tiny_stack(), plan), plan, folder, **options)


def log_of(folder):
    return [json.loads(line) for line in (folder / LOG).read_text().splitlines()]


def model_of(folder):
    return (folder / "model.json").read_bytes()


class PowerCutError(Exception):
    pass


def cut_at(images_shown):
    def cut(progress):
        if progress.done >= images_shown:
            raise PowerCutError

    return cut


def test_it_learns_and_writes_a_log_line_and_a_checkpoint_at_every_tick(tmp_path):
    ticks = []

    def on_tick(run, row):
        ticks.append((run.images_shown, row["images_shown"], (tmp_path / STATE).exists()))

    run = train_linear(tmp_path, tiny_plan(rate=1e-2, images_shown=800, tick=200), on_tick=on_tick)
    assert ticks == [(200, 200, False), (400, 400, True), (600, 600, True), (800, 800, True)]
    assert {path.name for path in tmp_path.iterdir()} == {LOG, STATE, "model.json"}
    rows = log_of(tmp_path)
    assert [(row["images_shown"], row["steps"], row["pace"], row["alarms"]) for row in rows] == [
        (shown, 25, 1.0, []) for shown in (200, 400, 600, 800)
    ]
    assert rows[-1]["squared_error"] < 0.25 * rows[0]["squared_error"]
    assert rows[-1]["accuracy"] == 1
    assert rows[-1]["words"] == f"squared error {rows[-1]['squared_error']:.3g}"
    assert run.images_shown == 800


def test_a_resumed_run_equals_a_straight_one_bit_for_bit(tmp_path):
    train_linear(tmp_path / "straight")
    for images_shown in (24, 56, 104):  # before the first checkpoint of 40, and after two of them
        with pytest.raises(PowerCutError):
            train_linear(tmp_path / "cut", on_progress=cut_at(images_shown))
    train_linear(tmp_path / "cut")
    assert model_of(tmp_path / "cut") == model_of(tmp_path / "straight")
    straight, cut = (
        [row["squared_error"] for row in log_of(tmp_path / name)] for name in ("straight", "cut")
    )
    assert cut == straight


def test_another_seed_gives_another_model(tmp_path):
    train_linear(tmp_path / "one")
    train_linear(tmp_path / "other", tiny_plan(rate=1e-2, seed=4))
    assert model_of(tmp_path / "one") != model_of(tmp_path / "other")


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no kill -9")
def test_a_killed_run_equals_a_straight_one_bit_for_bit(tmp_path):
    command = [sys.executable, "-c", SCRIPT]
    environment = {**os.environ, "PYTHONPATH": ROOT}
    subprocess.run([*command, str(tmp_path / "straight")], env=environment, check=True, cwd=ROOT)
    log = tmp_path / "killed" / LOG
    for lines in (1, 5):
        job = subprocess.Popen([*command, str(log.parent)], env=environment, cwd=ROOT)
        began = time.monotonic()
        while not log.exists() or len(log.read_bytes().splitlines()) < lines:
            assert job.poll() is None, "the run ended before it could be killed"
            assert time.monotonic() - began < 120
            time.sleep(0.005)
        job.send_signal(signal.SIGKILL)
        job.wait()
    assert not (log.parent / "model.json").exists()
    subprocess.run([*command, str(log.parent)], env=environment, check=True, cwd=ROOT)
    assert model_of(log.parent) == model_of(tmp_path / "straight")


class Breaking(LinearLearner):
    """A step at `at` meets weights that are not numbers, as long as the learning rate is above a limit."""

    def __init__(self, stack, plan, at=96, while_above=0.5):
        super().__init__(stack, plan)
        self.at, self.while_above = at, while_above

    def step(self, run):
        if run.images_shown == self.at and run.lr_factor > self.while_above:
            with torch.no_grad():
                next(self.network.parameters()).fill_(torch.nan)
        return super().step(run)


def test_a_run_that_breaks_down_goes_back_and_on_at_half_the_learning_rate(tmp_path):
    done = []
    learner = Breaking(tiny_stack(), PLAN)
    run = train_linear(tmp_path, learner=learner, on_progress=lambda report: done.append(report.done))
    rows = log_of(tmp_path)
    assert [row["images_shown"] for row in rows] == [40, 80, 120, 160]
    assert [row["pace"] for row in rows] == [1, 1, 0.5, 0.5]
    sentence = (
        "after 104 images a loss or weight was not a number; went back to 80 images, "
        "and on at 0.5 times the learning rate"
    )
    assert [row["alarms"] for row in rows] == [[], [], [sentence], []]
    assert sentence in rows[2]["words"]
    assert done.count(88) == 2
    assert (run.images_shown, run.lr_factor) == (160, 0.5)
    assert all(torch.isfinite(weight).all() for weight in learner.network.parameters())


def test_a_run_that_is_killed_after_it_went_back_ends_as_a_straight_one(tmp_path):
    train_linear(tmp_path / "straight", learner=Breaking(tiny_stack(), PLAN))

    def cut(report, seen=[]):  # noqa: B006  # it remembers
        seen.append(report.done)
        if seen.count(88) == 2:
            raise PowerCutError

    with pytest.raises(PowerCutError):
        train_linear(tmp_path / "cut", learner=Breaking(tiny_stack(), PLAN), on_progress=cut)
    train_linear(tmp_path / "cut", learner=Breaking(tiny_stack(), PLAN))
    assert model_of(tmp_path / "cut") == model_of(tmp_path / "straight")


def test_weights_that_are_not_numbers_never_reach_a_checkpoint(tmp_path):
    class Poisoned(LinearLearner):
        """Its last step before the tick at 80 leaves a weight behind that no loss has seen."""

        def step(self, run):
            measures = super().step(run)
            if run.images_shown == 72 and run.lr_factor == 1:
                with torch.no_grad():
                    next(self.network.parameters()).fill_(torch.inf)
            return measures

    train_linear(tmp_path, learner=Poisoned(tiny_stack(), PLAN))
    assert [row["pace"] for row in log_of(tmp_path)] == [1, 0.5, 0.5, 0.5]
    state = torch.load(tmp_path / STATE, weights_only=True)
    assert all(torch.isfinite(value).all() for value in state["network"].values())


def test_a_learner_has_reasons_of_its_own_to_go_back(tmp_path):
    class Strict(LinearLearner):
        def find_breakdown(self, run, steps):
            return "it is too sure" if len(steps) == 3 and run.lr_factor == 1 else ""

    train_linear(tmp_path, learner=Strict(tiny_stack(), PLAN))
    alarm = log_of(tmp_path)[0]["alarms"][0]
    assert alarm.startswith("after 24 images it is too sure; went back to 0 images")


def test_a_run_that_keeps_breaking_down_ends_with_its_latest_good_checkpoint(tmp_path):
    done = []
    with pytest.raises(ModelError, match="broke down after 104 images") as caught:
        train_linear(
            tmp_path,
            learner=Breaking(tiny_stack(), PLAN, while_above=0),
            on_progress=lambda report: done.append(report.done),
        )
    assert "--seed" in caught.value.hint
    assert done.count(96) == 4  # at the whole learning rate, a half, a quarter and an eighth of it
    assert torch.load(tmp_path / STATE, weights_only=True)["images_shown"] == 80


def test_a_check_may_end_training_early_and_is_obeyed_after_a_resume(tmp_path):
    class NoExport(LinearLearner):
        def export(self, run):
            raise PowerCutError

    plan = tiny_plan(rate=1e-2, images_shown=8000, tick=200)
    with pytest.raises(PowerCutError):  # between the checkpoint and the model
        train_linear(tmp_path, plan, NoExport(tiny_stack(), plan, enough=0.9))
    rows = log_of(tmp_path)
    assert rows[-1]["images_shown"] < 8000
    assert rows[-1]["seconds_left"] == 0
    assert "of the images" in rows[-1]["words"]
    assert [bool(row["alarms"]) for row in rows] == [False] * (len(rows) - 1) + [True]
    run = train_linear(tmp_path, plan, LinearLearner(tiny_stack(), plan, enough=0.9))
    assert run.images_shown == rows[-1]["images_shown"]
    assert log_of(tmp_path) == rows
    assert json.loads(model_of(tmp_path))["images_shown"] == rows[-1]["images_shown"]


def test_a_complete_run_is_left_as_it_is(tmp_path):
    train_linear(tmp_path)
    before, told = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}, []
    train_linear(tmp_path, on_progress=told.append)
    assert [(report.stage, report.words) for report in told] == [
        (NOTE, "The model was already complete, so nothing was trained.")
    ]
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


class Clock:
    """Time that passes by `pace` seconds for every image, whatever the machine does."""

    def __init__(self, pace):
        self.now, self.pace, self.shown = 0.0, pace, 0

    def monotonic(self):
        return self.now

    def tell(self, progress):
        self.now += self.pace * max(progress.done - self.shown, 0)
        self.shown = progress.done


@pytest.mark.parametrize(("pace", "shown"), [(0.25, 64), (0.1, 160), (0.05, 320)])
def test_the_length_is_corrected_to_the_minutes_at_every_tick(tmp_path, monkeypatch, pace, shown):
    clock = Clock(pace)
    monkeypatch.setattr(loop, "time", clock)
    run = train_linear(
        tmp_path, tiny_plan(images_shown=160, tick=16, minutes=16 / 60), on_progress=clock.tell
    )
    assert (run.images_shown, run.plan.budget.images_shown) == (shown, shown)
    assert run.seconds == pytest.approx(16, abs=8 * pace)
    assert torch.load(tmp_path / STATE, weights_only=True)["length"] == shown


def test_progress_tells_measurements_pace_and_time_left(tmp_path):
    told = []
    train_linear(tmp_path, on_progress=told.append)
    assert [report.done for report in told if report.done % 40] == [
        shown for shown in range(8, 160, 8) if shown % 40
    ]
    assert all(report.facts["squared_error"] > 0 for report in told)
    assert "seconds_left" not in told[0].facts
    assert told[-1].facts["seconds_left"] == 0


@pytest.mark.parametrize("state", [{}, [1], {"network": {"nonsense": torch.zeros(2)}, "images_shown": 3}])
def test_a_checkpoint_of_something_else_is_refused_and_left_as_it_is(tmp_path, state):
    torch.save(state, tmp_path / STATE)
    before = (tmp_path / STATE).read_bytes()
    with pytest.raises(ModelError, match="belongs to another run or is damaged"):
        train_linear(tmp_path)
    assert (tmp_path / STATE).read_bytes() == before
