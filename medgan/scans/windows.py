"""A preset's name or LOW:HIGH -> a CT window in Hounsfield units."""

from __future__ import annotations

from medgan.base.errors import PlanError

_WINDOWS: dict[str, tuple[float, float]] = {
    "full": (-1024.0, 3071.0),
    "lung": (-1350.0, 150.0),
    "soft": (-160.0, 240.0),
    "bone": (-450.0, 1050.0),
    "brain": (0.0, 80.0),
}
"""CT windows in Hounsfield units, (low, high)."""
_MIN_HU, _MAX_HU = -32768, 32767
"""What 16 bits hold."""


def parse_window(text: str) -> tuple[float, float]:
    """A preset's name or "LOW:HIGH" in HU; PlanError otherwise."""
    if text in _WINDOWS:
        return _WINDOWS[text]
    low, _, high = text.partition(":")
    try:
        window = float(low), float(high)
    except ValueError:
        window = 0.0, 0.0
    if not _MIN_HU <= window[0] < window[1] <= _MAX_HU:
        raise PlanError(
            f"window {text!r} is not LOW:HIGH in HU, within {_MIN_HU} and {_MAX_HU}",
            hint=f"Or a preset: {', '.join(_WINDOWS)}.",
        )
    return window
