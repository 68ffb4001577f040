"""The texts that describe an output folder."""

import csv
import io
import json

import pytest

from medgan.commands.catalogue import (
    Contents,
    Row,
    card,
    checksums,
    datalist_json,
    label_ids,
    manifest_csv,
    restore,
    spacing_text,
)
from medgan.scans.scan import Form

FORM = Form(format="png", low=-1024.0, high=3071.0, unit="HU", bits=16, spacing_mm=(5.0, 0.7, 0.8))


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
    return Row(**{**facts, **changes})


def contents(**changes):
    facts = {
        "command": "medgan balance",
        "folders": {"a b": "b_a", "b": "b"},
        "rows": [row(), row(label="a b", label_id=1, origin="real", is_synthetic="false")],
        "form": FORM,
        "tool": "medgan 0.1.0",
    }
    return Contents(**{**facts, **changes})


def test_any_text_survives_the_manifest():
    label = 'a, "quoted"\nclass'
    (read,) = csv.DictReader(io.StringIO(manifest_csv([row(label=label)]), newline=""))
    assert restore(read)["label"] == label
    assert (read["is_synthetic"], read["split"], read["patient"]) == ("true", "train", "")


def test_classes_are_numbered_by_folder_and_not_by_label():
    assert label_ids({"a b": "z", "b": "y"}) == {"b": 0, "a b": 1}


def test_the_data_list_names_classes_and_files():
    data = json.loads(datalist_json(contents()))
    assert data["labels"] == {"0": "b", "1": "a b"}
    assert data["training"][0] == {"image": "images/b/b_syn_000001.png", "label": 0}


def test_checksums_are_sorted_lines_of_digest_and_path():
    assert checksums({"b": "2" * 64, "a": "1" * 64}) == f"{'1' * 64}  a\n{'2' * 64}  b\n"


def test_only_the_spacing_within_the_image_is_told():
    assert spacing_text((5.0, 0.7, 0.8)) == "0.7x0.8"
    assert spacing_text(None) == ""


def test_the_card_counts_classes_and_warns():
    text = card(contents())
    assert "**1 synthetic** images and 1 real ones" in text
    assert "| b | 0 | `images/b` | 0 | 1 |" in text
    assert "SYNTHETIC DATA - NOT FOR CLINICAL USE" in text
    assert "HU = low + value / 65535 * (high - low)" in text


def test_a_class_name_cannot_break_the_table():
    text = card(contents(folders={"a | b\nc": "a"}, rows=[row(label="a | b\nc")]))
    assert r"| a \| b c | 0 |" in text


@pytest.mark.parametrize(
    ("real", "words"), [("prepared", "alike in form"), ("link", "may learn that difference")]
)
def test_the_card_says_how_real_images_came_here(real, words):
    assert words in card(contents(real=real))
    assert words not in card(contents(real="none"))
