"""Exceptions that medgan explains to its user and the command line prints.

MedganError
├── ScanError       one file cannot be used: repair or remove the file
├── DatasetError    the files do not form a data set: correct the folder, labels or splits
├── PlanError       the options ask for something impossible: change an option
│   └── OptionError an option has an impossible value or contradicts another: correct the command
├── ModelError      a model or run folder cannot be used: choose another one or train again
├── OutputError     the result cannot be written: choose another place or free space
└── JobError        the processes of a job did not start or stay together: start the job again
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

INSTALL_EXTRA = "in your clone of medgan: pip install -e '.[{}]'"
"""Hint for a missing extra: no package registry knows medgan by its name."""


class MedganError(Exception):
    """A problem that the user can solve: what is wrong, and a hint at what to do next."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        """Store the message and the hint.

        `hint` is an instruction. It is empty where the message already says what to do.
        """
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        """Pickle the error with its hint, so that worker processes can raise it."""
        words = {name: value for name, value in vars(self).items() if name != "message"}
        return partial(type(self), **words), (self.message,)


class ScanError(MedganError):
    """One file cannot be used.

    `verdict` is `skip:<code>` for a file that is not meant for medgan, and `error:<code>` for a damaged one.
    """

    def __init__(self, message: str, *, verdict: str, hint: str = "") -> None:
        """Check the form of the verdict, which `inspect` counts and lists."""
        if verdict.partition(":")[0] not in {"skip", "error"}:
            raise AssertionError(verdict)
        super().__init__(message, hint=hint)
        self.verdict = verdict


class DatasetError(MedganError):
    """The files do not form a data set."""


class PlanError(MedganError):
    """The options ask for something impossible."""


class OptionError(PlanError):
    """An option has an impossible value or contradicts another (exit code 2)."""


class ModelError(MedganError):
    """A model or run folder cannot be used."""


class OutputError(MedganError):
    """The result cannot be written to the chosen place."""


class JobError(MedganError):
    """The processes of a job did not start or stay together."""
