"""The texts that describe an output folder."""

import csv
import io
import json
from pathlib import Path

import pytest

from medgan.output.catalogue import (
    FolderContents,
    ManifestRow,
    checksums,
    data_card,
    datalist_json,
    is_image_folder,
    label_ids,
    manifest_csv,
    metadata_csv,
    spacing_text,
    unescape_row,
)
from medgan.scans.scan import OutputFormat

ROOT = Path(__file__).parents[2]
FORM = OutputFormat(format="png", low=-1024.0, high=3071.0, unit="HU", bits=16, spacing_mm=(5.0, 0.7, 0.8))


def row(**changes):
    facts = {
        "path": "images/b/b_syn_000001.png",
        "label": "b",
        "label_id": 0,
        "origin": "synthetic",
        "is_synthetic": "true",
        "format": "png",
        "index": 1,
        "rows": 16,
        "columns": 24,
        "tool_version": "0.1.0",
    }
    return ManifestRow(**{**facts, **changes})


REAL = row(
    path="images/b_a/b_a_real_000001.png",
    label="a b",
    label_id=1,
    origin="real",
    is_synthetic="false",
    patient="p" * 64,
)


def contents(**changes):
    facts = {
        "command": "medgan balance",
        "folders": {"a b": "b_a", "b": "b"},
        "rows": [row(), REAL],
        "form": FORM,
        "tool": "medgan 0.1.0",
    }
    return FolderContents(**{**facts, **changes})


def test_any_text_survives_the_manifest():
    label = 'a, "quoted"\nclass'
    (read,) = csv.DictReader(io.StringIO(manifest_csv([row(label=label)]), newline=""))
    assert unescape_row(read)["label"] == label
    assert (read["is_synthetic"], read["split"], read["patient"]) == ("true", "train", "")


def test_classes_are_numbered_by_folder_and_not_by_label():
    assert label_ids({"a b": "z", "b": "y"}) == {"b": 0, "a b": 1}


def test_the_data_list_names_classes_and_files():
    data = json.loads(datalist_json(contents()))
    assert data["labels"] == {"0": "b", "1": "a b"}
    assert data["training"] == [
        {
            "image": "images/b/b_syn_000001.png",
            "label": 0,
            "made": 1,
            "kind": "from-noise",
            "weight": 0.3,
            "stage": "pretrain",
            "group": "b_syn_000001.png",
        },
        {
            "image": "images/b_a/b_a_real_000001.png",
            "label": 1,
            "made": 0,
            "kind": "real",
            "weight": 1.0,
            "stage": "finish",
            "group": "p" * 64,
        },
    ]


def lines_of(text):
    return list(csv.DictReader(io.StringIO(text, newline="")))


ROLES = [
    {
        "made": "1",
        "kind": "from-noise",
        "weight": "0.3",
        "stage": "pretrain",
        "parents": "",
        "group": "b_syn_000001.png",
    },
    {"made": "0", "kind": "real", "weight": "1.0", "stage": "finish", "parents": "", "group": "p" * 64},
]


def test_the_last_columns_of_the_manifest_tell_a_trainer_what_to_do_with_each_image():
    text = manifest_csv(contents().rows)
    assert text.splitlines()[0].endswith(",tool_version,made,kind,weight,stage,parents,group")
    assert [{name: line[name] for name in ROLES[0]} for line in lines_of(text)] == ROLES


def test_a_real_image_of_an_unknown_patient_is_a_group_of_its_own():
    assert row(origin="real", path="images/b/b_real_000002.png").role.group == "b_real_000002.png"


def test_the_metadata_of_hugging_face_name_each_file_from_the_folder_on():
    first, second = lines_of(metadata_csv(contents().rows))
    assert first == {"file_name": "images/b/b_syn_000001.png", "label": "b", "label_id": "0"} | ROLES[0]
    assert (
        second == {"file_name": "images/b_a/b_a_real_000001.png", "label": "a b", "label_id": "1"} | ROLES[1]
    )


@pytest.mark.parametrize(
    ("formats", "readable"),
    [(("png",), True), (("png", "jpeg", "tiff"), True), (("png", "dicom"), False), (("nifti",), False)],
)
def test_an_image_folder_is_one_whose_every_image_hugging_face_can_read(formats, readable):
    rows = [row(format=name) for name in formats]
    assert is_image_folder(rows) == readable
    assert ("imagefolder" in data_card(contents(rows=rows))) == readable


def test_the_card_names_every_column_for_trainers_and_the_recipes():
    text = data_card(contents()).partition("## Training a classifier")[2].partition("\n## ")[0]
    assert all(f"- `{name}`: " in text for name in ROLES[0])
    assert "docs/how-to/train-a-classifier.md" in text
    assert (ROOT / "docs" / "how-to" / "train-a-classifier.md").is_file()


def test_checksums_are_sorted_lines_of_digest_and_path():
    assert checksums({"b": "2" * 64, "a": "1" * 64}) == f"{'1' * 64}  a\n{'2' * 64}  b\n"


def test_only_the_spacing_within_the_image_is_told():
    assert spacing_text((5.0, 0.7, 0.8)) == "0.7x0.8"
    assert spacing_text(None) == ""


def test_the_card_counts_classes_and_warns():
    text = data_card(contents())
    assert "**1 synthetic** images and 1 real ones" in text
    assert "| b | 0 | `images/b` | 0 | 0 | 1 | 100% |" in text
    assert "SYNTHETIC DATA - NOT FOR CLINICAL USE" in text
    assert "HU = low + value / 65535 * (high - low)" in text


AGAIN = row(
    path="images/b_a/b_a_repeated_000001.png",
    label="a b",
    label_id=1,
    origin="real",
    is_synthetic="false",
    repeats=REAL.path,
)


def test_a_repeat_is_a_real_image_that_no_table_counts_as_another():
    assert AGAIN.role.kind == "repeated"
    assert (AGAIN.role.made, AGAIN.role.weight, AGAIN.role.stage, AGAIN.role.parents) == (
        0,
        1.0,
        "finish",
        "",
    )
    assert AGAIN.role.group == "b_a_real_000001.png"  # of a patient nobody knows: with the image that it is
    text = data_card(
        contents(rows=[row(), REAL, AGAIN, AGAIN], share={"asked": "0.25", "reached": 0.25, "sentence": ""})
    )
    assert "| a b | 1 | `images/b_a` | 1 | 2 | 0 | 0% |" in text
    assert "and 1 real ones, repeated 2 times in all" in text
    assert "a further name of the same file" in text
    assert "a further name of the same file" not in data_card(contents())


def test_the_card_tells_the_share_and_what_is_known_of_the_mixture():
    share = {"asked": "auto", "reached": 0.5, "sentence": "0.5 does best"}
    text = data_card(contents(share=share, notes=["so it harms"]))
    assert "0.5 reached, the same in every class (0.5 does best)" in text
    assert "**so it harms**" in text
    one_sided = {"asked": "", "reached": None, "sentence": ""}
    assert "Share of synthetic images" not in data_card(contents(share=one_sided))


def test_a_class_name_cannot_break_the_table():
    text = data_card(contents(folders={"a | b\nc": "a"}, rows=[row(label="a | b\nc")]))
    assert r"| a \| b c | 0 |" in text


@pytest.mark.parametrize(
    ("real", "words"), [("prepared", "alike in form"), ("link", "may learn that difference")]
)
def test_the_card_says_how_real_images_came_here(real, words):
    assert words in data_card(contents(real=real))
    assert words not in data_card(contents(real="none"))
