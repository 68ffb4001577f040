"""Compose a PNG of images, text and frames on a dark background."""

from __future__ import annotations

import io
import textwrap
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medgan.base import files
from medgan.pictures.letters import drawable_text, fonts_for

_DPI = 100
"""Dots per inch of the figure, so that one pixel is 72 / _DPI points."""
_GROUND = "#14171a"
"""Background, nearly black."""
_INK = "#f2f4f5"
"""Colour of text."""
QUIET = "#a9b3ba"
"""Colour of secondary text."""
ACCENT = "#f5b14c"
"""Colour that marks synthetic images."""
_NARROW = 0.62
"""Largest width of a letter as a share of its height, up to _LAST_NARROW."""
_WIDE = 1.0
"""The same for the letters after _LAST_NARROW."""
_LAST_NARROW = "\u2e80"
"""The East Asian scripts follow after this character."""


@dataclass(slots=True)
class Canvas:
    """A picture being composed, with positions in pixels from its top left corner."""

    width: int
    height: int
    tiles: list[tuple[int, int, NDArray[np.uint8]]] = field(default_factory=list)
    words: list[tuple[float, float, str, float, str]] = field(default_factory=list)
    frames: list[tuple[int, int, int, int, str]] = field(default_factory=list)

    def paste(self, left: int, top: int, pixels: NDArray[np.uint8]) -> None:
        """Add an image (h, w, 3)."""
        self.tiles.append((left, top, pixels))

    def write(self, left: float, middle: float, text: str, size: float = 18, colour: str = _INK) -> None:
        """Add a line of text, `size` pixels high and centred vertically on `middle`.

        The text is made smaller where it would not fit between `left` and the right edge.
        """
        text = drawable_text(text)
        widest = (self.width - left) / max(
            sum(_WIDE if letter > _LAST_NARROW else _NARROW for letter in text), 1
        )
        self.words.append((left, middle, text, min(size, widest), colour))

    def frame(self, left: int, top: int, width: int, height: int, colour: str = ACCENT) -> None:
        """Add the outline of a rectangle."""
        self.frames.append((left, top, width, height, colour))

    def save(self, path: Path) -> Path:
        """Write the picture to `path` atomically, the same bytes for the same content."""
        files.write_bytes(path, self.draw())
        return path

    def draw(self) -> bytes:
        """The picture as PNG."""
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
        return stream.getvalue()


def wrap_text(text: str, width: int, lines: int = 2) -> list[str]:
    """Wrap text, made printable, into at most `lines` lines of `width` characters.

    The middle of a longer text is replaced by "...".
    """
    text = drawable_text(text)
    if len(text) > width * lines:
        half = (width * lines - 5) // 2
        text = f"{text[:half]}...{text[-half:]}"
    return textwrap.wrap(text, width, max_lines=lines, placeholder="...") or [""]
