"""Of drawn images those are chosen that are no copy, of their class, like real ones and unlike each other."""

import numpy as np
import pytest

from medgan.filtering import selection
from medgan.filtering.selection import (
    CandidateImage,
    FilterReference,
    _cover,
    _realism_scores,
    _train_class_checker,
    check_candidates,
    select_best,
)
from medgan.similarity.appearance import layout_texture_features
from tests.similarity.test_copies import organ
from tests.similarity.test_nearest import people


def real_of(images, labels, classes=2):
    return FilterReference.of(images.__getitem__, labels, people(len(images)), classes, see=blocks)


def blocks(images):
    """What a judge of classes is shown here: averages of blocks of 4 x 4 pixels."""
    small = images[:, 0].reshape(len(images), 8, 4, 8, 4).mean(axis=(2, 4))
    return small.reshape(len(images), -1)


@pytest.fixture(scope="module")
def world():
    """Training images of two classes that differ in their upper half."""
    images, labels = organ(90, 0), np.repeat([0, 1], [60, 30])
    images[labels == 1, :, :16] += 0.3
    return images, labels, real_of(images, labels)


def drawn_like(label, count, seed):
    images = organ(count, seed)
    images[:, :, :16] += 0.3 * label
    return images


def test_near_copies_are_rejected_and_named(world):
    images, labels, real = world
    candidates = np.concatenate([drawn_like(1, 10, 3), images[60:65] * 0.95])
    drawn, points = check_candidates(candidates, range(15), 1, real)
    kept = select_best(drawn, points, real.points[labels == 1], 8)
    assert [one.reason for one in kept[10:]] == ["copy"] * 5
    assert [one.nearest for one in kept[10:]] == [60, 61, 62, 63, 64]
    assert not any(one.kept for one in kept[10:])
    assert sum(one.kept for one in kept) == 8


def test_images_of_another_class_are_rejected_and_sure_ones_are_not(world):
    _, labels, real = world
    candidates = np.concatenate([drawn_like(1, 12, 3), drawn_like(0, 6, 4)])
    drawn, points = check_candidates(candidates, range(18), 1, real)
    kept = select_best(drawn, points, real.points[labels == 1], 8)
    assert {one.reason for one in kept[12:]} == {"class"}
    assert all(one.odds < 0 < one.doubt for one in kept[12:])
    assert not any(one.reason == "class" for one in kept[:12])
    few = select_best(drawn, points, real.points[labels == 1], 3)
    assert all(one.seed < 12 for one in few if one.kept)


def test_where_too_few_are_left_the_least_doubtful_fill_up_and_say_so(world):
    _, labels, real = world
    candidates = np.concatenate([drawn_like(1, 6, 3), drawn_like(0, 6, 4)])
    drawn, points = check_candidates(candidates, range(12), 1, real)
    sure = [one.seed for one in drawn if not one.reason]
    kept = [one for one in select_best(drawn, points, real.points[labels == 1], 8) if one.kept]
    assert sure == [*range(6)]  # the images of the class, all of which show it plainly
    assert [one.seed for one in kept if not one.reason] == sure
    doubt = sorted(one.doubt for one in drawn if one.reason == "class")
    assert sorted(one.doubt for one in kept if one.reason) == doubt[: 8 - len(sure)]
    without = select_best(drawn, points, real.points[labels == 1], 8, doubtful=False)
    assert [one.seed for one in without if one.kept] == sure


def test_without_a_network_or_with_one_class_classes_are_not_checked(world):
    images, labels, _ = world
    blind = FilterReference.of(images.__getitem__, labels, people(len(images)), 2)
    alone = real_of(images[:60], labels[:60], classes=1)
    assert blind.judge is alone.judge is None
    drawn, _ = check_candidates(drawn_like(1, 4, 3), range(4), 0, blind)
    assert [(one.reason, one.odds, one.doubt) for one in drawn] == [("", None, 0)] * 4


def test_of_a_large_class_a_part_teaches_and_every_patient_has_a_share(monkeypatch):
    monkeypatch.setattr(selection, "_MOST_TAUGHT", 20)
    images, labels = drawn_like(0, 100, 0), np.repeat([0, 1], [80, 20])
    shown = []

    def see(pixels):
        shown.append(len(pixels))
        return blocks(pixels)

    judge = _train_class_checker(images.__getitem__, labels, people(100, slices=8), 2, see)
    assert sum(shown) == 40
    assert judge.known.tolist() == [0, 1]


def test_copies_never_fill_up(world):
    images, labels, real = world
    drawn, points = check_candidates(images[60:70], range(10), 1, real)
    assert not any(one.kept for one in select_best(drawn, points, real.points[labels == 1], 5))


def test_the_least_realistic_tenth_is_dropped(world):
    _, labels, real = world
    noise = np.random.default_rng(0).random((4, 1, 32, 32), dtype=np.float32)
    candidates = np.concatenate([drawn_like(0, 36, 5), noise])
    drawn = [CandidateImage(seed=seed) for seed in range(40)]
    kept = select_best(drawn, layout_texture_features(candidates), real.points[labels == 0], 10)
    assert [one.seed for one in kept if one.reason == "realism"] == [36, 37, 38, 39]
    assert max(one.realism for one in kept[36:]) < min(one.realism for one in kept[:36])


def test_without_training_images_the_odd_ones_out_are_dropped_and_nothing_else_is_claimed(world):
    noise = np.random.default_rng(0).random((2, 1, 32, 32), dtype=np.float32)
    drawn, points = check_candidates(np.concatenate([drawn_like(0, 18, 5), noise]), range(20), 0, None)
    assert all(one.nearest is one.distance is one.odds is None for one in drawn)
    kept = select_best(drawn, points, None, 6)
    assert [one.seed for one in kept if one.reason == "realism"] == [18, 19]
    assert sum(one.kept for one in kept) == 6


def test_the_choice_covers_what_was_drawn():
    chance = np.random.default_rng(0)
    groups = np.repeat(np.eye(5) * 20, [40, 3, 3, 3, 3], axis=0)
    points = groups + chance.normal(size=groups.shape) * 0.1
    chosen = _cover(points, np.zeros(52), 5)
    assert len({int(groups[row].argmax()) for row in chosen}) == 5


def test_the_choice_depends_on_nothing_but_what_is_looked_at(world):
    _, labels, real = world
    drawn, points = check_candidates(drawn_like(0, 20, 5), range(20), 0, real)
    once = select_best(drawn, points, real.points[labels == 0], 7)
    assert select_best(drawn, points, real.points[labels == 0], 7) == once
    halves = [
        check_candidates(drawn_like(0, 20, 5)[half], list(range(20))[half], 0, real)[0]
        for half in (slice(9), slice(9, 20))
    ]
    assert [*halves[0], *halves[1]] == drawn


def test_equal_images_can_all_be_chosen():
    assert sorted(_cover(np.ones((4, 3)), np.zeros(4), 4)) == [0, 1, 2, 3]
    assert _cover(np.ones((0, 3)), np.zeros(0), 2) == []


def test_realism_is_that_of_the_paper():
    """Brute force of arXiv 1904.06991, eq. 5, with half of the spheres pruned."""
    chance = np.random.default_rng(0)
    real, made = chance.normal(size=(30, 4)), chance.normal(size=(8, 4))
    far = np.linalg.norm(real[:, None] - real[None], axis=2)
    radius = np.sort(far, axis=1)[:, 3]
    dense = radius <= np.median(radius)
    expected = (radius[dense] / np.linalg.norm(made[:, None] - real[None, dense], axis=2)).max(axis=1)
    np.testing.assert_allclose(_realism_scores(made, real), expected, atol=1e-4)
