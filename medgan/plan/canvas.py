"""Sizes and millimetres of the scans -> the canvas that the networks draw on, and how scans are laid on it."""

from __future__ import annotations

import math

from medgan.dataset.fingerprint import Fingerprint
from medgan.plan.plan import Choices, Overrides

EFFORTS: dict[str, tuple[int, float]] = {
    "smoke": (32, 0.0),
    "quick": (48, 0.05),
    "standard": (64, 1.0),
    "thorough": (128, 2.0),
}
"""{effort: (longest side in pixels, share of the recommended images shown)}."""

CELLS = (3, 7)
"""Fewest and most cells a side of a base: of seven only where it was asked for, as 224 is 7 x 32."""
_USUAL_CELLS = 6
MOST_DOUBLINGS = 7
SIDES = (6, CELLS[1] << MOST_DOUBLINGS)
"""Shortest and longest side in pixels of an image."""


def choose_shape(fingerprint: Fingerprint, wish: Overrides) -> Choices:
    """Canvas of h0 x w0 cells doubled k times, and how scans are laid on it."""
    doubtful = fingerprint.extents is not None and fingerprint.extents.doubtful
    field = None if doubtful else fingerprint.field_of_view_mm
    height, width = field or (float(fingerprint.rows[1]), float(fingerprint.columns[1]))
    if wish.size is not None:
        base, doublings = _grid_for_size(wish.size)
        reason = "override: as asked"
        size = wish.size
    else:
        native = max(fingerprint.rows[1], fingerprint.columns[1])
        cap = EFFORTS[wish.effort][0]
        base, doublings = _fit_cells(height / width, min(native, cap), cap)
        reason = f"rule: effort {wish.effort} allows {cap} pixels, the scans are about {fingerprint.rows[1]} x {fingerprint.columns[1]}"
        size = (base[0] << doublings, base[1] << doublings)
    grid = (base[0] << doublings, base[1] << doublings)
    if grid != size:
        reason += f", drawn at {grid[0]} x {grid[1]} and resampled"
    chosen: Choices = {
        "size": (size, reason),
        "base": (base, f"rule: {base[0]} x {base[1]} cells doubled {doublings} times"),
        "doublings": (doublings, ""),
    }
    if field is None:
        unknown = "unknown spacing"
        reason = "not every scan knows its pixel spacing"
        if fingerprint.extents is not None:
            factor = f"{fingerprint.extents.factor:.1f}"
            unknown = "doubtful spacing"
            reason = f"by their pixel spacing some scans are {factor} times as large as others, which is hardly true"
        chosen["geometry"] = ("stretch", f"rule: {reason}, so each is resized to fill")
        chosen["mm_per_pixel"] = (None, f"rule: {unknown}")
    else:
        side = round(max(height / size[0], width / size[1]), 4)
        chosen["geometry"] = ("physical", "rule: every scan knows its pixel spacing, so millimetres are kept")
        chosen["mm_per_pixel"] = (
            side,
            f"rule: {height:.0f} x {width:.0f} mm (95 % of the scans) fit the canvas",
        )
    return chosen


def _grid_for_size(size: tuple[int, ...]) -> tuple[tuple[int, int], int]:
    """Base and doublings of the smallest grid on which an image of this size can be drawn: that very size, where there is such a grid.

    Where the same grid can be reached in several ways, it is by the fewest doublings of 3 to 6 cells, or of 3 to 7.
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
    """Base and doublings whose longest side is just above `goal` (at most `cap`) and whose shape is nearest to `aspect` (H / W)."""
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
