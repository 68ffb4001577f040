"""Sizes and millimetres of the scans -> the canvas that the networks draw on, and how scans are laid on it."""

from __future__ import annotations

import math

from medgan.dataset.fingerprint import Fingerprint
from medgan.errors import PlanError
from medgan.plan.plan import Choices, Overrides

EFFORTS: dict[str, tuple[int, float]] = {
    "smoke": (32, 0.0),
    "quick": (48, 0.05),
    "standard": (64, 1.0),
    "thorough": (128, 2.0),
}
"""{effort: (longest side in pixels, share of the recommended images shown)}."""


def choose_shape(fingerprint: Fingerprint, wish: Overrides) -> Choices:
    """Canvas of h0 x w0 cells doubled k times, and how scans are laid on it."""
    doubtful = fingerprint.extents is not None and fingerprint.extents.doubtful
    field = None if doubtful else fingerprint.field_of_view_mm
    height, width = field or (float(fingerprint.rows[1]), float(fingerprint.columns[1]))
    if wish.size is not None:
        base, doublings = cells(wish.size)
        reason = "override: as asked"
    else:
        native = max(fingerprint.rows[1], fingerprint.columns[1])
        cap = EFFORTS[wish.effort][0]
        base, doublings = fit_cells(height / width, min(native, cap), cap)
        reason = f"rule: effort {wish.effort} allows {cap} pixels, the scans are about {fingerprint.rows[1]} x {fingerprint.columns[1]}"
    size = tuple(side << doublings for side in base)
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


def cells(size: tuple[int, ...]) -> tuple[tuple[int, int], int]:
    """Base and doublings of an asked-for size; PlanError, with the nearest that go, when there are none."""
    height, width = size
    for doublings in range(1, 8):
        base = (height >> doublings, width >> doublings)
        if all(3 <= cell <= 6 for cell in base) and (base[0] << doublings, base[1] << doublings) == (
            height,
            width,
        ):
            return base, doublings
    near, doublings = fit_cells(height / max(width, 1), max(height, width), 6 << 7)
    offer = "x".join(str(cell << doublings) for cell in near)
    raise PlanError(
        f"size {height}x{width} is not 3 to 6 cells doubled the same number of times in both directions",
        hint=f"The nearest that is: --size {offer}.",
    )


def fit_cells(aspect: float, goal: int, cap: int) -> tuple[tuple[int, int], int]:
    """Base and doublings whose longest side is just above `goal` (at most `cap`) and whose shape is nearest to `aspect` (H / W)."""
    options = [
        ((h, w), k)
        for k in range(1, 8)
        for h in range(3, 7)
        for w in range(3, 7)
        if max(h, w) << k <= max(cap, 6)
    ]

    def misfit(option: tuple[tuple[int, int], int]) -> tuple[float, int, int]:
        (h, w), k = option
        side = max(h, w) << k
        shape = abs(math.log(h / w / aspect))
        far = (side - goal) / goal if side >= goal else 2 * (goal - side) / goal
        return 3 * shape + far, -k, side

    return min(options, key=misfit)
