"""Folders of masks: which form they have, and what they call their regions."""

import numpy as np
import pytest
from PIL import Image

from medgan.base.errors import DatasetError
from medgan.dataset.masks import case_name, closest, find_masks


def test_a_name_ends_before_its_ending():
    assert [case_name(name) for name in ("a/b.nii.gz", "b.v2.png", "B.NII", "b")] == ["b", "b.v2", "B", "b"]


def test_a_folder_without_masks_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing", encoding="utf-8")
    with pytest.raises(DatasetError, match="holds no mask"):
        find_masks(tmp_path)
    with pytest.raises(DatasetError, match="is no folder"):
        find_masks(tmp_path / "notes.txt")


def test_labels_of_a_description_that_is_none_are_numbers(tmp_path):
    (tmp_path / "masks").mkdir()
    Image.fromarray(np.eye(4, dtype=np.uint8)).save(tmp_path / "masks" / "one.png")
    for text in ("[]", '{"labels": ["a"]}', "{}"):
        (tmp_path / "masks" / "dataset.json").write_text(text, encoding="utf-8")
        assert find_masks(tmp_path / "masks").names == {}


def test_the_closest_has_the_folders_of_the_scan():
    several = {1: "train/sick/one.png", 2: "test/sick/one.png", 3: "one.png"}
    assert closest("test/sick/one.dcm", several) == 2
    assert closest("well/one.dcm", several) is None
    assert closest("one.dcm", {}) is None


def test_a_description_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "dataset.json").write_text("{", encoding="utf-8")
    with pytest.raises(DatasetError, match=r"dataset\.json cannot be read"):
        find_masks(tmp_path)


def test_what_a_system_keeps_for_itself_is_no_mask(tmp_path):
    """A NAS keeps a thumbnail of the same name beside each picture."""
    for place in ("masks", "masks/@eaDir", "masks/.hidden"):
        (tmp_path / place).mkdir()
        Image.fromarray(np.eye(4, dtype=np.uint8)).save(tmp_path / place / "one.png")
    found = find_masks(tmp_path / "masks")
    assert found.find("one.dcm") == tmp_path / "masks" / "one.png"
    assert found.list_unused(set()) == ["one.png"]
