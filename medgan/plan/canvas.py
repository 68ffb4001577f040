"""Choose the size of the training image and how scans are laid on it."""

from __future__ import annotations

import math

from medgan.base.overrides import Overrides
from medgan.dataset.fingerprint import Fingerprint
from medgan.plan.plan import Choices

EFFORTS: dict[str, tuple[int, float]] = {
    "smoke": (32, 0.0),
    "quick": (64, 0.05),
    "standard": (256, 1.0),
    "thorough": (256, 2.0),
}
"""{effort: (longest side in pixels at most, share of the recommended images to show)}."""
_CUDA_SIDE = 512
"""Longest side at most of efforts standard and thorough where `--device cuda` asks for a GPU."""

CELLS = (3, 7)
"""Fewest and most cells along a side of the base. Seven are used only for an exact size, as 224 is 7 x 32."""
_USUAL_CELLS = 6
"""Most cells along a side of a base for images of about a size."""
MOST_DOUBLINGS = 7
"""Most doublings from the base to the image."""
SIDES = (6, CELLS[1] << MOST_DOUBLINGS)
"""Shortest and longest side of an image in pixels."""
_LAYOUT_SIDE = 64
"""Longest side in pixels of a layout. What is larger is drawn by a detail stage on a layout of 32 to 64."""


def choose_cells(fingerprint: Fingerprint, overrides: Overrides) -> tuple[tuple[int, int], int]:
    """Choose the base of h0 x w0 cells on which networks draw, and how often it is doubled."""
    exact, most = _exact_size(fingerprint, overrides), _longest_side(overrides)[0]
    if exact is not None:
        return _grid_for_size(exact[0])
    return _fit_cells(_aspect(fingerprint), min(_native_side(fingerprint), most), most)


def _exact_size(fingerprint: Fingerprint, overrides: Overrides) -> tuple[tuple[int, ...], str] | None:
    """The size that is asked for, or else that of the scans, and why.

    None where the scans are no larger than a layout, or larger than what may be drawn.
    """
    if overrides.size is not None:
        return overrides.size, "override: as asked"
    native, aspect = _native_side(fingerprint), _aspect(fingerprint)
    if not _LAYOUT_SIDE < native <= _longest_side(overrides)[0]:
        return None
    rows, columns = round(native * min(aspect, 1)), round(native / max(aspect, 1))
    return (max(rows, SIDES[0]), max(columns, SIDES[0])), "rule: that of the scans"


def _native_side(fingerprint: Fingerprint) -> int:
    """Longest side of the scans in pixels."""
    return max(fingerprint.rows[1], fingerprint.columns[1])


def _aspect(fingerprint: Fingerprint) -> float:
    """Height of the scans over their width, in millimetres where these are known."""
    height, width = _field_of_view(fingerprint) or (fingerprint.rows[1], fingerprint.columns[1])
    return height / width


def _longest_side(overrides: Overrides) -> tuple[int, str]:
    """Longest side of an image in pixels where the user names no size, and what sets it.

    It follows from the command alone, so that the same command makes the same images on every machine.
    """
    side, setter = EFFORTS[overrides.effort][0], f"effort {overrides.effort}"
    if overrides.arch == "dcgan" and side > _LAYOUT_SIDE:
        return _LAYOUT_SIDE, "--arch dcgan"
    if overrides.device == "cuda" and side > _LAYOUT_SIDE:
        return _CUDA_SIDE, f"{setter} with --device cuda"
    return side, setter


def layout_doublings(base: tuple[int, int], doublings: int) -> int:
    """How often a base is doubled up to the layout; the other doublings are those of the detail stage."""
    return max(n for n in range(1, doublings + 1) if n == 1 or max(base) << n <= _LAYOUT_SIDE)


def choose_shape(fingerprint: Fingerprint, overrides: Overrides) -> Choices:
    """Choose the size of an image and its geometry.

    The geometry says how scans are laid on the image: true to millimetres or stretched to fill.
    """
    # Size of the image: as asked for, that of the scans, or that of the grid of cells nearest to it.
    base, doublings = choose_cells(fingerprint, overrides)
    grid = (base[0] << doublings, base[1] << doublings)
    scans, (most, setter) = f"{fingerprint.rows[1]} x {fingerprint.columns[1]}", _longest_side(overrides)
    about = (grid, f"rule: {setter} allows {most} pixels, the scans are about {scans}")
    size, reason = _exact_size(fingerprint, overrides) or about
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
