"""Closing an output folder: every image read back, described and summed; run.json last."""

import json
from pathlib import Path

import numpy as np
import pytest

from medgan.base import files
from medgan.base.errors import MedganError
from medgan.base.progress import ignore
from medgan.output.finalise import RunFacts, _choose_for_sheet, _SheetImages, finalise
from medgan.output.folder import DatasetWriter, WrittenImage, claim_folder, dataset_folder
from medgan.scans.scan import OutputFormat, Provenance
from tests.commands.blobs import rows_of, tree

PNG = OutputFormat(format="png", low=0, high=255, unit="stored")
ACCOUNT = RunFacts(command="sample", settings={"command": "sample"}, before={"a": 0, "b": 0})


def filled(path, form=PNG, images=None):
    """A claimed folder with two images of class a; what `finalise` needs."""
    claim_folder(dataset_folder(path, "sample"), ACCOUNT.settings)
    folder = DatasetWriter(path=path, form=form, folders={"a": "a", "b": "b"})
    chance = np.random.default_rng(0)
    channels = form.channels
    images = [chance.random((channels, 8, 6), np.float32) for _ in range(2)] if images is None else images
    marks = [
        Provenance(synthetic=True, label="a", index=n + 1, seed=n, model="m" * 64) for n in range(len(images))
    ]
    return folder, [folder.put(mark, image) for mark, image in zip(marks, images, strict=True)]


def test_every_class_is_counted_even_one_without_images(tmp_path):
    written = finalise(*filled(tmp_path), ACCOUNT, ignore)
    assert written.written == {"a": 2, "b": 0}
    assert json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))["labels"] == [
        {"label": "a", "number": 0, "folder": "a"},
        {"label": "b", "number": 1, "folder": "b"},
    ]


def test_the_order_in_which_images_were_written_changes_nothing(tmp_path):
    folder, placed = filled(tmp_path / "one")
    finalise(folder, placed, ACCOUNT, ignore)
    folder, placed = filled(tmp_path / "two")
    finalise(folder, placed[::-1], ACCOUNT, ignore)
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


def test_the_folder_is_complete_only_when_all_else_is_there(tmp_path, monkeypatch):
    folder, placed = filled(tmp_path)
    write_text = files.write_text

    def stop_at_sums(path, text):
        if path.name == "SHA256SUMS":
            raise KeyboardInterrupt
        write_text(path, text)

    monkeypatch.setattr(files, "write_text", stop_at_sums)
    with pytest.raises(KeyboardInterrupt):
        finalise(folder, placed, ACCOUNT, ignore)
    assert files.read_json(tmp_path / "run.json")["complete"] is False


def test_colour_images_are_described_and_shown(tmp_path):
    form = OutputFormat(format="png", low=0, high=255, unit="stored", channels=3)
    finalise(*filled(tmp_path, form), ACCOUNT, ignore)
    assert [(row["rows"], row["columns"]) for row in rows_of(tmp_path)] == [("8", "6")] * 2
    assert "8 bits, RGB" in (tmp_path / "README.md").read_text(encoding="utf-8")


def test_an_image_of_one_gray_is_described_too(tmp_path):
    for form in ("png", "nifti", "dicom"):
        out = tmp_path / form
        flat = [np.full((1, 8, 6), 0.5, np.float32)]
        finalise(
            *filled(out, OutputFormat(format=form, low=0, high=255, unit="stored"), flat),
            ACCOUNT,
            ignore,
        )
        assert len(rows_of(out)) == 1


def test_an_image_that_was_damaged_on_the_way_is_told(tmp_path):
    folder, placed = filled(tmp_path)
    placed[0].path.write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    with pytest.raises(MedganError, match=placed[0].path.name):
        finalise(folder, placed, ACCOUNT, ignore)


def test_the_sheet_shows_images_of_every_class_and_origin_and_other_slices_of_every_volume():
    marks = [
        Provenance(synthetic=made, label="a", index=n, patient="" if made else f"patient {n // 32}")
        for made in (True, False)
        for n in range(256)
    ]
    placed = [WrittenImage(mark=mark, path=Path(f"{mark.synthetic} {mark.index:03d}")) for mark in marks]
    found = {
        made: [
            int(path.name.split()[1]) for path in _choose_for_sheet(placed) if path.name.startswith(str(made))
        ]
        for made in (True, False)
    }
    assert [len(places) for places in found.values()] == [24, 24]
    assert {place // 32 for place in found[False]} == set(range(8))
    assert len({place % 32 for place in found[False]}) > 12


def test_the_sheet_shows_all_of_a_few():
    placed = [
        WrittenImage(mark=Provenance(synthetic=True, label="a", index=n), path=Path(f"{n}")) for n in range(3)
    ]
    assert _choose_for_sheet(placed) == {Path("0"), Path("1"), Path("2")}


def test_a_gallery_scales_all_its_images_by_one_range():
    gallery = _SheetImages()
    for level in range(8):
        gallery.add(rows_like(origin="synthetic"), np.full((1, 4, 4), float(level), np.float32))
    (wall,) = gallery.galleries({"a": (40, 80), "b": (0, 0)})
    assert (wall.label, wall.real, wall.counts) == ("a", None, (40, 80))
    assert wall.synthetic.shape == (8, 1, 4, 4)
    assert (wall.synthetic.min(), wall.synthetic.max()) == (0.0, 1.0)


def rows_like(**changes):
    from medgan.output.tables import ManifestRow

    facts = {"path": "x", "label": "a", "label_id": 0, "is_synthetic": "", "format": "png", "index": 1}
    return ManifestRow(**facts, rows=4, columns=4, tool_version="0", **changes)
