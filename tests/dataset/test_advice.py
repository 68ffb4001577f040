"""What a person should know before training, in words with a next step."""

from dataclasses import replace
from pathlib import Path

import pytest

from medgan.dataset.advice import _NOTE_TEXTS, count_duplicates, data_warnings, serious_warnings
from medgan.dataset.manifest import Manifest, Record


def record(number: int, label: str = "a", **facts: object) -> Record:
    """A usable scan of a patient of its own."""
    own = {
        "path": f"{label}/{number}.png",
        "label": label,
        "patient": f"{label}{number}",
        "digest": f"{label}{number}",
        "slices": (0,),
        "format": "png",
        "meaning": "stored",
    }
    return Record(**{**own, **facts})


def large(label: str) -> list[Record]:
    """A class that nothing is to be said about."""
    return [record(number, label) for number in range(50)]


def told(*records: Record, known: bool = True) -> str:
    manifest = Manifest(root=Path("scans"), records=tuple(replace(one, named=known) for one in records))
    return "\n".join(data_warnings(manifest))


def test_nothing_is_said_where_nothing_is_wrong():
    assert told(*large("a"), *large("b")) == ""


def test_a_single_class_cannot_be_balanced():
    assert "only one class, a" in told(*large("a"))


def test_a_class_without_training_images_is_named():
    only_test = [record(n, "b", split="test") for n in range(50)]
    assert "Class b has no image in train" in told(*large("a"), *only_test)


def test_a_class_of_a_single_image_is_named():
    assert "Class b has a single image" in told(*large("a"), record(0, "b"))


def test_few_images_are_told_with_how_many():
    few = [record(n, "b") for n in range(49)]
    assert "Class b has only 49 images of 49 patients" in told(*large("a"), *few)


def test_few_patients_are_told_even_where_images_are_many():
    few = [record(n, "b", patient=f"p{n % 9}") for n in range(60)]
    assert "Class b has only 60 images of 9 patients" in told(*large("a"), *few)


def test_a_patient_nobody_named_is_not_counted_against_a_class():
    text = told(*large("a"), *large("b"), known=False)
    assert "Scans that name no patient" in text
    assert "has only" not in text


def test_a_few_scans_without_a_patient_silence_nothing():
    """Each class for itself: one maker's scans are of one person, another's name nobody."""
    one = [record(n, "c", patient="p") for n in range(60)]
    nobody = [record(n, "d", named=False) for n in range(55)]
    data = Manifest(root=Path("scans"), records=(*large("a"), *one, *nobody))
    text = "\n".join(data_warnings(data))
    assert "Class c has only 60 images of 1 patient in train" in text
    assert "class d" not in text.lower()
    assert "55 of 165 scans name no patient" in text


def test_patients_are_at_most_as_many_as_named_and_nameless_together():
    some = [record(n, "b", patient=f"p{n % 3}", named=n > 0) for n in range(60)]
    text = "\n".join(data_warnings(Manifest(root=Path("scans"), records=(*large("a"), *some))))
    assert "Class b has only 60 images of at most 3 patients in train" in text


def test_several_small_classes_are_told_in_one_sentence():
    text = told(*large("a"), *(record(n, label) for label in "bc" for n in range(2)))
    assert sum("advised" in line for line in text.splitlines()) == 1
    assert "b has 2 images" in text
    assert "c has 2 images" in text


def test_a_class_whose_every_file_is_broken_is_named():
    broken = record(0, "b", verdict="error:truncated", reason="ends early")
    text = told(*large("a"), *large("c"), broken)
    assert "Class b has no usable scan" in text
    assert "1 files could not be read" in text


def test_files_that_are_no_scans_are_no_reason_to_worry():
    others = ("skip:not-medical", "skip:special-file", "skip:pair-member", "skip:other-modality")
    files = [record(99 + n, "a", verdict=verdict) for n, verdict in enumerate(others * 20)]
    assert told(*large("a"), *large("b"), *files) == ""


def test_a_few_scans_that_are_left_out_are_none_either():
    few = [record(99 + n, "a", verdict="skip:localizer") for n in range(5)]
    assert told(*large("a"), *large("b"), *few) == ""


def test_many_scans_that_are_left_out_are_told_with_verdicts_numbers_and_the_next_step():
    lost = [record(99 + n, "a", verdict="skip:segmentation") for n in range(30)]
    lost += [record(199, "b", verdict="skip:secondary-capture", parts=tuple("abc"))]
    text = told(*large("a"), *large("b"), *lost)
    assert (
        "33 of 133 files that look like scans are left out (skip:segmentation 30, skip:secondary-capture 3)"
        in text
    )
    assert "medgan inspect --files" in text
    assert text == "\n".join(
        serious_warnings(Manifest(root=Path(), records=(*large("a"), *large("b"), *lost)))
    )


def test_conflicts_are_counted_apart_from_broken_files():
    conflict = [
        record(n, "b", verdict="error:label-conflict", parts=tuple(f"b/{n}-{z}.dcm" for z in range(30)))
        for n in (1, 2)
    ]
    text = told(*large("a"), *large("b"), *conflict)
    assert "60 files hold images that occur under two labels" in text
    assert "could not be read" not in text


def test_leaks_are_counted():
    twin = record(99, "a", split="test", patient="a0")
    assert "1 train scans were set aside" in told(*large("a"), *large("b"), twin)


def test_patients_of_both_val_and_test_are_counted():
    held = [
        record(n, "a", split=split, patient="p", digest=f"{split}{n}")
        for n, split in enumerate(("val", "val", "test"))
    ]
    assert "2 val scans have their patient or the same image in test too" in told(
        *large("a"), *large("b"), *held
    )
    assert "in test too" not in told(*large("a"), *large("b"), *held[:2])


def test_one_identifier_for_everybody_is_suspicious():
    same = [record(n, label, patient="ANON") for label in "ab" for n in range(60)]
    assert "All 120 scans carry the same patient identifier" in told(*same)


def test_duplicates_are_counted_within_class_and_split():
    again = record(100, "a", digest="a0")
    elsewhere = record(101, "a", digest="a1", split="val")
    manifest = Manifest(root=Path(), records=(*large("a"), again, elsewhere))
    assert count_duplicates(manifest) == 1
    assert "another scan of their class: 1" in told(*manifest.records)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"modality": "MR"}, "mixed modalities (unknown: 99, MR: 1)"),
        ({"meaning": "HU"}, "mixed kinds of values (stored: 99, HU: 1)"),
        ({"channels": 3}, "mixed numbers of colour channels (1: 99, 3: 1)"),
    ],
)
def test_a_mixture_is_told_with_its_numbers(facts, words):
    scans = [*large("a"), *large("b")[1:], record(0, "b", **facts)]
    assert words in told(*scans)


def test_a_modality_is_advised_only_where_it_can_part_the_scans():
    mixed = [*large("a"), *large("b")[1:], record(0, "b", meaning="HU")]
    assert "move the others out of the folder if that is not intended" in told(*mixed)
    assert "choose one with --modality" in told(*mixed[:-1], record(0, "b", meaning="HU", modality="CT"))


@pytest.mark.parametrize("note", _NOTE_TEXTS)
def test_every_known_note_is_explained(note):
    text = told(*large("a"), *large("b")[1:], record(0, "b", notes=(note, note)))
    assert text == f"Scans with the note {note}: 1. They {_NOTE_TEXTS[note]}"


def test_notes_of_how_a_scan_came_about_are_not_repeated():
    assert told(*large("a"), *large("b")[1:], record(0, "b", notes=("secondary-capture", "synthetic"))) == ""


def scanned(label, *scanners):
    return [record(number, label, scanner=scanners[number % len(scanners)]) for number in range(50)]


@pytest.mark.parametrize(
    ("one", "other", "named"),
    [
        ((1,), (2,), "Classes a, b come from scanners"),
        ((1, 2), (3, 0), "Class a comes from scanners"),
        ((1, 2), (2, 3), ""),
        ((0,), (0,), ""),
        (tuple(range(1, 51)), (99,), "Class b comes from scanners"),
    ],
)
def test_a_class_from_scanners_of_its_own_is_named(one, other, named):
    words = told(*scanned("a", *one), *scanned("b", *other))
    assert words.startswith(named) if named else not words
