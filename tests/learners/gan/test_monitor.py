"""Guards' measures tell sound networks from those that copy, collapse or memorise."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from medgan.learners.gan import guards
from medgan.learners.gan.guards import Check, Guards
from medgan.learners.gan.monitor import _SPACING, Monitor, _mean_over_patients
from medgan.training.batches import to_network_range
from tests.learners.gan.phantoms import disc_stack, discs, tiny_plan, tiny_stack

PLAN = tiny_plan()
STACK = disc_stack(240)


class Sound(nn.Module):
    """Draws discs of the real distribution, each from its own latent."""

    def __init__(self):
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, z, labels, share=1.0):
        return discs(z) * 2 - 1


class Copycat(Sound):
    """Draws a training image of class 1 whenever it is asked for one, with a little noise."""

    def forward(self, z, labels, share=1.0):
        images = super().forward(z, labels)
        rows = Monitor(STACK, PLAN).used
        rows = rows[STACK.labels[rows] == 1]
        which = rows[(z[:, 3].abs() * 1e4).long().numpy() % len(rows)]
        copies = torch.from_numpy(to_network_range(STACK.images(which), PLAN)) + 0.01 * torch.randn_like(
            images
        )
        return torch.where(labels[:, None, None, None] == 1, copies, images)


class Collapsed(Sound):
    """Draws one image of class 1, with a little noise."""

    def forward(self, z, labels, share=1.0):
        images = super().forward(z, labels)
        one = discs(torch.zeros(1, 8)) * 2 - 1 + 0.02 * torch.randn_like(images)
        return torch.where(labels[:, None, None, None] == 1, one, images)


class FourModes(Sound):
    """Draws four images of class 1."""

    def forward(self, z, labels, share=1.0):
        modes = super().forward(torch.eye(8)[(z[:, 3].abs() * 1e4).long() % 4] * 1.5, labels)
        return torch.where(labels[:, None, None, None] == 1, modes, super().forward(z, labels))


class Vague(Sound):
    """Draws the mean of all training images, hardly changed."""

    def forward(self, z, labels, share=1.0):
        mean = torch.from_numpy(to_network_range(STACK.images(slice(None)), PLAN)).mean(dim=0, keepdim=True)
        return mean + 0.02 * super().forward(z, labels)


class Rating(nn.Module):
    """A discriminator that rates images by `rate`, with some noise, in both logits."""

    def __init__(self, rate):
        super().__init__()
        self.rate = rate

    def forward(self, images, labels):
        logits = self.rate(images)[:, None] + 0.5 * torch.randn(len(images), 1)
        return logits.expand(-1, 2)


def known_by_heart(images):
    """4 for an image that was trained on, -4 for any other."""
    rows = Monitor(STACK, PLAN).used
    train = torch.from_numpy(to_network_range(STACK.images(rows), PLAN)).flatten(1)
    return torch.where(torch.cdist(images.flatten(1), train).amin(dim=1) < 0.05, 4.0, -4.0)


def bright(images):
    """High for what looks like a disc in the dark, low for anything vague."""
    return 4 * (images.flatten(1).amax(dim=1) - images.flatten(1).amin(dim=1))


def seen(generator, rate=bright, stack=STACK, shown=160, strength=0.0):
    runtime = SimpleNamespace(tensor=torch.as_tensor, fabric=SimpleNamespace(device=torch.device("cpu")))
    network = generator()
    critic = SimpleNamespace(network=Rating(rate))
    learners = SimpleNamespace(
        generator=network,
        layout=SimpleNamespace(network=network),
        average=network,
        discriminator=critic,
        strength=strength,
        runtime=runtime,
        plan=PLAN,
    )
    return Monitor(stack, PLAN).check(learners, shown)


def test_a_sound_generator_raises_no_alarm():
    look = seen(Sound)
    assert guards.alarms(look) == ()
    assert min(look.variety.values()) > 0.7
    assert max(look.copies.values()) < 0.1
    assert abs(np.mean(list(look.kid.values()))) < 3 * look.kid_error + 0.1


def test_a_generator_that_copies_training_images_is_caught_in_the_class_it_copies():
    look = seen(Copycat)
    assert look.copied == ("right",)
    assert look.copies["right"] > 0.8
    assert not look.collapsed


@pytest.mark.parametrize(("generator", "least"), [(Collapsed, 0.0), (FourModes, 0.0)])
def test_a_generator_that_collapses_in_one_class_is_caught_in_that_class(generator, least):
    look = seen(generator)
    assert look.collapsed == ("right",)
    assert look.variety["right"] < guards._COLLAPSED
    assert look.kid["right"] > look.kid["left"] + least


def test_a_vague_image_is_collapse_and_no_copy():
    look = seen(Vague)
    assert look.collapsed == ("left", "right")
    assert not look.copied


def test_before_classes_are_told_apart_nothing_has_collapsed():
    assert guards.alarms(seen(Collapsed, shown=40)) == ()


def test_a_discriminator_that_knows_its_images_by_heart_is_caught():
    look = seen(Vague, known_by_heart)
    assert look.overfits
    assert look.overfit == pytest.approx(1.0, abs=0.1)
    assert "memorised" in guards.alarms(look)[0]


def test_a_discriminator_that_knows_discs_from_vague_images_does_not_overfit():
    look = seen(Vague, bright)
    assert look.overfit == pytest.approx(0.0, abs=3 * look.overfit_error)
    assert not look.overfits


def test_what_a_blind_discriminator_says_of_overfitting_is_not_asked():
    assert seen(Sound, lambda images: torch.zeros(len(images))).overfit is None


@pytest.mark.parametrize(("stack", "patients"), [(tiny_stack(24), 0), (disc_stack(240, patients=12), 1)])
def test_with_too_few_unseen_patients_guards_say_that_they_cannot_judge_overfitting(stack, patients):
    watch = Monitor(stack, PLAN)
    assert watch.patients <= patients
    look = seen(Vague, known_by_heart if patients else bright, stack)
    assert look.overfit is None
    assert f"cannot be measured with {watch.patients} held-back patients" in guards.guard_status(
        [look], 1.0, 1.0
    )


def test_training_sees_no_patient_that_guards_hold_back():
    stack = disc_stack(600, patients=200)
    watch = Monitor(stack, PLAN)
    assert sorted([*watch.used, *watch.held_back]) == list(range(600))
    assert 30 <= len(watch.held_back) <= 60
    assert not set(stack.patients[watch.used]) & set(stack.patients[watch.held_back])


def test_an_unguarded_plan_holds_nothing_back_and_is_never_looked_at():
    watch = Monitor(STACK, tiny_plan(guarded=False))
    assert len(watch.used) == len(STACK)
    assert not watch.due(Guards(), 10**9, 10**9)


def test_a_look_comes_when_enough_was_learned_since_the_last_and_at_the_end():
    plan = tiny_plan(images_shown=100_000)
    watch = Monitor(STACK, plan)
    pause = _SPACING * 2 * watch.per_class
    assert [watch.due(Guards(), shown, 100_000) for shown in (pause - 8, pause)] == [False, True]
    once = Guards(checks=[Check(images_shown=pause)])
    assert [watch.due(once, shown, 100_000) for shown in (2 * pause - 8, 2 * pause)] == [False, True]
    assert watch.due(Guards(checks=[Check(images_shown=99_900)]), 100_000, 100_000)


def test_a_look_depends_on_the_networks_and_the_position_alone():
    torch.manual_seed(1)
    first = seen(Collapsed, strength=1.0)
    torch.manual_seed(2)
    assert seen(Collapsed, strength=1.0) == first


def test_the_error_over_patients_is_not_that_over_their_slices():
    values, patients = np.repeat([0.0, 1.0, 2.0, 3.0], 10), np.repeat(["a", "b", "c", "d"], 10)
    mean, error = _mean_over_patients(values, patients)
    assert mean == 1.5
    assert error == pytest.approx(np.std([0, 1, 2, 3], ddof=1) / 2)


@pytest.mark.parametrize(("people", "judged"), [(1, False), (4, False), (5, True)])
def test_copies_are_told_where_enough_patients_say_what_is_usual(people, judged):
    stack = dataclasses.replace(STACK, patients=np.array([str(row % people) for row in range(len(STACK))]))
    look = seen(Copycat, stack=stack)
    assert bool(look.copies) is judged
    assert (
        "copies cannot be detected with so few patients" in guards.guard_status([look], 0.0, 0.0)
    ) is not judged
