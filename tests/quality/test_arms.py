import numpy as np
import pytest

from medgan.quality.arms import PARITY, RECIPES, added, pool, rare_classes, variants

COUNTS = {"cyst": 20, "mass": 40, "normal": 100}
NAMES = tuple(COUNTS)
REAL = np.repeat([0, 1, 2], [20, 40, 100])
RATIOS = ("0.25", "0.5", "1", PARITY)


def made(**counts):
    """Classes of synthetic images, and their counts."""
    numbers = [counts.get(name, 0) for name in NAMES]
    return np.repeat([0, 1, 2], numbers), dict(zip(NAMES, numbers, strict=True))


def drawn_shares(name, ratio="", labels=REAL, **counts):
    """{class: (share of draws that are real, share that are synthetic)} of an arm."""
    fake, numbers = made(**counts)
    variant = next(
        one for one in variants(COUNTS, numbers, RATIOS) if one.recipe.name == name and one.ratio == ratio
    )
    chosen = pool(variant, NAMES, labels, fake, 0)
    classes, synthetic = np.concatenate([labels, fake])[chosen.rows], chosen.rows >= len(labels)
    return {
        label: tuple(
            round(float(chosen.chances[(classes == number) & (synthetic == side)].sum()), 6)
            for side in (False, True)
        )
        for number, label in enumerate(NAMES)
    }


# --- who is rare ---


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


# --- how many images join ---


def test_a_ratio_counts_synthetic_images_per_real_one_up_to_parity():
    assert added("synthetic", COUNTS, "0.5") == {"cyst": 10, "mass": 20, "normal": 0}
    assert added("synthetic", COUNTS, "1") == {"cyst": 20, "mass": 40, "normal": 0}
    assert added("synthetic", COUNTS, PARITY) == {"cyst": 80, "mass": 60, "normal": 0}


def test_everywhere_adds_as_many_to_every_class():
    assert added("everywhere", COUNTS, "0.5") == {"cyst": 20, "mass": 20, "normal": 20}


def test_every_arm_is_there_when_there_are_images_enough():
    numbers = dict.fromkeys(NAMES, 80)
    arms = [(one.recipe.name, one.ratio) for one in variants(COUNTS, numbers, RATIOS)]
    assert len(arms) == len(set(arms)) == 6 + 4 * 4
    assert {name for name, _ in arms} == {recipe.name for recipe in RECIPES}


def test_a_ratio_that_finds_no_more_images_is_no_arm_of_its_own():
    arms = [one for one in variants(COUNTS, made(cyst=10)[1], RATIOS) if one.recipe.name == "synthetic"]
    assert [(one.ratio, one.added["cyst"]) for one in arms] == [("0.25", 5), ("0.5", 10)]


def test_without_synthetic_images_of_every_class_nothing_is_spread_everywhere():
    arms = {one.recipe.name for one in variants(COUNTS, made(cyst=80, mass=80)[1], RATIOS)}
    assert "synthetic" in arms
    assert "everywhere" not in arms


# --- how often each image is drawn ---


def test_real_images_are_drawn_as_often_as_there_are_images():
    assert drawn_shares("real") == {"cyst": (0.125, 0), "mass": (0.25, 0), "normal": (0.625, 0)}


@pytest.mark.parametrize("name", ["oversampling", "oversampling + classical"])
def test_oversampling_draws_every_class_as_often(name):
    shares = drawn_shares(name)
    assert {round(sum(share), 5) for share in shares.values()} == {0.33333}


def test_synthetic_images_share_the_draws_of_their_class_with_real_ones():
    shares = drawn_shares("synthetic", PARITY, cyst=80, mass=60)
    assert shares["cyst"] == (pytest.approx(0.2 / 3, abs=1e-5), pytest.approx(0.8 / 3, abs=1e-5))
    assert shares["normal"] == (pytest.approx(1 / 3, abs=1e-5), 0)


def test_everywhere_makes_being_synthetic_say_nothing_of_the_class():
    shares = drawn_shares("everywhere", PARITY, cyst=80, mass=80, normal=80)
    assert len(set(shares.values())) == 1
    real, synthetic = shares["cyst"]
    assert synthetic / (real + synthetic) == pytest.approx(80 / (80 + 20), abs=1e-5)


def test_duplicates_are_real_images_each_as_often_give_or_take_one():
    variant = next(one for one in variants(COUNTS, made()[1], RATIOS) if one.recipe.name == "duplicates")
    rows, times = np.unique(pool(variant, NAMES, REAL, made()[0], 0).rows, return_counts=True)
    assert rows.max() < len(REAL)
    assert set(times[REAL[rows] == 0]) == {5}
    assert set(times[REAL[rows] == 1]) <= {2, 3}
    assert set(times[REAL[rows] == 2]) == {1}


def test_class_weights_cost_as_scikit_learn_weighs():
    from sklearn.utils.class_weight import compute_class_weight

    variant = next(one for one in variants(COUNTS, made()[1], RATIOS) if one.recipe.weighted)
    costs = pool(variant, NAMES, REAL, made()[0], 0).costs
    assert costs == pytest.approx(compute_class_weight("balanced", classes=np.arange(3), y=REAL))


def test_the_seed_chooses_among_synthetic_images():
    fake, numbers = made(cyst=80)
    variant = next(one for one in variants(COUNTS, numbers, ("0.25",)) if one.recipe.name == "synthetic")
    first, again, other = (pool(variant, NAMES, REAL, fake, seed).rows[len(REAL) :] for seed in (0, 0, 1))
    assert (first == again).all()
    assert set(first) != set(other)
