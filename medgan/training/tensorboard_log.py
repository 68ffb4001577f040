"""Copy log lines and image grids to TensorBoard, where the user asks for it."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medgan.base.errors import PlanError
from medgan.base.files import write_error


class TensorBoardLog:
    """A TensorBoard event file in `folder`."""

    def __init__(self, folder: Path) -> None:
        """Open the event file.

        Raises:
            PlanError: TensorBoard is not installed.
        """
        try:
            module: Any = importlib.import_module("torch.utils.tensorboard")
        except ImportError as error:
            raise PlanError(
                "--tensorboard needs TensorBoard",
                hint="Run `pip install tensorboard`, or remove --tensorboard.",
            ) from error
        self.folder = folder
        try:
            self.writer = module.SummaryWriter(str(folder))
        except OSError as error:
            raise write_error(folder, error) from error

    def add(self, row: Mapping[str, Any], grid: NDArray[np.float32]) -> None:
        """Add the numbers of a log line and the grid (H, W[, 3]) in [0, 1]."""
        position = row["images_shown"]
        try:
            for name, value in _scalars(row):
                self.writer.add_scalar(name, value, position)
            self.writer.add_image("grid", grid, position, dataformats="HW" if grid.ndim == 2 else "HWC")
            self.writer.flush()
        except OSError as error:
            raise write_error(self.folder, error) from error


def _scalars(facts: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """Every number of a log line with its path, such as ("guards/variety/covid", 0.9)."""
    for name, value in facts.items():
        if isinstance(value, Mapping):
            yield from _scalars(value, f"{prefix}{name}/")
        elif isinstance(value, int | float):
            yield f"{prefix}{name}", value
