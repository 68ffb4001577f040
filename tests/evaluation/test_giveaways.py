"""What gives a class away beside what the pictures show: constructed truth for each sign."""

from dataclasses import replace

import numpy as np
import pytest

from medgan.base.errors import DatasetError
from medgan.dataset.manifest import Record
from medgan.evaluation.giveaways import (
    _ADVICE,
    _BRIGHTNESS,
    _FEWEST_PATIENTS,
    _NONE,
    _SCANNER,
    _SHAPE,
    _TOLD,
    Circumstances,
    measure_giveaways,
)
from medgan.preparation.images import LabelledImages

NAMES = ("sick", "well")
RARE = 15


def images(count, seed, *, brighter=0.0, names=NAMES):
    """As many noisy squares of every class, `RARE` of the first; those of the last class are `brighter`."""
    chance = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(names)), [RARE, *[count] * (len(names) - 1)])
    levels = chance.normal(0.5, 0.05, len(labels)) + brighter * (labels == len(names) - 1)
    pixels = levels[:, None, None, None] + chance.normal(0, 0.02, (len(labels), 1, 8, 8))
    own = np.array([f"{seed}-{row}" for row in range(len(labels))])
    return LabelledImages(
        pixels=pixels.astype(np.float32), labels=labels, names=names, patients=own, sources=own
    )


def files(labels, seed=0, *, shapes=None, scanners=None, **facts):
    """The circumstances of images: sides by chance, unless `shapes` says what each class has; scanner 0,
    unless `scanners` says."""
    chance = np.random.default_rng(seed)
    plain = Record(path="a.png", format="png", photometric="L", shape=(1, 100, 100), **facts)

    def one(label):
        rows, columns = shapes[label] if shapes else (100, 100)
        sides = chance.integers(-5, 6, 2) + np.array([rows, columns])
        number = scanners(label, chance) if scanners else 0
        return replace(plain, shape=(1, *sides.tolist()), scanner=int(number))

    return Circumstances.of([one(label) for label in labels.tolist()])


def measured(train, held, learned, asked):
    return measure_giveaways(train, held, learned, asked, seed=0, resamples=200)


def sign_of(found, name):
    return next(sign for sign in found.signs if sign.sign == name)


def test_classes_of_other_shapes_are_told_by_shape_and_by_nothing_else():
    train, held = images(60, 1), images(40, 2)
    shapes = [(100, 130), (120, 110)]
    found = measured(train, held, files(train.labels, 1, shapes=shapes), files(held.labels, 2, shapes=shapes))
    assert found.verdict == _TOLD
    for one in sign_of(found, _SHAPE).classes:
        assert one.auroc > 0.95
        assert one.low > 0.9
    assert all(one.low < 0.6 for one in sign_of(found, _BRIGHTNESS).classes)
    assert (
        "Picture shape alone tells sick from the rest with an AUROC of 1.00 (1.00 to 1.00): "
        f"{_ADVICE[_SHAPE]}."
    ) in found.sentence
    assert "No class is given away by brightness (AUROC at most 0." in found.sentence
    assert found.sentence.endswith("The scanner is not known.")


def test_equal_shapes_tell_nothing_and_squares_less_than_nothing():
    train, held = images(60, 1), images(40, 2)
    found = measured(train, held, files(train.labels, 1), files(held.labels, 2))
    assert (found.verdict, [one.loud for one in sign_of(found, _SHAPE).classes]) == (_NONE, [False, False])
    square = Circumstances.of([Record(path="a.png", shape=(1, 64, 64))] * len(train))
    asked = Circumstances.of([Record(path="a.png", shape=(1, 64, 64))] * len(held))
    same = sign_of(measured(train, held, square, asked), _SHAPE)
    assert (same.values, [(one.auroc, one.low, one.high) for one in same.classes]) == (
        1,
        [(0.5, 0.5, 0.5)] * 2,
    )


def test_a_brighter_class_is_told_by_brightness():
    train, held = images(60, 1, brighter=0.2), images(40, 2, brighter=0.2)
    found = measured(train, held, files(train.labels, 1), files(held.labels, 2))
    assert found.sentence.startswith("Brightness alone tells ")
    assert all(one.low > 0.85 for one in sign_of(found, _BRIGHTNESS).classes)
    assert not any(one.loud for one in sign_of(found, _SHAPE).classes)


def test_a_middle_class_is_told_from_both_ends():
    """Neither brighter nor darker than all others, so that no straight line would find it."""
    names = ("sick", "dark", "bright")
    train, held = (images(60, seed, names=names, brighter=0.4) for seed in (1, 2))
    shift = np.array([0.2, 0.0, 0.0], np.float32)
    train, held = (
        replace(one, pixels=one.pixels + shift[one.labels][:, None, None, None]) for one in (train, held)
    )
    found = sign_of(measured(train, held, files(train.labels, 1), files(held.labels, 2)), _BRIGHTNESS)
    assert next(one for one in found.classes if one.label == "sick").low > 0.7


def test_a_class_from_one_scanner_is_told_by_it_and_mixed_scanners_tell_nothing():
    train, held = images(60, 1), images(40, 2)
    own, mixed = (lambda label, _: label + 1), (lambda _, chance: chance.integers(1, 5))
    for rule, loud in ((own, True), (mixed, False)):
        learned, asked = (files(one.labels, n, scanners=rule) for n, one in enumerate((train, held)))
        found = sign_of(measured(train, held, learned, asked), _SCANNER)
        assert [one.loud for one in found.classes] == [loud, loud]
    assert found.values == 4


def test_a_scanner_that_nobody_has_met_and_an_unknown_one_are_no_error():
    train, held = images(60, 1), images(40, 2)
    learned = files(train.labels, 1, scanners=lambda label, _: label)
    asked = files(held.labels, 2, scanners=lambda *_: 9)
    found = sign_of(measured(train, held, learned, asked), _SCANNER)
    assert [one.auroc for one in found.classes] == [0.5, 0.5]


def test_a_format_and_a_polarity_are_facts_of_the_file():
    train, held = images(60, 1), images(40, 2)
    forms = ("MONOCHROME1", "MONOCHROME2")
    learned, asked = (
        Circumstances.of(
            [
                Record(path="a", format="dicom", photometric=forms[label], shape=(1, 9, 9))
                for label in one.labels.tolist()
            ]
        )
        for one in (train, held)
    )
    assert all(one.loud for one in sign_of(measured(train, held, learned, asked), _SHAPE).classes)


def test_few_patients_of_a_class_give_nothing_away_and_that_is_as_slices_of_one_count():
    train, held = images(60, 1, brighter=0.2), images(40, 2, brighter=0.2)
    people = np.array(
        [
            f"{label}-{row % (_FEWEST_PATIENTS - 1) if not label else row}"
            for row, label in enumerate(held.labels)
        ]
    )
    held = replace(held, patients=people)
    found = measured(train, held, files(train.labels, 1), files(held.labels, 2))
    sick, well = sign_of(found, _BRIGHTNESS).classes
    assert (sick.patients, sick.loud, well.loud) == (_FEWEST_PATIENTS - 1, False, True)
    assert "Brightness alone tells well from the rest" in found.sentence


def test_rare_classes_have_an_auprc_beside_what_guessing_reaches():
    train, held = images(60, 1), images(40, 2)
    sick, well = measured(train, held, files(train.labels), files(held.labels)).signs[0].classes
    assert sick.base == round(RARE / (RARE + 40), 5)
    assert sick.auprc is not None
    assert well.auprc is None


def test_one_class_is_refused():
    train, held = images(60, 1), images(40, 2).of("well")
    with pytest.raises(DatasetError, match="only one class"):
        measured(train, held, files(train.labels), files(held.labels))


def test_intervals_are_of_the_score_that_is_told():
    train, held = images(60, 1, brighter=0.05), images(40, 2, brighter=0.05)
    for one in sign_of(measured(train, held, files(train.labels), files(held.labels)), _BRIGHTNESS).classes:
        assert one.low < one.auroc < one.high
        assert one.high > one.low + 0.05
