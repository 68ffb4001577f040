"""Draw the grid of a tick: a row of synthetic images per class, with common seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medgan.base.progress import format_duration
from medgan.pictures.canvas import ACCENT, QUIET, Canvas, wrap_text
from medgan.pictures.display import Window, resize_picture, to_display_bytes

_ROW_WIDTH = 944
"""Approximate width of a row of images in pixels."""
_GAP = 4
"""Pixels between two images."""
_MARGIN = 28
"""Pixels around everything."""
_HEAD = 108
"""Height of the title in pixels."""
_LABEL = 44
"""Height of a class's name in pixels."""
_MOST_ROWS = 40
"""Largest number of classes in one picture."""


def draw_grid(
    sheet: NDArray[np.float32],
    labels: Sequence[str],
    size: tuple[int, int],
    window: Window,
    path: Path,
    title: tuple[str, str],
) -> Path:
    """Write a grid of images as PNG, with a title and the class names.

    Args:
        sheet: the images side by side, (H, W) or (H, W, 3) in [0, 1]; a row for each of `labels`.
        labels: class names.
        size: (height, width) of one image.
        window: values shown as black and as white.
        path: the file to write.
        title: two lines of text.
    """
    # Size of an image on the picture, enlarged by a whole number where there is room.
    height, width = size
    columns = sheet.shape[1] // width
    most = (_ROW_WIDTH + _GAP) // columns - _GAP
    zoom = max(round(most / width), 1) if width <= most else most / width
    cell = max(round(height * zoom), 1), max(round(width * zoom), 1)
    # Title.
    shown = labels[:_MOST_ROWS]
    block = _LABEL + cell[0] + _GAP + 8
    canvas = Canvas(max(2 * _MARGIN + columns * (cell[1] + _GAP), 640), _HEAD + len(shown) * block + _MARGIN)
    canvas.write(_MARGIN, 40, title[0], 32)
    more = f"; {len(labels) - len(shown):,} more classes are not shown" if len(labels) > len(shown) else ""
    canvas.write(_MARGIN, 80, title[1] + more, 22, QUIET)
    # A row of images per class, below its name.
    pixels = sheet if sheet.ndim == 3 else sheet[..., None]
    for number, label in enumerate(shown):
        top = _HEAD + number * block
        canvas.write(_MARGIN, top + _LABEL / 2, wrap_text(label, 50, 1)[0], 26, ACCENT)
        for column in range(columns):
            tile = pixels[number * height : (number + 1) * height, column * width : (column + 1) * width]
            seen = to_display_bytes(np.moveaxis(tile, -1, 0), window)
            canvas.paste(_MARGIN + column * (cell[1] + _GAP), top + _LABEL, resize_picture(seen, cell))
    return canvas.save(path)


def grid_title(row: Mapping[str, Any]) -> tuple[str, str]:
    """The two title lines of a grid, from a line of log.jsonl."""
    return (
        f"SYNTHETIC, after {row['images_shown']:,} images shown ({share_done(row):.0%} of the training)",
        f"{format_duration(row['seconds'])} of training; the same seeds in every row and in every picture",
    )


def share_done(row: Mapping[str, Any]) -> float:
    """The share of the training that is done, from a line of log.jsonl."""
    ahead = row["seconds_left"] * row["images_per_second"]
    return float(row["images_shown"] / max(row["images_shown"] + ahead, 1))
