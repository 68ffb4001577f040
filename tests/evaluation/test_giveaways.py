"""What gives a class away beside what the pictures show: constructed truth for each sign."""

from dataclasses import replace

import numpy as np
import pytest

from medgan.base.errors import DatasetError
from medgan.dataset.manifest import Record
from medgan.evaluation.giveaways import (
    _ADVICE,
    _BRIGHTNESS,
    _NONE,
    _SCANNER,
    _SHAPE,
    _TOLD,
    Circumstances,
    _decide,
    measure_giveaways,
)
from medgan.evaluation.usefulness.verdict import CANNOT_TELL, LEAST_RARE
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


def measured(train, held, learned, asked, **more):
    return measure_giveaways(train, held, learned, asked, seed=0, resamples=200, **more)


def verdicts(sign):
    return [one.verdict for one in sign.classes]


def of_few(held, count, label=0):
    """The same images, those of one class of so few patients."""
    own = np.cumsum(held.labels == label) % count
    people = [
        f"few-{n}" if k == label else p for k, n, p in zip(held.labels, own, held.patients, strict=True)
    ]
    return replace(held, patients=np.array(people))


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
    assert _TOLD not in {found.verdict, *verdicts(sign_of(found, _SHAPE))}
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
    assert _TOLD not in verdicts(sign_of(found, _SHAPE))


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
        assert [one == _TOLD for one in verdicts(found)] == [loud, loud]
    assert found.values == 4


def test_a_scanner_that_nobody_has_met_and_an_unknown_one_are_no_error():
    train, held = images(60, 1), images(40, 2)
    learned = files(train.labels, 1, scanners=lambda label, _: label)
    asked = files(held.labels, 2, scanners=lambda *_: 9)
    found = sign_of(measured(train, held, learned, asked), _SCANNER)
    assert [one.auroc for one in found.classes] == [0.5, 0.5]


def test_a_scanner_that_no_judging_file_names_is_not_known():
    train, held = images(60, 1), images(40, 2)
    learned = files(train.labels, 1, scanners=lambda label, _: label + 1)
    found = measured(train, held, learned, files(held.labels, 2))
    assert sign_of(found, _SCANNER).classes == ()
    assert found.sentence.endswith("The scanner is not known.")


def test_the_patients_of_another_hospital_are_called_external():
    train, held = images(60, 1), of_few(images(40, 2), 2)
    found = measured(train, held, files(train.labels, 1), files(held.labels, 2), whose="external")
    assert "only 2 external patients have sick;" in found.sentence


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
    assert verdicts(sign_of(measured(train, held, learned, asked), _SHAPE)) == [_TOLD, _TOLD]


@pytest.mark.parametrize("count", [1, 2, LEAST_RARE - 1])
def test_few_patients_cannot_tell_however_many_images_they_have_and_however_clear_it_looks(count):
    train, held = images(60, 1, brighter=0.2), of_few(images(40, 2, brighter=0.2), count)
    found = measured(train, held, files(train.labels, 1), files(held.labels, 2))
    sick, well = sign_of(found, _BRIGHTNESS).classes
    assert sick.auroc > 0.9
    assert (found.verdict, sick.verdict, well.verdict) == (CANNOT_TELL,) * 3
    assert (sick.patients, sick.others, well.patients, well.others) == (count, 40, 40, count)
    assert min(sick.patients_needed, well.patients_needed) >= LEAST_RARE
    have = "1 held-out patient has" if count == 1 else f"{count} held-out patients have"
    start = "Cannot tell whether picture shape or brightness gives a class away: only "
    assert found.sentence.startswith(f"{start}{have} sick; a verdict needs at least ")
    assert "No class is given away" not in found.sentence
    assert "AUROC" not in found.sentence


def test_few_patients_of_all_other_classes_cannot_tell_either():
    train, held = images(60, 1, brighter=0.2), of_few(images(40, 2, brighter=0.2), 2, label=1)
    found = measured(train, held, files(train.labels, 1), files(held.labels, 2))
    assert verdicts(sign_of(found, _BRIGHTNESS)) == [CANNOT_TELL, CANNOT_TELL]
    assert "only 2 held-out patients have well;" in found.sentence


def test_a_class_with_enough_patients_is_told_beside_one_with_few():
    names = ("sick", "well", "bright")
    train = images(60, 1, names=names, brighter=0.4)
    held = of_few(images(40, 2, names=names, brighter=0.4), 2)
    found = measured(train, held, files(train.labels, 1), files(held.labels, 2))
    assert verdicts(sign_of(found, _BRIGHTNESS)) == [CANNOT_TELL, _TOLD, _TOLD]
    assert found.verdict == _TOLD
    assert found.sentence.startswith("Brightness alone tells ")
    assert "Cannot tell whether picture shape gives a class away: only 2 held-out" in found.sentence


def test_many_patients_and_no_sign_are_said_to_give_nothing_away_with_the_end_of_the_interval():
    train, held = images(400, 1), images(400, 2)
    half = np.arange(len(held)) % 2
    train, held = (replace(one, labels=half) for one in (train, held))
    found = measured(train, held, files(train.labels, 1), files(held.labels, 2))
    assert (found.verdict, {*verdicts(found.signs[0]), *verdicts(found.signs[1])}) == (_NONE, {_NONE})
    assert all(one.patients_needed is None for sign in found.signs for one in sign.classes)
    most, top = (
        max(getattr(one, name) for sign in found.signs for one in sign.classes) for name in ("auroc", "high")
    )
    assert found.sentence == (
        f"No class is given away by picture shape or brightness (AUROC at most {most:.2f}; 95 % intervals"
        f" reach up to {top:.2f}). The scanner is not known."
    )


def test_equal_values_in_training_give_nothing_away_whoever_judges():
    train, held = images(60, 1), of_few(images(40, 2), 2)
    same = [Circumstances.of([Record(path="a.png", shape=(1, 64, 64))] * len(one)) for one in (train, held)]
    found = measured(train, held, *same)
    assert verdicts(sign_of(found, _SHAPE)) == [_NONE, _NONE]
    assert verdicts(sign_of(found, _BRIGHTNESS)) == [CANNOT_TELL, CANNOT_TELL]
    assert "No class is given away by picture shape (AUROC at most 0.50; 95 %" in found.sentence


@pytest.mark.parametrize(
    ("auroc", "low", "high", "patients", "said"),
    [
        (0.89, 0.61, 0.99, 40, (_TOLD, None)),
        (0.65, 0.61, 0.69, 900, (_TOLD, None)),
        (0.55, 0.4, 0.69, 40, (_NONE, None)),
        (0.97, 0.9, 1.0, 4, (CANNOT_TELL, 5)),
        (0.97, 0.59, 1.0, 9, (CANNOT_TELL, 10)),  # 0.38 must fall below 0.37: barely more patients
        (0.8, 0.4, 1.0, 10, (CANNOT_TELL, 40)),  # 0.4 must fall to 0.2: half the width, four times as many
        (0.5, 0.3, 0.89, 10, (CANNOT_TELL, 39)),  # 0.39 must fall to 0.2, below the upper threshold
        (0.65, 0.55, 0.75, 10, (CANNOT_TELL, 40)),  # on either side
    ],
)
def test_a_verdict_needs_an_interval_beyond_a_threshold_and_else_so_many_patients(
    auroc, low, high, patients, said
):
    assert _decide(auroc, low, high, patients) == said


def test_a_wide_interval_is_said_with_the_patients_that_a_verdict_needs():
    train, held = images(60, 1, brighter=0.03), images(40, 2, brighter=0.03)
    found = measured(train, held, files(train.labels, 1), files(held.labels, 2))
    one = next(one for one in sign_of(found, _BRIGHTNESS).classes if one.label == "sick")
    assert (one.verdict, one.patients) == (CANNOT_TELL, RARE)
    assert one.patients_needed > RARE
    assert (
        f"Cannot tell whether brightness gives a class away: sick is told from the rest with an AUROC of"
        f" {one.auroc:.2f}, but anything from {one.low:.2f} to {one.high:.2f} is plausible (95 % interval)."
        f" {RARE} held-out patients have sick; a verdict needs about {one.patients_needed:,}."
    ) in found.sentence


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
