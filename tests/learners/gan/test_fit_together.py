"""Two processes that train together over loopback get the losses and weights of a single one."""

import dataclasses
import json
import signal
import time
from pathlib import Path

import pytest
import torch

from medgan.base.processes import current_processes
from medgan.learners.gan import learner as learner_module
from medgan.learners.gan import monitor
from medgan.learners.gan.fit import fit
from medgan.learners.gan.learner import GanLearner
from medgan.similarity.backbone import LITE0, is_installed
from medgan.training.loop import LOG, STATE, train
from medgan.training.runtime import load_checkpoint
from tests import jobs
from tests.learners.gan.phantoms import ABOUT, cascade_plan, disc_stack, matched_plan, tiny_plan, tiny_stack

PLANS = {
    "two-classes": tiny_plan(images_shown=96, tick=48, penalty_every=2),
    "one-class": tiny_plan(images_shown=32, tick=16, labels=("left",)),  # embeddings get no gradient then
    "bce": tiny_plan(images_shown=32, tick=16, loss="bce"),
    "places": tiny_plan(images_shown=96, tick=48, penalty_every=2, discriminator_widths=(8, 16)),
    "cascade": cascade_plan(images_shown=96, tick=48, penalty_every=2),
}
if is_installed(LITE0[0]):
    PLANS["matched"] = matched_plan(images_shown=32, tick=16)
    PLANS["joined"] = matched_plan(images_shown=32, tick=16, adversary=0.5, discriminator_start=0.5)
LONG = tiny_plan(images_shown=800, tick=40)
GUARDED = tiny_plan(images_shown=640, tick=160, augment=0.5)
JOIN = "import sys; from tests.learners.gan.test_fit_together import join; join(*sys.argv[1:])"


def stack_of(plan):
    stack = tiny_stack(size=plan.frame.size)
    if len(plan.frame.labels) == len(stack.names):
        return stack
    return dataclasses.replace(stack, names=plan.frame.labels, labels=stack.labels * 0)


def learned(plan, folder):
    """What a run of `plan` comes to: the figures of every step, and the weights of all its networks with what
    they make of noise."""
    figures, update = [], learner_module.update

    def noted(*arguments):
        step = update(*arguments)
        figures.extend(number for number in dataclasses.astuple(step) if number is not None)
        return step

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(learner_module, "update", noted)
        learner = GanLearner(stack_of(plan), plan, ABOUT)
        train(learner, plan, folder)
    networks = {name: network.eval() for name, network in learner.networks.items()}
    weights = {name: network.state_dict() for name, network in networks.items()}
    return {"figures": torch.tensor(figures), "weights": weights, "made": made_by(networks, plan)}


def guarded(folder):
    """What the guards of a run have come to that looks at every tick, and whose last process alone meets
    weights that are no numbers at step 50."""
    update = learner_module.update

    def faulty(learners, real, labels, images_shown):
        if (
            images_shown == 392
            and learners.lr_factor == 1
            and current_processes().rank == current_processes().size - 1
        ):
            with torch.no_grad():
                learners.generator.base.fill_(torch.nan)
        return update(learners, real, labels, images_shown)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(monitor, "_SPACING", 1)
        patch.setattr(learner_module, "update", faulty)
        learner = GanLearner(disc_stack(240), GUARDED, ABOUT)
        run = train(learner, GUARDED, folder)
    looks = [(look.images_shown, look.facts()) for look in learner.guards.checks]
    weights = {name: network.state_dict() for name, network in learner.networks.items()}
    return {"looks": looks, "pace": run.lr_factor, "strength": learner.gan.strength, "weights": weights}


@torch.no_grad()
def made_by(networks, plan):
    """What the networks make of fixed noise."""
    noise = torch.Generator().manual_seed(0)
    z, images = (
        torch.randn(16, plan.recipe.latent_numbers, generator=noise),
        torch.rand(16, 1, *plan.frame.size, generator=noise),
    )
    labels = torch.arange(16) % len(plan.frame.labels)
    return {
        name: network(images if name.endswith("critic") else z, labels) for name, network in networks.items()
    }


def join(task, folder):
    """What each process of a job does."""
    if task == "straight":
        fit(tiny_stack(), LONG, Path(folder), about=ABOUT)
        return
    if task == "guarded":
        torch.save(guarded(Path(folder)), Path(folder) / f"guarded-{current_processes().rank}.pt")
        return
    for name, plan in PLANS.items():
        torch.save(learned(plan, Path(folder) / name), Path(folder) / f"{name}-{current_processes().rank}.pt")


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """{plan: what each of two processes learned}."""
    folder = tmp_path_factory.mktemp("together")
    jobs.finish(jobs.start(2, "-c", JOIN, "plans", folder))
    return {name: [torch.load(folder / f"{name}-{rank}.pt") for rank in range(2)] for name in PLANS}


@pytest.mark.slow
@pytest.mark.parametrize("name", PLANS)
def test_two_processes_learn_what_one_learns(name, together, tmp_path):
    alone = learned(PLANS[name], tmp_path)
    first, second = together[name]
    torch.testing.assert_close(first["figures"], alone["figures"], rtol=0, atol=1e-4)
    # Weights along which the loss has no slope (a last bias, the length of an embedding) go where rounding
    # leads: what they make counts.
    made = [
        {
            name: images.diff(dim=0) if name.endswith("critic") else images
            for name, images in one["made"].items()
        }
        for one in (first, alone)
    ]
    torch.testing.assert_close(*made, rtol=0, atol=1e-2)
    torch.testing.assert_close(first["weights"], second["weights"], rtol=0, atol=0)
    torch.testing.assert_close(first["figures"], second["figures"], rtol=0, atol=0)


@pytest.mark.slow
def test_all_processes_do_as_guards_say_and_go_back_when_one_breaks_down(tmp_path):
    jobs.finish(jobs.start(2, "-c", JOIN, "guarded", tmp_path))
    first, second = (torch.load(tmp_path / f"guarded-{rank}.pt") for rank in range(2))
    rows = [json.loads(line) for line in (tmp_path / LOG).read_text().splitlines()]
    assert [row["images_shown"] for row in rows] == [160, 320, 480, 640]
    assert [row["pace"] for row in rows] == [1, 1, 0.5, 0.5]
    assert "after 400 images a loss or weight was not a number; went back to 320" in rows[2]["alarms"][0]
    assert [at for at, _ in first["looks"]] == [160, 320, 480, 640]
    assert first["looks"] == second["looks"]
    assert (first["pace"], first["strength"]) == (second["pace"], second["strength"])
    assert (first["pace"], first["strength"]) == (0.5, rows[-1]["strength"])
    torch.testing.assert_close(first["weights"], second["weights"], rtol=0, atol=0)
    alone = guarded(tmp_path / "alone")
    for (_, ours), (_, theirs) in zip(first["looks"], alone["looks"], strict=True):
        assert ours["variety"] == pytest.approx(theirs["variety"], abs=0.02)
        assert ours["kid"] == pytest.approx(theirs["kid"], rel=0.02)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no kill -9")
def test_a_job_that_loses_a_process_ends_and_goes_on_in_one(tmp_path):
    killed = tmp_path / "killed"
    first, second = jobs.start(2, "-c", JOIN, "straight", killed)
    began = time.monotonic()
    while not (killed / STATE).exists():
        assert first.poll() is None, first.communicate()[1]
        assert time.monotonic() - began < jobs.PATIENCE
        time.sleep(0.02)
    second.kill()
    second.communicate()
    _, words = first.communicate(timeout=60)  # it does not wait for the dead
    assert first.returncode != 0
    assert "JobError: another process of this job has ended unexpectedly" in words
    reached = load_checkpoint(killed / STATE)["images_shown"]
    assert 0 < reached < LONG.budget.images_shown
    log = (killed / LOG).read_text().splitlines()
    assert len(log) >= reached // LONG.budget.tick
    assert fit(tiny_stack(), LONG, killed, about=ABOUT).images_shown == LONG.budget.images_shown
