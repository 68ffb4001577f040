"""Draw the grid of a tick: a row per class, the same seeds in every row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medgan.base.progress import format_duration
from medgan.pictures.canvas import ACCENT, QUIET, Canvas, wrap_text
from medgan.pictures.display import Window, apply_window, rescale

_ROW_WIDTH = 944
"""Pixels (about) that a row of images takes."""
_GAP, _MARGIN, _HEAD, _LABEL = 4, 28, 108, 44
_MOST_ROWS = 40
"""Classes on one picture."""


def draw_grid(
    sheet: NDArray[np.float32],
    labels: Sequence[str],
    size: tuple[int, int],
    window: Window,
    path: Path,
    title: tuple[str, str],
) -> Path:
    """Write a sheet (H, W[, 3]) in [0, 1] of images of (height, width) `size`, a row for each of `labels`, seen through `window`.

    `title` is two lines.
    """
    height, width = size
    columns = sheet.shape[1] // width
    most = (_ROW_WIDTH + _GAP) // columns - _GAP
    zoom = max(round(most / width), 1) if width <= most else most / width
    cell = max(round(height * zoom), 1), max(round(width * zoom), 1)
    shown = labels[:_MOST_ROWS]
    block = _LABEL + cell[0] + _GAP + 8
    canvas = Canvas(max(2 * _MARGIN + columns * (cell[1] + _GAP), 640), _HEAD + len(shown) * block + _MARGIN)
    canvas.write(_MARGIN, 40, title[0], 32)
    more = f"; {len(labels) - len(shown):,} more classes are not shown" if len(labels) > len(shown) else ""
    canvas.write(_MARGIN, 80, title[1] + more, 22, QUIET)
    pixels = sheet if sheet.ndim == 3 else sheet[..., None]
    for number, label in enumerate(shown):
        top = _HEAD + number * block
        canvas.write(_MARGIN, top + _LABEL / 2, wrap_text(label, 50, 1)[0], 26, ACCENT)
        for column in range(columns):
            tile = pixels[number * height : (number + 1) * height, column * width : (column + 1) * width]
            seen = apply_window(np.moveaxis(tile, -1, 0), window)
            canvas.paste(_MARGIN + column * (cell[1] + _GAP), top + _LABEL, rescale(seen, cell))
    return canvas.save(path)


def grid_title(row: Mapping[str, Any]) -> tuple[str, str]:
    """The two lines above a grid, of a line of log.jsonl."""
    return (
        f"SYNTHETIC, after {row['images_shown']:,} images shown ({share_done(row):.0%} of the training)",
        f"{format_duration(row['seconds'])} of training; the same seeds in every row and in every picture",
    )


def share_done(row: Mapping[str, Any]) -> float:
    """The share of a training that lies behind it, of a line of log.jsonl."""
    ahead = row["seconds_left"] * row["images_per_second"]
    return float(row["images_shown"] / max(row["images_shown"] + ahead, 1))
