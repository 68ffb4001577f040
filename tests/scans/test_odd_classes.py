"""The table of odd scans, rows 47 and 66 to 73: classes, mixtures, and where the result goes."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

import numpy as np
import pytest

from medgan.base import files
from medgan.base.errors import DatasetError, OutputError, PlanError
from medgan.dataset.fingerprint import measure
from medgan.dataset.index import index
from medgan.dataset.source import Source
from medgan.output.folder import claim_folder, dataset_folder
from medgan.output.folder_names import folder_names
from medgan.plan import decide
from medgan.preparation.stack import prepare
from tests.scans.odd import MR, Table, Told, check_data_set, picture, single

TABLE, FORMS, OUTPUTS = Table(), Table(), Table()
case = TABLE.case


@pytest.mark.parametrize(("make", "expected"), TABLE)
def test_odd_classes(make, expected, tmp_path):
    make(tmp_path / "root")
    check_data_set(tmp_path / "root", expected)


@pytest.mark.parametrize(("make", "expected"), FORMS)
def test_odd_classes_in_one_form(make, expected, tmp_path):
    make(tmp_path / "root")
    manifest = index(Source(path=tmp_path / "root"))
    stack = prepare(manifest, decide(measure(manifest)).frame, tmp_path / "cache")
    assert stack.images(np.arange(len(stack))).shape == (4, *expected)


@pytest.mark.parametrize(("attempt", "expected"), OUTPUTS)
def test_odd_output(attempt, expected, tmp_path, monkeypatch):
    (tmp_path / "scans").mkdir()
    with pytest.raises(OutputError, match=expected) as caught:
        attempt(tmp_path, monkeypatch)
    assert caught.value.hint


# --- 66 to 72: classes ---

CONFLICT = {"a/1.png": "error:label-conflict", "b/2.png": "error:label-conflict"}


@case(
    66,
    "same-image-in-two-classes",
    Told(CONFLICT, "2 files hold images that occur under two labels", scans=1),
)
def _(root):
    picture(root / "a" / "1.png", 1), picture(root / "b" / "2.png", 1), picture(root / "b" / "3.png", 3)


@case(67, "empty-class-folder", Told({}, "The class folder c is empty", scans=2))
def _(root):
    picture(root / "a" / "1.png", 1), picture(root / "b" / "2.png", 2)
    (root / "c").mkdir()


@case(67, "class-of-one-image", Told({}, "Class b has a single image", scans=3))
def _(root):
    picture(root / "a" / "1.png", 1), picture(root / "a" / "2.png", 2), picture(root / "b" / "3.png", 3)


@case(67, "class-of-one-patient", Told({}, "a has 2 images of 1 patient", scans=4))
def _(root):
    for k, label in enumerate("aabb"):
        single(root / label / f"{k}.dcm", k, PatientID=f"P{label}")


@case(67, "image-above-the-classes", Told({"0.png": "skip:no-label"}, scans=1))
def _(root):
    picture(root / "0.png"), picture(root / "a" / "1.png", 1)


def test_67_a_folder_without_classes_is_refused(tmp_path):
    picture(tmp_path / "1.png")
    with pytest.raises(DatasetError, match="has no class sub-folders"):
        index(Source(path=tmp_path))


def test_67_a_class_of_one_image_is_not_trained_on(tmp_path):
    (
        picture(tmp_path / "a" / "1.png", 1),
        picture(tmp_path / "a" / "2.png", 2),
        picture(tmp_path / "b" / "3.png", 3),
    )
    with pytest.raises(PlanError, match="class 'b' has 1 training image"):
        decide(measure(index(Source(path=tmp_path))))


NAMES = {
    "with space": "with_space",
    "a-\u2215-b": "a--b",
    "T\xfcmor": "Tumor",
    "\u6b63\u5e38": None,
    "CON": None,
    "v1.": "v1",
    "long " * 40: None,
}


@pytest.mark.parametrize("name", NAMES, ids=[f"68-class-named-{name[:12]!a}" for name in NAMES])
def test_68_odd_class_names_stay_labels_and_become_safe_folders(name, tmp_path):
    picture(tmp_path / name / "1.png", 1), picture(tmp_path / "other" / "2.png", 2)
    manifest = index(Source(path=tmp_path))
    assert set(manifest.labels) == {name, "other"}
    folder = folder_names(manifest.labels)[name]
    assert NAMES[name] in {None, folder}
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,40}", folder)
    assert folder.upper() != "CON"


@case(68, "class-with-leading-dot-is-hidden", Told({".b/2.png": "skip:not-medical"}, scans=1))
def _(root):
    picture(root / "a" / "1.png", 1), picture(root / ".b" / "2.png", 2)


def mixed(root: Path) -> None:
    for k, kind in enumerate(({}, MR, {}, MR)):
        single(root / "ab"[k // 2] / f"{k}.dcm", k, **kind)


@case(
    69, "mixed-modalities", Told({}, "mixed modalities (CT: 2, MR: 2): choose one with --modality", scans=4)
)
def _(root):
    mixed(root)


OTHERS = {"a/1.dcm": "skip:other-modality", "b/3.dcm": "skip:other-modality"}


@case(69, "one-modality-picked", Told(OTHERS, scans=2, options={"modality": "CT"}))
def _(root):
    mixed(root)


@case(69, "gray-and-colour", Told({}, "mixed numbers of colour channels (1: 1, 3: 1)", scans=2))
def _(root):
    picture(root / "a" / "1.png", 1), picture(root / "a" / "2.png", 2, (8, 8, 3))


def test_69_hounsfield_units_are_not_mixed_with_other_values(tmp_path):
    mixed(tmp_path)
    with pytest.raises(PlanError, match=r"mixed with other scans \(2 HU, 2 raw\)") as caught:
        decide(measure(index(Source(path=tmp_path))))
    assert "--modality" in caught.value.hint


@FORMS.case(69, "gray-and-colour-in-one-form", (1, 8, 8))
def _(root):
    for k in range(4):
        picture(root / "ab"[k // 2] / f"{k}.png", k, ((8, 8), (8, 8, 3))[k % 2])


@FORMS.case(70, "mixed-sizes-in-one-form", (1, 16, 16))
def _(root):
    for k in range(4):
        picture(root / "ab"[k // 2] / f"{k}.png", k, (8 + 4 * k, 16))


@FORMS.case(47, "pixels-twice-as-tall-as-wide", (1, 12, 6))
def _(root):
    for k in range(4):
        single(root / "ab"[k // 2] / f"{k}.dcm", k, PixelSpacing=[2, 1])


@case(71, "synthetic-input", Told({"a/2.dcm": "skip:synthetic-input"}, scans=1))
def _(root):
    single(root / "a" / "1.dcm"), single(root / "a" / "2.dcm", 2, SyntheticData="YES")


@case(71, "synthetic-input-allowed", Told({}, scans=2, options={"allow_synthetic": True}))
def _(root):
    single(root / "a" / "1.dcm"), single(root / "a" / "2.dcm", 2, SyntheticData="YES")


@case(72, "png-jpeg-tiff", Told({}, scans=3))
def _(root):
    for k, suffix in enumerate(("png", "jpeg", "tiff")):
        picture(root / "a" / f"1.{suffix}", k)


# --- 73: where the result goes ---


@OUTPUTS.case(73, "folder-that-is-not-empty", "is not empty, and medgan sample cannot continue it")
def _(root, _):
    (root / "mine.txt").write_text("precious")
    claim_folder(dataset_folder(root, "sample"), {})


@OUTPUTS.case(73, "folder-inside-the-input", "lies inside the input")
def _(root, _):
    files.refuse_output_inside(root / "scans" / "out", [root / "scans"])


@OUTPUTS.case(73, "link-into-the-input", "lies inside the input")
def _(root, _):
    (root / "elsewhere").symlink_to(root / "scans")
    files.refuse_output_inside(root / "elsewhere" / "out", [root / "scans"])


for code, words in ((errno.ENOSPC, "the disk is full"), (errno.EROFS, "cannot be written")):

    @OUTPUTS.case(73, f"disk-that-says-{errno.errorcode[code]}", words)
    def _(root, patch, code=code):
        def refuse(*_, **__):
            raise OSError(code, os.strerror(code))

        patch.setattr(os, "fsync", refuse)
        try:
            files.write_bytes(root / "a.png", b"half")
        finally:
            assert sorted(path.name for path in root.iterdir()) == ["scans"]  # no half file
