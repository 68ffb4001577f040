"""Draw the pictures of a tick: a labelled grid, and how the training stands."""

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
from medgan.plan import Plan
from medgan.prepare.stack import Stack
from medgan.reports.progress import progress_picture
from medgan.training.run_log import read_log

GRIDS, PROGRESS = "grids", "progress.png"
SEEN = 64
"""Real images by which black and white of the grids are chosen."""


@dataclass(frozen=True)
class Pictures:
    """The pictures of one run: its folder, its plan and what it learns from."""

    run: Path
    plan: Plan
    stack: Stack

    @cached_property
    def window(self) -> Window:
        """What is black and what is white, by real images: the gray levels of the contact sheet, the same at every tick."""
        return display_window(
            self.stack.images(np.array(choose_spread(self.stack.patients.tolist(), SEEN), np.int64))
        )

    def draw(self, row: dict[str, Any], grid: NDArray[np.float32]) -> None:
        """Write both, of a line of the log that is not in it yet and of the images drawn (H, W[, 3]) at that tick."""
        height, width = self.plan.size
        place = self.run / GRIDS / f"{row['images_shown']:09d}.png"  # so that they sort
        draw_grid(grid, self.plan.labels, (height, width), self.window, place, grid_title(row))
        progress_picture([*read_log(self.run), row], self.run / PROGRESS)
