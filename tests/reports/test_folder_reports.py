"""What the page of a folder or of a run tells, from nothing but what lies in it."""

import csv
import json
import re
import time

import numpy as np
import pytest
from PIL import Image

from medgan.base.errors import DatasetError
from medgan.commands.report import report
from medgan.reports import folder_reports
from medgan.reports.run_log import read_log, valid_rows
from tests.reports.folders import balanced, row, run


def told(folder):
    return report(folder).report.read_text(encoding="utf-8")


def plainly(html):
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


def test_the_report_of_a_folder_tells_the_screen_that_its_card_tells(tmp_path):
    folder = balanced(tmp_path / "balanced")
    text = plainly(told(folder))
    card = " ".join((folder / "README.md").read_text(encoding="utf-8").split())
    for words in (
        "Near copies: every candidate was compared with every training image",
        "This is a screen, not a proof",
    ):
        assert words in card
        assert words in text
    assert (
        "rare 20 2 1 1 10 6 0" in text
    )  # drawn, copies, another class, least realistic, not needed, kept, in doubt
    assert "No screen for copies" not in text
    assert "No nearest images" not in text


def test_a_folder_that_was_not_filtered_says_so(tmp_path):
    text = plainly(told(balanced(tmp_path / "balanced", filtered=False)))
    assert "The filter was off" in text
    assert "most like a training image" not in text


def test_the_six_nearest_pairs_are_those_of_the_manifest(tmp_path):
    folder = balanced(tmp_path / "balanced")
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as stream:
        lines = [line for line in csv.DictReader(stream) if line["nearest_real"]]
    pairs = re.findall(r"<figcaption>rare: (.*?)</figcaption>", told(folder))
    nearest = sorted(lines, key=lambda line: float(line["nearest_distance"]))
    assert len(pairs) == 6
    for pair, line in zip(pairs, nearest, strict=True):
        assert line["path"].rpartition("/")[2] in pair
        assert f"{line['nearest_real']}.png" in pair
        assert f"distance {float(line['nearest_distance']):.3f}" in pair


def test_without_real_images_a_pair_names_the_one_that_is_not_there(tmp_path):
    text = told(balanced(tmp_path / "balanced", real=False))
    assert "class0_real_000001" in text
    assert "The real image is not in this folder" in text


def test_every_picture_has_the_name_of_its_file_and_a_class_that_needs_none_says_so(tmp_path):
    folder = balanced(tmp_path / "balanced")
    text = told(folder)
    for path in (folder / "images").rglob("*.png"):
        assert path.name in text
    assert "synthetic: none needed" in text


def test_one_damaged_image_spoils_no_page(tmp_path):
    folder = balanced(tmp_path / "balanced")
    next(iter(sorted((folder / "images").rglob("*_syn_*.png")))).write_bytes(b"\x89PNG no more")
    text = told(folder)
    assert "synthetic: 5 of 6" in text


@pytest.mark.parametrize("kind", [balanced, run])
def test_there_are_no_empty_boxes_and_no_stand_ins(tmp_path, kind):
    text = told(kind(tmp_path / "my folder"))
    body = text.partition("<main")[2]
    assert "There are no images here" not in body
    assert not re.search(r"\b(SOURCE|RUN|EVALUATION|BALANCED)\b", body)
    assert "`" not in body
    assert "&#39;my folder" in body  # quoted, as it must be typed
    assert str(tmp_path) not in text
    sections = re.findall(r'<section id="([a-z]+)"', text)
    assert sections[-2:] == ["unmeasured", "reproduce"]
    assert re.findall(r'<li><a href="#([a-z]+)"', text) == sections


def test_the_report_of_a_run_shows_its_pictures_counts_and_curves(tmp_path):
    text = told(run(tmp_path / "run", ticks=5))
    shown = re.findall(r"After ([\d,]+) images shown, ([^<]*) of training", text)
    assert list(dict.fromkeys(shown)) == [("1,000", "10 s"), ("3,000", "30 s"), ("5,000", "50 s")]
    panels = re.findall(r"<figcaption><strong>(.*?)\.</strong> (.*?)</figcaption>", text)
    assert [name for name, _ in panels] == ["Distance", "Variety", "Copies", "Distance by class", "Pace"]
    assert all(len(words) > 60 for _, words in panels)
    assert "rare: too alike" in text
    assert re.search(r"rare</th><td class=\"num\">4<", text)


def test_a_run_that_was_killed_at_once_has_a_report(tmp_path):
    folder = run(tmp_path / "run")
    for path in (folder / "log.jsonl", folder / "model" / "model.json"):
        path.unlink()
    assert "This training is not finished" in told(folder)


def test_a_run_of_twenty_thousand_classes_is_told_soon(tmp_path):
    labels = [f"class {number}" for number in range(20000)]
    folder = balanced(tmp_path / "balanced")
    facts = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    facts["counts"] = {"before": dict.fromkeys(labels, 3), "after": dict.fromkeys(labels, 4)}
    facts["filter"]["counts"] = dict.fromkeys(labels, facts["filter"]["counts"]["rare"])
    (folder / "run.json").write_text(json.dumps(facts), encoding="utf-8")
    began = time.process_time()
    text = told(folder)
    assert time.process_time() - began < 20
    assert len(text) < 3_000_000


@pytest.mark.parametrize(
    "damage",
    [
        lambda facts: facts.pop("settings"),
        lambda facts: facts.update(settings=[]),
        lambda facts: facts.update(counts={"before": 3}),
        lambda facts: facts.update(counts={"before": {"rare": "x"}, "after": {"rare": []}}),
        lambda facts: facts.update(filter={"on": True}),
        lambda facts: facts.update(plan=[]),
        lambda facts: facts.update(plan={"size": 3}),
    ],
)
def test_a_damaged_description_is_told_in_a_sentence(tmp_path, damage):
    folder = balanced(tmp_path / "balanced")
    facts = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    damage(facts)
    (folder / "run.json").write_text(json.dumps(facts), encoding="utf-8")
    with pytest.raises(DatasetError, match=r"run\.json"):
        told(folder)


def test_lines_of_a_log_that_no_run_wrote_are_left_out(tmp_path):
    good = row(1000, ["a"])
    odd = [
        {**good, "seconds": "x"},
        {**good, "guards": 3},
        {**good, "guards": {"kid": {"a": None}}},
        {**good, "distance": []},
        {**good, "seconds": float("inf")},
        {**good, "seconds_left": float("nan")},
        {**good, "images_shown": 10**400},
        {**good, "distance": 10**400},
        [],
        None,
    ]
    assert valid_rows([good, *odd]) == [good]
    (tmp_path / "log.jsonl").write_text(json.dumps(good) + "\n" + '{"images_sh', encoding="utf-8")
    assert read_log(tmp_path) == [good]


def test_a_training_whose_loss_ran_away_is_still_told(tmp_path):
    folder = run(tmp_path / "run")
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    lines[-1]["distance"] = float("inf")
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    assert len(read_log(folder)) == len(lines)
    assert "How the generator was trained" in told(folder)


def test_a_picture_of_another_name_spoils_no_page(tmp_path):
    folder = run(tmp_path / "run")
    (folder / "grids" / "²³.png").write_bytes(b"\x89PNG")
    assert "After 1,000 images shown" in told(folder)


def test_a_file_larger_than_medgan_writes_is_not_read(tmp_path, monkeypatch):
    folder = run(tmp_path / "run")
    monkeypatch.setattr(folder_reports.files, "_MAX_READ_BYTES", 4)
    assert read_log(folder) == []
    with pytest.raises(DatasetError, match=r"run\.json cannot be read \(it is larger than"):
        told(folder)


def test_pictures_of_the_run_are_large_and_labelled(tmp_path):
    folder = run(tmp_path / "run")
    with Image.open(sorted((folder / "grids").iterdir())[-1]) as picture:
        assert 950 <= picture.width <= 1150
        assert np.asarray(picture.convert("RGB"))[:100].max() > 200  # a title


def test_a_folder_is_named_as_it_is_typed_beside_it(tmp_path, monkeypatch):
    (tmp_path / "a b").mkdir()
    monkeypatch.chdir(tmp_path / "a b")
    from pathlib import Path

    assert folder_reports.short_name(Path(), "-balanced") == "'a b-balanced'"
