"""How many images to make per class."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medgan.base.errors import PlanError
from medgan.dataset.quota import (
    Quota,
    fill_with_repeats,
    level_shares,
    quotas,
    same_share,
    scarcest_class,
    synthetic_share,
    top_up,
)

COUNTS = {"a": 100, "b": 40, "c": 7}


def test_every_class_is_filled_up_to_the_largest_by_default():
    assert quotas(COUNTS) == {"a": 0, "b": 60, "c": 93}


def test_the_median_never_takes_images_away():
    assert quotas(COUNTS, "median") == {"a": 0, "b": 0, "c": 33}


def test_the_median_of_an_even_number_of_classes_is_rounded_up():
    assert quotas({"a": 4, "b": 1}, "median") == {"a": 0, "b": 2}


def test_a_number_is_the_goal_of_every_class():
    assert quotas(COUNTS, 50) == {"a": 0, "b": 10, "c": 43}


def test_a_class_may_have_a_goal_of_its_own():
    assert quotas(COUNTS, "largest", {"c": 20, "a": 110}) == {"a": 10, "b": 60, "c": 13}


def test_the_ratio_caps_what_is_made_for_each_real_image():
    assert quotas(COUNTS, "largest", max_ratio=1.5) == {"a": 0, "b": 60, "c": 10}
    assert quotas(COUNTS, "largest", max_ratio=0) == {"a": 0, "b": 0, "c": 0}
    assert quotas({"a": 100}, 200, max_ratio=0.29) == {"a": 29}


def test_a_class_without_images_still_has_a_quota():
    assert quotas({"a": 3, "b": 0}) == {"a": 0, "b": 3}


def test_an_unknown_class_is_refused_with_the_nearest_known_one():
    with pytest.raises(PlanError, match="no class 'covdi'") as caught:
        quotas({"covid": 1, "normal": 2}, per_class={"covdi": 5})
    assert "Did you mean covid?" in caught.value.hint
    assert "covid, normal" in caught.value.hint


@pytest.mark.parametrize(
    "options", [{"target": -1}, {"target": "smallest"}, {"per_class": {"a": -1}}, {"max_ratio": -0.5}]
)
def test_nonsense_is_refused_with_a_next_step(options):
    with pytest.raises(PlanError) as caught:
        quotas(COUNTS, **options)
    assert caught.value.hint


def test_no_classes_need_nothing():
    assert quotas({}) == {}


ANY = st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 200), min_size=1)


@given(ANY, st.sampled_from(["largest", "median"]) | st.integers(0, 300), st.none() | st.floats(0, 4))
def test_quotas_fill_up_and_never_take_away(counts, target, ratio):
    missing = quotas(counts, target, max_ratio=ratio)
    assert set(missing) == set(counts)
    for label, lacking in missing.items():
        assert lacking >= 0
        if ratio is not None:
            assert lacking <= counts[label] * ratio + 1e-6  # the product is rounded to six digits
        elif target == "largest":
            assert counts[label] + lacking == max(counts.values())
        elif isinstance(target, int):
            assert counts[label] + lacking == max(counts[label], target)


# --- what classes are made up of ---


def filled(share, max_ratio=None, target="largest", **per_class):
    """{class: (real, repeated, made)} of COUNTS."""
    whole = same_share(COUNTS, quotas(COUNTS, target, per_class), share, max_ratio)
    return {label: (one.real, one.repeated, one.made) for label, one in whole.items()}


def test_repeats_fill_up_and_made_images_join_in_every_class():
    assert filled(0.25) == {"a": (100, 0, 33), "b": (40, 60, 33), "c": (7, 93, 33)}
    assert filled(0.5) == {"a": (100, 0, 100), "b": (40, 60, 100), "c": (7, 93, 100)}
    assert filled(0) == {"a": (100, 0, 0), "b": (40, 60, 0), "c": (7, 93, 0)}


def test_classes_with_targets_of_their_own_get_made_images_for_their_size():
    assert filled(0.25, target="median") == {"a": (100, 0, 33), "b": (40, 0, 13), "c": (7, 33, 13)}
    assert filled(0.25, target=60) == {"a": (100, 0, 33), "b": (40, 20, 20), "c": (7, 53, 20)}
    assert filled(0.5, c=20) == {"a": (100, 0, 100), "b": (40, 60, 100), "c": (7, 13, 20)}


def test_the_scarcest_class_limits_the_made_images_of_all():
    assert filled(0.25, 2.0) == {"a": (100, 0, 14), "b": (40, 60, 14), "c": (7, 93, 14)}
    assert filled(0.25, 2.0, c=10) == {"a": (100, 0, 33), "b": (40, 60, 33), "c": (7, 3, 3)}
    assert filled(0.25, 0.0) == filled(0)


def test_a_class_without_a_real_image_gets_none_that_is_made():
    whole = same_share({"a": 3, "b": 0}, {"a": 0, "b": 3}, 0.5)
    assert whole["b"] == Quota(real=0)
    assert whole["a"].made == 3


def test_a_top_up_gives_made_images_to_classes_that_lack_some_alone():
    whole = top_up(COUNTS, quotas(COUNTS))
    assert {label: (one.repeated, one.made) for label, one in whole.items()} == {
        "a": (0, 0),
        "b": (0, 60),
        "c": (0, 93),
    }
    whole = top_up(COUNTS, quotas(COUNTS), 1.0)
    assert {label: (one.repeated, one.made) for label, one in whole.items()} == {
        "a": (0, 0),
        "b": (20, 40),
        "c": (86, 7),
    }


def test_where_one_class_has_fewer_all_get_fewer():
    whole = same_share(COUNTS, quotas(COUNTS), 0.25)
    some = {"a": 33, "b": 20, "c": 25}
    assert scarcest_class(whole, some) == "b"
    fewer = level_shares(whole, some)
    assert [one.made for one in fewer.values()] == [20, 20, 20]
    assert synthetic_share(fewer) == pytest.approx(20 / 120)
    assert level_shares(whole, dict.fromkeys(COUNTS, 33)) == whole
    assert scarcest_class(whole, dict.fromkeys(COUNTS, 40)) is None
    assert [one.made for one in level_shares(whole, {"a": 33, "b": 0, "c": 33}).values()] == [0, 0, 0]


def test_repeats_stand_in_for_made_images_that_are_not_to_be_had():
    whole = fill_with_repeats(top_up(COUNTS, quotas(COUNTS)), {"a": 0, "b": 60, "c": 50})
    assert [(one.repeated, one.made) for one in whole.values()] == [(0, 0), (0, 60), (43, 50)]


SOME = st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 300), min_size=1)


@given(
    SOME,
    st.sampled_from(["largest", "median"]) | st.integers(0, 400),
    st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 400)),
    st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9]),
    st.none() | st.floats(0, 4),
    st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 300)),
)
def test_the_share_is_the_same_in_every_class(counts, target, goals, share, most, kept):
    goals = {label: goal for label, goal in goals.items() if label in counts}
    lacking = quotas(counts, target, goals)
    asked = same_share(counts, lacking, share, most)
    for whole in (asked, level_shares(asked, {label: kept.get(label, 300) for label in counts})):
        biggest = max(whole.values(), key=lambda one: one.body)
        odds = biggest.made / biggest.body
        for label, one in whole.items():
            assert (one.real, one.repeated) == (counts[label], lacking[label])
            # rounding either class is off by half an image at most, as far as a limit allows
            assert abs(one.made - one.body * odds) <= 1
            assert one.made <= round(one.body * share / (1 - share))
            assert most is None or one.made <= one.real * most + 1e-6
        if target == "largest" and not goals:
            assert len({one.body + one.made for one in whole.values()}) == 1
