"""The data card of an output folder."""

from pathlib import Path

import pytest

from medgan.output.card import data_card
from medgan.output.tables import is_image_folder
from tests.output.contents import AGAIN, REAL, ROLES, contents, row

ROOT = Path(__file__).parents[2]


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


def test_the_card_counts_classes_and_warns():
    text = data_card(contents())
    assert "**1 synthetic** images and 1 real ones" in text
    assert "| b | 0 | `images/b` | 0 | 0 | 1 | 100% |" in text
    assert "SYNTHETIC DATA - NOT FOR CLINICAL USE" in text
    assert "HU = low + value / 65535 * (high - low)" in text


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
