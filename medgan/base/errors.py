"""Everything medgan can tell a user went wrong; the command line turns it into words and an exit code.

MedganError
├── ScanError       one file cannot be used: mend or remove the file
├── DatasetError    the files together make no data set: mend the folder, labels or splits
├── PlanError       the options ask for something impossible: change an option
│   └── OptionError an option has a value that none has, or contradicts another: type it anew
├── ModelError      a model or run folder cannot be used: point elsewhere or train again
├── OutputError     the result cannot be written: choose another place or free space
└── JobError        the processes of a job do not come or stay together: start the job again
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

INSTALL_EXTRA = "in your clone of medgan: pip install -e '.[{}]'"
"""The hint for an extra that is missing: no registry knows medgan by its name."""


class MedganError(Exception):
    """A problem the user can mend: what is wrong, and (`hint`) what to do next."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        """Keep both sentences; `hint` is an instruction, empty when the message says it all."""
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        """Errors cross from worker processes whole."""
        words = {name: value for name, value in vars(self).items() if name != "message"}
        return partial(type(self), **words), (self.message,)


class ScanError(MedganError):
    """One file cannot be used. `verdict` is `skip:<code>` (not meant for us) or `error:<code>` (damaged)."""

    def __init__(self, message: str, *, verdict: str, hint: str = "") -> None:
        """Check the verdict's form: it is what `inspect` counts and lists."""
        if verdict.partition(":")[0] not in {"skip", "error"}:
            raise AssertionError(verdict)
        super().__init__(message, hint=hint)
        self.verdict = verdict


class DatasetError(MedganError):
    """The files together make no data set."""


class PlanError(MedganError):
    """The options ask for something impossible."""


class OptionError(PlanError):
    """An option has a value that it cannot have, or contradicts another: on the command line exit code 2."""


class ModelError(MedganError):
    """A model or run folder cannot be used."""


class OutputError(MedganError):
    """The result cannot be written where it was asked for."""


class JobError(MedganError):
    """The processes of a job do not come or stay together."""
