"""Read what was given for an option, as text or as a value of Python."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from medgan.base.errors import OptionError

Place = str | Path
"""A file or folder: text or a path."""


def as_path(place: Place | None) -> Path | None:
    """A file or folder as a path, where one is named."""
    return None if place is None else Path(place)


def as_target(target: int | str) -> str | int:
    """`largest`, `median` or a number of images."""
    text = str(target)
    if not (text.isdecimal() or text in {"largest", "median"}):
        raise OptionError(f"--target {text}: write largest, median or a number of images")
    return int(text) if text.isdecimal() else text


def as_quotas(quotas: Mapping[str, int] | list[str] | None) -> dict[str, int]:
    """Texts `LABEL=N`, or a mapping, as {label: n}."""
    from medgan.dataset.source import normalise_label

    if isinstance(quotas, Mapping):
        return {normalise_label(label): number for label, number in quotas.items()}
    return dict(map(as_quota, quotas or ()))


def as_quota(text: str) -> tuple[str, int]:
    """`LABEL=N` as (label, n)."""
    from medgan.dataset.source import normalise_label

    label, _, number = text.rpartition("=")
    if not (label and number.isdecimal()):
        raise OptionError(f"--class {text}: write LABEL=N, such as covid=200")
    return normalise_label(label), int(number)
