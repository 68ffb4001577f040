import numpy as np
import pytest

from medgan.preparation.images import LabelledImages, concatenate_images


def images(labels, names=("mass", "normal", "scar")):
    count = len(labels)
    return LabelledImages(
        pixels=np.arange(count * 4, dtype=np.float32).reshape(count, 1, 2, 2) / 100,
        labels=np.array(labels, np.int64),
        names=names,
        patients=np.array([f"p{row // 2}" for row in range(count)]),
        sources=np.array([f"scan{row}.dcm" for row in range(count)]),
    )


def test_every_class_is_counted_those_without_images_too():
    assert images([0, 1, 1, 0, 0]).counts == {"mass": 3, "normal": 2, "scar": 0}


def test_the_images_of_a_class_keep_their_patients_and_sources():
    normal = images([0, 1, 1, 0, 0]).of("normal")
    assert normal.sources.tolist() == ["scan1.dcm", "scan2.dcm"]
    assert normal.patients.tolist() == ["p0", "p1"]
    assert normal.counts == {"mass": 0, "normal": 2, "scar": 0}


def test_a_class_may_be_empty():
    assert len(images([0, 1]).of("scar")) == 0


@pytest.mark.parametrize(
    ("rows", "sources"),
    [
        ([2, 0, 2], ["scan2.dcm", "scan0.dcm", "scan2.dcm"]),
        ([], []),
        (np.array([False, True, True]), ["scan1.dcm", "scan2.dcm"]),
    ],
)
def test_rows_are_taken_by_number_or_mask(rows, sources):
    taken = images([0, 1, 1]).take(rows)
    assert taken.sources.tolist() == sources
    assert len(taken) == len(sources)


def test_sets_join_in_order():
    both = concatenate_images(images([0, 1]), images([1]))
    assert both.labels.tolist() == [0, 1, 1]
    assert both.pixels.shape == (3, 1, 2, 2)


def test_sets_of_other_classes_do_not_join():
    with pytest.raises(AssertionError):
        concatenate_images(images([0]), images([0], names=("mass",)))


def test_a_label_without_a_name_is_a_fault_of_ours():
    with pytest.raises(AssertionError):
        images([3])
