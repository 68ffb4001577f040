"""Boxes of three forms: where they lie in the image, and which files make none."""

import json

import pytest

from medgan.base.errors import DatasetError
from medgan.dataset.boxes import COCO, VOC, YOLO, Box, find_boxes


def coco(*annotations, **changes):
    facts = {
        "images": [{"id": 1, "file_name": "deep/one.png", "height": 10, "width": 20}],
        "categories": [{"id": 3, "name": "tumour"}],
        "annotations": [{"id": 5, "image_id": 1, "category_id": 3, **one} for one in annotations],
    }
    return json.dumps(facts | changes)


def voc(body, size="<size><width>20</width><height>10</height></size>"):
    return f"<annotation><filename>/home/smith/other.png</filename>{size}{body}</annotation>"


def voc_object(*corners):
    names = ("xmin", "ymin", "xmax", "ymax")
    sides = "".join(f"<{name}>{corner}</{name}>" for name, corner in zip(names, corners, strict=True))
    return f"<object><name> tumour </name><bndbox>{sides}</bndbox></object>"


def box(left, top, width, height):
    return Box(region="tumour", left=left, top=top, width=width, height=height)


def only(place):
    table = find_boxes(place)
    ((annotation,),) = table.annotations.values()
    return table, annotation


SAME = box(2, 3, 4, 5)
"""Columns 2 to 5 and rows 3 to 7 of an image of 10 x 20 pixels, counted from 0."""

FORMS = {
    COCO: ("boxes.json", coco({"bbox": [2, 3, 4, 5]})),
    VOC: ("one.xml", voc(voc_object(3, 4, 6, 8))),
    YOLO: ("one.txt", "0 0.2 0.55 0.2 0.5\n"),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_same_box_in_every_form(tmp_path, form):
    name, text = FORMS[form]
    (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "classes.txt").write_text("tumour\n", encoding="utf-8")
    table, annotation = only(tmp_path)
    assert table.form == form
    assert table.find("anywhere/one.dcm") is annotation
    assert annotation.wrong == annotation.misfit((10, 20)) == ""
    (found,) = annotation.boxes_in((10, 20))
    assert found.region == "tumour"
    assert (found.left, found.top, found.width, found.height) == pytest.approx((2, 3, 4, 5))


GOOD = {
    "a group is no object": (
        "a.json",
        coco({"bbox": [2, 3, 4, 5]}, {"bbox": [0, 0, 9, 9], "iscrowd": 1}),
        (SAME,),
    ),
    "no box is data (COCO)": ("a.json", coco(), ()),
    "no box is data (VOC)": ("one.xml", voc(""), ()),
    "fractions of a pixel": ("a.json", coco({"bbox": [0.5, 0.5, 1.25, 2]}), (box(0.5, 0.5, 1.25, 2),)),
    "a box of one pixel": ("one.xml", voc(voc_object(1, 1, 1, 1)), (box(0, 0, 1, 1),)),
    "corners with a point": ("one.xml", voc(voc_object("3.0", "4.0", "6.0", "8.0")), (SAME,)),
}


@pytest.mark.parametrize("case", GOOD)
def test_odd_boxes_that_are_sound(tmp_path, case):
    name, text, wanted = GOOD[case]
    (tmp_path / name).write_text(text, encoding="utf-8")
    _, annotation = only(tmp_path)
    assert annotation.wrong == ""
    assert annotation.boxes == wanted


BAD = {
    "no width": ("a.json", coco({"bbox": [2, 3, 0, 5]}), "annotation 5 makes no box"),
    "three numbers": ("a.json", coco({"bbox": [2, 3, 4]}), "annotation 5 makes no box"),
    "a category that is not listed": (
        "a.json",
        coco({"bbox": [2, 3, 4, 5], "category_id": 8}),
        "annotation 5 makes no box",
    ),
    "not a number": ("a.json", coco({"bbox": [2, 3, float("nan"), 5]}), "annotation 5 makes no box"),
    "corners the wrong way round": ("one.xml", voc(voc_object(6, 8, 3, 4)), "cannot be read"),
    "a corner is missing": ("one.xml", voc("<object><name>t</name><bndbox/></object>"), "cannot be read"),
    "a size that is no number": (
        "one.xml",
        voc(voc_object(3, 4, 6, 8), "<size><width>20 px</width><height>10</height></size>"),
        "cannot be read",
    ),
    "cut": ("one.xml", voc(voc_object(3, 4, 6, 8))[:60], "cannot be read"),
    "entities": ("one.xml", '<!DOCTYPE a [<!ENTITY b "c">]>' + voc(""), "no plain annotation file"),
    "a YOLO line of no size": ("one.txt", "0 0.5 0.5 0 0.1\n", "a box of 0 has sides of 0 and 0.1"),
}


@pytest.mark.parametrize("case", BAD)
def test_files_that_make_no_box_are_named(tmp_path, case):
    name, text, words = BAD[case]
    (tmp_path / name).write_text(text, encoding="utf-8")
    _, annotation = only(tmp_path)
    assert words in annotation.wrong
    assert name in annotation.wrong
    assert annotation.boxes == ()


FITS = {
    "inside": ([2, 3, 4, 5], (10, 20), ""),
    "out by a pixel, as rounding takes it": ([17, 3, 4, 5], (10, 20), ""),
    "out by two": ([18, 3, 4, 5], (10, 20), "a box of tumour reaches beyond the image"),
    "of another image": (
        [2, 3, 4, 5],
        (20, 10),
        "the boxes are of an image of 10 x 20 pixels, the scan has 20 x 10",
    ),
}


@pytest.mark.parametrize("case", FITS)
def test_boxes_must_fit_their_image(tmp_path, case):
    corners, size, words = FITS[case]
    (tmp_path / "a.json").write_text(coco({"bbox": corners}), encoding="utf-8")
    assert only(tmp_path)[1].misfit(size) == words


def test_the_path_in_a_voc_file_is_not_believed(tmp_path):
    """It is a path of another machine, and may name a person; the file is called as its scan is."""
    (tmp_path / "one.xml").write_text(voc(""), encoding="utf-8")
    assert only(tmp_path)[1].scan == "one"


@pytest.mark.parametrize("text", ["{}", "[1]", "not json", '{"labels": {"a": 1}}', '{"shapes": []}'])
def test_json_of_other_kinds_holds_no_boxes(tmp_path, text):
    (tmp_path / "other.json").write_text(text, encoding="utf-8")
    assert find_boxes(tmp_path) is None
    with pytest.raises(DatasetError, match=r"other\.json cannot be read as COCO"):
        find_boxes(tmp_path / "other.json")


def test_a_coco_file_that_lacks_what_it_needs_is_named(tmp_path):
    (tmp_path / "a.json").write_text(coco(images=[{"id": 1}]), encoding="utf-8")
    with pytest.raises(DatasetError, match=r"a\.json cannot be read as COCO"):
        find_boxes(tmp_path)


@pytest.mark.parametrize(
    "text",
    ["patient 1, left lung", "1 2", "0 0.5 0.5 0.1 7", "-1 0.5 0.5 0.1 0.1", "0.5 0.5 0.5 0.1 0.1"],
)
def test_text_of_other_kinds_is_no_yolo(tmp_path, text):
    (tmp_path / "notes.txt").write_text(text, encoding="utf-8")
    assert find_boxes(tmp_path) is None


def test_an_empty_yolo_file_beside_others_is_data(tmp_path):
    (tmp_path / "one.txt").write_text("0 0.5 0.5 0.1 0.1 0.9\n", encoding="utf-8")  # with a confidence
    (tmp_path / "two.txt").write_text("", encoding="utf-8")
    table = find_boxes(tmp_path)
    assert {name: len(of[0].boxes) for name, of in table.annotations.items()} == {"one": 1, "two": 0}
    assert table.find("one.png").boxes[0].region == "0"  # without a file of names, the number


def test_several_forms_are_refused(tmp_path):
    for name, text in FORMS.values():
        (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(DatasetError, match="several forms: COCO, Pascal VOC, YOLO"):
        find_boxes(tmp_path)
