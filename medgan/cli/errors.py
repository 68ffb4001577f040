"""Show errors and warnings on stderr, and end with the exit code that they stand for."""

from __future__ import annotations

import os
import platform
import shlex
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

from medgan.base.errors import MedganError, OptionError
from medgan.base.escape import printable
from medgan.base.processes import current_processes
from medgan.cli.terminal import FULL, render, tell

_FAILED = 1
"""Exit code after an error that medgan explains."""
_UNEXPECTED = 3
"""Exit code after an error that it does not expect."""
INTERRUPTED = 130
"""Exit code after Ctrl-C."""


@contextmanager
def polite_errors(again: str = "Repeat the same command: it goes on where it stopped.") -> Iterator[None]:
    """Turn every error of the block into a line or two on stderr and an exit code.

    In a job of several processes the first one reports errors for all; an unexpected error is reported by the
    process in which it occurred. `again` is the hint after Ctrl-C.
    """
    try:
        yield
    except OptionError:
        raise  # the parser of the command line reports it
    except MedganError as error:
        _show_error(error.message, hint=error.hint)
        raise SystemExit(_FAILED) from None
    except KeyboardInterrupt:
        _show_error("interrupted", hint=again)
        raise SystemExit(INTERRUPTED) from None
    except Exception as error:  # noqa: BLE001 this is the one boundary that nothing passes
        if isinstance(error, OSError) and error.errno in FULL:  # wherever it was met
            place = f"{error.filename}: " if error.filename else ""
            _show_error(f"{place}the disk is full", hint="Free some space and repeat the command.")
            raise SystemExit(_FAILED) from None
        _say("error", "red", f"unexpected {type(error).__name__}; {_details(error)}")
        raise SystemExit(_UNEXPECTED) from None


def _show_error(message: str, *, hint: str = "") -> None:
    """Write on stderr what went wrong (red) and what to do next (cyan), in the first process only."""
    if current_processes().is_first:
        _say("error", "red", message)
        if hint:
            show_hint(hint)


def show_hint(hint: str) -> None:
    """Write on stderr what to do next."""
    _say("next", "cyan", hint)


def _details(error: BaseException) -> str:
    """Say where the details of a failure are; write the traceback to stderr if no log can be written."""
    try:
        return f"the details are in {_write_log(error)}"
    except OSError as why:
        tell("".join(traceback.format_exception(error)))
        return f"the details are above, because no log could be written ({why.strerror or why})"


def _write_log(error: BaseException) -> Path:
    """Write versions, command and traceback of an unexpected error to a file that only its owner can read."""
    handle, name = tempfile.mkstemp(prefix="medgan-", suffix=".log")
    with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as stream:
        stream.write(f"Python {platform.python_version()} on {platform.platform()}\n")
        stream.writelines(f"{package} {version}\n" for package, version in _versions())
        stream.write(f"command: {shlex.join(sys.argv)}\n\n")
        stream.writelines(traceback.format_exception(error))
    return Path(name)


def _say(word: str, colour: str, sentence: str) -> None:
    from rich.text import Text

    words = Text.assemble((f"{word}: ", f"bold {colour}"), (printable(sentence), colour))
    tell(render(words, stderr=True, folded=False))


def _versions() -> Iterator[tuple[str, str]]:
    for package in ("medgan", "torch", "numpy", "pydicom", "nibabel", "scikit-image", "typer"):
        try:
            yield package, metadata.version(package)
        except metadata.PackageNotFoundError:
            yield package, "not installed"
