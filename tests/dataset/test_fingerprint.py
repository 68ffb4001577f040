"""The measured facts on which the plan stands."""

import json
from pathlib import Path

import pytest

from medgan.base.files import to_json
from medgan.dataset.fingerprint import Fingerprint, measure
from medgan.dataset.manifest import Manifest, Record


def record(number: int, label: str = "a", **facts: object) -> Record:
    own = {
        "path": f"{label}/{number}",
        "label": label,
        "patient": f"{label}{number}",
        "digest": f"{label}{number}",
        "slices": (0,),
        "format": "dicom",
        "modality": "CT",
        "meaning": "HU",
        "body_part": "CHEST",
        "shape": (1, 100, 80),
        "bits": 12,
        "spacing_mm": (5.0, 0.5, 0.5),
        "levels": (-1000.0, -900.0, 0.0, 900.0, 1000.0),
    }
    return Record(**{**own, **facts})


def measured(*records: Record, **facts: object) -> Fingerprint:
    return measure(Manifest(root=Path("scans"), records=tuple(records), **facts))


def test_scans_images_and_patients_are_counted_per_split_and_class():
    found = measured(
        record(0, slices=(0, 1, 2)),
        record(1, patient="a0"),
        record(2, "b"),
        record(3, "b", split="test"),
        record(4, "b", verdict="skip:not-medical"),
    )
    assert found.counts == {"train": {"a": 2, "b": 1}, "test": {"a": 0, "b": 1}}
    assert found.images == {"train": {"a": 4, "b": 1}, "test": {"a": 0, "b": 1}}
    assert found.patients == {"train": {"a": 1, "b": 1}, "test": {"a": 0, "b": 1}}
    assert found.rare == {"b": 3}
    assert found.verdicts == {"ok": 4, "skip:not-medical": 1}


def test_what_leaks_into_test_is_counted_but_not_learned_from():
    found = measured(
        record(0), record(1), record(2, "b"), record(3, "b", split="test", patient="a1"), record(4, "b")
    )
    assert (found.leaks, found.training) == (1, {"a": 1, "b": 2})


def test_images_missing_are_counted_beside_those_that_are_learned_from():
    leaked = record(3, "b", split="test", patient="a1")
    found = measured(record(0), record(1), record(2, "b"), leaked, record(4))
    assert (found.training, found.rare) == ({"a": 2, "b": 1}, {"b": 1})


def test_a_class_of_test_patients_alone_is_nothing_to_learn():
    found = measured(record(0), record(1, "b"), record(2, "c", split="test"))
    assert found.training == {"a": 1, "b": 1}
    assert found.counts["test"] == {"a": 0, "b": 0, "c": 1}


def test_test_scans_take_no_part_in_sizes_spacing_and_intensity():
    odd = record(9, "b", split="test", shape=(1, 999, 999), spacing_mm=None, levels=(0.0,) * 5, modality="MR")
    found = measured(record(0), record(1, "b"), odd)
    assert (found.rows, found.columns) == ((100, 100, 100), (80, 80, 80))
    assert found.modalities == {"CT": 2}
    assert found.spacing_mm == (5.0, 0.5, 0.5)
    assert found.extremes == (-1000.0, 1000.0)


def test_sizes_are_least_median_and_most():
    sizes = (10, 20, 90)
    found = measured(*(record(n, shape=(1, size, 2 * size)) for n, size in enumerate(sizes)))
    assert (found.rows, found.columns) == ((10, 20, 90), (20, 40, 180))


def test_millimetres_are_known_only_when_every_scan_knows_them():
    assert measured(record(0)).field_of_view_mm == (50.0, 40.0)
    for unknown in (None, (5.0, 0.0, 0.0)):
        found = measured(record(0), record(1, spacing_mm=unknown))
        assert (found.spacing_mm, found.field_of_view_mm) == (None, None)


def test_levels_are_medians_and_extremes_are_extremes():
    scans = [record(n, levels=(-float(n), 0.0, 1.0, 2.0, float(10 * n))) for n in range(1, 4)]
    found = measured(*scans)
    assert found.levels == (-2.0, 0.0, 1.0, 2.0, 20.0)
    assert found.extremes == (-3.0, 30.0)


@pytest.mark.parametrize(("parts", "shared"), [(("CHEST", "CHEST"), "CHEST"), (("CHEST", "HEAD"), "")])
def test_a_body_part_counts_when_all_scans_share_it(parts, shared):
    assert measured(*(record(n, body_part=part) for n, part in enumerate(parts))).body_part == shared


def test_a_data_set_without_training_scans_is_still_measured():
    found = measured(record(0, split="test"), record(1, "b", split="test"))
    assert found.training == {"a": 0, "b": 0}
    assert found.rows == (100, 100, 100)


def test_the_warnings_of_reading_come_first():
    found = measured(record(0), warnings=("The class folder c is empty",))
    assert found.warnings[0] == "The class folder c is empty"
    assert len(found.warnings) > 1


def test_it_is_plain_data():
    assert json.loads(json.dumps(to_json(measured(record(0))), allow_nan=False))["version"] == 1
