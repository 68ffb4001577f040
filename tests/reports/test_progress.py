"""Curves of a training, and the picture that is drawn anew at every tick."""

import numpy as np
import pytest
from PIL import Image

from medgan.base.progress import format_duration
from medgan.pictures.grid import draw_grid, grid_title, share_done
from medgan.reports import progress
from tests.reports.folders import row

LABELS = ("rare", "usual")


def rows(count=6, labels=LABELS):
    return [row(1000 * n, labels, last=n == count) for n in range(1, count + 1)]


def test_there_is_a_plot_for_all_that_guards_tell():
    assert list(progress._panels(rows())) == ["Distance", "Variety", "Copies", "Distance by class", "Pace"]
    assert set(progress._panels(rows())) <= set(progress._EXPLANATIONS)


def test_a_run_without_guards_or_features_shows_what_it_has():
    bare = [{**one, "guards": None, "distance": None, "critic_loss": 0.5} for one in rows()]
    assert list(progress._panels(bare)) == ["Losses", "Pace"]
    assert progress._panels([]) == {}
    assert progress.progress_figures([]) == []


def test_of_many_classes_those_that_stand_worst_are_drawn():
    labels = [f"class {number}" for number in range(3000)]
    one = row(1000, labels)
    one["guards"]["variety"] = {label: number / 3000 for number, label in enumerate(labels)}
    one["guards"]["copies"] = {label: number / 3000 for number, label in enumerate(labels)}
    assert set(progress._worst_classes([one], "variety")) == set(labels[:8])
    assert set(progress._worst_classes([one], "copies")) == set(labels[-8:])


def test_a_class_that_guards_saw_once_is_a_line_of_one_point():
    first, *rest = rows()
    del first["guards"]["variety"]["rare"]
    assert progress.progress_figures([first, *rest])


@pytest.mark.parametrize(
    "labels", [LABELS, ("肺炎", "$x$"), tuple(f"class {number}" for number in range(40))]
)
def test_the_picture_is_written_whole_at_every_tick(tmp_path, recwarn, labels):
    every = rows(labels=labels)
    for count in (1, len(every)):
        with Image.open(progress.progress_picture(every[:count], tmp_path / "progress.png")) as picture:
            assert picture.width == 1000
            assert np.asarray(picture.convert("L")).std() > 0
    assert [path.name for path in tmp_path.iterdir()] == ["progress.png"]
    assert not recwarn.list


def test_where_a_training_stands_is_said_in_a_line():
    assert progress._status_line(row(1000, LABELS)) == "1,000 images shown (25%) in 10 s; about 30 s left"
    assert (
        progress._status_line(row(6000, LABELS, last=True)) == "6,000 images shown (100%) in 1 min; finished"
    )
    assert share_done({"images_shown": 0, "seconds_left": 0.0, "images_per_second": 0.0}) == 0.0
    assert [format_duration(seconds) for seconds in (5, 89, 754, 5400, 11100)] == [
        "5 s",
        "1 min",
        "13 min",
        "1 h 30 min",
        "3 h 5 min",
    ]


@pytest.mark.parametrize(
    ("size", "channels"), [((16, 12), 1), ((48, 64), 1), ((128, 128), 3), ((400, 300), 1)]
)
def test_a_grid_is_about_a_thousand_pixels_wide_and_shows_every_image_in_its_window(tmp_path, size, channels):
    height, width = size
    sheet = np.full((2 * height, 8 * width, channels), 0.2, np.float32)
    sheet[:height, :width] = 0.9
    sheet = sheet if channels > 1 else sheet[:, :, 0]
    path = draw_grid(sheet, LABELS, size, (0.2, 0.9), tmp_path / "1.png", grid_title(row(1000, LABELS)))
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    assert 900 <= pixels.shape[1] <= 1250
    assert pixels[152 + 2, 28 + 2].tolist() == [255, 255, 255]  # the first image is as bright as can be
    assert pixels[152 + 2, -60].tolist() == [0, 0, 0]  # and what is air is black


@pytest.mark.parametrize(("columns", "side"), [(8, 113), (1, 16), (3, 40)])
def test_the_title_of_a_grid_is_never_cut_at_the_edge(tmp_path, columns, side):
    late = {"images_shown": 1_234_567, "seconds": 90_000.0, "seconds_left": 9e4, "images_per_second": 9.0}
    sheet = np.zeros((2 * side, columns * side), np.float32)
    path = draw_grid(sheet, LABELS, (side, side), (0.0, 1.0), tmp_path / "1.png", grid_title(late))
    head = np.asarray(Image.open(path).convert("L"))[:100]
    assert head.max() > 200, "there is a title"
    assert (head[:, -4:] == head[0, 0]).all()
