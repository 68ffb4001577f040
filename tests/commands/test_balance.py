"""`balance` writes a folder with classes as large as asked for and equal shares of synthetic images."""

import csv
import dataclasses
import errno
import hashlib
import json
import shutil
import warnings
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.uid import UltrasoundImageStorage

from medgan.base.errors import DatasetError, ModelError, OutputError, PlanError
from medgan.commands.balance import balance
from medgan.commands.options import BalanceOptions, DrawOptions
from medgan.commands.sample import sample
from medgan.dataset.fingerprint import measure
from medgan.dataset.index import index
from medgan.dataset.source import Source
from medgan.filtering import candidates
from medgan.filtering.selection import CandidateImage
from medgan.learners.gan.model import Model
from medgan.output import real_images
from medgan.plan import Overrides, decide
from medgan.preparation.stack import prepare
from medgan.scans import formats
from tests.commands.blobs import LAYOUT, SMALL, discs, rows_of, tree, untrained

QUICK = Overrides(effort="smoke", size=(16, 24), images=32, batch=8, device="cpu", features="none")


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """Train 5 and 2, val and test 3 and 3."""
    root = tmp_path_factory.mktemp("scans")
    discs(root, split="train", normal=5, covid=2)
    discs(root, split="val", normal=3, covid=3)
    return discs(root, split="test", normal=3, covid=3)


@pytest.fixture(scope="module")
def model(scans, tmp_path_factory):
    return untrained(tmp_path_factory.mktemp("model"), scans)


@pytest.fixture(scope="module")
def balanced(scans, model, tmp_path_factory):
    """A finished output folder, only to be looked at."""
    out = tmp_path_factory.mktemp("finished") / "out"
    return balance(scans, out, options=BalanceOptions(model=model))


@pytest.fixture(scope="module")
def ct(cut_scans):
    """CT slices of two classes, 8 and 4, as DICOM."""
    return Source(path=cut_scans)


@pytest.fixture(scope="module")
def ct_model(ct, tmp_path_factory):
    return untrained(tmp_path_factory.mktemp("ct_model"), ct)


def by_origin(out):
    return Counter((row["origin"], row["label"]) for row in rows_of(out))


def by_kind(out):
    """{(kind, class): files}."""
    return Counter((row["kind"], row["label"]) for row in rows_of(out))


# --- what is written ---


def test_the_layout_is_images_by_class_and_their_descriptions(balanced):
    places = [path.split("/") for path in tree(balanced.out)]
    assert {place[0] for place in places} == LAYOUT | {"report.html"}
    inside = [place for place in places if place[0] == "images"]
    assert {tuple(place[:-1]) for place in inside} == {("images", "covid"), ("images", "normal")}
    assert all(place[-1].endswith(".png") for place in inside)


def test_every_class_reaches_the_largest_by_repeats_and_has_the_same_share(balanced):
    assert by_kind(balanced.out) == {
        ("real", "normal"): 5,
        ("from-noise", "normal"): 2,
        ("real", "covid"): 2,
        ("repeated", "covid"): 3,
        ("from-noise", "covid"): 2,
    }


def test_the_report_is_the_documented_json(balanced):
    report = json.loads(json.dumps(balanced.as_json()))
    counts = report.pop("filter")["counts"]
    assert sorted(counts) == ["covid", "normal"]
    fates = ("copy", "class", "realism", "surplus", "kept")
    assert sum(counts["covid"][fate] for fate in fates) == counts["covid"]["drawn"] >= 20
    assert counts["covid"]["kept"] == counts["normal"]["kept"] == 2
    assert report == {
        "version": 1,
        "out": str(balanced.out),
        "counts": {"before": {"covid": 2, "normal": 5}, "after": {"covid": 7, "normal": 7}},
        "real": "prepared",
        "written": {"covid": 2, "normal": 2},
        "repeated": {"covid": 3, "normal": 0},
        "share": {"asked": "0.25", "reached": 0.2857, "sentence": ""},
        "notes": [],
        "manifest": str(balanced.out / "manifest.csv"),
    }


def test_the_manifest_tells_real_from_synthetic_in_every_row(balanced, model):
    digest = Model.load(model).digest
    for row in rows_of(balanced.out):
        made = row["origin"] == "synthetic"
        assert row["is_synthetic"] == str(made).lower()
        assert bool(row["seed"]) == made
        assert row["model_digest"] == (digest if made else "")
        assert bool(row["patient"]) != made
        assert row["split"] == "train"


def test_a_row_is_enough_to_draw_its_image_again(balanced, model, tmp_path):
    row = next(row for row in rows_of(balanced.out) if row["seed"])
    sample(
        model,
        tmp_path / "again",
        options=DrawOptions(label=[row["label"]], seed=int(row["seed"]), count=1, no_filter=True),
    )
    (again,) = rows_of(tmp_path / "again")
    assert again["pixel_sha256"] == row["pixel_sha256"]


def test_every_checksum_is_that_of_its_file(balanced):
    for line in (balanced.out / "SHA256SUMS").read_text(encoding="utf-8").splitlines():
        digest, path = line.split("  ")
        assert digest == hashlib.sha256((balanced.out / path).read_bytes()).hexdigest()


def test_no_path_and_no_time_is_told(balanced, scans):
    for name in ("manifest.csv", "datalist.json", "run.json", "README.md"):
        text = (balanced.out / name).read_text(encoding="utf-8")
        assert str(scans.path) not in text
        assert str(balanced.out) not in text


def test_the_data_card_counts_and_warns(balanced):
    card = (balanced.out / "README.md").read_text(encoding="utf-8")
    assert "| covid | 0 | `images/covid` | 2 | 3 | 2 | 29% |" in card
    assert "| normal | 1 | `images/normal` | 5 | 0 | 2 | 29% |" in card
    assert "**4 synthetic** images and 7 real ones, repeated 3 times in all" in card
    assert "Share of synthetic images: 0.25 asked for, 0.2857 reached, the same in every class" in card
    assert "Not for clinical use" in card


# --- val and test ---


def test_the_input_is_left_as_it_was(scans, model, tmp_path):
    before = tree(scans.path)
    balance(scans, tmp_path / "out", options=BalanceOptions(model=model))
    assert tree(scans.path) == before


def test_no_validation_or_test_image_is_written(balanced, scans, model, tmp_path):
    def images(source):
        manifest = index(source)
        stack = prepare(manifest, decide(measure(manifest), SMALL).frame, tmp_path / "cache")
        return {stack.pixels[row].tobytes() for row in range(len(stack))}

    written = {
        (np.asarray(Image.open(path)).astype(np.uint16) * 257).tobytes()
        for path in (balanced.out / "images").rglob("*_real_*.png")
    }
    assert written == images(Source(path=scans.path / "train"))
    assert not written & images(Source(path=scans.path / "val"))


def test_patients_that_are_held_out_are_not_written(scans, tmp_path):
    source = discs(tmp_path / "scans", normal=6, covid=4)
    written = balance(
        source, tmp_path / "out", options=BalanceOptions(target=0, share=0), holdout=0.3, overrides=QUICK
    )
    assert written.counts["before"] == {"covid": 3, "normal": 4}
    assert by_origin(tmp_path / "out") == {("real", "covid"): 3, ("real", "normal"): 4}


# --- how many ---


@pytest.mark.parametrize(
    ("options", "repeated", "written"),
    [
        ({"target": "median"}, [2, 0], [1, 2]),  # of 5 and 2, rounded up: 4
        ({"target": 7}, [5, 2], [2, 2]),
        ({"target": 7, "share": 0.5}, [5, 2], [7, 7]),
        ({"class_": {"covid": 3}, "share": "0.5"}, [1, 0], [3, 5]),
        ({"max_synthetic_ratio": 0.5}, [3, 0], [1, 1]),
        ({"target": 0}, [0, 0], [1, 2]),
        ({"fill": "synthetic"}, [0, 0], [3, 0]),
        ({"fill": "synthetic", "target": 7}, [0, 0], [5, 2]),
        ({"fill": "synthetic", "max_synthetic_ratio": 0.5}, [2, 0], [1, 0]),
    ],
    ids=str,
)
def test_targets_and_shares_are_met(scans, model, tmp_path, options, repeated, written):
    options = BalanceOptions(**options, no_filter=True)
    done = balance(scans, tmp_path / "out", options=replace(options, model=model))
    assert list(done.repeated.values()) == repeated
    assert list(done.written.values()) == written
    kinds = by_kind(tmp_path / "out")
    for label, again, made in zip(("covid", "normal"), repeated, written, strict=True):
        assert (kinds["repeated", label], kinds["from-noise", label]) == (again, made)
        assert done.counts["after"][label] == done.counts["before"][label] + again + made


# --- repeats ---


def test_a_repeat_is_a_further_name_of_a_real_image_and_costs_no_disk(balanced):
    rows = {row["path"]: row for row in rows_of(balanced.out)}
    again = [row for row in rows.values() if row["kind"] == "repeated"]
    times = Counter(row["repeats"] for row in again)
    assert sorted(times.values()) == [1, 2]  # three of two images: give or take one
    for number, row in enumerate(again, start=1):
        home = rows[row["repeats"]]
        assert row["path"] == f"images/covid/covid_repeated_{number:06d}.png"
        assert (balanced.out / row["path"]).samefile(balanced.out / home["path"])
        assert home["kind"] == "real"
        same = ("origin", "label", "patient", "group", "weight", "stage", "parents", "pixel_sha256", "made")
        assert all(row[name] == home[name] for name in same)
        assert row["index"] == str(number)
    assert all(not row["repeats"] for row in rows.values() if row["kind"] != "repeated")


def test_repeats_are_in_every_list_and_sum(balanced):
    names = {f"images/covid/covid_repeated_{number:06d}.png" for number in (1, 2, 3)}
    for name in ("SHA256SUMS", "manifest.csv", "metadata.csv", "datalist.json"):
        text = (balanced.out / name).read_text(encoding="utf-8")
        assert all(path in text for path in names), name


def test_the_seed_chooses_which_images_come_once_more_often(scans, model, tmp_path):
    def repeats(seed):
        wish = replace(QUICK, seed=seed)
        balance(scans, tmp_path / str(seed), options=BalanceOptions(share=0), overrides=wish)
        return tuple(row["repeats"] for row in rows_of(tmp_path / str(seed)) if row["repeats"])

    assert len({repeats(seed) for seed in range(6)}) == 2


def test_a_disk_without_hard_links_gets_copies_and_says_so_once(
    scans, model, balanced, tmp_path, monkeypatch
):
    def refuse(self, target):
        raise OSError(errno.EPERM, "no hard links here")

    told = []
    monkeypatch.setattr(Path, "hardlink_to", refuse)
    balance(scans, tmp_path / "out", options=BalanceOptions(model=model), on_progress=told.append)
    assert tree(tmp_path / "out") == tree(balanced.out)
    assert all(path.stat().st_nlink == 1 for path in (tmp_path / "out" / "images").rglob("*.png"))
    assert [one.words for one in told if "no hard links" in one.words] == [real_images._COPY_WARNING]


def test_without_synthetic_images_real_ones_are_written_and_repeated_and_nothing_is_trained(scans, tmp_path):
    done = balance(scans, tmp_path / "out", options=BalanceOptions(share=0), overrides=QUICK)
    assert by_kind(tmp_path / "out") == {
        ("real", "normal"): 5,
        ("real", "covid"): 2,
        ("repeated", "covid"): 3,
    }
    assert (done.counts["after"], done.share["reached"]) == ({"covid": 5, "normal": 5}, 0.0)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_images_that_do_not_pass_lower_the_share_of_every_class(scans, model, tmp_path, monkeypatch):
    def picky(model, label, wish, against, job):
        kept = 1 if label == "normal" else wish.counts[label]
        return [CandidateImage(seed=seed, kept=seed < kept) for seed in range(20)]

    monkeypatch.setattr(candidates, "filter_class", picky)
    done = balance(scans, tmp_path / "out", options=BalanceOptions(model=model))
    sentence = "share 0.17 instead of 0.25: only 1 of 2 images of normal passed the filter"
    assert (done.written, done.notes) == ({"covid": 1, "normal": 1}, (sentence,))
    assert done.share == {"asked": "0.25", "reached": 0.1667, "sentence": ""}
    assert done.filter["counts"]["covid"]["kept"] == 1
    assert f"**{sentence}**" in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "out" / "run.json").read_text("utf-8"))["notes"] == [sentence]
    assert sentence in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    again = balance(scans, tmp_path / "out", options=BalanceOptions(model=model))
    assert again.as_json() == done.as_json()
    with (tmp_path / "out" / "rejected.csv").open(encoding="utf-8", newline="") as stream:
        lost = Counter((line["label"], line["reason"]) for line in csv.DictReader(stream))
    assert lost["covid", "surplus"] == 1


def test_where_none_pass_and_no_real_image_is_asked_for_the_folder_is_given_back(
    scans, model, tmp_path, monkeypatch
):
    monkeypatch.setattr(candidates, "filter_class", lambda *_: [CandidateImage(seed=0, kept=False)])
    with pytest.raises(PlanError, match=r"without real images: share 0 instead of 0\.25: only 0 of 2"):
        balance(scans, tmp_path / "out", options=BalanceOptions(model=model, real="none"))
    assert not list(tmp_path.iterdir())


def test_a_one_sided_folder_says_what_it_is_known_to_do(scans, model, tmp_path):
    done = balance(
        scans, tmp_path / "out", options=BalanceOptions(model=model, fill="synthetic", no_filter=True)
    )
    assert "was 2.9 points (95 % 1.4 to 4.4) below" in done.notes[0]
    for name in ("README.md", "run.json", "report.html"):
        assert "with the same share in every class" in (tmp_path / "out" / name).read_text("utf-8")


def test_a_balanced_folder_is_looked_at_without_its_repeats(balanced):
    manifest = index(Source(path=balanced.out / "images"))
    assert manifest.verdicts() == {"ok": 7, "skip:repeated": 3, "skip:synthetic-input": 4}


def test_the_seed_chooses_other_images(balanced, scans, model, tmp_path):
    balance(scans, tmp_path / "out", options=BalanceOptions(model=model), overrides=Overrides(seed=50))
    drawn = {row["pixel_sha256"] for row in rows_of(tmp_path / "out") if row["seed"]}
    assert all(int(row["seed"]) >= 50 for row in rows_of(tmp_path / "out") if row["seed"])
    options = BalanceOptions(model=model, no_filter=True)
    balance(scans, tmp_path / "plain", options=options, overrides=Overrides(seed=50))
    assert {row["seed"] for row in rows_of(tmp_path / "plain")} == {"", "50", "51"}
    assert not drawn & {row["pixel_sha256"] for row in rows_of(balanced.out)}


@pytest.mark.parametrize(
    "options",
    [
        {"target": "smallest"},
        {"target": -1},
        {"class_": {"covit": 3}},
        {"max_synthetic_ratio": -1.0},
        {"share": 0, "real": "none"},
        {"format": "bmp"},
        {"dicom_class": "us"},
    ],
    ids=str,
)
def test_impossible_wishes_are_refused_before_anything_is_written(scans, model, tmp_path, options):
    with pytest.raises(PlanError) as caught:
        balance(scans, tmp_path / "out", options=BalanceOptions(model=model, **options))
    assert caught.value.hint
    assert not (tmp_path / "out").exists()


def test_an_impossible_dicom_class_is_refused_before_hours_of_training(scans, tmp_path):
    options = BalanceOptions(format="dicom", dicom_class="ct")
    with pytest.raises(PlanError, match="Hounsfield"):
        balance(scans, tmp_path / "out", options=options, overrides=QUICK)
    assert list(tmp_path.iterdir()) == []


def test_real_and_synthetic_images_come_in_the_dicom_class_asked_for(scans, model, tmp_path):
    options = BalanceOptions(format="dicom", dicom_class="us")
    balance(scans, tmp_path / "out", options=replace(options, model=model))
    files = [pydicom.dcmread(path) for path in (tmp_path / "out" / "images").rglob("*.dcm")]
    assert {file.SyntheticData for file in files} == {"YES", "NO"}
    assert {(file.SOPClassUID, file.Modality) for file in files} == {(UltrasoundImageStorage, "US")}


def test_where_nothing_is_to_be_done_that_is_said(tmp_path):
    source = discs(tmp_path / "scans", normal=3, covid=3)
    with pytest.raises(PlanError, match="nothing to write") as caught:
        balance(source, tmp_path / "out", options=BalanceOptions(real="none", fill="synthetic"))
    assert "--share" in caught.value.hint
    assert not (tmp_path / "out").exists()


# --- alike in form ---

DIFFERS = {
    "ConversionType",
    "ContributingEquipmentSequence",
    "DerivationDescription",
    "FrameOfReferenceUID",
    "ImageComments",
    "PatientID",
    "PatientName",
    "PixelData",
    "SOPInstanceUID",
    "SeriesDescription",
    "SeriesInstanceUID",
    "SeriesNumber",
    "BurnedInAnnotation",
    "LossyImageCompression",
    "StudyDescription",
    "StudyInstanceUID",
    "SyntheticData",
}
"""What tells one image, its patient and its origin; nothing of it is pixels."""


def test_real_and_synthetic_dicom_differ_in_nothing_but_names_and_origin(ct, ct_model, tmp_path):
    out = tmp_path / "out"
    balance(ct, out, options=BalanceOptions(model=ct_model))
    files = [pydicom.dcmread(path) for path in sorted((out / "images").rglob("*.dcm"))]
    assert Counter(file.SyntheticData for file in files) == {"NO": 16, "YES": 6}
    there = index(Source(path=out / "images")).verdicts()
    assert there == {"ok": 12, "skip:repeated": 4, "skip:synthetic-input": 6}
    alike = {
        tuple((e.keyword, str(e.value)) for e in file if not e.tag.is_private and e.keyword not in DIFFERS)
        for file in files
    }
    assert len(alike) == 1
    assert {keyword for keyword, _ in alike.pop()} > {"Rows", "PixelSpacing", "RescaleSlope", "WindowWidth"}
    known = {"BurnedInAnnotation", "LossyImageCompression"}  # of synthetic images only
    assert len({frozenset(e.keyword for e in file if not e.tag.is_private) - known for file in files}) == 1


@pytest.mark.parametrize("form", ["png", "nifti"])
def test_real_and_synthetic_images_have_one_form(ct, ct_model, tmp_path, form):
    out = tmp_path / "out"
    balance(ct, out, options=BalanceOptions(model=ct_model, format=form))
    rows = rows_of(out)
    assert {row["origin"] for row in rows} == {"real", "synthetic"}
    for name in ("format", "rows", "columns", "spacing_mm", "unit", "low", "high", "tool_version"):
        assert len({row[name] for row in rows}) == 1, name
    headers = [formats.read_header(out / row["path"]) for row in rows]
    assert len({(header.format, header.shape, header.bits, header.channels) for header in headers}) == 1


def test_prepared_ct_keeps_its_hounsfield_units(ct, ct_model, tmp_path):
    balance(ct, tmp_path / "out", options=BalanceOptions(model=ct_model, share=0))
    manifest, plan = index(ct), Model.load(ct_model).plan
    stack = prepare(manifest, plan.frame, tmp_path / "cache")
    units = stack.images(slice(None)).astype(np.float64)[:, 0] * 4095 - 1024
    paths = (tmp_path / "out" / "images").rglob("*.dcm")
    written = {formats.read(path).pixels[0].tobytes() for path in paths}
    assert written == {image.astype(np.float32).tobytes() for image in np.rint(units) + 0.0}  # no -0.0


# --- real images in other ways ---


def test_links_are_the_original_files_under_names_that_tell_nothing(ct, ct_model, tmp_path):
    out = tmp_path / "out"
    balance(ct, out, options=BalanceOptions(model=ct_model, real="link"))
    originals = {path.read_bytes() for path in ct.path.rglob("*.dcm")}
    links = sorted((out / "images").rglob("*_re*_*"))
    assert {path.read_bytes() for path in links} == originals
    assert [path.name for path in links[3:5]] == ["mass_real_000004.dcm", "mass_repeated_000001.dcm"]
    assert all(path.stat().st_nlink > 1 or path.is_symlink() for path in links)
    assert links[0].samefile(links[4])
    kinds = {kind: count for (kind, label), count in by_kind(out).items() if label == "mass"}
    assert kinds == {"real": 4, "repeated": 4, "from-noise": 3}
    assert "a classifier may learn that difference" in (out / "README.md").read_text(encoding="utf-8")


def test_both_files_of_a_pair_are_linked(tmp_path):
    nib = pytest.importorskip("nibabel")
    chance = np.random.default_rng(0)
    for label, count in {"a": 2, "b": 3}.items():
        (tmp_path / "scans" / label).mkdir(parents=True)
        for number in range(count):
            image = nib.Nifti1Pair(chance.normal(100, 20, (12, 12, 3)).astype(np.float32), np.eye(4))
            nib.save(image, tmp_path / "scans" / label / f"{number}.img")
    options = BalanceOptions(real="link", share=0)
    balance(Source(path=tmp_path / "scans"), tmp_path / "out", options=options, overrides=QUICK)
    folder = tmp_path / "out" / "images" / "a"
    assert sorted(path.name for path in folder.iterdir()) == [
        f"a_{name}.{end}"
        for name in ("real_000001", "real_000002", "repeated_000001")
        for end in ("hdr", "img")
    ]
    (row,) = (row for row in rows_of(tmp_path / "out") if row["kind"] == "repeated")
    for end in ("hdr", "img"):
        home = tmp_path / "out" / row["repeats"].replace(".hdr", f".{end}")
        assert (folder / f"a_repeated_000001.{end}").samefile(home)


def test_a_repeated_nifti_brings_its_side_file(ct, tmp_path):
    options = BalanceOptions(format="nifti", share=0)
    balance(ct, tmp_path / "out", options=options, overrides=QUICK)
    folder = tmp_path / "out" / "images" / "mass"
    for number in range(1, 5):
        for end in ("nii.gz", "json"):
            again = folder / f"mass_repeated_{number:06d}.{end}"
            assert again.samefile(folder / f"mass_real_{number:06d}.{end}")


def test_images_in_an_array_cannot_be_linked(tmp_path):
    images = np.random.default_rng(0).integers(0, 255, (6, 12, 12), np.uint8)
    np.savez(tmp_path / "x.npz", train_images=images, train_labels=np.array([0, 0, 0, 0, 1, 1]))
    options = BalanceOptions(real="link", share=0)
    with pytest.raises(PlanError, match="cannot be linked"):
        balance(Source(path=tmp_path / "x.npz"), tmp_path / "out", options=options, overrides=QUICK)


def test_without_real_images_only_synthetic_ones_are_written_and_what_they_belong_beside_is_told(
    scans, model, tmp_path
):
    written = balance(scans, tmp_path / "out", options=BalanceOptions(model=model, real="none"))
    assert by_kind(tmp_path / "out") == {("from-noise", "covid"): 2, ("from-noise", "normal"): 2}
    assert written.repeated == {"covid": 0, "normal": 0}
    assert written.counts["after"] == {"covid": 4, "normal": 7}
    assert "together with your real ones, repeated until every class has 5." in written.notes[0]
    goals = BalanceOptions(real="none", class_={"covid": 3}, no_filter=True)
    written = balance(scans, tmp_path / "goals", options=replace(goals, model=model))
    assert "repeated until there are 3 of covid, 5 of normal." in written.notes[0]


# --- models ---


def test_without_a_model_one_is_trained_beside_the_output_and_kept(scans, tmp_path):
    written = balance(scans, tmp_path / "out", overrides=QUICK)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "out.run"]
    trained = Model.load(tmp_path / "out.run")
    drawn = [row for row in rows_of(tmp_path / "out") if row["origin"] == "synthetic"]
    assert {row["model_digest"] for row in drawn} == {trained.digest}
    assert len(drawn) == 2 * written.written["covid"] == 4
    again = balance(scans, tmp_path / "again", options=BalanceOptions(model=tmp_path / "out.run"))
    assert again.written == written.written
    assert {row["pixel_sha256"] for row in rows_of(tmp_path / "again")} == {
        row["pixel_sha256"] for row in rows_of(tmp_path / "out")
    }


def test_a_model_of_other_data_is_refused_with_both_digests(scans, model, tmp_path):
    other = discs(tmp_path / "other", shape=(20, 20), normal=5, covid=2)
    with pytest.raises(ModelError, match="trained on other images") as caught:
        balance(other, tmp_path / "out", options=BalanceOptions(model=model))
    assert Model.load(model).data_digest[:12] in caught.value.message
    assert index(other).digest[:12] in caught.value.message
    assert "--any-model" in caught.value.hint
    assert not (tmp_path / "out").exists()


def test_a_model_of_other_data_is_taken_when_asked_for(model, tmp_path):
    other = discs(tmp_path / "other", shape=(20, 20), normal=5, covid=2)
    written = balance(other, tmp_path / "out", options=BalanceOptions(model=model, any_model=True))
    assert written.written == {"covid": 2, "normal": 2}
    assert {(row["rows"], row["columns"]) for row in rows_of(tmp_path / "out")} == {("16", "24")}


def test_scans_of_the_test_split_come_into_the_form_of_the_balanced_folder(scans, model, tmp_path):
    options = BalanceOptions(model=model, any_model=True, share=0)
    written = balance(Source(path=scans.path / "test"), tmp_path / "out", options=options)
    assert written.written == {"covid": 0, "normal": 0}
    rows = rows_of(tmp_path / "out")
    assert {(row["origin"], row["rows"], row["columns"]) for row in rows} == {("real", "16", "24")}
    assert len(rows) == 6


def test_a_model_that_lacks_a_class_is_refused(model, tmp_path):
    other = discs(tmp_path / "other", normal=5, mass=2)
    with pytest.raises(ModelError, match="cannot draw mass"):
        balance(other, tmp_path / "out", options=BalanceOptions(model=model, any_model=True))


# --- where it may be written ---


def test_the_output_is_never_inside_the_input_or_the_model(scans, model):
    before = tree(scans.path)
    for out in (scans.path, scans.path / "out", scans.path / "train" / "normal", model / "out"):
        with pytest.raises(OutputError, match="inside"):
            balance(scans, out, options=BalanceOptions(model=model))
    assert tree(scans.path) == before


def test_the_output_is_never_among_the_files_of_a_list(tmp_path, monkeypatch):
    discs(tmp_path / "scans", normal=2, covid=2)
    monkeypatch.chdir(tmp_path)
    lines = tuple(str(path.relative_to(tmp_path)) for path in sorted((tmp_path / "scans").rglob("*.png")))
    with pytest.raises(OutputError, match="inside"):
        balance(Source(lines=lines), tmp_path / "scans" / "covid" / "out", overrides=QUICK)


def test_a_command_that_was_killed_before_its_report_writes_it_when_repeated(scans, model, tmp_path):
    balance(scans, tmp_path / "out", options=BalanceOptions(model=model))
    before = tree(tmp_path / "out")
    (tmp_path / "out" / "report.html").unlink()
    balance(scans, tmp_path / "out", options=BalanceOptions(model=model))
    assert tree(tmp_path / "out") == before


def test_the_same_command_again_changes_nothing(scans, model, tmp_path):
    out = tmp_path / "out"
    first = balance(scans, out, options=BalanceOptions(model=model))
    before, times = tree(out), {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    again = balance(scans, out, options=BalanceOptions(model=model))
    assert again.as_json() == first.as_json()
    assert (tree(out), {path: path.stat().st_mtime_ns for path in out.rglob("*")}) == (before, times)


def test_two_runs_give_the_same_bytes(balanced, scans, model, tmp_path):
    balance(scans, tmp_path / "out", options=BalanceOptions(model=model))
    assert tree(tmp_path / "out") == tree(balanced.out)


def test_another_wish_into_the_same_folder_is_refused_with_the_difference(scans, model, tmp_path):
    out = tmp_path / "out"
    balance(scans, out, options=BalanceOptions(model=model))
    before = tree(out)
    with pytest.raises(OutputError, match="target was largest, is now 7"):
        balance(scans, out, options=BalanceOptions(model=model, target=7))
    other = discs(tmp_path / "other", shape=(20, 20), normal=5, covid=2)
    with pytest.raises(OutputError, match="data was"):
        balance(other, out, options=BalanceOptions(model=model, any_model=True))
    with pytest.raises(OutputError, match="medgan balance began it"):
        sample(model, out)
    assert tree(out) == before


def test_a_run_whose_scans_are_renamed_meanwhile_goes_on(scans, model, balanced, tmp_path, monkeypatch):
    out = tmp_path / "out"

    def broken(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(formats, "write", broken)
        with pytest.raises(KeyboardInterrupt):
            balance(scans, out, options=BalanceOptions(model=model))
    first, second = sorted((scans.path / "train" / "normal").iterdir())[:2]
    aside = first.with_name("aside")
    first.rename(aside), second.rename(first), aside.rename(second)
    balance(scans, out, options=BalanceOptions(model=model))
    first.rename(aside), second.rename(first), aside.rename(second)
    assert tree(out) == tree(balanced.out)


def test_the_real_images_of_other_patients_are_no_run_to_go_on_with(scans, model, tmp_path, monkeypatch):
    def broken(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(formats, "write", broken)
        with pytest.raises(KeyboardInterrupt):
            balance(scans, tmp_path / "out", options=BalanceOptions(model=model))
    table = tmp_path / "patients.csv"
    files = [path.relative_to(scans.path) for path in sorted(scans.path.rglob("*.png"))]
    lines = [f"{path.as_posix()},{path.parts[-2]},{path.parts[0]},{path.parts[0]}" for path in files]
    table.write_text("\n".join(["path,label,patient,split", *lines]), encoding="utf-8")
    named = dataclasses.replace(scans, labels=table)
    with pytest.raises(OutputError, match="order of the real images was"):
        balance(named, tmp_path / "out", options=BalanceOptions(model=model))


@pytest.mark.parametrize("after", [0, 1, 7, 10])
def test_a_broken_run_goes_on_and_ends_in_the_same_bytes(
    scans, model, balanced, tmp_path, monkeypatch, after
):
    out, write, written = tmp_path / "out", formats.write, []

    def broken(*image):
        if len(written) == after:
            raise KeyboardInterrupt
        written.append(image)
        return write(*image)

    monkeypatch.setattr(formats, "write", broken)
    with pytest.raises(KeyboardInterrupt):
        balance(scans, out, options=BalanceOptions(model=model))
    assert len(list((out / "images").rglob("*.png"))) == after  # repeats come when all others are there
    monkeypatch.setattr(formats, "write", write)
    balance(scans, out, options=BalanceOptions(model=model))
    assert tree(out) == tree(balanced.out)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("after", [0, 1, 3])
def test_a_run_that_is_killed_among_its_repeats_goes_on(scans, model, balanced, tmp_path, monkeypatch, after):
    out, link, linked = tmp_path / "out", Path.hardlink_to, []

    def broken(self, target):
        if len(linked) == after:
            raise KeyboardInterrupt
        linked.append(self)
        link(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "hardlink_to", broken)
        if after < 3:
            with pytest.raises(KeyboardInterrupt):
                balance(scans, out, options=BalanceOptions(model=model))
        else:
            balance(scans, out, options=BalanceOptions(model=model))
    assert len(list((out / "images").rglob("*_repeated_*"))) == after
    balance(scans, out, options=BalanceOptions(model=model))
    assert tree(out) == tree(balanced.out)


def test_data_without_a_usable_scan_is_refused(tmp_path):
    (tmp_path / "scans" / "a").mkdir(parents=True)
    (tmp_path / "scans" / "a" / "x.txt").write_text("no scan", encoding="utf-8")
    with pytest.raises(DatasetError, match="no usable scan"):
        balance(Source(path=tmp_path / "scans"), tmp_path / "out")


# --- loaders ---


def test_it_is_a_folder_per_class_as_image_folder_reads_it(balanced):
    """The contract of torchvision's ImageFolder: classes are the sorted sub-folders, every file below is an
    image."""
    images = balanced.out / "images"
    classes = sorted(entry.name for entry in images.iterdir())
    assert all((images / name).is_dir() for name in classes)
    found = [
        (path.relative_to(balanced.out).as_posix(), number)
        for number, name in enumerate(classes)
        for path in sorted((images / name).rglob("*"))
    ]
    for path, _ in found:
        with Image.open(balanced.out / path) as image:
            assert image.size == (24, 16)
    assert found == [(row["path"], int(row["label_id"])) for row in rows_of(balanced.out)]


def test_it_loads_with_image_folder(balanced):
    datasets = pytest.importorskip("torchvision.datasets", reason="torchvision is not installed")
    data = datasets.ImageFolder(str(balanced.out / "images"))
    assert len(data) == 14
    assert data.class_to_idx == {"covid": 0, "normal": 1}


@pytest.mark.parametrize(("form", "reader"), [("png", None), ("nifti", None), ("dicom", "PydicomReader")])
def test_it_loads_with_the_data_list_of_monai(ct, ct_model, tmp_path, form, reader):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MONAI warns of libraries that nobody here uses
        monai = pytest.importorskip("monai")
        from monai.data import load_decathlon_datalist
        from monai.transforms import LoadImage

        out = tmp_path / "out"
        balance(ct, out, options=BalanceOptions(model=ct_model, format=form))
        training = load_decathlon_datalist(
            str(out / "datalist.json"), is_segmentation=False, data_list_key="training"
        )
        assert Counter(item["label"] for item in training) == {0: 11, 1: 11}
        image = LoadImage(reader=reader, image_only=True)(training[0]["image"])
    assert monai.__version__
    values = np.squeeze(np.asarray(image)).T
    expected = formats.read(out / rows_of(out)[0]["path"]).pixels[0]
    turned = [np.rot90(each, turns) for each in (values, values.T) for turns in range(4)]
    assert any(each.shape == expected.shape and np.array_equal(each, expected) for each in turned)


def test_it_loads_as_a_table(balanced):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    table = pandas.read_csv(balanced.out / "manifest.csv")
    assert table.groupby(["label", "is_synthetic"]).size().to_dict() == {
        ("covid", False): 5,
        ("covid", True): 2,
        ("normal", False): 5,
        ("normal", True): 2,
    }


def test_a_link_to_a_moved_original_is_not_left_dangling(ct, ct_model, tmp_path):
    copy = shutil.copytree(ct.path, tmp_path / "scans")
    balance(Source(path=copy), tmp_path / "out", options=BalanceOptions(model=ct_model, real="link"))
    shutil.rmtree(copy)
    links = list((tmp_path / "out" / "images").rglob("*_real_*"))
    assert len(links) == 12
    assert all(formats._detect_format(path) == "dicom" for path in links)
