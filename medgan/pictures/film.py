"""Compose the frames of a film, and write it as an animated PNG that is marked as synthetic."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from medgan.base import files
from medgan.pictures.canvas import QUIET, Canvas, wrap_text
from medgan.pictures.display import resize_picture, to_display_bytes, zoom_to
from medgan.scans.raster import text_chunks

_SMALL, _LARGE = 256, 448
"""Smaller images are enlarged, and larger ones reduced, to about this many pixels of the longer side."""
_GAP = 4
"""Pixels between two images."""
_LINE = 24
"""Height of a line of text in pixels."""
_LETTER = 8
"""Approximate width of a character in pixels."""
_LEAST_WIDTH = 224
"""Smallest width of a frame in pixels, for its text."""
_GROUND = (20, 23, 26)

_Frame = NDArray[np.uint8]


def compose_frame(images: Sequence[NDArray[np.float32]], lines: tuple[str, str]) -> _Frame:
    """A frame of images (C, H, W) in [0, 1] side by side below two lines of text.

    It is (height, width) for gray images and (height, width, 3) for images in colour.
    """
    shape = images[0].shape[1:]
    rows, columns = zoom_to(shape, min(max(_SMALL, *shape), _LARGE if len(images) == 1 else _SMALL))
    width = max(len(images) * (columns + _GAP) - _GAP, _LEAST_WIDTH)
    frame = np.full((2 * _LINE + rows, width, 3), _GROUND, np.uint8)
    frame[: 2 * _LINE] = _draw_text(lines, width)
    for place, image in enumerate(images):
        left = place * (columns + _GAP)
        frame[2 * _LINE :, left : left + columns] = resize_picture(
            to_display_bytes(image, (0.0, 1.0)), (rows, columns)
        )
    return frame[:, :, 1] if len(images[0]) == 1 else frame


@lru_cache(maxsize=256)
def _draw_text(lines: tuple[str, str], width: int) -> _Frame:
    """Two lines of text on the dark ground of all pictures."""
    canvas = Canvas(width, 2 * _LINE)
    canvas.write(6, _LINE * 0.55, lines[0], 15)
    canvas.write(6, _LINE * 1.5, wrap_text(lines[1], max(width // _LETTER, 12), 1)[0], 15, QUIET)
    return np.asarray(Image.open(io.BytesIO(canvas.draw())).convert("RGB"))


def write_film(
    path: Path, frames: Sequence[_Frame], durations: Sequence[int], said: Mapping[str, object]
) -> None:
    """Write an endless film as an animated PNG.

    Args:
        path: The file.
        frames: All of one size.
        durations: How many milliseconds each is shown.
        said: Facts for the text of the file.
    """
    first, *others = map(Image.fromarray, frames)
    buffer = io.BytesIO()
    first.save(
        buffer,
        "PNG",
        save_all=True,
        append_images=others,
        duration=list(durations),
        loop=0,
        pnginfo=text_chunks(said, synthetic=True),
    )
    files.write_bytes(path, buffer.getvalue())
