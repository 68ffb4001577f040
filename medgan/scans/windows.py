"""CT windows in Hounsfield units, by preset or as LOW:HIGH."""

from __future__ import annotations

from medgan.base.errors import PlanError

_WINDOWS: dict[str, tuple[float, float]] = {
    "full": (-1024.0, 3071.0),
    "lung": (-1350.0, 150.0),
    "soft": (-160.0, 240.0),
    "bone": (-450.0, 1050.0),
    "brain": (0.0, 80.0),
}
"""{preset: (low, high) in Hounsfield units}."""
_MIN_HU = -32768
"""Least value in Hounsfield units that 16 bits hold."""
_MAX_HU = 32767
"""Greatest value in Hounsfield units that 16 bits hold."""


def parse_window(text: str) -> tuple[float, float]:
    """Read a preset's name or "LOW:HIGH" as a window in Hounsfield units.

    Raises:
        PlanError: the text is neither.
    """
    if text in _WINDOWS:
        return _WINDOWS[text]
    low, _, high = text.partition(":")
    try:
        window = float(low), float(high)
    except ValueError:
        window = 0.0, 0.0
    if not _MIN_HU <= window[0] < window[1] <= _MAX_HU:
        raise PlanError(
            f"--window must be LOW:HIGH in HU from {_MIN_HU} to {_MAX_HU} or a preset, not {text!r}",
            hint=f"The presets are {', '.join(_WINDOWS)}.",
        )
    return window
