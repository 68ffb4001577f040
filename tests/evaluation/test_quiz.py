import numpy as np
import pytest
from scipy import stats

from medgan.base.errors import DatasetError
from medgan.evaluation.quiz import choose_quiz, exact_interval
from tests.reports.quizzes import data


def counts(quiz, synthetic):
    return list(quiz.images.take(quiz.synthetic == synthetic).counts.values())


@pytest.mark.parametrize("seed", range(3))
def test_twenty_of_either_kind_even_over_the_classes(seed):
    quiz = choose_quiz(data(), seed)
    assert counts(quiz, False) == counts(quiz, True) == [10, 10]
    assert len({image.tobytes() for image in quiz.images.pixels}) == 40


def test_real_ones_are_of_held_out_patients_and_synthetic_ones_are_those_judged():
    given = data()
    quiz = choose_quiz(given, 5)
    for kind, whole in ((False, given.held_out), (True, given.synthetic)):
        chosen = quiz.images.take(quiz.synthetic == kind)
        assert set(chosen.sources) <= set(whole.sources)
        rows = [whole.sources.tolist().index(source) for source in chosen.sources]
        np.testing.assert_array_equal(chosen.pixels, whole.pixels[rows])
        np.testing.assert_array_equal(chosen.labels, whole.labels[rows])
    assert not set(quiz.images.patients) & set(given.train.patients)


def test_no_patient_is_shown_twice_while_there_are_others():
    quiz = choose_quiz(data(real=(20, 20)), 0)
    real = quiz.images.take(~quiz.synthetic)
    assert len(set(real.patients)) == 20


def test_a_class_with_few_images_gives_as_many_of_either_kind_and_the_others_more():
    quiz = choose_quiz(data(real=(30, 2, 30), synthetic=(40, 9, 6)), 0)
    assert counts(quiz, False) == counts(quiz, True) == [12, 2, 6]
    few = choose_quiz(data(real=(3, 0), synthetic=(9, 9)), 0)
    assert counts(few, False) == counts(few, True) == [3, 0]


def test_the_seed_decides_images_and_order():
    first, again, other = (choose_quiz(data(), seed) for seed in (7, 7, 8))
    assert first.images.sources.tolist() == again.images.sources.tolist()
    assert first.images.sources.tolist() != other.images.sources.tolist()
    assert 0 < first.synthetic[:20].sum() < 20


def test_without_a_held_out_patient_there_is_no_quiz():
    with pytest.raises(DatasetError, match="held-out patient"):
        choose_quiz(data(real=(0, 0)), 0)
    with pytest.raises(DatasetError, match="held-out patient"):
        choose_quiz(data(real=(5, 0), synthetic=(0, 5)), 0)


@pytest.mark.parametrize("asked", [2, 39, 40])
def test_the_interval_is_that_of_clopper_and_pearson(asked):
    for right in range(asked + 1):
        expected = stats.binomtest(right, asked).proportion_ci(0.95, method="exact")
        assert exact_interval(right, asked) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert [round(end, 2) for end in exact_interval(26, 40)] == [0.48, 0.79]
