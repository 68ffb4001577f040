"""Results in, words out: tables or JSON on stdout, progress and errors on stderr, and the exit code of a failure."""

from __future__ import annotations

import json
import os
import platform
import shlex
import sys
import tempfile
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

from rich import box, progress
from rich.console import Console
from rich.table import Table
from rich.text import Text

from medgan.errors import MedganError
from medgan.progress import OnProgress, Progress, ignore

FAILED, UNEXPECTED, INTERRUPTED = 1, 3, 130
PIPE_WIDTH = 240
"""Columns of a table that goes to a file or a pipe, where nothing should be folded or cut."""

MEASURED = {
    "formats": "file formats",
    "modalities": "modalities",
    "meanings": "meaning of a pixel",
    "bits": "bits per pixel",
    "channels": "channels",
    "rows": "rows (least, median, most)",
    "columns": "columns (least, median, most)",
    "spacing_mm": "spacing in mm (z, y, x)",
    "levels": "intensity (lowest, 0.5 %, median, 99.5 %, highest)",
    "duplicates": "duplicates",
    "leaks": "set aside, being also in val or test",
}
"""{fact of the fingerprint: the words for it}, where there is such a fact."""

Facts = Mapping[str, Any]
"""Plain data as in the documented JSON."""


@contextmanager
def polite_errors(again: str = "Repeat the same command: it goes on where it stopped.") -> Iterator[None]:
    """Turn whatever the block raises into a line or two on stderr and an exit code; `again` is said on Ctrl-C."""
    try:
        yield
        sys.stdout.flush()
    except MedganError as error:
        complain(error.message, hint=error.hint)
        raise SystemExit(FAILED) from None
    except KeyboardInterrupt:
        complain("interrupted", hint=again)
        raise SystemExit(INTERRUPTED) from None
    except BrokenPipeError:
        # The reader (`head`, a closed pager) has seen enough. Python would flush stdout once more at exit and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:  # noqa: BLE001 this is the one boundary that nothing passes
        complain(f"unexpected {type(error).__name__}; the details are in {write_log(error)}")
        raise SystemExit(UNEXPECTED) from None


def complain(message: str, *, hint: str = "") -> None:
    """Say on stderr what went wrong (red) and what to do next (cyan)."""
    console = _console(stderr=True)
    console.print(Text.assemble(("error: ", "bold red"), (_clean(message), "red")), soft_wrap=True)
    if hint:
        console.print(Text.assemble(("next: ", "bold cyan"), (_clean(hint), "cyan")), soft_wrap=True)


def write_log(error: BaseException) -> Path:
    """Keep versions, command and traceback of a failure that nobody foresaw; the file is readable by its owner only."""
    handle, name = tempfile.mkstemp(prefix="medgan-", suffix=".log")
    with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as stream:
        stream.write(f"Python {platform.python_version()} on {platform.platform()}\n")
        stream.writelines(f"{package} {version}\n" for package, version in _versions())
        stream.write(f"command: {shlex.join(sys.argv)}\n\n")
        stream.writelines(traceback.format_exception(error))
    return Path(name)


@contextmanager
def watch() -> Iterator[OnProgress]:
    """A callback that draws progress bars on stderr, when that is a terminal."""
    console = _console(stderr=True)
    if not console.is_terminal:
        yield ignore
        return
    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(bar_width=24),
        progress.MofNCompleteColumn(),
        progress.TimeRemainingColumn(),
        progress.TextColumn("{task.fields[words]}", markup=False),
    )
    with progress.Progress(*columns, console=console) as bars:
        tasks: dict[str, progress.TaskID] = {}

        def on_progress(report: Progress) -> None:
            if report.stage not in tasks:
                tasks[report.stage] = bars.add_task(report.stage, words="")
            bars.update(
                tasks[report.stage], completed=report.done, total=report.total, words=_clean(report.words)
            )

        yield on_progress


def show_json(value: object) -> None:
    """Write plain data to stdout as JSON; ASCII only, so that any locale and any file name pass."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")


def show_inspection(report: Facts, fingerprint: Facts) -> None:
    """Tables of what `inspect` found: classes, facts, verdicts, warnings and the plan with its reasons."""
    _table("Classes", *_classes(report))
    _table("Measured", ("what", "value"), _measured(fingerprint))
    _table("Files", ("verdict", "files"), report["verdicts"].items())
    for entry in report.get("files", ()):
        _line(f"{entry['verdict']:24} {entry['path']}  {entry['reason']}".rstrip())
    for warning in report["warnings"]:
        _line(f"warning: {warning}", style="yellow")
    _plan(report["plan"] or {})


def show_training(report: Facts) -> None:
    """What `train` did, or the plan and the time it would take."""
    _plan(report.get("plan", {}))
    done = ("run", "images_shown", "seconds", "model_digest")
    _facts({name: report[name] for name in (done if report["model_digest"] else ("run", "estimate_seconds"))})


def show_written(report: Facts) -> None:
    """Where images were written, and how many a class had, got and has."""
    before, after, written = report["counts"]["before"], report["counts"]["after"], report["written"]
    rows = ((label, before[label], written.get(label, 0), after[label]) for label in after)
    _table("Training images", ("class", "real", "synthetic", "together"), rows)
    _facts({name: report[name] for name in ("out", "manifest")})


def _plan(plan: Facts) -> None:
    rows = ((field, _words(decision["value"]), decision["why"]) for field, decision in plan.items())
    _table("Plan", ("decision", "value", "why"), rows)


def _facts(facts: Facts) -> None:
    width = max(map(len, facts)) + 2
    for name, value in facts.items():
        _line(f"{name.replace('_', ' '):{width}}{_words(value)}")


def _classes(report: Facts) -> tuple[Sequence[str], Iterable[Sequence[object]]]:
    splits = list(report["counts"])
    labels = sorted({label for split in splits for label in report["counts"][split]})
    kinds = ("counts", "images", "patients")
    words = {"counts": "scans", "images": "images", "patients": "patients"}
    head = ["class", *(f"{split} {words[kind]}" for split in splits for kind in kinds), "missing"]
    rows = (
        [
            label,
            *(report[kind][split].get(label, 0) for split in splits for kind in kinds),
            report["rare"].get(label, 0),
        ]
        for label in labels
    )
    return head, rows


def _measured(fingerprint: Facts) -> Iterator[tuple[str, str]]:
    for name, words in MEASURED.items():
        if fingerprint[name]:
            yield words, _words(fingerprint[name])


def _words(value: object) -> str:
    if isinstance(value, Mapping):
        told = {name or "unknown": item for name, item in value.items() if item not in ("", None)}
        return ", ".join(f"{name} {_words(item)}" for name, item in told.items())
    if isinstance(value, list | tuple):
        return " ".join(map(_words, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _table(title: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for name in head:
        table.add_column(Text(name))
    for row in rows:
        table.add_row(*(Text(_clean(str(cell))) for cell in row))
    if table.row_count:
        _console().print(table)


def _line(text: str, *, style: str = "") -> None:
    _console().print(Text(_clean(text), style=style), soft_wrap=True)


def _console(*, stderr: bool = False) -> Console:
    """A fresh console each time: it looks at where stdout and stderr go now, and at NO_COLOR."""
    console = Console(stderr=stderr, markup=False, highlight=False, emoji=False)
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    return console


def _clean(text: str) -> str:
    """Without control characters: a file's name must not steer the terminal."""
    return "".join(
        char if char.isprintable() or char == "\n" else "\N{REPLACEMENT CHARACTER}" for char in text
    )


def _versions() -> Iterator[tuple[str, str]]:
    for package in ("medgan", "torch", "numpy", "pydicom", "nibabel", "scikit-image", "typer"):
        try:
            yield package, metadata.version(package)
        except metadata.PackageNotFoundError:
            yield package, "not installed"
