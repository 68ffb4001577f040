"""Draw the pictures of a tick: a labelled grid of images, and plots of the progress."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medgan.pictures.display import Window, display_window
from medgan.pictures.grid import draw_grid, grid_title
from medgan.pictures.spread import choose_spread
from medgan.plan import Frame
from medgan.preparation.stack import Stack
from medgan.reports.progress import progress_picture
from medgan.reports.run_log import read_log

_GRIDS = "grids"
"""Subfolder of the run for a grid of images per tick."""
_PROGRESS = "progress.png"
"""Plots of the training so far, in the run folder."""
_WINDOW_IMAGES = 64
"""Real images that decide the display window of the grids."""


@dataclass(frozen=True)
class TickPictures:
    """Draws the pictures of one run into its folder."""

    run: Path
    frame: Frame
    stack: Stack

    @cached_property
    def window(self) -> Window:
        """The display window, taken from real images as for the contact sheet; the same at every tick."""
        return display_window(
            self.stack.images(np.array(choose_spread(self.stack.patients.tolist(), _WINDOW_IMAGES), np.int64))
        )

    def draw(self, row: dict[str, Any], grid: NDArray[np.float32]) -> None:
        """Draw both pictures of a tick.

        Args:
            row: The tick's line of the log, which is not written yet.
            grid: The images drawn at this tick, as one image (H, W[, 3]).
        """
        height, width = self.frame.size
        place = self.run / _GRIDS / f"{row['images_shown']:09d}.png"  # so that they sort
        draw_grid(grid, self.frame.labels, (height, width), self.window, place, grid_title(row))
        progress_picture([*read_log(self.run), row], self.run / _PROGRESS)
