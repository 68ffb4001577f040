import numpy as np

from medgan.evaluation.usefulness.arms import COMPOSED, MADE, REAL
from medgan.evaluation.usefulness.composites import compose
from medgan.evaluation.usefulness.image_sets import Sets, Split
from tests.evaluation.rings import shapes

TRAIN, MADE_ONES, MORE = shapes(20, 8, 0, per_patient=2), shapes(5, 5, 1), shapes(0, 6, 2)
SETS = Sets.of(Split(TRAIN, shapes(3, 3, 3), MADE_ONES), MORE, compose(TRAIN, 0, per_class=10), ("rare",))
SOURCES = np.repeat(["train", "made", "composed", "more"], [28, 10, 20, 6])


def test_all_images_are_in_one_row():
    assert len(SETS.learned) == sum(map(len, SETS.pixels)) == len(SOURCES)
    for name, origin in (("train", REAL), ("made", MADE), ("composed", COMPOSED), ("more", REAL)):
        assert set(SETS.learned.origins[name == SOURCES]) == {origin}
    assert (SETS.learned.parents[SOURCES == "composed"] < len(TRAIN)).all()


def test_further_real_images_are_learned_from_only_where_they_are_asked_for():
    assert SETS.usual.tolist() == (SOURCES != "more").tolist()
    assert SETS.patients(SETS.usual) == 4
    assert SETS.patients(np.ones(len(SOURCES), bool)) == 4 + 6


def test_fewer_patients_of_the_rare_class_are_whole_patients_by_chance():
    for seed in range(4):
        side = SETS.fewer(0.5, seed)
        assert SETS.patients(side) == 2
        train = side[: len(TRAIN)]
        assert train[TRAIN.labels == 0].all()
        assert train[TRAIN.labels == 1].sum() == 4
        parents = SETS.learned.parents[side & (SOURCES == "composed")]
        assert train[parents].all()
    chosen = {tuple(SETS.fewer(0.5, seed).tolist()) for seed in range(8)}
    assert len(chosen) > 1
