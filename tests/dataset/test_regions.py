"""Scans and masks in pairs: by which names, what does not fit, and how large regions are."""

import json

import nibabel
import numpy as np
import pytest
from PIL import Image

from medgan.base.errors import DatasetError
from medgan.base.job import ALONE
from medgan.dataset.index import index
from medgan.dataset.masks import DECATHLON, EQUAL_NAMES, NNUNET
from medgan.dataset.regions import inspect_regions
from medgan.dataset.source import Source

SQUARE = np.zeros((16, 16), np.uint8)
SQUARE[4:8, 4:8] = 1
SQUARE[12:14, 12:14] = 2


def scans(root, *names, shape=(16, 16)):
    """Noisy PNGs at these paths, and the manifest of their folder."""
    chance = np.random.default_rng(0)
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(chance.integers(0, 256, shape).astype(np.uint8)).save(root / name)
    return index(Source(path=root))


def write(path, values=SQUARE):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def looked_at(manifest, folder, area=lambda record: None):
    return inspect_regions(manifest, folder, area, ALONE)


@pytest.mark.parametrize(
    "name", ["one.png", "one_mask.png", "one-seg.tif", "deep/er/one.png", "one_label.png"]
)
def test_a_mask_is_found_by_the_name_of_its_scan(tmp_path, name):
    manifest = scans(tmp_path / "scans", "sick/one.png")
    write(tmp_path / "masks" / name)
    found = looked_at(manifest, tmp_path / "masks")
    assert found.pairs == {
        "form": EQUAL_NAMES, "ok": 1, "no_mask": 0, "misaligned": 0, "unreadable": 0,
        "empty": 0, "no_image": 0,
    }  # fmt: skip
    assert found.warnings == ()
    assert found.regions["1"] == {
        "label": 1, "scans": 1, "images": 1, "pixels": 16, "objects": 1, "median_px": 16,
        "median_px_trained": None,
    }  # fmt: skip


def test_of_masks_with_the_same_name_the_one_in_the_same_folder_counts(tmp_path):
    manifest = scans(tmp_path / "scans", "sick/one.png", "well/one.png")
    write(tmp_path / "masks" / "sick" / "one.png")
    write(tmp_path / "masks" / "well" / "one.png", np.zeros_like(SQUARE))
    found = looked_at(manifest, tmp_path / "masks")
    assert (found.pairs["ok"], found.pairs["empty"], found.regions["1"]["images"]) == (2, 1, 1)


def test_masks_that_cannot_be_told_apart_are_no_pair(tmp_path):
    manifest = scans(tmp_path / "scans", "sick/one.png")
    write(tmp_path / "masks" / "a" / "one.png")
    write(tmp_path / "masks" / "b" / "one.png")
    assert looked_at(manifest, tmp_path / "masks").pairs["no_mask"] == 1


def test_what_lacks_its_partner_is_counted_and_named(tmp_path):
    manifest = scans(tmp_path / "scans", *(f"sick/{number}.png" for number in range(6)))
    write(tmp_path / "masks" / "0.png")
    write(tmp_path / "masks" / "stranger.png")
    found = looked_at(manifest, tmp_path / "masks")
    assert (found.pairs["no_mask"], found.pairs["no_image"]) == (5, 1)
    without, alone = found.warnings
    assert without.startswith("5 scans are without a mask of the same name, such as sick/1.png, sick/2.png, ")
    assert "and 2 more" in without
    assert alone.startswith("1 mask is without a scan of the same name, such as stranger.png: ")


def test_a_mask_of_another_size_is_not_used_and_said_to_be(tmp_path):
    manifest = scans(tmp_path / "scans", "sick/one.png", "sick/two.png")
    write(tmp_path / "masks" / "one.png", SQUARE[:, :12])
    write(tmp_path / "masks" / "two.png")
    found = looked_at(manifest, tmp_path / "masks")
    assert (found.pairs["ok"], found.pairs["misaligned"], found.regions["1"]["images"]) == (1, 1, 1)
    assert "sick/one.png: the mask has 1 x 16 x 12 pixels, the scan 1 x 16 x 16" in found.warnings[0]


def test_one_bad_mask_does_not_stop_the_others(tmp_path):
    manifest = scans(tmp_path / "scans", "sick/one.png", "sick/two.png")
    write(tmp_path / "masks" / "one.png")
    (tmp_path / "masks" / "two.png").write_bytes(b"no picture")
    found = looked_at(manifest, tmp_path / "masks")
    assert (found.pairs["ok"], found.pairs["unreadable"]) == (1, 1)
    assert "two.png" in found.warnings[0]


def volumes(root, affine, mask_affine, mask_shape=(8, 9, 10)):
    chance = np.random.default_rng(0)
    (root / "scans" / "sick").mkdir(parents=True)
    image = nibabel.Nifti1Image(chance.normal(500, 99, (8, 9, 10)).astype(np.float32), affine)
    nibabel.save(image, root / "scans" / "sick" / "one.nii.gz")
    values = np.zeros(mask_shape, np.uint8)
    values[2:5, 2:5, 3:6] = 1
    (root / "masks").mkdir()
    nibabel.save(nibabel.Nifti1Image(values, mask_affine), root / "masks" / "one.nii.gz")
    return index(Source(path=root / "scans")), root / "masks"


def shifted(millimetres):
    affine = np.eye(4)
    affine[0, 3] = millimetres
    return affine


PLACES = {
    "equal": (np.eye(4), ""),
    "rounded": (shifted(0.01), ""),
    "elsewhere": (shifted(3), "the mask lies elsewhere in space, up to 3.0 mm away"),
    "other pixels": (
        np.diag([1, 1.05, 1, 1]),
        "pixels of the mask are 1 x 1.05 x 1 mm large, those of the scan 1 x 1 x 1",
    ),
    "mirrored": (np.diag([-1, 1, 1, 1]), "the mask lies elsewhere in space, up to 7.0 mm away"),
}


@pytest.mark.parametrize("case", PLACES)
def test_a_mask_must_lie_where_its_scan_lies(tmp_path, case):
    affine, words = PLACES[case]
    manifest, folder = volumes(tmp_path, np.eye(4), affine)
    found = looked_at(manifest, folder)
    assert (found.pairs["ok"], found.pairs["misaligned"]) == ((1, 0) if not words else (0, 1))
    assert words in "".join(found.warnings)


def test_a_mask_stored_the_other_way_round_fits(tmp_path):
    """The header says where voxels lie, so a file in LPS pairs with a scan in RAS."""
    turned = np.diag([-1.0, -1.0, 1.0, 1.0])
    turned[:2, 3] = 7, 8
    manifest, folder = volumes(tmp_path, np.eye(4), turned)
    assert looked_at(manifest, folder).pairs["ok"] == 1


def test_an_nnunet_data_set_names_its_regions(tmp_path):
    root = tmp_path / "Dataset001"
    manifest = scans(root, "imagesTr/case_01_0000.png", "imagesTr/case_02_0000.png")
    write(root / "labelsTr" / "case_01.png")
    write(root / "labelsTr" / "case_02.png")
    labels = {"background": 0, "liver": 1, "tumour": 2, "vessel": 3, "all": [1, 2]}
    (root / "dataset.json").write_text(
        json.dumps({"channel_names": {"0": "CT"}, "labels": labels}), encoding="utf-8"
    )
    for place in (root, root / "labelsTr"):
        found = looked_at(manifest, place)
        assert found.pairs["form"] == NNUNET
        assert (found.pairs["ok"], found.pairs["no_image"]) == (2, 0)
        assert {name: one["images"] for name, one in found.regions.items()} == {
            "liver": 2,
            "tumour": 2,
            "vessel": 0,
        }
        assert found.warnings == ("no mask in train shows vessel",)


def test_a_decathlon_data_set_names_its_regions(tmp_path):
    manifest = scans(tmp_path, "imagesTr/hippo.png")
    write(tmp_path / "labelsTr" / "hippo.png")
    labels = {"0": "background", "1": "Anterior", "2": "Posterior"}
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": labels}), encoding="utf-8")
    found = looked_at(manifest, tmp_path)
    assert (found.pairs["form"], list(found.regions)) == (DECATHLON, ["Anterior", "Posterior"])


def test_the_only_region_is_called_mask(tmp_path):
    manifest = scans(tmp_path / "scans", "sick/one.png")
    write(tmp_path / "masks" / "one.png", np.uint8(255) * (SQUARE == 1))
    assert list(looked_at(manifest, tmp_path / "masks").regions) == ["mask"]


def test_regions_that_vanish_in_training_images_are_named_with_the_size_that_keeps_them(tmp_path):
    manifest = scans(tmp_path / "scans", "sick/one.png")
    write(tmp_path / "masks" / "one.png")
    found = looked_at(manifest, tmp_path / "masks", lambda record: 0.5)
    assert (found.regions["1"]["median_px_trained"], found.regions["2"]["median_px_trained"]) == (8.0, 2.0)
    assert [words.split(" show it")[0] for words in found.warnings] == [
        "half of the images that show 1",
        "half of the images that show 2",
    ]
    assert found.warnings[1].endswith(
        "2 pixels or fewer at the size of training images: choose a --size at least 2.5 times as large"
    )
    assert looked_at(manifest, tmp_path / "masks", lambda record: 3.0).warnings == ()


def test_regions_are_counted_in_train_alone(tmp_path):
    manifest = scans(tmp_path / "scans", "train/sick/one.png", "test/sick/two.png")
    write(tmp_path / "masks" / "one.png")
    write(tmp_path / "masks" / "two.png")
    found = looked_at(manifest, tmp_path / "masks")
    assert (found.pairs["ok"], found.regions["1"]["scans"]) == (2, 1)


def test_boxes_are_counted_one_by_one(tmp_path):
    manifest = scans(tmp_path / "scans", "cells/one.png", "cells/two.png", "cells/three.png")
    boxes = [[0, 0, 4, 4], [8, 8, 4, 2], [2, 2, 12, 12]]
    names = ("one", "two", "four")
    coco = {
        "images": [{"id": name, "file_name": f"{name}.png", "height": 16, "width": 16} for name in names],
        "categories": [{"id": 7, "name": "platelet"}, {"id": 9, "name": "white cell"}],
        "annotations": [
            {"id": n, "image_id": "one", "category_id": 9 if n == 2 else 7, "bbox": box}
            for n, box in enumerate(boxes)
        ],
    }
    (tmp_path / "coco.json").write_text(json.dumps(coco), encoding="utf-8")
    found = looked_at(manifest, tmp_path / "coco.json", lambda record: 0.5)
    assert found.pairs == {
        "form": "COCO", "ok": 2, "no_mask": 1, "misaligned": 0, "unreadable": 0, "empty": 1, "no_image": 1,
    }  # fmt: skip
    platelet = found.regions["platelet"]
    assert (platelet["images"], platelet["objects"], platelet["median_px"]) == (1, 2, 12)
    assert platelet["median_px_trained"] == 6
    assert len(found.warnings) == 3
    assert found.warnings[2].startswith(
        "half of the images that show platelet show it with 6 pixels or fewer"
    )


def test_boxes_are_of_flat_images(tmp_path):
    manifest, folder = volumes(tmp_path, np.eye(4), np.eye(4))
    (folder / "one.nii.gz").unlink()
    (folder / "one.txt").write_text("0 0.5 0.5 0.2 0.2\n", encoding="utf-8")
    found = looked_at(manifest, folder)
    assert found.pairs["misaligned"] == 1
    assert "boxes are of a flat image, the scan has 10 slices" in found.warnings[0]


def test_what_is_not_there_is_said(tmp_path):
    manifest = scans(tmp_path / "scans", "sick/one.png")
    with pytest.raises(DatasetError, match="does not exist"):
        looked_at(manifest, tmp_path / "gone")
