"""Choose the size of the training image and how scans are laid on it."""

from __future__ import annotations

import math

from medgan.base.overrides import Overrides
from medgan.dataset.fingerprint import Fingerprint
from medgan.plan.plan import Choices

EFFORTS: dict[str, tuple[int, float]] = {
    "smoke": (32, 0.0),
    "quick": (48, 0.05),
    "standard": (64, 1.0),
    "thorough": (128, 2.0),
}
"""{effort: (longest side in pixels, share of the recommended images to show)}."""

CELLS = (3, 7)
"""Fewest and most cells along a side of the base. Seven are used only for a size that the user asks for, as
224 is 7 x 32."""
_USUAL_CELLS = 6
"""Most cells along a side of a base that the rules choose themselves."""
MOST_DOUBLINGS = 7
"""Most doublings from the base to the image."""
SIDES = (6, CELLS[1] << MOST_DOUBLINGS)
"""Shortest and longest side of an image in pixels."""
_LAYOUT_SIDE = 64
"""Longest side in pixels of a layout. What is larger is drawn by a detail stage on a layout of 32 to 64."""


def choose_cells(fingerprint: Fingerprint, overrides: Overrides) -> tuple[tuple[int, int], int]:
    """Choose the base of h0 x w0 cells on which networks draw, and how often it is doubled."""
    if overrides.size is not None:
        return _grid_for_size(overrides.size)
    height, width = _field_of_view(fingerprint) or (fingerprint.rows[1], fingerprint.columns[1])
    native = max(fingerprint.rows[1], fingerprint.columns[1])
    cap = EFFORTS[overrides.effort][0]
    return _fit_cells(height / width, min(native, cap), cap)


def layout_doublings(base: tuple[int, int], doublings: int) -> int:
    """How often a base is doubled up to the layout; the other doublings are those of the detail stage."""
    return max(n for n in range(1, doublings + 1) if n == 1 or max(base) << n <= _LAYOUT_SIDE)


def choose_shape(fingerprint: Fingerprint, overrides: Overrides) -> Choices:
    """Choose the size of an image and its geometry.

    The geometry says how scans are laid on the image: true to millimetres or stretched to fill.
    """
    # Size of the image, which is that of a grid of cells unless the user asks for another.
    base, doublings = choose_cells(fingerprint, overrides)
    grid = (base[0] << doublings, base[1] << doublings)
    if overrides.size is not None:
        size, reason = overrides.size, "override: as asked"
    else:
        cap = EFFORTS[overrides.effort][0]
        scans = f"{fingerprint.rows[1]} x {fingerprint.columns[1]}"
        size, reason = (
            grid,
            f"rule: effort {overrides.effort} allows {cap} pixels, the scans are about {scans}",
        )
    if grid != size:
        reason += f", drawn at {grid[0]} x {grid[1]} and resampled"
    chosen: Choices = {"size": (size, reason)}
    # Geometry: true to millimetres, or stretched to fill.
    field = _field_of_view(fingerprint)
    if field is None:
        unknown = "unknown spacing"
        reason = "not every scan knows its pixel spacing"
        if fingerprint.extents is not None:
            factor = f"{fingerprint.extents.factor:.1f}"
            unknown = "doubtful spacing"
            reason = (
                f"some scans are {factor} times as large as others by their pixel spacing, which is unlikely"
            )
        chosen["geometry"] = ("stretch", f"rule: {reason}, so each is resized to fill")
        chosen["mm_per_pixel"] = (None, f"rule: {unknown}")
    else:
        height, width = field
        side = round(max(height / size[0], width / size[1]), 4)
        chosen["geometry"] = ("physical", "rule: every scan knows its pixel spacing, so millimetres are kept")
        chosen["mm_per_pixel"] = (
            side,
            f"rule: {height:.0f} x {width:.0f} mm (95 % of the scans) fit the canvas",
        )
    return chosen


def _field_of_view(fingerprint: Fingerprint) -> tuple[float, ...] | None:
    """(height, width) of the scans in millimetres; None where these are unknown or doubtful."""
    doubtful = fingerprint.extents is not None and fingerprint.extents.doubtful
    return None if doubtful else fingerprint.field_of_view_mm


def _grid_for_size(size: tuple[int, ...]) -> tuple[tuple[int, int], int]:
    """Base and doublings of the smallest grid that holds an image of this size.

    It is the very size of the image where a grid has that size. Where several grids are equally small, the
    one with the fewest doublings is taken, with 3 to 6 cells along a side before one with 7.
    """
    found = []
    for doublings in range(1, MOST_DOUBLINGS + 1):
        base = [max(-(-side >> doublings), CELLS[0]) for side in size]
        if max(base) <= CELLS[1]:
            pixels = (base[0] << doublings) * (base[1] << doublings)
            found.append((pixels, max(base) > _USUAL_CELLS, doublings, (base[0], base[1])))
    _, _, doublings, chosen = min(found)
    return chosen, doublings


def _fit_cells(aspect: float, goal: int, cap: int) -> tuple[tuple[int, int], int]:
    """Base and doublings that come nearest to a shape and a length.

    Args:
        aspect: Height of the scans over their width.
        goal: Longest side to aim for in pixels; a longer side is better than a shorter one.
        cap: Longest side allowed in pixels.
    """
    options = [
        ((h, w), k)
        for k in range(1, MOST_DOUBLINGS + 1)
        for h in range(CELLS[0], _USUAL_CELLS + 1)
        for w in range(CELLS[0], _USUAL_CELLS + 1)
        if max(h, w) << k <= max(cap, 6)
    ]

    def misfit(option: tuple[tuple[int, int], int]) -> tuple[float, int, int]:
        (h, w), k = option
        side = max(h, w) << k
        shape = abs(math.log(h / w / aspect))
        far = (side - goal) / goal if side >= goal else 2 * (goal - side) / goal
        return 3 * shape + far, -k, side

    return min(options, key=misfit)
