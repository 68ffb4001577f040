"""Write text to stdout and stderr safely.

They may be a terminal, a pipe, closed, a file on a full disk, or have an encoding that lacks letters.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

from medgan.base.errors import OutputError

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_PIPE_WIDTH = 10_000
"""Columns of a table in a file or a pipe, where nothing should be wrapped or cut."""
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""Error numbers of a full disk."""


def steady() -> None:
    """Prepare the standard streams so that the program never fails because of them; called once at the start.

    A closed stream becomes the null device: otherwise the next file to be opened would take its number, and
    get what a library writes to stdout. A letter that the encoding lacks is written as an escape.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def put(text: str) -> None:
    """Write to stdout and flush; a closed pipe (`head`) is ignored, a full disk raises OutputError."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        forsake(sys.stdout)
    except OSError as error:
        forsake(sys.stdout)
        raise OutputError(
            f"standard output: {'the disk is full' if error.errno in FULL else error.strerror or error}",
            hint="The work itself is done. Send the output to another place and repeat the command.",
        ) from error


def tell(text: str) -> bool:
    """Write to stderr; return False if it cannot be written to, which does not stop the work."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        forsake(sys.stderr)
        return False
    return True


def forsake(stream: TextIO) -> None:
    """Discard further writes to a broken stream; otherwise Python would report an error at exit."""
    with suppress(OSError):  # a stream may have no file number
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def render(*parts: RenderableType, stderr: bool = False, folded: bool = True) -> str:
    """Render with Rich for the place where stdout or stderr goes now, without padding at line ends."""
    from rich.console import Console

    place, text = console(stderr=stderr), io.StringIO()
    screen = Console(
        file=text,
        width=place.width,
        force_terminal=place.is_terminal,
        color_system=place.color_system,  # type: ignore[arg-type]  # a valid name
        no_color=place.no_color,
        markup=False,
        highlight=False,
        emoji=False,
    )
    for part in parts:
        screen.print(part, soft_wrap=not folded)
    return "".join(line.rstrip() + "\n" for line in text.getvalue().splitlines())


def console(*, stderr: bool = False) -> Console:
    """A new console for where stdout and stderr go now, and for NO_COLOR; Rich is loaded when needed."""
    from rich.console import Console

    class Calm(Console):
        def on_broken_pipe(self) -> None:
            """Stop writing; Rich would end the program."""
            self.quiet = True

    made = Calm(stderr=stderr, markup=False, highlight=False, emoji=False)
    if not made.is_terminal:
        made.width = _PIPE_WIDTH
    return made
