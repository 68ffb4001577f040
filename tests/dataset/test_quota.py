"""How many images to make per class."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medgan.dataset.quota import quotas
from medgan.errors import PlanError

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
            assert lacking <= counts[label] * ratio
        elif target == "largest":
            assert counts[label] + lacking == max(counts.values())
        elif isinstance(target, int):
            assert counts[label] + lacking == max(counts[label], target)
