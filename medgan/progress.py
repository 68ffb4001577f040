"""How far a long job is: the one record that travels up by callback, so that nothing below the command line prints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Progress:
    """One report of a job: `done` of `total` units of `stage` ("reading", "preparing", "training", "writing")."""

    stage: str
    done: int
    total: int
    words: str = ""
    """What a person should know now, in words."""
    facts: Mapping[str, float] = field(default_factory=dict)
    """Numbers behind the words (losses, images per second, seconds left)."""


OnProgress = Callable[[Progress], None]


def ignore(progress: Progress) -> None:
    """The callback of those who do not watch."""
