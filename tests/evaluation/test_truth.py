"""Images whose worth is known by construction: what the verdict says of them.

Two classes differ in a few of many numbers. A linear judge sees these numbers, the small network pictures
of the same kind of truth.
"""

import dataclasses

import numpy as np
import pytest

from medgan.evaluation.usefulness.comparison import measure_usefulness
from medgan.evaluation.usefulness.image_sets import Split
from medgan.evaluation.usefulness.trials import Settings
from medgan.evaluation.usefulness.verdict import CANNOT_TELL, HARMS, HELPS, NO_DIFFERENCE
from medgan.preparation.images import LabelledImages
from medgan.similarity import features
from tests.evaluation.rings import SMALL, shapes

SIDE = 8
LINEAR = Settings(
    judges=("probe",),
    seeds=2,
    folds=2,
    resamples=300,
    headroom=False,
    recipes={"probe": ("class weights", "one-sided", "share 0.25")},
)


@pytest.fixture(autouse=True)
def plain_features(monkeypatch):
    """The numbers themselves in the place of a network's."""
    monkeypatch.setattr(features, "lite2_features", lambda: lambda pixels: pixels.reshape(len(pixels), -1))


def numbers(normal, rare, seed, *, per_patient=1):
    """64 numbers an image, of which four are higher in the rare class."""
    chance = np.random.default_rng(seed)
    labels = np.repeat([0, 1], [normal, rare])
    pixels = chance.normal(0.5, 0.1, (len(labels), 1, SIDE, SIDE)).astype(np.float32)
    pixels[:, :, 0, :4] += 0.08 * labels[:, None, None]
    return LabelledImages(
        pixels=pixels,
        labels=labels,
        names=("normal", "rare"),
        patients=np.array([f"{seed}-{row // per_patient}" for row in range(len(labels))]),
        sources=np.array([f"{seed}-{row}" for row in range(len(labels))]),
    )


TRAIN, TEST, TRUE = numbers(120, 20, 0), numbers(400, 200, 1), numbers(200, 200, 2)


def told(synthetic, held_out=TEST):
    return measure_usefulness(Split(TRAIN, held_out, synthetic), settings=LINEAR, seed=0)


def marked(images):
    """The same images with a sign on them that means nothing."""
    pixels = images.pixels.copy()
    pixels[:, :, 4:] += 0.2
    return dataclasses.replace(images, pixels=pixels)


def test_more_images_of_the_truth_help():
    found = told(TRUE)
    assert found.verdict == HELPS
    assert (found.arm, found.judge) == ("share 0.25", "probe")


def test_images_of_the_wrong_class_harm():
    wrong = dataclasses.replace(TRUE, labels=1 - TRUE.labels)
    assert told(wrong).verdict == HARMS


def test_noise_that_is_called_rare_harms():
    noise = np.random.default_rng(5).normal(0.5, 0.1, TRUE.pixels.shape).astype(np.float32)
    assert told(dataclasses.replace(TRUE, pixels=noise).of("rare")).verdict == HARMS


def test_what_is_done_to_one_class_alone_harms_and_done_to_both_does_not():
    copies = marked(TRAIN.take(np.r_[0:120, np.tile(np.arange(120, 140), 6)]))
    one_sided = told(copies.of("rare"))
    assert one_sided.arm == "one-sided"
    assert one_sided.verdict == HARMS
    both = told(copies)
    assert both.arm == "share 0.25"
    assert both.verdict != HARMS
    assert both.difference > one_sided.difference


def test_duplicates_make_no_difference():
    found = told(TRAIN)
    assert found.verdict == NO_DIFFERENCE


def test_two_patients_cannot_tell():
    few = numbers(400, 20, 3, per_patient=10)
    assert told(TRUE, few).verdict == CANNOT_TELL


# --- the small network ---

RINGS, UNSEEN = shapes(60, 24, 0), shapes(150, 100, 2)
BY_RINGS = dataclasses.replace(
    SMALL, recipes={"cnn": ("class weights", "oversampling", "one-sided", "share 0.25")}
)


@pytest.mark.slow
@pytest.mark.parametrize(("swapped", "verdict"), [(False, HELPS), (True, HARMS)])
def test_the_small_network_tells_truth_from_the_wrong_class(swapped, verdict):
    made = shapes(60, 60, 3)
    made = dataclasses.replace(made, labels=1 - made.labels if swapped else made.labels)
    assert measure_usefulness(Split(RINGS, UNSEEN, made), settings=BY_RINGS, seed=0).verdict == verdict
