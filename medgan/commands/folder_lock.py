"""Lock an output folder so that two commands cannot write into it at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from medgan.base import cache, files
from medgan.base.errors import MedganError, OutputError
from medgan.base.run_folder import InFirst


@contextmanager
def lock_folder(out: Path, in_first: InFirst) -> Iterator[None]:
    """Create `out` if needed, and keep other commands out of it while the block runs.

    Two commands would delete each other's partial files. The operating system frees the lock when the
    process ends, however it ends; in a job of several processes the first one holds it. A folder that was
    created here and is still empty when the command is refused is removed.

    Args:
        out: The folder.
        in_first: How a job calls a function in its first process.

    Raises:
        OutputError: another command is writing into the folder, or the folder is removed meanwhile.
    """
    held: list[Callable[[], None]] = []
    new = not out.exists()
    in_first(lambda: held.append(_acquire(out)))
    try:
        with files.keep_in_place(out):
            yield
    except MedganError:
        if held and new:
            with suppress(OSError):  # raised if something was written into it
                out.rmdir()
        raise
    finally:
        for let_go in held:
            let_go()


def _acquire(out: Path) -> Callable[[], None]:
    """Lock the folder and return what unlocks it; on a disk without locks nothing is locked."""
    files.make_folder(out)
    try:
        return cache.acquire_lock(out, alone=True, wait=False)
    except BlockingIOError as error:
        raise OutputError(
            f"another command is writing into {out}", hint="Wait until it has ended, or choose another --out."
        ) from error
    except OSError:
        return lambda: None
