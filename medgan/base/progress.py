"""Report the progress of a long job by callback.

Nothing below the command line prints: it passes these records upwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

NOTE = "note"
"""Stage of a report that is only a line of text for the user."""
WARNING = "warning"
"""Stage of a report that tells the user that something is wrong."""
_MINUTE = 60  # seconds
_HOUR = 3600  # seconds


@dataclass(frozen=True, slots=True)
class Progress:
    """One report: `done` of `total` units of a stage.

    Stages are "reading", "preparing", "training", "writing" and so on.
    """

    stage: str
    done: int
    total: int
    words: str = ""
    """What a person should know now, as text."""
    facts: Mapping[str, float] = field(default_factory=dict)
    """Numbers behind the text: losses; `images_per_second` and `seconds_left` where the job knows them better
    than an outside clock; `cached`, how many of the `total` are known from an earlier command."""


OnProgress = Callable[[Progress], None]


def warn(on_progress: OnProgress, sentence: str) -> None:
    """Report a warning while the job is running."""
    on_progress(Progress(WARNING, 1, 1, sentence))


def note(on_progress: OnProgress, sentence: str) -> None:
    """Report a note that is not a reason to worry."""
    on_progress(Progress(NOTE, 1, 1, sentence))


def ignore(progress: Progress) -> None:
    """Ignore a report: the callback for callers that do not want any."""


@contextmanager
def report_stage(stage: str, on_progress: OnProgress) -> Iterator[None]:
    """Report that the block has started, and that it has finished."""
    on_progress(Progress(stage, 0, 1))
    yield
    on_progress(Progress(stage, 1, 1))


def format_duration(seconds: float) -> str:
    """Format a time span in the largest useful units: `7 s`, `12 min`, `1 h 40 min`."""
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    minutes = round(seconds / _MINUTE)
    return f"{minutes} min" if seconds < _HOUR else f"{minutes // 60} h {minutes % 60} min"
