import numpy as np
import pytest

from medgan.evaluation.usefulness.arms import (
    _EARLY,
    COMPOSED,
    MADE,
    NAMED,
    REAL,
    RECIPES,
    Learned,
    count_added,
    lesson,
    possible,
    rare_classes,
)

COUNTS = {"cyst": 20, "mass": 40, "normal": 100}
NAMES = tuple(COUNTS)
BY_NAME = {recipe.name: recipe for recipe in RECIPES}


def learned(made=(0, 0, 0), composed=(0, 0, 0)):
    """Classes in order, real images first."""
    sizes = [*COUNTS.values(), *made, *composed]
    labels = np.repeat([0, 1, 2] * 3, sizes)
    origins = np.repeat([REAL, MADE, COMPOSED], [160, sum(made), sum(composed)])
    parents = np.stack([np.arange(len(labels))] * 2, axis=1)
    for row in np.flatnonzero(origins == COMPOSED):
        parents[row] = np.flatnonzero((labels == labels[row]) & (origins == REAL))[[0, row % 7 + 1]]
    return Learned(names=NAMES, labels=labels, origins=origins, parents=parents)


def taught(name, images, side=None):
    return lesson(BY_NAME[name], images, np.ones(len(images), bool) if side is None else side, 0)


def shares(pool, images):
    """{class: (share of draws that are real, that are not)}."""
    labels, extra = images.labels[pool.rows], images.origins[pool.rows] != REAL
    return {
        label: tuple(
            float(pool.chances[(labels == number) & (extra == side)].sum().round(6)) for side in (False, True)
        )
        for number, label in enumerate(NAMES)
    }


def third(share):
    return pytest.approx((round((1 - share) / 3, 6), round(share / 3, 6)), abs=1e-5)


@pytest.mark.parametrize(
    ("counts", "rare"),
    [
        (COUNTS, ("cyst", "mass")),
        ({"a": 50, "b": 100}, ("a",)),
        ({"a": 60, "b": 100}, ("a",)),  # none below half: the smallest
        ({"a": 60, "b": 60}, ("a", "b")),
        ({"a": 0, "b": 10, "c": 100}, ("b",)),
    ],
)
def test_rare_is_at_most_half_of_the_largest_or_else_the_smallest(counts, rare):
    assert rare_classes(counts) == rare


# --- which arms there are ---


def test_arms_that_add_to_every_class_need_images_of_every_class():
    def names(images):
        return {recipe.name for recipe in possible(images, RECIPES, np.ones(len(images), bool))}

    assert names(learned((9, 9, 9), (9, 9, 9))) == set(BY_NAME)
    rare_only = names(learned((80, 60, 0)))
    assert "one-sided" in rare_only
    assert not rare_only & {"share 0.25", "finish on real", "composites"}
    assert not any(BY_NAME[name].made for name in names(learned((0, 0, 9))))


def test_the_named_arms_are_arms_with_made_images():
    assert all(BY_NAME[name].made for name in NAMED)


# --- how often each image is drawn, and what an error costs ---


def test_real_images_are_drawn_as_often_as_there_are_images():
    assert shares(taught("real", learned()).stages[0][1], learned()) == {
        "cyst": (0.125, 0),
        "mass": (0.25, 0),
        "normal": (0.625, 0),
    }


@pytest.mark.parametrize(
    ("name", "share"),
    [("oversampling", 0), ("share 0.25", 0.25), ("share 0.5 + classical", 0.5), ("composites", 0.25)],
)
def test_every_class_is_drawn_as_often_with_the_same_share_of_what_is_added(name, share):
    images = learned((200, 10, 30), (5, 6, 7))
    told = taught(name, images)
    assert all(one == third(share) for one in shares(told.stages[0][1], images).values())
    assert told.recipe.classical == name.endswith("classical")


def test_one_sided_images_fill_classes_that_lack_some_up_to_the_largest():
    images = learned((200, 10, 30))
    told = taught("one-sided", images)
    assert count_added(told, images) == {"cyst": 80, "mass": 10, "normal": 0}
    drawn = shares(told.stages[0][1], images)
    assert drawn["cyst"] == third(0.8)
    assert drawn["normal"] == third(0)


@pytest.mark.parametrize(("name", "share"), [("finish on real", 0.5), ("pretrain + classical", 1.0)])
def test_two_stages_end_on_real_images_alone(name, share):
    images = learned((20, 20, 20))
    (early, first), (late, after) = taught(name, images).stages
    assert (early, late) == (_EARLY, pytest.approx(1 - _EARLY))
    assert all(one == third(share) for one in shares(first, images).values())
    assert all(one == third(0) for one in shares(after, images).values())


def test_an_error_on_a_made_image_may_cost_less():
    images = learned((20, 20, 20))
    pool = taught("share 0.25 at weight 0.3", images).stages[0][1]
    extra = images.origins[pool.rows] == MADE
    assert pool.costs == pytest.approx(np.where(extra, 0.3, 1.0))


def test_class_weights_cost_as_scikit_learn_weighs():
    from sklearn.utils.class_weight import compute_class_weight

    images = learned()
    pool = taught("class weights", images).stages[0][1]
    wanted = compute_class_weight("balanced", classes=np.arange(3), y=images.labels)
    assert pool.costs == pytest.approx(wanted[images.labels])


def test_duplicates_are_real_images_each_as_often_give_or_take_one():
    images = learned()
    told = taught("duplicates", images)
    rows, times = np.unique(told.stages[0][1].rows, return_counts=True)
    assert set(times[images.labels[rows] == 0]) == {5}
    assert set(times[images.labels[rows] == 1]) <= {2, 3}
    assert set(times[images.labels[rows] == 2]) == {1}
    assert count_added(told, images) == {"cyst": 80, "mass": 60, "normal": 0}


def test_balanced_softmax_knows_how_frequent_classes_are():
    assert np.exp(taught("balanced softmax", learned()).prior) == pytest.approx([0.125, 0.25, 0.625])
    assert taught("real", learned()).prior is None


# --- parts of the training patients ---


def test_where_some_real_images_may_not_be_learned_from_neither_may_what_comes_from_them():
    images = learned((3, 3, 3), (7, 7, 7))
    real = np.arange(len(images)) < 160
    real[1] = False
    side = images.beside(real)
    assert not side[images.origins == MADE].any()
    children = np.flatnonzero(images.origins == COMPOSED)
    assert [bool(side[row]) for row in children] == [1 not in images.parents[row] for row in children]
    rows = taught("composites", images, side).stages[0][1].rows
    assert 1 not in rows
    assert 1 not in images.parents[rows]
