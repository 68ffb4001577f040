"""Turn stored values into values in a unit, and those into [0, 1].

Pure arithmetic on arrays: bits, padding, modality and VOI transforms, polarity. The clauses are those of
DICOM PS3.3 and PS3.5. Which step applies to which file is decided elsewhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medgan.scans.scan import Pixels

Stored = NDArray[np.integer[Any]]
"""Integers as they are in the file."""

_MIN_RANGE = float(np.finfo(np.float32).tiny)
"""Smallest range whose inverse is a finite float32 number."""
_MAX_STRAY_PIXELS = 4
"""Pixels of an image that may be dead detector cells."""
_PERCENTILES = (0.0, 0.5, 50.0, 99.5, 100.0)
"""The percentiles that describe a scan's intensities."""


@dataclass(frozen=True, slots=True)
class BitLayout:
    """Where the value is in a stored word (PS3.5 section 8.1.1)."""

    bits: int
    """Bits Stored."""
    high_bit: int
    """Position of the most significant bit of the value; usually bits - 1."""
    signed: bool
    """Pixel Representation 1: two's complement."""

    @property
    def range(self) -> tuple[int, int]:
        """Lowest and highest value that can be stored."""
        if self.signed:
            return -(1 << (self.bits - 1)), (1 << (self.bits - 1)) - 1
        return 0, (1 << self.bits) - 1


@dataclass(frozen=True, slots=True)
class Window:
    """A VOI window (PS3.3 C.11.2.1.2 and C.11.2.1.3)."""

    centre: float
    width: float
    function: str = "LINEAR"
    """LINEAR, LINEAR_EXACT or SIGMOID."""

    @property
    def valid(self) -> bool:
        """Whether the standard allows this window.

        LINEAR needs a width of at least 1, the other functions more than 0.
        """
        finite = math.isfinite(self.centre) and math.isfinite(self.width)
        known = self.function in {"LINEAR", "LINEAR_EXACT", "SIGMOID"}
        return finite and known and (self.width >= 1 if self.function == "LINEAR" else self.width > 0)


@dataclass(frozen=True, slots=True, eq=False)
class LookUpTable:
    """A modality, VOI or palette look-up table (PS3.3 C.11.1.1.1).

    Entry k belongs to the value first + k.
    """

    first: int
    entries: NDArray[np.float32]

    @property
    def range(self) -> tuple[float, float]:
        """Lowest and highest entry."""
        return float(self.entries.min()), float(self.entries.max())

    def look_up(self, values: NDArray[Any]) -> Pixels:
        """Map values through the table. Values outside take the first or last entry.

        The index has 32 bits: in the 8 bits of a table with 8-bit entries it would overflow.
        """
        index = np.rint(values).astype(np.int32) - np.int32(self.first)
        found: Pixels = self.entries[np.clip(index, 0, self.entries.size - 1)]
        return found


def extract_values(words: Stored, layout: BitLayout) -> Stored:
    """Extract the values from stored words (PS3.5 section 8.1.1).

    Values are shifted down by High Bit, bits above them are dropped, and the sign is extended. Bits outside
    Bits Stored carry no pixel data; old files keep overlays there.
    """
    width = 8 * words.dtype.itemsize
    top = layout.high_bit + 1
    if top == layout.bits == width and (words.dtype.kind == "i") == layout.signed:
        return words
    # Shift up to drop the bits above the value, then down to drop those below and extend the sign.
    kind = np.dtype(f"{'i' if layout.signed else 'u'}{words.dtype.itemsize}")
    lifted: Stored = np.left_shift(words.view(kind), width - top)
    return np.right_shift(lifted, width - layout.bits)


def find_padding(words: Stored, values: Stored, low: int, high: int) -> NDArray[np.bool_]:
    """Where an image is padded (PS3.3 C.7.5.1.1.2).

    Padding has stored values from `low` to `high`, given in any order. The padding value may use bits above
    Bits Stored (0xFFFF in a 12-bit image), so the words are checked as well.
    """
    low, high = min(low, high), max(low, high)

    def hit(numbers: Stored) -> NDArray[np.bool_]:
        return numbers == low if low == high else (numbers >= low) & (numbers <= high)

    return hit(values) if values is words else hit(values) | hit(words)


def fill_padding(pixels: Pixels, padded: NDArray[np.bool_], background: float | None = None) -> Pixels:
    """Replace padding by `background` in place.

    The default background is the lowest valid pixel. An image of nothing but padding stays as it is.
    """
    if not padded.any() or (background is None and padded.all()):
        return pixels
    level = float(pixels[~padded].min()) if background is None else background
    np.copyto(pixels, np.float32(level), where=padded)
    return pixels


def rescale(values: NDArray[Any], slope: float, intercept: float) -> Pixels:
    """Output units = slope x stored value + intercept (PS3.3 C.11.1.1.2), float32."""
    # In float64: a 32-bit value times a small slope must not lose digits before it is rounded once.
    if slope == 1 and np.can_cast(values.dtype, np.float32) and np.float32(intercept) == intercept:
        total = values.astype(np.float32)
        total += np.float32(intercept)  # of two exact numbers
        return total
    return (values * np.float64(slope) + np.float64(intercept)).astype(np.float32)


def apply_window(pixels: Pixels, window: Window) -> Pixels:
    """Map values to the display range [0, 1] by a VOI window.

    PS3.3 C.11.2.1.2.1 (LINEAR), C.11.2.1.3.1 (SIGMOID) and C.11.2.1.3.2 (LINEAR_EXACT).
    """
    centre, width = window.centre, window.width
    if window.function == "SIGMOID":
        # Beyond +-50 the function is 0 or 1 in float32; the clip keeps exp from overflowing.
        return np.asarray(1 / (1 + np.exp(np.clip(-4 * (pixels - centre) / width, -50, 50))), np.float32)
    if window.function == "LINEAR":
        centre, width = centre - 0.5, width - 1
    if width == 0:
        return (pixels > centre).astype(np.float32)
    return np.asarray(np.clip((pixels - centre) / width + 0.5, 0, 1), np.float32)


def apply_table(pixels: Pixels, table: LookUpTable) -> Pixels:
    """Map values to the display range [0, 1] by a VOI look-up table.

    The table's highest entry becomes 1: some vendors declare 16 bits and use 12, which would give dark
    images.
    """
    top = table.range[1]
    return np.asarray(np.clip(table.look_up(pixels) / (top if top > 0 else 1), 0, 1), np.float32)


def invert(pixels: Pixels, low: float, high: float) -> Pixels:
    """Invert MONOCHROME1 to MONOCHROME2 over the possible values (PS3.3 C.7.6.3.1.2)."""
    return (np.float32(low + high) - pixels).astype(np.float32)


def normalise(pixels: NDArray[Any], low: float, high: float) -> Pixels:
    """Clip to [low, high] and map to [0, 1], float32.

    A range that is empty, or too small to divide by, gives zeros.
    """
    if high - low < _MIN_RANGE:
        return np.zeros(np.shape(pixels), np.float32)
    unit: Pixels = np.subtract(pixels, np.float32(low), dtype=np.float32)
    unit *= np.float32(1 / (high - low))  # takes half as long as a division
    return np.clip(unit, np.float32(0), np.float32(1), out=unit)


def sort_pixels(pixels: NDArray[Any]) -> NDArray[Any]:
    """All pixels in ascending order.

    NumPy's sort is vectorised, and faster than its own selection of five ranks.
    """
    return np.sort(np.asarray(pixels), axis=None)


def robust_maximum(ranked: NDArray[Any]) -> float:
    """Highest of the sorted pixels without stray ones, such as dead detector cells.

    At most four pixels count as stray; one in 500 where the image is too small for that, one in 100,000 where
    it is large.
    """
    stray = max(min(_MAX_STRAY_PIXELS, ranked.size // 500), ranked.size // 100_000)
    return float(ranked[-1 - stray])


def percentiles(ranked: NDArray[Any]) -> tuple[float, float, float, float, float]:
    """Percentiles 0, 0.5, 50, 99.5 and 100 of sorted pixels, interpolated linearly."""
    places = np.asarray(_PERCENTILES) / 100 * (ranked.size - 1)
    below = places.astype(np.int64)
    left, right = ranked[below].astype(float), ranked[np.minimum(below + 1, ranked.size - 1)].astype(float)
    lowest, low, middle, high, highest = (left + (right - left) * (places - below)).tolist()
    return lowest, low, middle, high, highest
