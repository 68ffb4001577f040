"""Draw a contact sheet: real and synthetic images of every class in one PNG.

It is meant to be judged at a glance, on a phone as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medgan.pictures.canvas import ACCENT, QUIET, Canvas, wrap_text
from medgan.pictures.display import (
    ClassGallery,
    Images,
    display_window,
    resize_picture,
    to_display_bytes,
    zoom_to,
)

_CELL = 112
"""Approximate length of an image's longer side in pixels; eight in a row stay readable where the sheet is as
wide as a phone."""
_COLUMNS = 4
"""Images in a row of one side; twice as many where the other side has none."""
_GAP = 4
"""Pixels between two images."""
_BETWEEN = 32
"""Pixels between the real and the synthetic side."""
_MARGIN = 28
"""Pixels around everything."""
_HEAD = 128
"""Height of the title in pixels."""
_LINE = 36
"""Height of a line of a class's name in pixels."""
_SIDE_HEAD = 40
"""Height of the heading above the images of one side in pixels."""
_LEAST_WIDTH = 720
"""Smallest width of the sheet in pixels."""
_LETTER = 19
"""Approximate width of a character of a class's name in pixels."""
MOST_CLASSES = 40
"""Largest number of classes on a sheet; viewers cannot open much larger pictures."""
_EMPTY_TEXTS = ("none in this folder", "none needed")
"""Text for a side without images: real, synthetic."""


def images_per_class(classes: int) -> int:
    """Number of images per class and side on a sheet of so many classes."""
    return 24 if classes <= 10 else 12 if classes <= 20 else 4


def contact_sheet(classes: Sequence[ClassGallery], path: Path, title: str) -> Path:
    """Write a sheet with a block per class, real images left and synthetic right.

    All images are shown through the same display window.
    """
    shown = classes[:MOST_CLASSES]
    layout = _SheetLayout.of(shown)
    canvas = Canvas(layout.width, layout.height)
    window = display_window(*(_side_images(shown, side) for side in (0, 1)))
    canvas.write(_MARGIN, 42, title, 34)
    canvas.write(_MARGIN, 86, wrap_text(_subtitle(classes, shown), layout.width // 13, 1)[0], 22, QUIET)
    for number, one in enumerate(shown):
        for line, text in enumerate(layout.names[number]):
            canvas.write(_MARGIN, layout.tops[number] + 16 + _LINE * line, text, 30)
        for side in (0, 1):
            if layout.there[side]:
                _draw_side(canvas, layout, (number, side), one, window)
    return canvas.save(path)


def _draw_side(
    canvas: Canvas,
    layout: _SheetLayout,
    place: tuple[int, int],
    one: ClassGallery,
    window: tuple[float, float],
) -> None:
    """Draw the images of one class and side, below a heading with their number.

    `place` is (position of the class, side).
    """
    number, side = place
    # Heading: the origin and how many images are shown of how many.
    images, total = one.sides[side], one.totals[side]
    left, top, columns = layout.left(number, side, 0), layout.image_top(number, 0), layout.columns[number]
    count = 0 if images is None else len(images)
    words = ("real", "SYNTHETIC")[side]
    if count:
        words += f": {count:,} of {total:,}" if total > count else f": all {count:,}"
    elif total:
        words += f": {total:,}, not shown"
    else:
        words += f": {_EMPTY_TEXTS[side]}"
    canvas.write(layout.side_left(side), top - _SIDE_HEAD / 2, words, 26, (QUIET, ACCENT)[side])
    # Images, row by row, with a frame around synthetic ones.
    for position, image in enumerate(() if images is None else images):
        row, column = divmod(position, columns)
        x, y = layout.left(number, side, column), layout.image_top(number, row)
        canvas.paste(x, y, resize_picture(to_display_bytes(image, window), layout.cell))
    if count and side:
        width = min(count, columns) * (layout.cell[1] + _GAP) + _GAP
        height = -(-count // columns) * (layout.cell[0] + _GAP) + _GAP
        canvas.frame(left - _GAP, top - _GAP, width, height)


def _subtitle(classes: Sequence[ClassGallery], shown: Sequence[ClassGallery]) -> str:
    shapes = [images.shape[2:] for one in classes for images in one.sides if images is not None]
    size = f"{shapes[0][0]} x {shapes[0][1]} pixels; " if shapes else ""
    left = f"; {len(classes) - len(shown):,} more classes are not shown" if len(classes) > len(shown) else ""
    return f"{size}all seen through one window; {len(classes):,} class{'es' * (len(classes) != 1)}{left}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _SheetLayout:
    """Position of everything on the sheet, in pixels from its top left corner."""

    cell: tuple[int, int]
    """(height, width) of one image on the sheet; a whole multiple of its pixels where it is enlarged."""
    there: tuple[bool, bool]
    """Whether any class has real images, and whether any has synthetic ones."""
    names: tuple[Sequence[str], ...]
    """Lines of each class's name."""
    columns: tuple[int, ...]
    """Images in a row, for each class."""
    rows: tuple[int, ...]
    """Rows of images, for each class."""

    @classmethod
    def of(cls, classes: Sequence[ClassGallery]) -> _SheetLayout:
        """Compute the layout for these classes."""
        cell = zoom_to(next((part.shape[2:] for part in _all_images(classes)), (_CELL, _CELL)), _CELL)
        width = max(2 * _COLUMNS * (cell[1] + _GAP), _LEAST_WIDTH)
        shown = [[0 if part is None else len(part) for part in one.sides] for one in classes]
        columns = [_COLUMNS if all(counts) else 2 * _COLUMNS for counts in shown]
        return cls(
            cell=cell,
            there=(
                any(one.totals[0] or shown[n][0] for n, one in enumerate(classes)),
                any(one.totals[1] or shown[n][1] for n, one in enumerate(classes)),
            ),
            names=tuple(wrap_text(one.label, width // _LETTER) for one in classes),
            columns=tuple(columns),
            rows=tuple(-(-max(counts) // many) for counts, many in zip(shown, columns, strict=True)),
        )

    def side_left(self, side: int) -> int:
        """Left edge of a side, where both sides have images."""
        return _MARGIN + (_COLUMNS * (self.cell[1] + _GAP) + _BETWEEN if side and all(self.there) else 0)

    def left(self, number: int, side: int, column: int) -> int:
        """Left edge of an image of class `number`."""
        first = self.side_left(side) if self.columns[number] == _COLUMNS else _MARGIN
        return first + column * (self.cell[1] + _GAP)

    @property
    def tops(self) -> tuple[int, ...]:
        """Top edge of each class's block, and the bottom edge of the last one."""
        heights = [
            len(self.names[number]) * _LINE + _SIDE_HEAD + rows * (self.cell[0] + _GAP) + _MARGIN
            for number, rows in enumerate(self.rows)
        ]
        return tuple(_HEAD + sum(heights[:number]) for number in range(len(heights) + 1))

    def image_top(self, number: int, row: int) -> int:
        """Top edge of a row of images of class `number`."""
        head = len(self.names[number]) * _LINE + _SIDE_HEAD
        return self.tops[number] + head + row * (self.cell[0] + _GAP)

    @property
    def width(self) -> int:
        """Width of the sheet."""
        return max(2 * _COLUMNS * (self.cell[1] + _GAP) + _BETWEEN, _LEAST_WIDTH) + 2 * _MARGIN

    @property
    def height(self) -> int:
        """Height of the sheet."""
        return self.tops[-1]


def _all_images(classes: Sequence[ClassGallery]) -> Iterator[Images]:
    return (part for one in classes for part in one.sides if part is not None and len(part))


def _side_images(classes: Sequence[ClassGallery], side: int) -> NDArray[np.float32] | None:
    parts = [part for one in classes if (part := one.sides[side]) is not None and len(part)]
    return np.concatenate(parts) if parts else None
