"""Show progress on stderr: bars on a terminal, plain lines anywhere else."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from medgan.base.escape import printable
from medgan.base.processes import current_processes
from medgan.base.progress import NOTE, WARNING, OnProgress, Progress, format_duration, ignore
from medgan.cli.terminal import console, tell

if TYPE_CHECKING:
    from rich import progress
    from rich.console import Console, RenderableType

_PAUSE = 30.0
"""Seconds between two plain lines of a stage, so that the log of an hour can still be read."""
_SOON = 2.0
"""Seconds of a stage before the remaining time can be estimated."""
_NOTEWORTHY = 1.0
"""Seconds from which on the duration of a stage is shown."""


@dataclass(slots=True)
class _Stage:
    """A stage of a job as last reported; times are seconds of the monotonic clock."""

    name: str
    began: float
    at_first: int
    """Units done at the first report."""
    latest: Progress
    told: float | None = None
    """When a plain line about it was last written."""
    ended: bool = False
    """Whether its last plain line was written; some jobs report their last unit twice."""

    @property
    def over(self) -> bool:
        """Whether all is done."""
        return self.latest.done >= self.latest.total

    @property
    def single(self) -> bool:
        """Whether it has only one unit, so that there is nothing to count."""
        return self.latest.total <= 1

    @property
    def count(self) -> str:
        """`1,250/5,000`, of constant width."""
        total = f"{self.latest.total:,}"
        return "" if self.single else f"{self.latest.done:>{len(total)},}/{total}"

    @property
    def words(self) -> str:
        """The text beside the numbers; a single word is part of the stage's name instead."""
        return printable(self.latest.words) if " " in self.latest.words else ""

    def pace(self, now: float) -> str:
        """Units per second, from the job or else the clock; empty if that would mislead."""
        facts, spent = self.latest.facts, now - self.began
        if facts.get("cached", 0) > self.latest.total / 2:
            return "from the cache"
        rate = facts.get("images_per_second") or (self._rate(spent) if spent > _SOON else 0.0)
        return f"{rate:,.0f}/s" if rate >= 1 and not self.over else ""

    def left(self, now: float) -> str:
        """The remaining time, from the job or else the clock; for a finished stage, its duration."""
        spent = now - self.began
        if self.over:
            return format_duration(spent) if spent >= _NOTEWORTHY else ""
        seconds = self.latest.facts.get("seconds_left")
        if seconds is None and spent > _SOON and self._rate(spent):
            seconds = (self.latest.total - self.latest.done) / self._rate(spent)
        return "" if seconds is None else f"{format_duration(seconds)} left"

    def _rate(self, spent: float) -> float:
        return (self.latest.done - self.at_first) / spent


class _ProgressDisplay(Protocol):
    """Shows stages on stderr."""

    def show(self, stage: _Stage, now: float) -> None:
        """Show the latest report of a stage."""

    def note(self, words: str, style: str = "dim") -> None:
        """Write a line that stays, on a terminal in `style`."""


@dataclass(slots=True)
class _Verbosity:
    """How much this process shows of its progress."""

    quiet: bool = False
    verbose: bool = False


_VERBOSITY = _Verbosity()


def speak(*, quiet: bool = False, verbose: bool = False) -> None:
    """Set how progress is shown from now on: not at all, or every report as a plain line.

    With neither, stderr gets bars on a terminal and occasional lines elsewhere.
    """
    _VERBOSITY.quiet, _VERBOSITY.verbose = quiet, verbose


@contextmanager
def watch(log: Path | None = None) -> Iterator[OnProgress]:
    """A callback that shows progress on stderr, in the first process only.

    `log` is named when training begins. If stderr fails, the job continues.
    """
    if not current_processes().is_first:
        yield ignore
        return
    if _VERBOSITY.quiet:
        yield _show_warnings
        return
    screen = console(stderr=True)
    if _VERBOSITY.verbose or not screen.is_terminal:
        yield _track_stages(_PlainLines(pause=0.0 if _VERBOSITY.verbose else _PAUSE), log)
        return
    bars = _ProgressBars(screen)
    try:
        yield _track_stages(bars, log)
    finally:
        bars.end()


def _show_warnings(report: Progress) -> None:
    """Show only warnings."""
    if report.stage == WARNING:
        tell(f"warning: {printable(report.words)}\n")


def _track_stages(teller: _ProgressDisplay, log: Path | None = None) -> OnProgress:
    """A callback that tracks the stages of a job and shows them."""
    stages: dict[str, _Stage] = {}

    def on_progress(report: Progress) -> None:
        if report.stage == NOTE:
            seconds = report.facts.get("seconds_left")
            timed = "" if seconds is None else f" Training will take about {format_duration(seconds)}."
            teller.note(printable(report.words) + timed)
            return
        if report.stage == WARNING:
            teller.note(f"warning: {printable(report.words)}", "yellow")
            return
        now = time.monotonic()
        name = printable(report.stage if " " in report.words else f"{report.stage} {report.words}".rstrip())
        before = stages.get(name)
        if before is None or report.done < before.latest.done:  # new, or begun again
            told = None if before is None else before.told
            stages[name] = _Stage(name=name, began=now, at_first=report.done, latest=report, told=told)
        stages[name].latest = report
        if log is not None and before is None and report.stage == "training":
            teller.note(f"log: {printable(str(log))}")
        teller.show(stages[name], now)

    return on_progress


class _PlainLines:
    """Plain lines for a log file or a pipe: when a stage begins, now and then, and when a long one ends."""

    def __init__(self, pause: float = _PAUSE) -> None:
        """Let at least `pause` seconds pass between two lines of a stage."""
        self._pause = pause

    def show(self, stage: _Stage, now: float) -> None:
        """Write a line if one is due."""
        long = stage.over and not stage.ended and not stage.single and now - stage.began >= _NOTEWORTHY
        due = stage.told is None or now - stage.told >= self._pause or long
        if not due:
            return
        stage.told, stage.ended = now, stage.over
        percent = (
            ""
            if stage.single or stage.over
            else f"{stage.latest.done / stage.latest.total:.0%}".replace("%", " %")
        )
        numbers = " ".join(filter(None, [stage.name, stage.count.strip(), percent]))
        timed = ", ".join(filter(None, [numbers, stage.pace(now), stage.left(now)]))
        self.note("; ".join(filter(None, [timed, stage.words])))

    def note(self, words: str, style: str = "dim") -> None:  # noqa: ARG002  # plain lines have no style
        """Write a line with the time of day."""
        tell(f"{datetime.now():%H:%M} {words}\n")


class _ProgressBars:
    """Progress bars for a terminal, one per stage; they stay when a stage ends."""

    def __init__(self, screen: Console) -> None:
        """Begin to draw."""
        self._bars = _bars(screen)
        self._tasks: dict[str, progress.TaskID] = {}
        with suppress(OSError):
            self._bars.start()

    def show(self, stage: _Stage, now: float) -> None:
        """Move the bar of a stage; a closed terminal does not stop the work."""
        drawn: dict[str, Any] = {
            "completed": stage.latest.done,
            "total": None if stage.single and not stage.over else stage.latest.total,
            "count": stage.count,
            "pace": stage.pace(now),
            "left": stage.left(now),
            "words": "" if stage.over else stage.words,
        }
        with suppress(OSError):
            if stage.name in self._tasks:
                self._bars.update(self._tasks[stage.name], **drawn)
            else:
                self._tasks[stage.name] = self._bars.add_task(stage.name, **drawn)

    def note(self, words: str, style: str = "dim") -> None:
        """Write a line above the bars."""
        from rich.text import Text

        with suppress(OSError):
            self._bars.console.print(Text(words, style=style))

    def end(self) -> None:
        """Leave the bars as they are."""
        with suppress(OSError):
            self._bars.stop()


def _bars(screen: Console) -> progress.Progress:
    """A line per stage, and below them the text of the last one."""
    from rich import progress
    from rich.padding import Padding
    from rich.table import Column
    from rich.text import Text

    class Stages(progress.Progress):
        def get_renderables(self) -> Iterator[RenderableType]:
            yield self.make_tasks_table(self.tasks)
            if self.tasks and self.tasks[-1].fields["words"]:
                yield Padding(Text(self.tasks[-1].fields["words"], style="dim"), (0, 0, 0, 2))

    return Stages(
        progress.TextColumn(  # may hold the name of a class, and is wrapped if the line is too narrow
            "{task.description}", markup=False, table_column=Column(overflow="fold")
        ),
        progress.BarColumn(bar_width=20, table_column=Column(no_wrap=True)),
        progress.TextColumn("{task.fields[count]}", justify="right", table_column=Column(no_wrap=True)),
        progress.TextColumn(
            "{task.fields[pace]}", justify="right", table_column=Column(min_width=7, no_wrap=True)
        ),
        progress.TextColumn("{task.fields[left]}", table_column=Column(min_width=12, no_wrap=True)),
        console=screen,
    )
