"""Real and synthetic images of every class -> one PNG that a person can judge at a glance."""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from medgan import files

Images = NDArray[np.float32]
Row = tuple[str, Images | None, Images | None]
"""A class: label, real images, synthetic images; each (n, C, H, W) in [0, 1], None where there are none."""

DPI = 100
CELL = 112
"""Pixels (about) of an image's longer side on the sheet."""
GAP = 4
LABEL_WIDTH = 150
MARGIN = 24
TITLE_HEIGHT = 64
GROUND, INK, QUIET, ACCENT = "#14171a", "#f2f4f5", "#9aa4ab", "#f5b14c"
"""Near-black ground, as in a reading room; synthetic images have the accent colour."""


def contact_sheet(rows: Sequence[Row], path: Path, title: str) -> Path:
    """Write one row per class, real images left and synthetic right, all seen through the same window."""
    layout = Layout.of(rows)
    figure = Figure(figsize=(layout.width / DPI, layout.height / DPI), dpi=DPI, facecolor=GROUND)
    canvas, axes = FigureCanvasAgg(figure), _pixel_axes(figure, layout)
    window = display_window(rows)
    axes.text(MARGIN, 20, _literal(title), size=13, color=INK, va="center")
    for side, word in enumerate(("real", "synthetic")):
        if layout.per_side[side]:
            axes.text(layout.left(side, 0), TITLE_HEIGHT - 16, word, size=10, color=(QUIET, ACCENT)[side])
    for number, (label, *sides) in enumerate(rows):
        middle = layout.top(number) + layout.cell[0] / 2
        axes.text(MARGIN, middle, _literal(folded(label)), size=10, color=INK, va="center")
        for side, images in enumerate(sides):
            for column, image in enumerate(() if images is None else images):
                extent = layout.extent(side, number, column)
                axes.imshow(viewed(image, window), extent=extent, interpolation="nearest", aspect="auto")
    axes.set(xlim=(0, layout.width), ylim=(layout.height, 0))
    with files.atomic(path) as stream, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # a box stands for a letter the font lacks
        canvas.print_png(stream)  # type: ignore[no-untyped-call]
    return path


def folded(label: str, width: int = 16, lines: int = 3) -> str:
    """A class name in at most `lines` lines of `width` letters."""
    return "\n".join(textwrap.wrap(label, width, max_lines=lines, placeholder="..."))


def display_window(rows: Sequence[Row]) -> tuple[float, float]:
    """What is black and what is white: percentiles 0.5 and 99.5 of the real images, else of the synthetic."""
    sides = [[images for images in side if images is not None and images.size] for side in _sides(rows)]
    shown = sides[0] or sides[1]
    if not shown or shown[0].shape[1] > 1:  # colour has no window
        return 0.0, 1.0
    low, high = np.percentile(np.concatenate([images.ravel() for images in shown]), (0.5, 99.5))
    return (float(low), float(high)) if high > low else (0.0, 1.0)


def viewed(image: Images, window: tuple[float, float]) -> NDArray[np.uint8]:
    """(C, H, W) in [0, 1] -> (H, W, 3) bytes through `window`."""
    low, high = window
    unit = np.clip((image - low) / (high - low), 0.0, 1.0)
    scaled = np.rint(unit * 255).astype(np.uint8)
    return np.broadcast_to(np.moveaxis(scaled, 0, -1), (*image.shape[1:], 3))


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where everything lies on the sheet, in pixels from its top left corner."""

    cell: tuple[int, int]
    """(height, width) of one image on the sheet: a whole multiple of its pixels where it is enlarged."""
    per_side: tuple[int, int]
    """Images per row: real, synthetic."""
    rows: int
    least_width: int = 520

    @classmethod
    def of(cls, rows: Sequence[Row]) -> Layout:
        """The layout that fits the widest row."""
        real, synthetic = _sides(rows)
        shapes = [images.shape[2:] for images in (*real, *synthetic) if images is not None and len(images)]
        height, width = shapes[0] if shapes else (CELL, CELL)
        zoom = CELL / max(height, width)
        zoom = float(round(zoom)) if zoom >= 1 else zoom
        return cls(
            cell=(max(round(height * zoom), 1), max(round(width * zoom), 1)),
            per_side=(_widest(real), _widest(synthetic)),
            rows=len(rows),
        )

    def left(self, side: int, column: int) -> int:
        """Left edge of an image."""
        before = column + (self.per_side[0] if side else 0)
        between = 5 * GAP if side and self.per_side[0] else 0
        return MARGIN + LABEL_WIDTH + before * (self.cell[1] + GAP) + between

    def top(self, row: int) -> int:
        """Top edge of a row."""
        return TITLE_HEIGHT + row * (self.cell[0] + 2 * GAP)

    def extent(self, side: int, row: int, column: int) -> tuple[float, float, float, float]:
        """Left, right, bottom and top edge of an image."""
        height, width = self.cell
        left, top = self.left(side, column), self.top(row)
        return (left, left + width, top + height, top)

    @property
    def width(self) -> int:
        """Width of the sheet."""
        return max(self.left(1, self.per_side[1]) + MARGIN, self.least_width)

    @property
    def height(self) -> int:
        """Height of the sheet."""
        return self.top(self.rows) + MARGIN


def _sides(rows: Sequence[Row]) -> tuple[list[Images | None], list[Images | None]]:
    return [real for _, real, _ in rows], [synthetic for _, _, synthetic in rows]


def _widest(side: Sequence[Images | None]) -> int:
    return max((0 if images is None else len(images) for images in side), default=0)


def _pixel_axes(figure: Figure, layout: Layout) -> Axes:
    """Axes over the whole figure, in pixels from its top left corner."""
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set(xlim=(0, layout.width), ylim=(layout.height, 0))
    return axes


def _literal(words: str) -> str:
    """A dollar sign in a class name starts no formula."""
    return words.replace("$", r"\$")
