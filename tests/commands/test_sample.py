import hashlib
import json
import shutil
from collections import Counter
from dataclasses import replace

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.uid import ComputedRadiographyImageStorage, CTImageStorage, SecondaryCaptureImageStorage

from medgan import MedganError, ModelError, OutputError, PlanError
from medgan.base.files import read_json
from medgan.base.results import CLASSES_NOT_CHECKED
from medgan.commands import films
from medgan.commands.options import DrawOptions
from medgan.commands.sample import sample
from medgan.learners.gan.model import Model
from medgan.learners.gan.sample import draw
from medgan.output.folder_names import folder_names
from medgan.pictures.film import compose_frame
from medgan.scans import formats
from medgan.scans.scan import OutputFormat
from tests.commands.blobs import LAYOUT, discs, rows_of, tree, untrained
from tests.test_docs import documented

CT = OutputFormat(
    format="dicom",
    low=-1024.0,
    high=3071.0,
    unit="HU",
    bits=16,
    modality="CT",
    spacing_mm=(1.0, 0.8, 0.7),
    patient_orientation="L\\P",
    dicom_class="ct",
)
SUFFIXES = {"dicom": ".dcm", "nifti": ".nii.gz", "png": ".png"}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("png")
    return untrained(folder / "model", discs(folder / "scans", normal=4, covid=3))


@pytest.fixture(scope="module")
def ct_model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ct")
    return untrained(folder / "model", discs(folder / "scans", normal=4, covid=3), form=CT)


def test_every_label_gets_count_images_when_none_is_named(model, tmp_path):
    written = sample(model, tmp_path / "out", options=DrawOptions(count=3))
    assert written.written == {"covid": 3, "normal": 3}
    assert sorted(path.name for path in (tmp_path / "out" / "images").iterdir()) == ["covid", "normal"]
    for label in written.written:
        names = {path.name for path in (tmp_path / "out" / "images" / label).iterdir()}
        kept = {row["seed"] for row in rows_of(tmp_path / "out") if row["label"] == label}
        assert names == {f"{label}_syn_{int(seed) + 1:06d}.png" for seed in kept}
        assert len(names) == 3


def test_only_the_named_labels_are_drawn_each_once(model, tmp_path):
    written = sample(model, tmp_path / "out", options=DrawOptions(label=["covid", "covid"], count=2))
    assert written.written == {"covid": 2, "normal": 0}
    assert [path.name for path in (tmp_path / "out" / "images").iterdir()] == ["covid"]


def test_an_unknown_label_is_answered_with_the_known_ones(model, tmp_path):
    with pytest.raises(PlanError, match="covit") as error:
        sample(model, tmp_path / "out", options=DrawOptions(label=["covit"]))
    assert "covid" in error.value.hint
    assert "normal" in error.value.hint
    assert not (tmp_path / "out").exists()


def test_the_layout_has_images_and_their_descriptions_and_nothing_else(model, tmp_path):
    sample(model, tmp_path / "out", options=DrawOptions(count=2))
    assert {path.split("/")[0] for path in tree(tmp_path / "out")} == LAYOUT


def test_the_manifest_has_the_documented_columns(model, tmp_path):
    sample(model, tmp_path / "out", options=DrawOptions(count=1))
    columns = (tmp_path / "out" / "manifest.csv").read_text(encoding="utf-8").splitlines()[0]
    assert columns == (
        "path,label,label_id,origin,is_synthetic,split,format,sop_instance_uid,seed,index,model_digest,"
        "patient,repeats,rows,columns,spacing_mm,unit,low,high,pixel_sha256,filter,nearest_real,"
        "nearest_distance,class_odds,realism,tool_version,made,kind,weight,stage,parents,group"
    )


def test_the_manifest_tells_the_truth_about_every_file(model, tmp_path):
    out = tmp_path / "out"
    sample(model, out, options=DrawOptions(count=2, seed=5))
    rows = rows_of(out)
    assert [row["path"] for row in rows] == sorted(path for path in tree(out) if path.startswith("images/"))
    for row in rows:
        pixels = formats.read(out / row["path"]).pixels
        assert (int(row["rows"]), int(row["columns"])) == pixels.shape[1:] == (16, 24)
        expected = hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()
        assert row["pixel_sha256"] == expected
        assert row["model_digest"] == Model.load(model).digest
        assert (row["origin"], row["is_synthetic"], row["split"]) == ("synthetic", "true", "train")
        assert row["patient"] == ""
    assert len({row["pixel_sha256"] for row in rows}) == len(rows)


def test_a_file_holds_the_image_that_its_seed_draws(model, tmp_path):
    out = tmp_path / "out"
    sample(model, out, options=DrawOptions(label=["covid"], count=3, seed=7))
    trained = Model.load(model)
    for row in rows_of(out):
        drawn = next(draw(trained, "covid", [int(row["seed"])])).pixels[0]
        np.testing.assert_array_equal(formats.read(out / row["path"]).pixels[0], np.rint(drawn * 255))


def test_shards_drawn_apart_are_the_files_of_one_run(model, tmp_path):
    sample(model, tmp_path / "whole", options=DrawOptions(count=5, format="dicom", no_filter=True))
    sample(model, tmp_path / "first", options=DrawOptions(count=3, format="dicom", no_filter=True))
    sample(
        model,
        tmp_path / "rest",
        options=DrawOptions(label=["covid"], count=2, seed=3, format="dicom", no_filter=True),
    )
    whole = {path: data for path, data in tree(tmp_path / "whole").items() if path.startswith("images/")}
    for shard in ("first", "rest"):
        part = {path: data for path, data in tree(tmp_path / shard).items() if path.startswith("images/")}
        assert part.items() <= whole.items()


@pytest.mark.parametrize("form", SUFFIXES)
def test_two_runs_give_the_same_bytes(ct_model, tmp_path, form):
    sample(ct_model, tmp_path / "one", options=DrawOptions(count=2, format=form))
    sample(ct_model, tmp_path / "two", options=DrawOptions(count=2, format=form))
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


@pytest.mark.parametrize("form", SUFFIXES)
def test_images_come_in_the_format_asked_for(ct_model, tmp_path, form):
    out = tmp_path / "out"
    sample(ct_model, out, options=DrawOptions(count=1, format=form))
    for row in rows_of(out):
        assert row["path"].endswith(SUFFIXES[form])
        assert row["format"] == formats._detect_format(out / row["path"]) == form
        assert bool(row["sop_instance_uid"]) == (form == "dicom")
        assert row["spacing_mm"] == "0.8x0.7"


def test_a_model_of_before_that_knows_no_orientation_draws_secondary_capture(tmp_path):
    form = replace(CT, patient_orientation="")
    model = untrained(tmp_path / "model", discs(tmp_path / "scans", normal=4, covid=3), form=form)
    sample(model, tmp_path / "out", options=DrawOptions(count=1))
    kinds = {pydicom.dcmread(tmp_path / "out" / row["path"]).SOPClassUID for row in rows_of(tmp_path / "out")}
    assert kinds == {SecondaryCaptureImageStorage}


@pytest.mark.parametrize(
    ("name", "sop_class", "modality"),
    [
        ("auto", CTImageStorage, "CT"),
        ("ct", CTImageStorage, "CT"),
        ("sc", SecondaryCaptureImageStorage, "CT"),
    ],
)
def test_dicom_comes_in_the_class_asked_for(ct_model, tmp_path, name, sop_class, modality):
    out = tmp_path / "out"
    sample(ct_model, out, options=DrawOptions(count=1, dicom_class=name))
    for row in rows_of(out):
        file = pydicom.dcmread(out / row["path"])
        assert (file.SOPClassUID, file.Modality) == (sop_class, modality)


def test_pictures_of_no_modality_are_captures_unless_a_class_is_asked_for(model, tmp_path):
    sample(model, tmp_path / "sc", options=DrawOptions(count=1, format="dicom"))
    sample(model, tmp_path / "cr", options=DrawOptions(count=1, format="dicom", dicom_class="cr"))
    for name, sop_class, modality in (
        ("sc", SecondaryCaptureImageStorage, "OT"),
        ("cr", ComputedRadiographyImageStorage, "CR"),
    ):
        for row in rows_of(tmp_path / name):
            file = pydicom.dcmread(tmp_path / name / row["path"])
            assert (file.SOPClassUID, file.Modality) == (sop_class, modality)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"format": "dicom", "dicom_class": "mr"}, "size of their pixels is unknown"),
        ({"format": "dicom", "dicom_class": "ct"}, "not Hounsfield units"),
        ({"format": "dicom", "dicom_class": "mg"}, "'mg' is not known"),
        ({"dicom_class": "sc"}, "needs DICOM output, and these images are written as png"),
    ],
)
def test_an_impossible_dicom_class_is_refused_before_anything_is_drawn(model, tmp_path, options, why):
    with pytest.raises(PlanError, match=why) as refused:
        sample(model, tmp_path / "out", options=DrawOptions(count=1, **options))
    assert refused.value.hint
    assert not (tmp_path / "out").exists()


def test_auto_is_the_format_of_the_training_data(model, ct_model, tmp_path):
    sample(model, tmp_path / "png", options=DrawOptions(count=1))
    sample(ct_model, tmp_path / "ct", options=DrawOptions(count=1))
    assert {row["format"] for row in rows_of(tmp_path / "png")} == {"png"}
    assert {row["format"] for row in rows_of(tmp_path / "ct")} == {"dicom"}


@pytest.mark.parametrize("form", ["dicom", "nifti"])
def test_ct_comes_back_in_hounsfield_units(ct_model, tmp_path, form):
    out = tmp_path / "out"
    sample(ct_model, out, options=DrawOptions(label=["covid"], count=2, format=form))
    trained = Model.load(ct_model)
    for row in rows_of(out):
        drawn = next(draw(trained, "covid", [int(row["seed"])])).pixels[0]
        expected = np.rint(drawn.astype(np.float64) * 4095 - 1024)
        np.testing.assert_array_equal(formats.read(out / row["path"]).pixels[0], expected)


def test_ct_in_png_keeps_its_meaning_through_the_manifest(ct_model, tmp_path):
    out = tmp_path / "out"
    sample(ct_model, out, options=DrawOptions(label=["covid"], count=2, format="png"))
    trained = Model.load(ct_model)
    for row in rows_of(out):
        assert (row["unit"], float(row["low"]), float(row["high"])) == ("HU", -1024.0, 3071.0)
        stored = np.asarray(Image.open(out / row["path"])).astype(np.float64)
        units = float(row["low"]) + stored / 65535 * (float(row["high"]) - float(row["low"]))
        drawn = next(draw(trained, "covid", [int(row["seed"])])).pixels[0] * 4095.0 - 1024
        np.testing.assert_allclose(units, drawn, atol=4095 / 65535)
    assert "HU = low + value / 65535" in (out / "README.md").read_text(encoding="utf-8")


def test_checksums_are_those_of_every_file(model, tmp_path):
    out = tmp_path / "out"
    sample(model, out, options=DrawOptions(count=2))
    lines = (out / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    sums = {path: digest for digest, path in (line.split("  ") for line in lines)}
    there = {path: hashlib.sha256(data).hexdigest() for path, data in tree(out).items()}
    assert sums == {path: digest for path, digest in there.items() if path != "SHA256SUMS"}


def test_the_report_is_the_documented_json(model, tmp_path):
    out = tmp_path / "out"
    report = sample(model, out, options=DrawOptions(label=["normal"], count=2, no_filter=True)).as_json()
    assert json.loads(json.dumps(report)) == {
        "version": 1,
        "out": str(out),
        "counts": {"before": {"covid": 0, "normal": 0}, "after": {"covid": 0, "normal": 2}},
        "real": "none",
        "written": {"covid": 0, "normal": 2},
        "repeated": {"covid": 0, "normal": 0},
        "filter": {
            "on": False,
            "compared_with": "",
            "checks": [],
            "class_check": dict(CLASSES_NOT_CHECKED),
            "counts": {},
        },
        "share": {"asked": "", "reached": None, "sentence": ""},
        "notes": [],
        "manifest": str(out / "manifest.csv"),
    }


def test_the_same_command_again_changes_nothing(model, tmp_path):
    out = tmp_path / "out"
    first = sample(model, out, options=DrawOptions(count=2))
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    again = sample(model, out, options=DrawOptions(count=2))
    assert again.as_json() == first.as_json()
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"seed": 4}, "seed was 0, is now 4"),
        ({"count": 3}, "count was 2, is now 3"),
        ({"label": ["covid"]}, "labels was"),
        ({"format": "dicom"}, "format was png, is now dicom"),
    ],
)
def test_another_command_into_the_same_folder_is_refused_with_the_difference(model, tmp_path, other, words):
    sample(model, tmp_path / "out", options=DrawOptions(count=2))
    before = tree(tmp_path / "out")
    with pytest.raises(OutputError, match=words):
        sample(model, tmp_path / "out", options=DrawOptions(**{"count": 2, **other}))
    assert tree(tmp_path / "out") == before


@pytest.mark.parametrize(("change", "words"), [({"seed": 2}, "model was"), ({"form": CT}, "plan was")])
def test_another_model_into_the_same_folder_is_refused(model, tmp_path, change, words):
    scans = discs(tmp_path / "scans", normal=4, covid=3)
    other = untrained(tmp_path / "other", scans, **change)
    sample(model, tmp_path / "out", options=DrawOptions(count=1, format="png"))
    with pytest.raises(OutputError, match=words):
        sample(other, tmp_path / "out", options=DrawOptions(count=1, format="png"))


def test_an_empty_folder_is_taken(model, tmp_path):
    (tmp_path / "out").mkdir()
    assert sample(model, tmp_path / "out", options=DrawOptions(count=1)).written["covid"] == 1


def test_the_output_never_lands_inside_the_model(model):
    with pytest.raises(OutputError, match="inside"):
        sample(model, model / "out")


def test_a_folder_without_a_model_is_told_as_such(tmp_path):
    with pytest.raises(ModelError):
        sample(tmp_path, tmp_path.with_name("elsewhere"))


@pytest.mark.parametrize(
    "wrong", [{"count": 0}, {"count": -1}, {"seed": -1}, {"seed": 2**31}, {"format": "bmp"}]
)
def test_impossible_options_are_refused_before_anything_is_written(model, tmp_path, wrong):
    with pytest.raises(PlanError) as error:
        sample(model, tmp_path / "out", options=DrawOptions(**wrong))
    assert error.value.hint
    assert not (tmp_path / "out").exists()


def test_a_full_disk_is_told_and_a_repeat_goes_on(model, tmp_path, monkeypatch):
    out, write, written = tmp_path / "out", formats.write, []

    def full_after_three(*image):
        written.append(image)
        if len(written) > 3:
            raise OutputError("the disk is full", hint="Free some space")
        return write(*image)

    monkeypatch.setattr(formats, "write", full_after_three)
    with pytest.raises(MedganError, match="full"):
        sample(model, out, options=DrawOptions(count=4))
    assert len([path for path in tree(out) if path.startswith("images/")]) == 3
    monkeypatch.setattr(formats, "write", write)
    sample(model, out, options=DrawOptions(count=4))
    sample(model, tmp_path / "straight", options=DrawOptions(count=4))
    assert tree(out) == tree(tmp_path / "straight")


def test_progress_counts_every_image(model, tmp_path):
    told = []
    sample(model, tmp_path / "out", options=DrawOptions(count=2), on_progress=told.append)
    assert [(one.stage, one.done, one.total) for one in told] == [
        *[("choosing", 20, 20)] * 2,
        *((stage, done, 4) for stage in ("writing", "checking") for done in range(1, 5)),
    ]


# --- class names ---


@pytest.mark.parametrize(
    ("label", "folder"),
    [
        ("normal", "normal"),
        ("COVID-19", "COVID-19"),
        ("pleural effusion", "pleural_effusion"),
        ("Ödem", "Odem"),
        ("../../etc", "etc"),
        (".hidden", "hidden"),
        ("-rf", "rf"),
        ("a/b\\c:d*e", "a_b_c_d_e"),
    ],
)
def test_a_class_folder_is_named_like_its_class(label, folder):
    assert folder_names([label]) == {label: folder}


@pytest.mark.parametrize(
    "labels",
    [
        ["CON", "nul", "Com1", "LPT9", "aux."],
        ["肺炎", "正常", "", " ", "..."],
        ["a b", "a_b", "a/b"],
        ["COVID", "covid", "Covid"],
        ["é", "e\u0301", "e"],
        ["x" * 300, "x" * 299 + "y", "x" * 40],
    ],
)
def test_class_folders_suit_every_file_system_and_never_meet(labels):
    names = list(folder_names(labels).values())
    reserved = {"con", "nul", "com1", "lpt9", "aux"}
    assert len({name.casefold() for name in names}) == len(labels)
    for name in names:
        assert 0 < len(name) <= 40
        assert name.isascii()
        assert not set(name) & set('<>:"/\\|?*. ')
        assert name.casefold() not in reserved
        assert name[0] not in "._-"


def test_classes_with_odd_names_are_written_and_numbered_like_their_folders(tmp_path):
    labels = {"a b": 2, "a_b": 2, "Zebra": 2, "apple": 2}
    model = untrained(tmp_path / "model", discs(tmp_path / "scans", **labels))
    out = tmp_path / "out"
    sample(model, out, options=DrawOptions(count=1))
    folders = sorted(path.name for path in (out / "images").iterdir())
    rows = rows_of(out)
    assert Counter(row["label"] for row in rows) == dict.fromkeys(labels, 1)
    for row in rows:
        assert folders[int(row["label_id"])] == row["path"].split("/")[1]  # ImageFolder's class_to_idx
    names = json.loads((out / "datalist.json").read_text(encoding="utf-8"))["labels"]
    assert {names[row["label_id"]]: row["label"] for row in rows} == {label: label for label in labels}


# --- films ---

FILMS = ("films/class-covid.png", "films/class-normal.png", "films/between-classes.png")


def film(model, out, **more):
    return sample(model, out, options=DrawOptions(count=2, no_filter=True, film=True, **more))


@pytest.fixture(scope="module")
def filmed(model, tmp_path_factory):
    """Images with their films, only to be looked at."""
    return film(model, tmp_path_factory.mktemp("filmed") / "out", seed=3)


def test_films_lie_beside_the_images_and_are_named_in_json(filmed):
    out, written = filmed.out, filmed
    assert written.films == tuple(out / name for name in FILMS)
    assert written.as_json()["films"] == [str(path) for path in written.films]
    assert "films[]" in documented("sample and balance") & documented("run.json of sample and balance")
    assert {path for path in tree(out) if path.startswith("films/")} == set(FILMS)
    assert {path.split("/")[0] for path in tree(out)} == {*LAYOUT, "films"} - {"rejected.csv"}
    assert read_json(out / "run.json")["films"] == [
        path.relative_to(out).as_posix() for path in written.films
    ]
    sums = dict(line.split("  ")[::-1] for line in (out / "SHA256SUMS").read_text("utf-8").splitlines())
    assert all(sums[name] == hashlib.sha256((out / name).read_bytes()).hexdigest() for name in FILMS)


def test_images_are_the_same_with_films_and_without(filmed, model, tmp_path):
    plain = sample(model, tmp_path / "without", options=DrawOptions(count=2, seed=3, no_filter=True))
    assert "films" not in plain.as_json()
    assert "films" not in read_json(plain.out / "run.json")
    there, here = (
        {path: data for path, data in tree(out).items() if path.startswith("images/")}
        for out in (filmed.out, plain.out)
    )
    assert there == here


def test_a_film_says_that_it_is_synthetic_and_that_no_filter_saw_it(filmed, model):
    (note,) = filmed.notes
    assert "before any filter" in note
    assert "before any filter" in (filmed.out / "README.md").read_text(encoding="utf-8")
    six = [3, 4, 5, 6, 7, 8]
    for path, seeds in zip(filmed.films, (six, six, [3, 4, 5]), strict=True):
        with Image.open(path) as shown:
            told = json.loads(shown.info["Description"])
            assert (told["SyntheticData"], told["Filtered"], told["Seeds"]) == (True, False, seeds)
            assert told["Model"] == Model.load(model).digest
            assert shown.n_frames == (96 if len(seeds) > 3 else 32)


def test_a_film_passes_through_the_images_of_its_seeds(filmed, model):
    trained = Model.load(model)
    with Image.open(filmed.films[0]) as walk, Image.open(filmed.films[2]) as change:
        for place, one in enumerate(draw(trained, "covid", range(3, 6))):
            expected = compose_frame([one.pixels], ("", ""))[48:].astype(int)
            for shown, frame, left in ((walk, 16 * place, 0), (change, 0, place * (expected.shape[1] + 4))):
                shown.seek(frame)
                found = np.asarray(shown.convert("L"))[48:, left : left + expected.shape[1]].astype(int)
                assert np.abs(found - expected).max() <= 1


def test_one_class_has_a_film_of_its_own_only(model, tmp_path):
    written = film(model, tmp_path / "out", label="covid")
    assert [path.name for path in written.films] == ["class-covid.png"]


def test_a_film_is_not_drawn_twice_and_the_same_command_gives_the_same_bytes(
    filmed, model, tmp_path, monkeypatch
):
    shutil.copytree(filmed.out, tmp_path / "out")
    begun = read_json(filmed.out / "run.json")
    unfinished = {name: begun[name] for name in ("version", "settings")} | {"complete": False}
    (tmp_path / "out" / "run.json").write_text(json.dumps(unfinished), encoding="utf-8")
    (tmp_path / "out" / "films" / "class-normal.png").unlink()
    drawn, real = [], films.write_film
    monkeypatch.setattr(films, "write_film", lambda path, *rest: drawn.append(path.name) or real(path, *rest))
    for _ in range(2):  # the second time nothing is left to do
        again = film(model, tmp_path / "out", seed=3)
        assert drawn == ["class-normal.png"]
        assert tree(tmp_path / "out") == tree(filmed.out)
        assert [path.name for path in again.films] == [path.name for path in filmed.films]


def test_films_are_asked_for_at_once_or_in_another_folder(model, tmp_path):
    sample(model, tmp_path / "out", options=DrawOptions(count=2, no_filter=True))
    with pytest.raises(OutputError, match="film was false, is now true"):
        film(model, tmp_path / "out")


def test_films_are_not_written_through_a_link(model, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out" / "films").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError):
        film(model, tmp_path / "out")
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_film_from_class_to_class_says_which_classes_it_leaves_out():
    assert len(films.film_notes("abcdefgh")) == 1
    assert "leaves out the last 2 classes" in films.film_notes("abcdefghij")[1]
