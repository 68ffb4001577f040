import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from medgan.report import sheet


def images(count, height=16, width=24, channels=1, level=0.5):
    pixels = np.random.default_rng(count).normal(level, 0.1, (count, channels, height, width))
    return pixels.clip(0, 1).astype(np.float32)


def drawn(tmp_path, rows, title="Title"):
    return np.asarray(Image.open(sheet.contact_sheet(rows, tmp_path / "sheet.png", title)).convert("RGB"))


def test_every_image_is_on_the_sheet_at_its_place(tmp_path):
    rows = [("a", images(3), images(2)), ("b", images(1), images(4))]
    picture = drawn(tmp_path, rows)
    layout = sheet.Layout.of(rows)
    window = sheet.display_window(rows)
    zoom = layout.cell[0] // 16
    assert picture.shape[:2] == (layout.height, layout.width)
    for number, (_, *sides) in enumerate(rows):
        for side, shown in enumerate(sides):
            for column, image in enumerate(shown):
                left, top = layout.left(side, column), layout.top(number)
                cell = picture[top : top + layout.cell[0], left : left + layout.cell[1]]
                expected = sheet.viewed(image, window).repeat(zoom, axis=0).repeat(zoom, axis=1)
                np.testing.assert_allclose(cell.astype(int), expected.astype(int), atol=1)


def test_real_is_left_of_synthetic():
    layout = sheet.Layout.of([("a", images(5), images(2))])
    assert layout.left(0, 4) + layout.cell[1] < layout.left(1, 0)


def test_classes_without_real_or_synthetic_images_leave_their_side_empty(tmp_path):
    rows = [("a", images(2), None), ("b", None, images(2))]
    picture, layout = drawn(tmp_path, rows), sheet.Layout.of(rows)
    empty = picture[layout.top(0) : layout.top(0) + layout.cell[0], layout.left(1, 0) : layout.width]
    assert len(np.unique(empty.reshape(-1, 3), axis=0)) == 1


def test_synthetic_images_alone_need_no_room_for_real_ones(tmp_path):
    rows = [("a", None, images(2))]
    assert sheet.Layout.of(rows).left(1, 0) == sheet.Layout.of([("a", images(2), None)]).left(0, 0)
    assert drawn(tmp_path, rows).max() > 200


def test_all_images_are_seen_through_the_window_of_the_real_ones():
    real, synthetic = images(4, level=0.3), np.zeros((1, 1, 16, 24), np.float32)
    low, high = sheet.display_window([("a", real, synthetic)])
    assert low == pytest.approx(np.percentile(real, 0.5), abs=1e-6)
    assert high == pytest.approx(np.percentile(real, 99.5), abs=1e-6)
    assert sheet.viewed(synthetic[0], (low, high)).max() == 0


def test_colour_is_shown_as_it_is():
    red = np.zeros((1, 3, 4, 4), np.float32)
    red[:, 0] = 0.8
    assert sheet.display_window([("a", red, None)]) == (0.0, 1.0)
    assert sheet.viewed(red[0], (0.0, 1.0))[0, 0].tolist() == [204, 0, 0]


def test_constant_images_do_not_divide_by_zero(tmp_path):
    flat = np.full((2, 1, 8, 8), 0.5, np.float32)
    assert drawn(tmp_path, [("a", flat, flat)]).max() > 100


@pytest.mark.parametrize("label", ["$x^2$ costs $5", "肺炎", "x" * 300, "", r"\frac"])
def test_any_class_name_can_be_written(tmp_path, label):
    assert drawn(tmp_path, [(label, images(1), None)]).max() > 200


def test_a_long_class_name_is_folded_into_three_lines():
    lines = sheet.folded("pneumonia with pleural effusion and atelectasis of the left lower lobe").split("\n")
    assert len(lines) == 3
    assert max(map(len, lines)) <= 16


def test_large_images_are_shrunk(tmp_path):
    assert sheet.Layout.of([("a", images(1, 512, 256), None)]).cell == (112, 56)
    assert drawn(tmp_path, [("a", images(1, 512, 256), None)]).shape[0] < 300


def test_equal_images_give_equal_bytes(tmp_path):
    rows = [("a", images(3), images(2))]
    one = sheet.contact_sheet(rows, tmp_path / "one.png", "Title").read_bytes()
    assert sheet.contact_sheet(rows, tmp_path / "two.png", "Title").read_bytes() == one


def test_pyplot_and_its_global_state_are_not_touched():
    script = "import sys, medgan.report.sheet; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
