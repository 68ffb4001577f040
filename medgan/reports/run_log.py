"""Read a run's log.jsonl, skipping lines that are damaged or not from a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from medgan.base import files
from medgan.base.errors import DatasetError

_LOG = "log.jsonl"
_NUMBERS = ("images_shown", "seconds", "seconds_left", "images_per_second")
"""Numbers that every line has. They are finite, whereas a loss may have diverged."""
_MOST = 2**53
"""Largest count that is accepted: the largest whole number range that a float holds exactly."""
_OPTIONAL_NUMBERS = ("distance", "generator_loss", "critic_loss")
"""Numbers that a line may lack or hold as null."""
_CLASS_MEASURES = ("variety", "copies", "kid")
"""What the guards measure for each class."""


def read_log(run: Path | None) -> list[dict[str, Any]]:
    """The valid lines of a run's log.jsonl, none where there is no such file."""
    try:
        text = b"" if run is None else files.read_inside(run, _LOG)
    except (OSError, DatasetError):
        text = b""
    return valid_rows(list(files.json_lines(text)))


def valid_rows(rows: object) -> list[dict[str, Any]]:
    """Those rows that have the form of a log line."""
    return [row for row in rows if _is_row(row)] if isinstance(rows, list) else []


def _is_row(row: object) -> bool:
    def is_number(value: object, *, finite: bool = False) -> bool:
        if isinstance(value, float) and not finite:
            return True
        return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _MOST

    if not isinstance(row, dict) or not all(is_number(row.get(name), finite=True) for name in _NUMBERS):
        return False
    checked = row.get("guards")
    parts = [checked.get(name) for name in _CLASS_MEASURES] if isinstance(checked, dict) else []
    return (
        (checked is None or isinstance(checked, dict))
        and all(row.get(name) is None or is_number(row[name]) for name in _OPTIONAL_NUMBERS)
        and all(
            part is None or (isinstance(part, dict) and all(map(is_number, part.values()))) for part in parts
        )
    )
