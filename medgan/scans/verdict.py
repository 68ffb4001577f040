"""Whatever a reader raises in, a ScanError with the file's name and a verdict out: one bad file never stops a run."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from medgan.base.errors import MedganError, ScanError

_COPY_AGAIN = "Copy the file again from its source, or remove it."
_SILENT_FILTERS = [("ignore", None, Warning, None, 0)]
"""What stands first in `warnings.filters` while nothing is warned of: readers call each other, and one silence is enough."""


@contextmanager
def give_verdicts(path: Path) -> Iterator[None]:
    """Run a reader on `path`; its warnings are silenced (what matters of them is in the notes), its exceptions get a verdict."""
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
    # Malformed files raise nearly anything, from struct.error to NotImplementedError: https://github.com/pydicom/pydicom/issues/2336
    except Exception as error:
        raise _to_scan_error(path, error) from error


def _with_file_name(path: Path, error: ScanError) -> ScanError:
    """The same error, beginning with the file's name."""
    words = error.message if f"{path.name}:" in error.message else f"{path.name}: {error.message}"
    return ScanError(words, verdict=error.verdict, hint=error.hint)


def _to_scan_error(path: Path, error: Exception) -> ScanError:
    """The ScanError for an exception that no reader foresaw."""
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
