"""How far a long job is: the one record that travels up by callback, so that nothing below the command line prints."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

NOTE, WARNING = "note", "warning"
"""Stages of reports that have nothing but words: a line that stays, and one that says what is wrong."""
_MINUTE, _HOUR = 60, 3600


@dataclass(frozen=True, slots=True)
class Progress:
    """One report of a job: `done` of `total` units of `stage` ("reading", "preparing", "training", "writing")."""

    stage: str
    done: int
    total: int
    words: str = ""
    """What a person should know now, in words."""
    facts: Mapping[str, float] = field(default_factory=dict)
    """Numbers behind the words: losses; `images_per_second` and `seconds_left` where the job knows them better than a clock outside;
    `cached`, how many of the `total` are known from an earlier command."""


OnProgress = Callable[[Progress], None]


def warn(on_progress: OnProgress, sentence: str) -> None:
    """Tell a person `sentence` now, not when the job is done."""
    on_progress(Progress(WARNING, 1, 1, sentence))


def note(on_progress: OnProgress, sentence: str) -> None:
    """Tell a person `sentence`, which is no reason to worry."""
    on_progress(Progress(NOTE, 1, 1, sentence))


def ignore(progress: Progress) -> None:
    """The callback of those who do not watch."""


@contextmanager
def report_stage(stage: str, on_progress: OnProgress) -> Iterator[None]:
    """Say that the block is one thing that takes its time, and when it is over."""
    on_progress(Progress(stage, 0, 1))
    yield
    on_progress(Progress(stage, 1, 1))


def format_duration(seconds: float) -> str:
    """A time span in the largest units that say enough: `7 s`, `12 min`, `1 h 40 min`."""
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    minutes = round(seconds / _MINUTE)
    return f"{minutes} min" if seconds < _HOUR else f"{minutes // 60} h {minutes % 60} min"
