"""Generators that leave a mark, and some that do not."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from medgan.base.errors import DatasetError
from medgan.base.files import from_json, to_json
from medgan.base.progress import ignore
from medgan.evaluation.shortcut import (
    _NONE,
    _USED,
    _VISIBLE,
    Shortcut,
    ShortcutReliance,
    _conclude,
    _detector_aucs,
    _hold_back_quarter,
    _match_classes,
    _verdict_text,
    measure_shortcut,
)
from medgan.evaluation.usefulness.image_sets import Split
from medgan.evaluation.usefulness.trials import Settings
from medgan.evaluation.usefulness.verdict import CANNOT_TELL
from medgan.similarity.small_cnn import SmallNet
from tests.evaluation.rings import shapes, with_pixels

TRAIN, TEST = shapes(200, 40, 0), shapes(150, 60, 2)
TRUE = shapes(160, 160, 3)
SETTINGS = Settings(judges=("cnn",), steps={"cnn": (120,)}, seeds=2, side=24, resamples=200)


def looked(synthetic, settings=SETTINGS):
    return measure_shortcut(Split(TRAIN, TEST, synthetic), settings=settings, seed=0)


def marked(images):
    """A faint lattice, as upsampling can leave it."""
    pixels = images.pixels.copy()
    pixels[:, :, ::2, ::2] += 0.15
    return with_pixels(images, np.clip(pixels, 0, 1))


@pytest.mark.slow
def test_images_of_the_true_distribution_are_not_told_apart():
    found = looked(TRUE)
    assert found.verdict == _NONE
    assert abs(found.told_apart - 0.5) < 0.1
    assert found.compared == {"normal": 160, "rare": 40}


@pytest.mark.slow
def test_a_mark_is_seen_and_used_and_spreading_it_takes_it_away():
    found = looked(marked(TRUE))
    assert found.verdict == _USED
    assert found.told_apart > 0.95
    topped_up, everywhere = found.leans
    assert topped_up.others_interval[0] > 0
    assert not everywhere.used
    assert "With synthetic images in every class no such sign" in found.sentence
    assert from_json(Shortcut, json.loads(json.dumps(to_json(found)))) == found


def test_without_images_of_other_classes_only_rare_ones_can_tell():
    found = looked(marked(TRUE.of("rare")), dataclasses.replace(SETTINGS, steps={"cnn": (10,)}))
    assert found.verdict in {_VISIBLE, _USED}  # the logistic regression sees the lattice without any step
    assert found.compared == {"rare": 40}
    assert found.leans[0].alarms is None
    assert found.leans[0].others is None


@pytest.mark.parametrize("threads", [1, 3])
def test_detectors_are_trained_on_one_core_each_whatever_torch_may_use(threads, monkeypatch):
    before, seen = torch.get_num_threads(), set()
    forward = SmallNet.forward

    def look(self, x):
        seen.add(torch.get_num_threads())
        return forward(self, x)

    monkeypatch.setattr(SmallNet, "forward", look)
    real, made = _match_classes(TRAIN, marked(TRUE), 0)
    brief, told = dataclasses.replace(SETTINGS, steps={"cnn": (4,)}), []
    torch.set_num_threads(threads)
    try:
        found = _detector_aucs(real, made, brief, 0, told.append)
    finally:
        torch.set_num_threads(before)
    assert seen == {1}
    assert [one.done for one in told] == [1, 2, 3, 4]
    assert found == _detector_aucs(real, made, brief, 0, ignore)


def test_sets_that_are_compared_have_the_same_classes():
    real, made = _match_classes(TRAIN, TRUE, 0)
    assert real.counts == made.counts == {"normal": 160, "rare": 40}


def test_a_quarter_of_every_class_is_held_back():
    learned, kept = _hold_back_quarter(TRUE, 0)
    assert kept.counts == {"normal": 40, "rare": 40}
    assert not set(map(bytes, learned.pixels)) & set(map(bytes, kept.pixels))


def test_too_few_images_are_refused():
    with pytest.raises(DatasetError, match="too few"):
        looked(TRUE.take([160, 161, 162]), dataclasses.replace(SETTINGS, steps={"cnn": (2,)}))


def test_images_that_top_up_nothing_are_refused():
    even = shapes(60, 60, 0)
    with pytest.raises(DatasetError, match="nothing to judge"):
        measure_shortcut(Split(even, TEST, TRUE), settings=SETTINGS, seed=0)
    with pytest.raises(DatasetError, match="nothing to judge"):
        looked(shapes(160, 0, 3))


def test_a_rare_class_of_one_patient_is_too_little_to_tell_apart_by():
    train = shapes(200, 40, 0, per_patient=40)
    with pytest.raises(DatasetError, match="the real ones of 1 patients, are too few"):
        measure_shortcut(Split(train, TEST, shapes(0, 160, 3)), settings=SETTINGS, seed=0)


def lean(excess, *, alarms=None):
    """What topping up does, told by rare classes or by the others."""
    return ShortcutReliance(
        arm="one-sided + classical",
        real=0.4,
        synthetic=0.9,
        excess=0.5,
        interval=excess,
        alarms=alarms,
        others=None if alarms is None else 0.3,
        others_interval=None if alarms is None else excess,
    )


SURE, UNSURE = (0.1, 0.6), (-0.2, 0.6)


@pytest.mark.parametrize(
    ("interval", "excess", "people", "verdict"),
    [
        ((0.9, 1.0), SURE, 5, _USED),
        ((0.9, 1.0), SURE, 4, _VISIBLE),  # few patients show nothing of a classifier
        ((0.9, 1.0), UNSURE, 5, _VISIBLE),
        ((0.51, 0.99), UNSURE, 5, _VISIBLE),
        ((0.45, 0.6), UNSURE, 5, _NONE),
        ((0.31, 0.78), UNSURE, 5, CANNOT_TELL),  # no sign, where none could be seen, is no finding
        ((0.31, 0.78), SURE, 4, CANNOT_TELL),
    ],
)
def test_a_verdict_needs_images_and_patients_enough(interval, excess, people, verdict):
    assert _conclude(interval, lean(excess), people) == verdict


@pytest.mark.parametrize(
    ("verdict", "auc", "alarms", "people", "told"),
    [
        (
            _VISIBLE,
            1.0,
            0.1,
            9,
            "A detector separates synthetic from real images perfectly (AUC 1.00); no sign was found"
            " that a classifier exploits this.",
        ),
        (
            _VISIBLE,
            0.8,
            None,
            9,
            "no sign was found that a classifier exploits this in the rare classes, the only ones with"
            " synthetic images.",
        ),
        (
            _VISIBLE,
            0.8,
            None,
            1,
            "; whether a classifier exploits this cannot be told from 1 held-out patient (at least 5 are"
            " needed).",
        ),
        (
            _USED,
            0.8,
            None,
            9,
            "exploits it: it finds 90% of unseen synthetic images of rare classes, and 40% of real ones.",
        ),
        (_USED, 0.8, 0.3, 9, "exploits it: it takes 30% of synthetic images of other classes for rare ones."),
        (
            _NONE,
            0.52,
            None,
            9,
            "A detector cannot tell synthetic from real images (AUC 0.52, 95 % interval 0.40 to 0.60;"
            " 0.5 is guessing).",
        ),
        (
            CANNOT_TELL,
            0.52,
            None,
            9,
            "Cannot tell whether a detector separates synthetic from real images (AUC 0.52, 95 %"
            " interval 0.40 to 0.60; 0.5 is guessing): 12 real images of 6 patients are too few.",
        ),
    ],
)
def test_a_verdict_is_told_in_plain_words(verdict, auc, alarms, people, told):
    assert _verdict_text(verdict, (auc, (0.4, 0.6)), [lean(SURE, alarms=alarms)], (12, 6), people).endswith(
        told
    )
