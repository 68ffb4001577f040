"""An output folder -> the same, with nobody else at work in it while a command fills it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from medgan.base import cache, files
from medgan.base.errors import MedganError, OutputError
from medgan.training.runtime import once


@contextmanager
def alone_in(out: Path, device: str = "auto") -> Iterator[None]:
    """Make `out` where there is none and keep other commands out of it while the block lasts; OutputError where one is at work there.

    Two would sweep away what the other has half written. The system lets go when the process ends, however it ends; of the processes
    of a job the first one holds the folder. One that was made here and is empty when the command is refused is removed. OutputError,
    too, where somebody removes the folder meanwhile.
    """
    held: list[Callable[[], None]] = []
    new = not out.exists()
    once(lambda: held.append(acquire(out)), device)
    try:
        with files.keep_in_place(out):
            yield
    except MedganError:
        if held and new:
            with suppress(OSError):  # which says that something was written
                out.rmdir()
        raise
    finally:
        for let_go in held:
            let_go()


def acquire(out: Path) -> Callable[[], None]:
    """The folder held; what comes back lets go of it. On a disk that knows no locks nothing is held."""
    files.make_folder(out)
    try:
        return cache.acquire_lock(out, alone=True, wait=False)
    except BlockingIOError as error:
        raise OutputError(
            f"another command is at work in {out}", hint="Wait until it has ended, or choose another --out."
        ) from error
    except OSError:
        return lambda: None
