"""Links in a hostile folder never bring a file of the reader's into the page: none outside is read."""

import base64
import csv
import json
import shutil

import pytest
from PIL import Image

from medgan.base.errors import DatasetError, MedganError
from medgan.commands.report import report
from tests.reports.folders import balanced, run

SECRET = b"\x89PNG my private key"


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "secret"
    path.write_bytes(SECRET)
    return path


def page_of(folder):
    return report(folder).report.read_text(encoding="utf-8")


def holds_secret(text):
    return base64.b64encode(SECRET).decode() in text or "my private key" in text


def rewrite(folder, change):
    """Change the lines of manifest.csv."""
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as stream:
        lines = list(csv.DictReader(stream))
    for line in lines:
        change(line)
    with (folder / "manifest.csv").open("w", encoding="utf-8", newline="") as stream:
        table = csv.DictWriter(stream, lines[0])
        table.writeheader()
        table.writerows(lines)


def test_a_contact_sheet_that_is_a_link_is_not_shown(tmp_path, secret):
    theirs = balanced(tmp_path / "theirs")
    shutil.rmtree(theirs / "images")  # so that the sheet is all there is to show
    sheet = theirs / "contact-sheet.png"
    shown = base64.b64encode(sheet.read_bytes()).decode()
    assert shown in page_of(theirs)
    sheet.unlink()
    sheet.symlink_to(secret)
    assert not holds_secret(page_of(theirs))


@pytest.mark.parametrize("way", ["../mine.png", "{}/mine.png", "images/link.png", "images/away/mine.png"])
def test_a_line_of_the_manifest_that_leads_elsewhere_brings_no_image_in(tmp_path, way):
    theirs = balanced(tmp_path / "theirs")
    before = page_of(theirs).count("<img")
    Image.new("L", (16, 16), 200).save(tmp_path / "mine.png")
    (theirs / "images" / "link.png").symlink_to(tmp_path / "mine.png")
    (theirs / "images" / "away").symlink_to(tmp_path)

    def change(line):
        if line["path"].endswith("syn_000001.png"):
            line["path"] = way.format(tmp_path)

    rewrite(theirs, change)
    after = page_of(theirs)
    assert "mine.png" not in after
    assert after.count("<img") < before  # the image and its pair are missing, the others are there
    assert after.count("<img") > 10


def test_a_picture_on_the_way_that_is_a_link_is_not_shown(tmp_path, secret):
    theirs = run(tmp_path / "theirs")
    last = sorted((theirs / "grids").iterdir())[-1]
    last.unlink()
    last.symlink_to(secret)
    text = page_of(theirs)
    assert not holds_secret(text)
    assert "After 1,000 images shown" in text


@pytest.mark.parametrize("name", ["run.json", "log.jsonl", "manifest.csv", "model/model.json"])
def test_no_table_is_read_through_a_link(tmp_path, name):
    mine = tmp_path / "mine"
    mine.write_text(json.dumps({"settings": {"command": "my private key"}, "counts": {"my private key": 1}}))
    theirs = (run if name in {"log.jsonl", "model/model.json"} else balanced)(tmp_path / "theirs")
    (theirs / name).unlink()
    (theirs / name).symlink_to(mine)
    try:
        assert "my private key" not in page_of(theirs)
    except DatasetError as error:
        assert name in error.message  # noqa: PT017  # either way nothing is told


def test_a_named_pipe_does_not_keep_the_report_waiting(tmp_path):
    import os

    theirs = balanced(tmp_path / "theirs")
    shutil.rmtree(theirs / "images")
    (theirs / "contact-sheet.png").unlink()
    os.mkfifo(theirs / "contact-sheet.png")
    try:
        assert "Contact sheet" not in page_of(theirs)
    except MedganError:
        pytest.fail("the rest of the folder can be told")
