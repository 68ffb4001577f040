import numpy as np
import pytest

from medgan.evaluation.usefulness.arms import ArmRecipe, DrawPool, Lesson
from medgan.evaluation.usefulness.classifiers import _NEVER, LinearClassifier, _smote, linear_tries
from medgan.evaluation.usefulness.schedules import Schedule

LABELS = np.repeat([0, 1], [60, 20])


def points(seed=0):
    chance = np.random.default_rng(seed)
    return (chance.normal(size=(80, 5)) + 1.5 * LABELS[:, None]).astype(np.float32)


JUDGE = LinearClassifier(learned=points(), asked=points(1))


def taught(rows=range(80), classes=2, **how):
    rows = np.asarray(rows)
    even = DrawPool(
        rows=rows, chances=np.full(len(rows), 1 / len(rows)), costs=np.ones(len(rows), np.float32)
    )
    return Lesson(
        recipe=ArmRecipe(name="test", **how), labels=LABELS, classes=classes, real=80, stages=((1.0, even),)
    )


def told(lesson, penalty=0.5, rows=None):
    ((_, ask),) = JUDGE.learn(lesson, [Schedule(penalty=penalty)], 0)
    return ask(rows)


@pytest.mark.parametrize("how", [{}, {"discriminant": True}, {"adds": "smote"}])
def test_a_linear_judge_tells_classes_apart(how):
    found = told(taught(**how))
    assert (found.argmax(axis=1) == LABELS).mean() > 0.85


def test_what_is_drawn_twice_as_often_counts_as_two_images():
    lesson = taught()
    weighed = DrawPool(
        rows=np.arange(80), chances=np.where(LABELS == 1, 2, 1) / 100, costs=np.ones(80, np.float32)
    )
    by_chance = Lesson(recipe=lesson.recipe, labels=LABELS, classes=2, real=80, stages=((1.0, weighed),))
    twice = taught([*range(80), *range(60, 80)])
    assert told(by_chance) == pytest.approx(told(twice), abs=1e-3)


def test_learned_images_can_be_asked_about_and_unknown_classes_are_never_called():
    found = told(taught(classes=3), rows=np.array([0, 79]))
    assert found.shape == (2, 3)
    assert (found[:, 2] == _NEVER).all()


@pytest.mark.parametrize("discriminant", [False, True])
def test_the_strictest_penalty_is_tried_first(discriminant):
    """The stricter a linear judge is, the less far apart it puts two images."""
    lesson = taught(discriminant=discriminant)
    (group,) = linear_tries(lesson.recipe)
    reach = [np.ptp(ask(None)[:, 1]) for _, ask in JUDGE.learn(lesson, group, 0)]
    assert (np.diff(reach) > 0).all()


def test_every_penalty_of_a_group_is_learned():
    (group,) = linear_tries(ArmRecipe(name="real"))
    assert [one for one, _ in JUDGE.learn(taught(), group, 0)] == list(group)


def test_points_between_two_of_a_class_fill_it_up():
    x = points()
    fresh, labels = _smote(x, LABELS, np.random.default_rng(0))
    assert labels.tolist() == [1] * 40
    own = x[LABELS == 1]
    assert (fresh >= own.min(axis=0) - 1e-6).all()
    assert (fresh <= own.max(axis=0) + 1e-6).all()
    alone, _ = _smote(x[:61], LABELS[:61], np.random.default_rng(0))
    assert np.allclose(alone, x[60])
