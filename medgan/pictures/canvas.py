"""Draw images, words and lines on one dark PNG."""

from __future__ import annotations

import io
import textwrap
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medgan.base import files
from medgan.pictures.letters import fonts_for, printable

_DPI = 100
_GROUND, _INK, QUIET, ACCENT = "#14171a", "#f2f4f5", "#a9b3ba", "#f5b14c"
"""Near-black ground; synthetic images have the accent colour."""
_NARROW, _WIDE, _LATIN = 0.62, 1.0, "\u2e80"
"""How wide a letter is as a share of its height at most, before and from the first of the East Asian scripts on."""


@dataclass(slots=True)
class Canvas:
    """A picture under way; places are pixels from its top left corner."""

    width: int
    height: int
    tiles: list[tuple[int, int, NDArray[np.uint8]]] = field(default_factory=list)
    words: list[tuple[float, float, str, float, str]] = field(default_factory=list)
    frames: list[tuple[int, int, int, int, str]] = field(default_factory=list)

    def paste(self, left: int, top: int, pixels: NDArray[np.uint8]) -> None:
        """An image (h, w, 3)."""
        self.tiles.append((left, top, pixels))

    def write(self, left: float, middle: float, text: str, size: float = 18, colour: str = _INK) -> None:
        """A line of words, `size` pixels high, about `middle`; smaller where it would not fit beside the right edge."""
        text = printable(text)
        widest = (self.width - left) / max(sum(_WIDE if letter > _LATIN else _NARROW for letter in text), 1)
        self.words.append((left, middle, text, min(size, widest), colour))

    def frame(self, left: int, top: int, width: int, height: int, colour: str = ACCENT) -> None:
        """A thin line around a place."""
        self.frames.append((left, top, width, height, colour))

    def save(self, path: Path) -> Path:
        """Write it to `path`, atomically; equal pictures give equal bytes."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.patches import Rectangle

        figure = Figure(figsize=(self.width / _DPI, self.height / _DPI), dpi=_DPI, facecolor=_GROUND)
        drawing = FigureCanvasAgg(figure)
        pixels = np.zeros((self.height, self.width, 3), np.uint8)
        pixels[:] = [int(_GROUND[place : place + 2], 16) for place in (1, 3, 5)]
        for left, top, tile in self.tiles:
            pixels[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
        with fonts_for(*(text for _, _, text, _, _ in self.words)):
            figure.figimage(pixels, origin="upper")
            axes = figure.add_axes((0, 0, 1, 1), zorder=2)  # words lie over images
            axes.set_axis_off()
            axes.set(xlim=(0, self.width), ylim=(self.height, 0))
            for start, middle, text, size, colour in self.words:
                axes.text(start, middle, text, size=size * 72 / _DPI, color=colour, va="center")
            for left, top, width, height, colour in self.frames:
                axes.add_patch(Rectangle((left, top), width, height, fill=False, edgecolor=colour, lw=1.2))
            stream = io.BytesIO()
            drawing.print_png(stream)  # type: ignore[no-untyped-call]
        files.write_bytes(path, stream.getvalue())
        return path


def wrap_text(text: str, width: int, lines: int = 2) -> list[str]:
    """Words that can be read, in at most `lines` lines of `width` letters; what is cut out of the middle is "..."."""
    text = printable(text)
    if len(text) > width * lines:
        half = (width * lines - 5) // 2
        text = f"{text[:half]}...{text[-half:]}"
    return textwrap.wrap(text, width, max_lines=lines, placeholder="...") or [""]
