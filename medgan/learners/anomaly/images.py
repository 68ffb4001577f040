"""Cut the centre square out of every image, so that the shape of a picture tells nothing.

Stretching to a square would show the shape as distortion, and padding would show it as bars; in many
collections the shape alone tells the sick from the healthy. What lies outside the square is not looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medgan.base.errors import ScanError
from medgan.dataset.load import load
from medgan.dataset.manifest import Record
from medgan.scans import geometry, intensity
from medgan.scans.colour import LUMA
from medgan.scans.scan import Pixels, Scan
from medgan.scans.windows import parse_window

SIDE = 224
"""Side in pixels at which images are looked at."""
CT_RANGE = parse_window("full")
"""Hounsfield units that become black and white where no window is given."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CutScan:
    """A scan and the centre squares of its images."""

    scan: Scan
    gray: Pixels
    """Its chosen images (n, H, W) in [0, 1], whole."""
    squares: Pixels
    """(n, SIDE, SIDE): the centre square of each."""
    box: tuple[slice, slice]
    """Rows and columns of the square in an image."""


def cut(root: Path, record: Record, window: tuple[float, ...] | None) -> CutScan:
    """Read the images of a scan and cut out their centre squares.

    Args:
        root: Root of the data set.
        record: The scan.
        window: Hounsfield units that become black and white, for CT; None for all.

    Raises:
        ScanError: the scan has become unreadable since it was indexed.
    """
    scan = load(root, record)
    if max(record.slices, default=0) >= len(scan.pixels):
        raise ScanError(f"{record.path} has changed since it was indexed", verdict="error:changed")
    low, high = _gray_range(record, window)
    chosen = scan.pixels[list(record.slices)]
    gray = np.asarray(intensity.normalise(chosen, low, high), np.float32)
    gray = gray @ LUMA if gray.ndim > len("NYX") else gray
    box = centre_box((gray.shape[1], gray.shape[2]), scan.spacing_mm)
    squares = np.stack([geometry.resize(image[box], (SIDE, SIDE)) for image in gray])
    return CutScan(scan=scan, gray=gray, squares=squares.clip(0, 1), box=box)


def centre_box(shape: tuple[int, int], spacing_mm: tuple[float, ...] | None) -> tuple[slice, slice]:
    """Rows and columns of the largest square about the centre, by millimetres where these are known."""
    tall, wide = spacing_mm[1:] if spacing_mm else (1.0, 1.0)
    side = min(shape[0] * tall, shape[1] * wide)
    lengths = (min(round(side / tall), shape[0]), min(round(side / wide), shape[1]))
    rows, columns = (
        slice((whole - part) // 2, (whole - part) // 2 + part)
        for whole, part in zip(shape, lengths, strict=True)
    )
    return rows, columns


def _gray_range(record: Record, window: tuple[float, ...] | None) -> tuple[float, float]:
    """The values of a scan that become black and white."""
    if record.meaning == "HU":
        low, high = window or CT_RANGE
        return low, high
    if record.meaning == "stored":
        return 0.0, 2.0**record.bits - 1
    return (0.0, 1.0) if record.meaning == "display" else (record.levels[1], record.levels[3])
