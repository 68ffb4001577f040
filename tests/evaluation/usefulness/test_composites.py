import numpy as np

from medgan.evaluation.usefulness.composites import _MAJOR, compose
from tests.evaluation.rings import shapes

IMAGES = shapes(20, 6, 0, per_patient=2)


def test_a_child_has_two_parents_of_one_class_who_are_different_patients():
    made = compose(IMAGES, 0, per_class=10)
    assert np.bincount(made.labels).tolist() == [10, 10]
    assert (IMAGES.labels[made.parents] == made.labels[:, None]).all()
    first, second = IMAGES.patients[made.parents].T
    assert (first != second).all()


def test_children_are_blends_and_halves_by_turns():
    made = compose(IMAGES, 0, per_class=10)
    first, second = IMAGES.pixels[made.parents.T]
    assert np.allclose(made.pixels[::2], _MAJOR * first[::2] + (1 - _MAJOR) * second[::2], atol=1e-6)
    halves = (made.pixels == first)[1::2], (made.pixels == second)[1::2]
    assert (halves[0] | halves[1]).all()
    assert all(0.4 < one.mean() < 0.6 for one in halves)


def test_a_class_of_one_patient_has_no_children():
    assert np.bincount(compose(shapes(8, 4, 0, per_patient=4), 0).labels, minlength=2)[1] == 0
    assert not len(compose(IMAGES.take([]), 0).labels)
