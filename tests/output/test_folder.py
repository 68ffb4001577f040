"""An output folder: claimed, filled file by file, gone on with after any interruption."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from medgan.base import files
from medgan.base.errors import OutputError
from medgan.dataset.manifest import Record
from medgan.output.folder import DatasetWriter, claim_folder, dataset_folder, find_result
from medgan.scans.scan import OutputFormat, Provenance

SETTINGS = {"command": "sample", "seed": 0}
MARK = Provenance(synthetic=True, label="a b", index=7, seed=6, model="m")


def folder(path, format="png"):  # noqa: A002  # the form's word
    return DatasetWriter(
        path=path,
        form=OutputFormat(format=format, low=0, high=255, unit="stored"),
        folders={"a b": "a_b"},
    )


def image(seed=0):
    return np.random.default_rng(seed).random((1, 8, 6), np.float32)


def test_an_image_is_named_by_class_origin_and_number(tmp_path):
    out = folder(tmp_path)
    assert out.put(MARK, image()).path == tmp_path / "images" / "a_b" / "a_b_syn_000007.png"
    real = Provenance(synthetic=False, label="a b", index=1, patient="p")
    assert out.put(real, image(1)).path.name == "a_b_real_000001.png"


def test_nothing_but_whole_images_is_ever_below_images(tmp_path, monkeypatch):
    out = folder(tmp_path)

    def stop(descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", stop)  # the image is written, and not yet safe
    with pytest.raises(KeyboardInterrupt):
        out.put(MARK, image())
    assert out.images() == []


def test_the_side_file_of_nifti_is_there_before_its_image(tmp_path, monkeypatch):
    out, moved, replace = folder(tmp_path, "nifti"), [], Path.replace

    def noted(path, target):
        if "images" in Path(target).parts:
            moved.append(Path(target).name)
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", noted)
    out.put(MARK, image())
    assert moved == ["a_b_syn_000007.json", "a_b_syn_000007.nii.gz"]


def test_a_new_or_empty_folder_is_taken(tmp_path):
    assert find_result(dataset_folder(tmp_path, "sample"), SETTINGS) is None
    assert claim_folder(dataset_folder(tmp_path / "new", "sample"), SETTINGS) is None
    assert files.read_json(tmp_path / "new" / "run.json")["complete"] is False


def test_another_command_is_refused_with_the_difference(tmp_path):
    run = dataset_folder(tmp_path, "sample")
    claim_folder(run, SETTINGS)
    assert claim_folder(run, SETTINGS) is None
    with pytest.raises(OutputError, match="seed was 0, is now 1"):
        find_result(run, {**SETTINGS, "seed": 1})


@pytest.mark.parametrize("text", ["{}", '{"version": 1}', '{"settings": {}, "complete": 1}'])
def test_somebody_elses_run_file_is_not_ours(tmp_path, text):
    (tmp_path / "run.json").write_text(text, encoding="utf-8")
    with pytest.raises(OutputError, match=r"run\.json cannot be read"):
        claim_folder(dataset_folder(tmp_path, "sample"), SETTINGS)
    assert (tmp_path / "run.json").read_text(encoding="utf-8") == text


def test_a_link_across_disks_is_a_symbolic_one(tmp_path, monkeypatch):
    source = tmp_path / "scan.png"
    source.write_bytes(b"scan")

    def other_disk(path, target):
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(Path, "hardlink_to", other_disk)
    placed = folder(tmp_path / "out").link(MARK, Record(path="scan.png"), source, ".png")
    assert placed.path.is_symlink()
    assert placed.path.read_bytes() == b"scan"


@pytest.mark.parametrize(
    ("code", "words"), [(errno.ENOSPC, "the disk is full"), (errno.EROFS, "cannot be written")]
)
@pytest.mark.parametrize(
    "write",
    [
        lambda out: claim_folder(dataset_folder(out, "sample"), SETTINGS),
        lambda out: folder(out).put(MARK, image()),
    ],
    ids=["the record", "an image"],
)
def test_a_disk_that_refuses_is_told_with_the_next_step(tmp_path, monkeypatch, write, code, words):
    def refuse(*_, **__):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(OutputError, match=words) as caught:
        write(tmp_path / "out")
    assert caught.value.hint


def test_a_link_that_is_refused_is_told(tmp_path, monkeypatch):
    def refuse(path, target):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    with pytest.raises(OutputError, match="the disk is full"):
        folder(tmp_path / "out").link(MARK, Record(path="scan.png"), tmp_path / "scan.png", ".png")


def test_a_link_that_is_there_stays(tmp_path):
    out, source = folder(tmp_path / "out"), tmp_path / "scan.png"
    source.write_bytes(b"scan")
    first = out.link(MARK, Record(path="scan.png"), source, ".png")
    source.unlink()
    assert out.link(MARK, Record(path="scan.png"), source, ".png") == first
    assert first.path.read_bytes() == b"scan"
