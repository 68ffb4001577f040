"""Normal scans are learned, others are found, and nobody else is learned from."""

import csv
import json
from dataclasses import replace

import nibabel
import numpy as np
import pytest
from PIL import Image

import medgan
from medgan import DatasetError, ModelError, OptionError, OutputError, PlanError
from medgan.learners.anomaly.model import AnomalyModel
from tests.commands.blobs import discs, tree, untrained

NORMAL = 44


def picture(chance, *, sick=False):
    """A ring that all patients have; the sick have a bright spot beside it."""
    rows, columns = np.mgrid[:64, :48]
    image = 60 + 90 * (abs(np.hypot(rows - 32, columns - 24) - 14) < 4) + chance.normal(0, 6, (64, 48))
    if sick:
        image += 170 * (np.hypot(rows - 14, columns - 12) < 6)
    return Image.fromarray(image.clip(0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Scans with a train and a test split, and a model of their normal class."""
    place, chance = tmp_path_factory.mktemp("anomaly"), np.random.default_rng(0)
    for split, normal, sick in (("train", NORMAL, 3), ("test", 12, 6)):
        for label, count in (("normal", normal), ("sick", sick)):
            folder = place / "scans" / split / label
            folder.mkdir(parents=True)
            for number in range(count):
                picture(chance, sick=label == "sick").save(folder / f"canary{split}{number}.png")
    (place / "scans" / "test" / "sick" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    medgan.train(place / "scans", out=place / "run", for_="anomaly", normal="normal")
    return place


@pytest.fixture(scope="module")
def found(place):
    return medgan.anomaly(place / "scans", model=place / "run", out=place / "found", split="test")


def lines(folder):
    with (folder / "scores.csv").open(newline="", encoding="utf-8") as stream:
        return {row["path"]: row for row in csv.DictReader(stream)}


def test_only_normal_patients_of_train_are_learned_from(place):
    done = medgan.train(place / "scans", out=place / "run", for_="anomaly", normal="normal")
    assert done.images_shown == NORMAL - 19
    assert done.normal == {
        "label": "normal",
        "images": NORMAL - 19,
        "patients": NORMAL,
        "calibration_patients": 19,
        "least_alarms": 0.05,
        "sentence": done.normal["sentence"],
    }
    model = AnomalyModel.load(place / "run")
    assert len(model.whole) == NORMAL - 19
    assert {len(own) for own in model.calibration.values()} == {19}


def test_a_sick_scan_of_train_changes_nothing_of_the_model(place, tmp_path):
    folder = tmp_path / "more"
    (folder / "train").mkdir(parents=True)
    (folder / "train" / "normal").symlink_to(place / "scans" / "train" / "normal")
    (folder / "train" / "sick").mkdir()
    picture(np.random.default_rng(5), sick=True).save(folder / "train" / "sick" / "other.png")
    (folder / "test").symlink_to(place / "scans" / "test")
    done = medgan.train(folder, out=tmp_path / "run", for_="anomaly", normal="normal")
    assert done.model_digest == AnomalyModel.load(place / "run").facts.digest


def test_the_sick_alarm_and_the_normal_hardly_do(place, found):
    rows = lines(place / "found")
    alarms = {
        kind: [row["alarm"] for row in rows.values() if row["label"] == kind] for kind in ("sick", "normal")
    }
    assert alarms["sick"].count("yes") == 6
    assert alarms["normal"].count("yes") <= 2
    assert found.alarms == sum(own.count("yes") for own in alarms.values())
    areas = {one["name"]: one["auroc"] for one in found.figures}
    assert areas["score"] == areas["memory"] == 1.0
    assert areas["picture shape"] == 0.5, "all pictures have one shape"


def test_every_file_has_a_verdict_and_a_broken_one_stops_nothing(place, found):
    rows = lines(place / "found")
    broken = rows["test/sick/broken.png"]
    assert broken["verdict"].startswith("error:")
    assert broken["reason"]
    assert broken["alarm"] == broken["score"] == ""
    assert found.verdicts["ok"] == 18
    assert sum(found.verdicts.values()) == 19


def test_a_map_is_highest_where_the_finding_is(place, found):
    rows = lines(place / "found")
    sick = rows["test/sick/canarytest0.png"]
    image = nibabel.load(place / "found" / sick["map"])
    assert image.shape == (48, 64, 1)
    heat = image.get_fdata()[..., 0].T
    assert heat[10:18, 8:16].mean() > 2 > heat[40:56].mean() + 1
    assert not heat[:8].any(), "outside the centre square nothing is compared"
    with Image.open(place / "found" / sick["overlay"]) as overlay:
        assert overlay.size == (48, 64)


def test_the_page_shows_the_highest_scans_and_says_what_it_is_not_for(place, found):
    page = (place / "found" / "report.html").read_text("utf-8")
    assert page.count("<figure") == 18
    assert "Not for clinical use" in page
    assert "another population" in page, "a third of these patients alarms"
    assert page.index("test/sick/") < page.index("test/normal/")


def test_the_same_call_returns_what_is_there_and_another_is_refused(place, found):
    before = tree(place / "found")
    again = medgan.anomaly(place / "scans", model=place / "run", out=place / "found", split="test")
    assert again.as_json() == found.as_json()
    assert tree(place / "found") == before
    with pytest.raises(OutputError, match=r"alarms was 0.05, is now 0.1"):
        medgan.anomaly(place / "scans", model=place / "run", out=place / "found", split="test", alarms=0.1)


def test_a_call_that_was_killed_ends_like_one_that_was_not(place, found, tmp_path):
    out = tmp_path / "found"
    medgan.anomaly(place / "scans", model=place / "run", out=out, split="test")
    whole = tree(out)
    record = json.loads((out / "run.json").read_text("utf-8"))
    del record["result"]
    (out / "run.json").write_text(json.dumps(record), "utf-8")
    (out / "scores.csv").unlink()
    medgan.anomaly(place / "scans", model=place / "run", out=out, split="test")
    assert tree(out) == whole


def test_the_model_holds_no_name_and_no_place(place):
    held = tree(place / "run")
    assert set(held) == {
        "run.json",
        *(f"model/{name}" for name in ("model.json", "memory.safetensors", "calibration.json", "card.md")),
    }
    assert not any(b"canary" in content for content in held.values())
    assert b"Not for clinical use" in held["model/card.md"]


def test_scans_without_classes_are_compared_too(place, tmp_path, monkeypatch):
    folder = tmp_path / "new"
    folder.mkdir()
    picture(np.random.default_rng(9), sick=True).save(folder / "=1+1.png")
    monkeypatch.chdir(tmp_path)
    done = medgan.anomaly(folder, model=place / "run", out=tmp_path / "out", maps="none")
    (row,) = lines(tmp_path / "out").values()
    assert (row["label"], row["alarm"], row["map"], row["overlay"]) == ("", "yes", "", "")
    assert done.figures == ()
    assert not (tmp_path / "out" / "maps").exists()


def test_scans_that_were_learned_from_are_told(place, tmp_path):
    done = medgan.anomaly(place / "scans", model=place / "run", out=tmp_path / "out", maps="none")
    assert any("learned from" in note for note in done.notes)


def test_scans_with_values_of_another_meaning_are_not_compared(place, tmp_path):
    folder = tmp_path / "new" / "mr"
    folder.mkdir(parents=True)
    volume = np.random.default_rng(0).normal(900, 100, (32, 32, 4)).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), folder / "a.nii.gz")
    done = medgan.anomaly(tmp_path / "new", model=place / "run", out=tmp_path / "out")
    assert done.verdicts == {"skip:other-values": 1}
    assert done.scans == 0


def test_a_dry_run_says_what_alarms_are_possible_and_writes_nothing(place, tmp_path):
    done = medgan.train(place / "scans", out=tmp_path / "run", for_="anomaly", normal="normal", dry_run=True)
    assert "0.05 (1 in 20)" in done.normal["sentence"]
    assert done.plan["geometry"]["value"] == "centre square"
    assert done.estimate_seconds > 0
    assert not (tmp_path / "run").exists()


def test_too_few_normal_patients_are_refused(tmp_path):
    source = discs(tmp_path / "scans", normal=12, sick=12)
    with pytest.raises(DatasetError, match="38 are needed"):
        medgan.train(source.path, out=tmp_path / "run", for_="anomaly", normal="normal", holdout=0)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"for_": "anomaly"}, OptionError, "needs --normal"),
        ({"normal": "normal"}, OptionError, "--normal is for --for anomaly"),
        ({"for_": "anomaly", "normal": "normal", "minutes": 3}, PlanError, "only --seed and --window"),
        ({"for_": "anomaly", "normal": "nobody"}, DatasetError, "has the class nobody"),
    ],
)
def test_options_that_do_not_fit_are_refused(place, tmp_path, options, error, words):
    with pytest.raises(error, match=words):
        medgan.train(place / "scans", out=tmp_path / "run", **options)


@pytest.mark.parametrize("maps", ["", "gif", "none,png"])
def test_maps_of_unknown_form_are_refused(place, tmp_path, maps):
    with pytest.raises(OptionError, match="--maps"):
        medgan.anomaly(place / "scans", model=place / "run", out=tmp_path / "out", maps=maps)


def test_a_model_of_the_other_kind_is_refused_by_the_command_that_fits(place, tmp_path):
    source = discs(tmp_path / "discs", normal=4, covid=3)
    untrained(tmp_path / "gan", source)
    with pytest.raises(ModelError, match="draws images") as refused:
        medgan.anomaly(source.path, model=tmp_path / "gan", out=tmp_path / "out")
    assert "medgan sample" in refused.value.hint
    for use in (
        lambda: medgan.sample(place / "run", out=tmp_path / "out"),
        lambda: medgan.balance(source.path, out=tmp_path / "out", model=place / "run"),
        lambda: medgan.evaluate(source.path, out=tmp_path / "out", model=place / "run"),
        lambda: medgan.prepare(source.path, out=tmp_path / "out", like=place / "run"),
    ):
        with pytest.raises(ModelError, match="scores others") as refused:
            use()
        assert "medgan anomaly" in refused.value.hint


def test_a_run_of_the_other_kind_is_not_continued(place, tmp_path):
    with pytest.raises(OutputError, match="train --for anomaly"):
        medgan.train(place / "scans", out=place / "run", effort="smoke")
    with pytest.raises(OutputError, match="seed was 0, is now 1"):
        medgan.train(place / "scans", out=place / "run", for_="anomaly", normal="normal", seed=1)


def test_a_damaged_model_is_refused(place, tmp_path):
    model = AnomalyModel.load(place / "run")
    replace(model, folder=tmp_path / "model").save()
    (tmp_path / "model" / "calibration.json").write_text("{}", "utf-8")
    with pytest.raises(ModelError, match="damaged"):
        AnomalyModel.load(tmp_path)
