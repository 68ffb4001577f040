import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from medgan.pictures import contact_sheet
from medgan.pictures.contact_sheet import _SheetLayout
from medgan.pictures.display import ClassGallery, display_window, to_display_bytes


def images(count, height=16, width=24, channels=1, level=0.5):
    pixels = np.random.default_rng(count).normal(level, 0.1, (count, channels, height, width))
    return pixels.clip(0, 1).astype(np.float32)


def wall(label, real=None, synthetic=None, **facts):
    counts = tuple(0 if side is None else len(side) for side in (real, synthetic))
    return ClassGallery(label=label, real=real, synthetic=synthetic, **{"counts": counts, **facts})


def drawn(tmp_path, walls, title="Title"):
    return np.asarray(
        Image.open(contact_sheet.contact_sheet(walls, tmp_path / "sheet.png", title)).convert("RGB")
    )


def words_of(monkeypatch, tmp_path, walls):
    """The lines that are written on the sheet."""
    found = []
    monkeypatch.setattr(
        contact_sheet.Canvas, "write", lambda self, left, middle, text, *look: found.append(text)
    )
    contact_sheet.contact_sheet(walls, tmp_path / "words.png", "Title")
    return found


def test_every_image_is_on_the_sheet_at_its_place(tmp_path):
    walls = [wall("a", images(7), images(2)), wall("b", images(1), images(9))]
    picture, layout = drawn(tmp_path, walls), _SheetLayout.of(walls)
    window = display_window(
        np.concatenate([one.real for one in walls]), np.concatenate([one.synthetic for one in walls])
    )
    zoom = layout.cell[0] // 16
    assert picture.shape[:2] == (layout.height, layout.width)
    for number, one in enumerate(walls):
        for side, shown in enumerate(one.sides):
            for position, image in enumerate(shown):
                row, column = divmod(position, layout.columns[number])
                left, top = layout.left(number, side, column), layout.image_top(number, row)
                cell = picture[top : top + layout.cell[0], left : left + layout.cell[1]]
                expected = to_display_bytes(image, window).repeat(zoom, axis=0).repeat(zoom, axis=1)
                np.testing.assert_array_equal(cell, expected)


def test_real_is_left_of_synthetic():
    layout = _SheetLayout.of([wall("a", images(5), images(2))])
    assert layout.left(0, 0, layout.columns[0] - 1) + layout.cell[1] < layout.left(0, 1, 0)


def test_a_class_tells_how_many_of_how_many_are_shown_and_what_is_synthetic(monkeypatch, tmp_path):
    told = words_of(monkeypatch, tmp_path, [wall("a", images(3), images(2), counts=(1200, 2))])
    assert "real: 3 of 1,200" in told
    assert "SYNTHETIC: all 2" in told


def test_where_a_class_needs_no_synthetic_images_the_sheet_says_so_and_leaves_no_hole(monkeypatch, tmp_path):
    walls = [wall("a", images(20), None), wall("b", images(20), images(2))]
    layout = _SheetLayout.of(walls)
    assert layout.columns == (8, 4)
    assert layout.rows == (3, 5)
    assert "SYNTHETIC: none needed" in words_of(monkeypatch, tmp_path, walls)


def test_linked_real_images_are_counted_though_not_shown(monkeypatch, tmp_path):
    told = words_of(monkeypatch, tmp_path, [wall("a", None, images(2), counts=(40, 2))])
    assert "real: 40, not shown" in told


def test_synthetic_images_alone_say_nothing_of_real_ones(monkeypatch, tmp_path):
    told = words_of(monkeypatch, tmp_path, [wall("a", None, images(2))])
    assert not any(text.startswith("real") for text in told)


def test_synthetic_images_are_framed(tmp_path):
    walls = [wall("a", images(2), images(2))]
    picture, layout = drawn(tmp_path, walls), _SheetLayout.of(walls)
    accent = np.array([0xF5, 0xB1, 0x4C])
    near = (np.abs(picture.astype(int) - accent) < 40).all(axis=2).sum(axis=0)
    assert near[layout.left(0, 1, 0) - contact_sheet._GAP - 1 :].sum() > 2 * layout.cell[0]
    assert near[: layout.left(0, 1, 0) - contact_sheet._GAP - 2].sum() == 0


@pytest.mark.parametrize(("side", "most"), [(16, 1100), (32, 1200), (48, 1200), (64, 1200), (512, 1100)])
def test_on_a_phone_each_image_is_still_seen(side, most):
    """At 390 pixels of width a tile has 36 and more of them."""
    layout = _SheetLayout.of([wall("a", images(24, side, side), images(24, side, side))])
    assert layout.width <= most
    assert layout.cell[1] * 390 / layout.width >= 36


def test_a_sheet_of_many_classes_stays_a_picture(monkeypatch, tmp_path):
    walls = [wall(f"class {number:05d}", images(1), images(1)) for number in range(2000)]
    told = words_of(monkeypatch, tmp_path, walls)
    assert any("1,960 more classes are not shown" in text for text in told)
    assert _SheetLayout.of(walls[: contact_sheet.MOST_CLASSES]).height < 16000
    assert [contact_sheet.images_per_class(count) for count in (1, 10, 11, 21, 2000)] == [24, 24, 12, 4, 4]


def test_constant_images_do_not_divide_by_zero(tmp_path):
    flat = np.full((2, 1, 8, 8), 0.5, np.float32)
    assert drawn(tmp_path, [wall("a", flat, flat)]).max() > 100


@pytest.mark.parametrize(
    "label", ["$x^2$ costs $5", "肺炎", "x" * 300, "", r"\frac", "a\nb", "مرض السل", "😀"]
)
def test_any_class_name_can_be_written(tmp_path, recwarn, label):
    assert drawn(tmp_path, [wall(label, images(1), None)]).max() > 200
    assert not recwarn.list


def test_large_images_are_shrunk(tmp_path):
    assert _SheetLayout.of([wall("a", images(1, 512, 256), None)]).cell == (112, 56)
    assert drawn(tmp_path, [wall("a", images(1, 512, 256), None)]).shape[0] < 400


def test_colour_is_shown_in_colour(tmp_path):
    red = np.zeros((1, 3, 16, 16), np.float32)
    red[:, 0] = 0.8
    walls = [wall("a", red, None)]
    picture, layout = drawn(tmp_path, walls), _SheetLayout.of(walls)
    assert picture[layout.image_top(0, 0) + 3, layout.left(0, 0, 0) + 3].tolist() == [204, 0, 0]


def test_equal_images_give_equal_bytes(tmp_path):
    walls = [wall("a", images(3), images(2))]
    one = contact_sheet.contact_sheet(walls, tmp_path / "one.png", "Title").read_bytes()
    assert contact_sheet.contact_sheet(walls, tmp_path / "two.png", "Title").read_bytes() == one


def test_pyplot_and_its_global_state_are_not_touched():
    script = "import sys, medgan.pictures.contact_sheet; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
