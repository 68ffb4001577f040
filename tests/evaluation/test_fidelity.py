import numpy as np
import pytest

from medgan.base.errors import DatasetError
from medgan.evaluation.fidelity import _halve_patients, measure_fidelity
from medgan.evaluation.usefulness.image_sets import Split
from tests.evaluation.phantoms import discs, drawn, gathered, noise

FAST = ("domain", "radiomics")


def scores_of(synthetic, *, train=None, held_out=None, spaces=("radiomics",), **how):
    train = drawn((60, 60), 0, word="t") if train is None else train
    held_out = drawn((60, 60), 1, word="h") if held_out is None else held_out
    found = measure_fidelity(Split(train, held_out, synthetic), spaces=spaces, resamples=60, **how)
    return {(score.name, score.space, score.label): score for score in found}


@pytest.fixture(scope="module")
def faithful():
    """Synthetic images that are drawn as the real ones are."""
    return scores_of(drawn((60, 60), 2, word="s"), spaces=FAST)


def test_images_of_the_true_distribution_are_at_the_floor(faithful):
    distances = [score for score in faithful.values() if score.name in {"kid", "fd", "sliced_wasserstein"}]
    beyond = [score for score in distances if not score.at_floor]
    assert len(beyond) <= len(distances) // 6, beyond  # intervals hold the truth in 95 of 100 cases
    for score in faithful.values():
        if score.better == "higher":
            assert score.value > score.floor - 0.15


def test_every_score_comes_per_class_and_overall_with_interval_n_and_floor(faithful):
    names = {"kid", "fd", "sliced_wasserstein", "precision", "recall", "density", "coverage"}
    expected = {(name, space, label) for name in names for space in FAST for label in ("", "large", "small")}
    expected |= {("ms_ssim_gap", "pixels", label) for label in ("large", "small")}
    assert set(faithful) == expected
    for score in faithful.values():
        assert score.low <= score.value <= score.high
        assert score.floor is not None
        assert score.n == score.n_real == (60 if score.label else 120)
        assert "cannot be concluded" not in score.note


@pytest.mark.parametrize("space", FAST)
def test_noise_is_far_away_and_covers_nothing(space):
    found = scores_of(gathered(noise(60, 1), noise(60, 2), word="s"), spaces=(space,))
    for label in ("", "large", "small"):
        for name in ("kid", "fd", "sliced_wasserstein"):
            score = found[name, space, label]
            assert score.low > 3 * abs(score.floor)
        assert found["coverage", space, label].value < 0.1
        assert not found["coverage", space, label].at_floor


def test_a_collapsed_generator_is_precise_but_covers_little_and_its_images_are_alike():
    collapsed = gathered(*(discs(60, 3, label=label, spread=0.0) for label in (0, 1)), word="s")
    found = scores_of(collapsed, spaces=FAST)
    for label in ("large", "small"):
        assert found["precision", "domain", label].value > 0.8
        assert found["coverage", "domain", label].value < 0.5 * found["coverage", "domain", label].floor
        # In a trained space a single stray image can reach many, on one processor and not on another.
        assert found["recall", "radiomics", label].value < 0.2
        gap = found["ms_ssim_gap", "pixels", label]
        assert gap.low > gap.floor
        assert "more alike" in gap.note


def test_copies_of_the_training_images_score_no_better_than_other_real_images():
    train = drawn((60, 60), 0, word="t")
    found = scores_of(train, train=train)
    assert found["kid", "radiomics", ""].value == pytest.approx(found["kid", "radiomics", ""].floor)


def test_few_images_say_what_cannot_be_concluded():
    found = scores_of(drawn((60, 20), 2, word="s"))
    assert found["kid", "radiomics", "large"].note == ""
    assert "only 20 synthetic images" in found["kid", "radiomics", "small"].note
    assert found["kid", "radiomics", "small"].n == 20


def test_a_class_with_next_to_no_images_gets_words_instead_of_a_number():
    found = scores_of(drawn((60, 3), 2, word="s"))
    score = found["kid", "", "small"]
    assert (score.value, score.at_floor) == (None, None)
    assert "nothing can be said" in score.note


def test_a_class_without_synthetic_images_is_left_out():
    found = scores_of(drawn((0, 60), 2, word="s"))
    assert {label for _, _, label in found} == {"small"}


def test_the_mixture_of_classes_is_that_of_the_real_images():
    held_out = drawn((80, 20), 1, word="h")
    kid = scores_of(drawn((20, 60), 2, word="s"), held_out=held_out)["kid", "radiomics", ""]
    assert (kid.n, kid.n_real) == (25, 100)
    assert kid.at_floor


def test_intervals_are_wider_where_few_patients_gave_many_images():
    few = [discs(5, 1, label=label).repeat(12, axis=0) for label in (0, 1)]
    wide, narrow = (
        scores_of(drawn((60, 60), 2, word="s"), held_out=gathered(*few, word="h", per_patient=count))[
            "sliced_wasserstein", "radiomics", "large"
        ]
        for count in (12, 1)
    )
    assert wide.value == narrow.value
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)


def test_without_held_out_images_half_of_the_patients_are_the_measure():
    train = drawn((60, 60), 0, word="t", per_patient=3)
    found = scores_of(drawn((60, 60), 2, word="s"), train=train, held_out=train.take([]))
    assert found["kid", "radiomics", "large"].n_real == 30
    first, second = _halve_patients(train, 0)
    assert not set(first.patients) & set(second.patients)
    assert len(first) + len(second) == len(train)


def test_the_same_seed_gives_the_same_scores():
    once, again = (scores_of(drawn((20, 20), 2, word="s")) for _ in range(2))
    assert once == again


def test_a_space_that_cannot_be_made_is_left_out_and_refused_when_it_is_the_only_one():
    one_class = [gathered(discs(20, seed), word=f"{seed}-") for seed in range(3)]
    found = measure_fidelity(Split(*one_class), spaces=FAST, resamples=5)
    assert {score.space for score in found} == {"radiomics", "pixels"}
    with pytest.raises(DatasetError, match="two classes"):
        measure_fidelity(Split(*one_class), spaces=("domain",), resamples=5)


def test_progress_is_reported():
    seen = []
    measure_fidelity(
        Split(drawn((20, 20), 0), drawn((20, 20), 1), drawn((20, 20), 2)),
        spaces=("radiomics",),
        resamples=5,
        on_progress=seen.append,
    )
    assert seen[-1].done == seen[-1].total
    assert np.all(np.diff([report.done for report in seen]) >= 0)
