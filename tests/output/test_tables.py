"""The tables of an output folder."""

import csv
import io
import json
from pathlib import Path

from medgan.output.tables import (
    checksums,
    datalist_json,
    label_ids,
    manifest_csv,
    metadata_csv,
    spacing_text,
    unescape_row,
)
from tests.output.contents import ROLES, contents, row

ROOT = Path(__file__).parents[2]


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


def test_checksums_are_sorted_lines_of_digest_and_path():
    assert checksums({"b": "2" * 64, "a": "1" * 64}) == f"{'1' * 64}  a\n{'2' * 64}  b\n"


def test_only_the_spacing_within_the_image_is_told():
    assert spacing_text((5.0, 0.7, 0.8)) == "0.7x0.8"
    assert spacing_text(None) == ""
