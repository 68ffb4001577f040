"""Write words to stdout and stderr, whatever these are.

They may be a terminal, a pipe, a file on a full disk, closed, or of an encoding that lacks letters.
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

PIPE_WIDTH = 10_000
"""Columns of a table that goes to a file or a pipe, where nothing should be folded or cut."""
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""What a disk says that takes no more."""


def steady() -> None:
    """Make the standard streams fit for a program that must not fail because of them; called once, before anything is written.

    A stream that is closed becomes the null device (else the next file that is opened would take its number, and get what a library
    writes to stdout), and a letter that the encoding of a stream lacks becomes an escape.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def put(text: str) -> None:
    """Write to stdout and see it through. A reader that has seen enough (`head`) is no error; a full disk is an OutputError."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        forsake(sys.stdout)
    except OSError as error:
        forsake(sys.stdout)
        raise OutputError(
            f"standard output: {'the disk is full' if error.errno in FULL else error.strerror or error}",
            hint="The work itself is done. Send the results to another place, and repeat the command.",
        ) from error


def tell(text: str) -> bool:
    """Write to stderr; False where nobody can be told any more, which stops no work."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        forsake(sys.stderr)
        return False
    return True


def forsake(stream: TextIO) -> None:
    """Let what is still written to a broken stream go nowhere; Python would complain of it once more at exit."""
    with suppress(OSError):  # a stream may have no number at all
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def render(*parts: RenderableType, stderr: bool = False, folded: bool = True) -> str:
    """What Rich makes of `parts` for the place where stdout or stderr goes now; without the blanks that would pad lines of a file."""
    from rich.console import Console

    place, text = console(stderr=stderr), io.StringIO()
    screen = Console(
        file=text,
        width=place.width,
        force_terminal=place.is_terminal,
        color_system=place.color_system,  # type: ignore[arg-type]  # a name, of those that it takes
        no_color=place.no_color,
        markup=False,
        highlight=False,
        emoji=False,
    )
    for part in parts:
        screen.print(part, soft_wrap=not folded)
    return "".join(line.rstrip() + "\n" for line in text.getvalue().splitlines())


def console(*, stderr: bool = False) -> Console:
    """A fresh console each time: it looks at where stdout and stderr go now, and at NO_COLOR. Rich is loaded when needed."""
    from rich.console import Console

    class Calm(Console):
        def on_broken_pipe(self) -> None:
            """Whoever writes goes on; Rich would end the program."""
            self.quiet = True

    made = Calm(stderr=stderr, markup=False, highlight=False, emoji=False)
    if not made.is_terminal:
        made.width = PIPE_WIDTH
    return made
