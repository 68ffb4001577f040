"""Turn any exception of a reader into a ScanError with a verdict.

One bad file never stops a run.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from medgan.base.errors import MedganError, ScanError

_COPY_AGAIN = "Copy the file again from its source, or remove it."
_SILENT_FILTERS = [("ignore", None, Warning, None, 0)]
"""What `warnings.filters` starts with while warnings are off. Readers call each other, and turning them off
once is enough."""


@contextmanager
def give_verdicts(path: Path) -> Iterator[None]:
    """Run a reader on a file and turn its exceptions into ScanErrors.

    Warnings are turned off; notes record what matters of them.
    """
    try:
        with (
            nullcontext()
            if warnings.filters[:1] == _SILENT_FILTERS
            else warnings.catch_warnings(action="ignore")
        ):
            yield
    except ScanError as error:
        raise _with_file_name(path, error) from error.__cause__
    except MedganError:
        raise
    # Malformed files raise nearly anything, from struct.error to NotImplementedError:
    # https://github.com/pydicom/pydicom/issues/2336
    except Exception as error:
        raise _to_scan_error(path, error) from error


def _with_file_name(path: Path, error: ScanError) -> ScanError:
    """The same error with the file's name at its start."""
    words = error.message if f"{path.name}:" in error.message else f"{path.name}: {error.message}"
    return ScanError(words, verdict=error.verdict, hint=error.hint)


def _to_scan_error(path: Path, error: Exception) -> ScanError:
    """The ScanError for an exception that no reader expected."""
    if isinstance(error, OSError) and error.errno is not None:
        return ScanError(
            f"{path.name}: cannot be read ({error.strerror or error})",
            verdict="error:unreadable",
            hint="Check that the file is there and that you may read it.",
        )
    if isinstance(error, MemoryError):
        return ScanError(
            f"{path.name}: does not fit into memory",
            verdict="error:too-large",
            hint="Use a machine with more memory.",
        )
    kind = "truncated" if isinstance(error, EOFError) else "malformed"
    return ScanError(
        f"{path.name}: {kind} ({type(error).__name__}: {error})", verdict=f"error:{kind}", hint=_COPY_AGAIN
    )
