"""Every file of a data set with one verdict, and what is measured on those that are fine."""

import gzip
import os
import resource
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import RLELossless

from medgan.base import workers
from medgan.base.errors import DatasetError
from medgan.base.job import Job
from medgan.base.progress import Progress
from medgan.dataset import measure
from medgan.dataset.headers import crash_error
from medgan.dataset.index import index
from medgan.dataset.manifest import Manifest
from medgan.dataset.source import Source

SHARED = Path(__file__).parents[2].parent / "shared" / "data"


def verdicts(manifest: Manifest) -> dict[str, str]:
    return {record.path: record.verdict for record in manifest.records}


def test_a_folder_of_images_becomes_records_with_everything_measured(png, tmp_path):
    png("a/x.png", 1), png("b/y.png", 2, (20, 30))
    manifest = index(Source(path=tmp_path))
    x, y = manifest.records
    assert (x.path, x.label, x.split, x.verdict, x.format) == ("a/x.png", "a", "train", "ok", "png")
    assert (x.shape, y.shape, x.channels, x.bits, x.meaning) == ((1, 12, 10), (1, 20, 30), 1, 8, "stored")
    assert x.slices == (0,)
    assert len(x.levels) == 5
    assert x.levels == tuple(sorted(x.levels))
    assert len({x.digest, y.digest}) == 2
    assert manifest.counts() == {"train": {"a": 1, "b": 1}}


def test_a_data_set_indexes_the_same_wherever_it_lies(png, tmp_path):
    png("one/a/x.png", 1), png("one/b/y.png", 2)
    first = index(Source(path=tmp_path / "one"))
    (tmp_path / "one").rename(tmp_path / "two")
    second = index(Source(path=tmp_path / "two"))
    assert first.records == second.records
    assert first.digest == second.digest


def test_every_kind_of_file_gets_one_verdict_and_none_stops_the_run(png, tmp_path):
    png("a/ok.png", 1)
    png("a/picture.dcm", 2)
    png("root.png", 3)
    (tmp_path / "a" / "README.txt").write_text("no image")
    (tmp_path / "a" / "empty.dcm").touch()
    (tmp_path / "a" / "._ok.png").write_bytes(b"\0\5\x16\7")
    (tmp_path / "a" / "cut.png").write_bytes((tmp_path / "a" / "ok.png").read_bytes()[:60])
    (tmp_path / "a" / "scans.gz").write_bytes(gzip.compress(b"packed" * 99))
    os.mkfifo(tmp_path / "a" / "pipe")
    found = verdicts(index(Source(path=tmp_path)))
    assert found.pop("a/cut.png").startswith("error:")
    assert found == {
        "a/ok.png": "ok",
        "a/picture.dcm": "skip:not-dicom",
        "root.png": "skip:no-label",
        "a/README.txt": "skip:document",
        "a/empty.dcm": "error:empty-file",
        "a/._ok.png": "skip:system-file",
        "a/scans.gz": "skip:archive",
        "a/pipe": "skip:special-file",
    }


def test_every_verdict_that_is_not_ok_has_a_reason(png, ct, tmp_path):
    png("a/ok.png", 1), ct("a/b.dcm", BurnedInAnnotation="YES")
    (tmp_path / "a" / "notes.txt").write_text("no image")
    (tmp_path / "labels.csv").write_text("path,label\na,x\nnowhere,x\n")
    manifest = index(Source(path=tmp_path, labels=tmp_path / "labels.csv"))
    assert Counter(bool(record.reason) for record in manifest.records) == {False: 1, True: 4}


def test_a_run_without_a_usable_file_stops_and_counts_the_verdicts(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.dcm").touch()
    (tmp_path / "a" / "y.txt").write_text("no image")
    with pytest.raises(DatasetError, match=r"no usable scan: 1 error:empty-file, 1 skip:document") as caught:
        index(Source(path=tmp_path))
    assert caught.value.hint


# --- labels and patients ---


def test_the_same_pixels_under_two_labels_are_an_error_that_names_both(png, tmp_path):
    png("a/x.png", 1), png("b/y.png", 1), png("b/z.png", 2)
    manifest = index(Source(path=tmp_path))
    x, y, z = manifest.records
    assert [x.verdict, y.verdict, z.verdict] == ["error:label-conflict", "error:label-conflict", "ok"]
    assert "b/y.png, which is labelled b" in x.reason
    assert "a/x.png, which is labelled a" in y.reason


def test_the_same_instance_under_two_labels_is_an_error_that_names_both(ct, tmp_path):
    ct("a/x.dcm", 1, SOPInstanceUID="1.2.3"), ct("b/y.dcm", 1, SOPInstanceUID="1.2.3"), ct("a/z.dcm", 3)
    found = index(Source(path=tmp_path)).records
    assert [record.verdict for record in found] == ["error:label-conflict", "ok", "error:label-conflict"]
    assert "b/y.dcm, which is labelled b" in found[0].reason


def test_the_same_instance_again_is_skipped_but_not_across_splits(ct, tmp_path):
    for name in ("train/a/1.dcm", "train/a/2.dcm", "test/a/3.dcm"):
        ct(name, 1, SOPInstanceUID="1.2.3")
    ct("train/a/4.dcm", 4, PatientID="P2")
    manifest = index(Source(path=tmp_path))
    assert verdicts(manifest) == {
        "test/a/3.dcm": "ok",
        "train/a/1.dcm": "ok",
        "train/a/2.dcm": "skip:duplicate",
        "train/a/4.dcm": "ok",
    }
    assert [record.path for record in manifest.training()] == ["train/a/4.dcm"]


def test_identical_pixels_under_one_label_stay(png, tmp_path):
    png("a/x.png", 1), png("a/y.png", 1)
    assert set(verdicts(index(Source(path=tmp_path))).values()) == {"ok"}


def test_patients_come_from_the_header_and_are_hashed(ct, tmp_path):
    (
        ct("a/1.dcm", 1, PatientID="SECRET"),
        ct("b/2.dcm", 2, PatientID="SECRET"),
        ct("b/3.dcm", 3, PatientID="OTHER"),
    )
    manifest = index(Source(path=tmp_path))
    one, two, three = (record.patient for record in manifest.records)
    assert one == two != three
    assert manifest.patients_known
    assert manifest.patients() == {"train": {"a": 1, "b": 2}}
    assert "SECRET" not in repr(manifest)
    assert len(one) == 16


def test_a_hash_of_one_data_set_says_nothing_in_another(ct, tmp_path):
    ct("one/a/1.dcm", 1, PatientID="P"), ct("two/a/1.dcm", 2, PatientID="P")
    one, two = (index(Source(path=tmp_path / name)).records[0].patient for name in ("one", "two"))
    assert one != two


def test_patients_may_come_from_the_path_or_a_table(png, tmp_path):
    for n, name in enumerate(("a/sub-01_x.png", "b/sub-01/y.png", "b/sub-02.png")):
        png(name, n)
    manifest = index(Source(path=tmp_path))
    assert manifest.patients_known
    assert manifest.patients() == {"train": {"a": 1, "b": 2}}
    (tmp_path / "labels.csv").write_text("path,label,patient\na,a,P1\nb,b,P2\n")
    manifest = index(Source(path=tmp_path, labels=tmp_path / "labels.csv"))
    assert manifest.patients() == {"train": {"a": 1, "b": 1}}


def test_a_file_without_a_patient_stands_for_one(png, tmp_path):
    png("a/x.png", 1), png("a/y.png", 2)
    manifest = index(Source(path=tmp_path))
    assert not manifest.patients_known
    assert manifest.patients() == {"train": {"a": 2}}


def test_a_label_may_come_from_the_header(ct, tmp_path):
    ct("1.dcm", 1, BodyPartExamined="CHEST"), ct("s/2.dcm", 2, BodyPartExamined="HEAD"), ct("s/3.dcm", 3)
    manifest = index(Source(path=tmp_path, label_tag="BodyPartExamined"))
    assert {record.path: record.label for record in manifest.usable()} == {
        "1.dcm": "CHEST",
        "s/2.dcm": "HEAD",
    }
    assert verdicts(manifest)["s/3.dcm"] == "skip:no-label"


# --- what the user has to ask for ---


def test_a_modality_can_be_picked(ct, png, tmp_path):
    ct("a/1.dcm", 1), ct("a/2.dcm", 2, Modality="MR"), png("a/3.png", 3)
    found = verdicts(index(Source(path=tmp_path, modality="ct")))
    assert found == {"a/1.dcm": "ok", "a/2.dcm": "skip:other-modality", "a/3.png": "skip:other-modality"}


@pytest.mark.parametrize(
    ("keyword", "verdict", "option"),
    [
        ("BurnedInAnnotation", "skip:burned-in", "allow_burned_in"),
        ("SyntheticData", "skip:synthetic-input", "allow_synthetic"),
    ],
)
def test_burned_in_text_and_synthetic_images_are_left_out_unless_asked_for(
    ct, tmp_path, keyword, verdict, option
):
    ct("a/1.dcm", 1), ct("a/2.dcm", 2, **{keyword: "YES"})
    assert verdicts(index(Source(path=tmp_path)))["a/2.dcm"] == verdict
    assert verdicts(index(Source(path=tmp_path, **{option: True})))["a/2.dcm"] == "ok"


# --- series ---


def test_a_series_is_one_scan_with_its_files_in_slice_order(ct, tmp_path):
    for n, z in enumerate((10, 0, 15, 5)):
        ct(f"a/{n}.dcm", n, z=z, series="s")
    (record,) = index(Source(path=tmp_path)).records
    assert record.parts == ("a/1.dcm", "a/3.dcm", "a/0.dcm", "a/2.dcm")
    assert record.shape == (4, 12, 10)
    assert record.spacing_mm == (5.0, 0.5, 0.5)
    assert record.slices


def test_two_series_in_one_folder_stay_apart_and_single_images_single(ct, tmp_path):
    for n in range(3):
        ct(f"a/p{n}.dcm", n, z=n, series="p"), ct(f"a/q{n}.dcm", 10 + n, z=n, series="q")
    ct("a/single.dcm", 20)
    manifest = index(Source(path=tmp_path))
    assert sorted(len(record.parts) for record in manifest.records) == [0, 3, 3]
    assert manifest.verdicts() == {"ok": 7}
    assert manifest.counts() == {"train": {"a": 3}}


def test_one_bad_slice_does_not_take_its_volume_along(ct, tmp_path):
    for n in range(8):
        ct(f"a/{n}.dcm", n, z=n, series="s")
    path = tmp_path / "a" / "3.dcm"
    path.write_bytes(path.read_bytes()[:-100])
    manifest = index(Source(path=tmp_path))
    assert manifest.verdicts() == {"error:truncated": 1, "ok": 7}
    assert [record.parts for record in manifest.usable()] == [
        ("a/0.dcm", "a/1.dcm", "a/2.dcm"),
        ("a/4.dcm", "a/5.dcm", "a/6.dcm", "a/7.dcm"),
    ]
    assert all("missing-slices" in record.notes for record in manifest.usable())


def test_a_slice_that_only_decoding_shows_to_be_bad_does_not_take_its_volume_along(ct, tmp_path):
    for n in range(8):
        ct(f"a/{n}.dcm", n, z=n, series="s")
    path = tmp_path / "a" / "3.dcm"
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = RLELossless
    dataset.PixelData = encapsulate([b"\1" * 70])
    dataset["PixelData"].is_undefined_length = True
    dataset.save_as(path)
    manifest = index(Source(path=tmp_path))
    (bad,) = (record for record in manifest.records if not record.ok)
    assert (bad.path, bad.verdict.partition(":")[0], bool(bad.reason)) == ("a/3.dcm", "error", True)
    assert [len(record.parts) for record in manifest.usable()] == [3, 4]


def test_a_localizer_is_refused_and_its_series_stays_whole(ct, tmp_path):
    for n in range(4):
        ct(f"a/{n}.dcm", n, z=n, series="s")
    ct("a/scout.dcm", 9, series="s", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    manifest = index(Source(path=tmp_path))
    assert manifest.verdicts() == {"ok": 4, "skip:localizer": 1}
    assert manifest.counts() == {"train": {"a": 1}}
    assert manifest.records[-1].reason


def test_a_dose_report_among_ct_slices_is_left_out_with_a_warning(ct, capture, tmp_path):
    for n in range(10):
        ct(f"a/{n}.dcm", n, PatientID=f"P{n}")
    capture("a/report.dcm", 99, PatientID="P99")
    manifest = index(Source(path=tmp_path))
    assert verdicts(manifest)["a/report.dcm"] == "skip:mixed-content"
    assert "1 of the scans of class a hold other values" in manifest.warnings[0]


def test_a_whole_class_of_other_values_stays(ct, capture, tmp_path):
    for n in range(30):
        ct(f"a/{n}.dcm", n, PatientID=f"P{n}")
    capture("b/1.dcm", 99)
    assert index(Source(path=tmp_path)).verdicts() == {"ok": 31}


# --- lists, arrays, progress, memory ---


def test_a_list_of_files_is_indexed_relative_to_where_it_was_written(png, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    png("scans/a/x.png", 1), png("scans/b/y.png", 2)
    manifest = index(Source(lines=("scans/b/y.png", "scans/a/x.png\tcovid")))
    assert [(record.path, record.label) for record in manifest.records] == [
        ("scans/b/y.png", "b"),
        ("scans/a/x.png", "covid"),
    ]


def test_rows_of_an_array_are_records(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8), np.uint8)
    np.savez(tmp_path / "x.npz", train_images=images, train_labels=[[0], [1], [1]])
    manifest = index(Source(path=tmp_path / "x.npz"))
    assert [record.path for record in manifest.records] == [f"x.npz#train/{n}" for n in range(3)]
    assert manifest.counts() == {"train": {"0": 1, "1": 2}}
    assert not manifest.patients_known


def test_a_damaged_array_is_told(tmp_path):
    np.savez(tmp_path / "x.npz", train_images=np.zeros((3, 8, 8), np.uint8), train_labels=np.zeros((3, 14)))
    with pytest.raises(DatasetError, match="error:multi-label"):
        index(Source(path=tmp_path / "x.npz"))


def test_progress_is_told_and_ends_with_all_files(png, tmp_path):
    for n in range(30):
        png(f"a/{n}.png", n)
    told: list[Progress] = []
    index(Source(path=tmp_path), Job(on_progress=told.append))
    assert [(step.words, step.done, step.total) for step in told] == [
        ("headers", 25, 30),
        ("headers", 30, 30),
        ("pixels", 25, 30),
        ("pixels", 30, 30),
    ]


def test_a_file_that_vanishes_during_the_run_is_told(png, tmp_path):
    png("a/x.png", 1), png("a/y.png", 2)

    def remove(_: Progress) -> None:
        (tmp_path / "a" / "x.png").unlink(missing_ok=True)

    found = verdicts(index(Source(path=tmp_path), Job(on_progress=remove)))
    assert found == {"a/x.png": "error:unreadable", "a/y.png": "ok"}


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux only")
def test_an_image_that_cannot_be_measured_does_not_stop_the_run(png, tmp_path, monkeypatch):
    monkeypatch.setenv(workers.VARIABLE, "1")
    for number, name in enumerate(("a/1", "a/2", "b/1", "b/2")):
        png(f"{name}.png", number)
    known, calls = measure.intensity.percentiles, []

    def once_too_large(values):
        calls.append(1)
        if len(calls) == 1:
            raise MemoryError
        return known(values)

    monkeypatch.setattr(measure.intensity, "percentiles", once_too_large)
    manifest = index(Source(path=tmp_path))
    assert verdicts(manifest) == {
        "a/1.png": "error:too-large",
        "a/2.png": "ok",
        "b/1.png": "ok",
        "b/2.png": "ok",
    }
    assert "1.png" in next(record.reason for record in manifest.records if not record.ok)


def test_pixels_are_not_kept(tmp_path):
    images = np.zeros((40, 1000, 1000), np.uint8)
    images[:, 0, :40] = np.eye(40) * 255
    np.savez(tmp_path / "x.npz", train_images=images, train_labels=np.zeros(40))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    index(Source(path=tmp_path / "x.npz"))
    # As float32 the forty images are 160 MB; one of them and the packed array are 44 MB.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 140 * 1024


# --- real data ---

COUNTS = {
    "cxr_kermany": {
        "test": {"NORMAL": 70, "PNEUMONIA_BACTERIA": 70, "PNEUMONIA_VIRUS": 70},
        "train": {"NORMAL": 250, "PNEUMONIA_BACTERIA": 250, "PNEUMONIA_VIRUS": 40},
    },
    "mednist64": {
        "test": {"AbdomenCT": 100, "BreastMRI": 100, "CXR": 100, "Hand": 100, "HeadCT": 100},
        "train": {
            "AbdomenCT": 400,
            "BreastMRI": 40,
            "CXR": 500,
            "Hand": 60,
            "HeadCT": 299,
        },  # one more is black all over
    },
    "ct_planes_sbu": {"train": {"axial": 20, "coronal": 14, "sagittal": 6}},
    "nifti_hippocampus": {"test": {"small": 12, "typical": 12}, "train": {"small": 14, "typical": 70}},
    "pneumoniamnist": {
        "test": {"0": 234, "1": 390},
        "train": {"0": 388, "1": 3494},
        "val": {"0": 135, "1": 389},
    },
}
PATIENTS = {"cxr_kermany": 683, "ct_planes_sbu": 10}


@pytest.mark.slow
@pytest.mark.parametrize("name", COUNTS)
def test_counts_of_real_data_match_its_readme(name):
    if not (SHARED / name).is_dir():
        pytest.skip(f"the shared data set {name} is not here")
    manifest = index(Source(path=SHARED / name))
    assert manifest.counts() == COUNTS[name]
    if name in PATIENTS:
        assert manifest.patients_known
        assert len({record.patient for record in manifest.usable()}) == PATIENTS[name]


@pytest.mark.parametrize("name", ["dicom_tricky", "nifti_tricky"])
def test_awkward_and_broken_files_all_get_a_verdict(name):
    if not (SHARED / name).is_dir():
        pytest.skip(f"the shared data set {name} is not here")
    lines = tuple(f"{path}\tany" for path in (SHARED / name).rglob("*") if path.is_file())
    manifest = index(Source(lines=lines))
    assert sum(manifest.verdicts().values()) == len(lines)
    assert all(record.reason for record in manifest.records if not record.ok)


@pytest.mark.slow
def test_workers_change_nothing_but_the_time(png, ct, tmp_path, monkeypatch):
    for k in range(workers._MIN_ITEMS):
        png(f"a/{k:03d}.png", k)
    for z in range(4):
        ct(f"b/{z}.dcm", z, z=float(z), series="s")
    (tmp_path / "a" / "bad.dcm").write_bytes(bytes(128) + b"DICM")
    found = []
    for count in "12":
        monkeypatch.setenv("MEDGAN_WORKERS", count)
        found.append(index(Source(path=tmp_path)))
    alone, together = found
    assert alone == together
    assert together.verdicts() == {"error:truncated-header": 1, "ok": workers._MIN_ITEMS + 4}


def test_a_file_that_ends_its_reader_has_a_verdict():
    error = crash_error(Path("folder/evil.dcm"))
    assert error.verdict == "error:reader-died"
    assert error.message.startswith("evil.dcm: ")


def test_an_image_of_one_value_is_skipped_whatever_its_format(ct, png, tmp_path):
    png("a/ok.png", 1)
    Image.fromarray(np.full((8, 8), 7, np.uint8)).save(tmp_path / "a" / "flat.png")
    ct("a/flat.dcm", PixelData=bytes(240))
    assert index(Source(path=tmp_path)).verdicts() == {"ok": 1, "skip:constant": 2}
