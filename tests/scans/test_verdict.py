"""Whatever is raised while a file is read leaves as a ScanError with the file's name and a verdict."""

from __future__ import annotations

import errno
import warnings
from pathlib import Path

import pytest

from medgan.base.errors import PlanError, ScanError
from medgan.scans.verdict import give_verdicts

PATH = Path("folder") / "scan.dcm"


def raised(error: BaseException) -> ScanError:
    with pytest.raises(ScanError) as caught, give_verdicts(PATH):
        raise error
    return caught.value


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (PermissionError(errno.EACCES, "Permission denied"), "error:unreadable"),
        (OSError(errno.EIO, "Input/output error"), "error:unreadable"),
        (OSError("broken data stream"), "error:malformed"),
        (MemoryError(), "error:too-large"),
        (EOFError("end"), "error:truncated"),
        (RecursionError("deep"), "error:malformed"),
        (NotImplementedError("VR ZZ"), "error:malformed"),
    ],
)
def test_every_exception_has_its_verdict_and_names_the_file(error, verdict):
    found = raised(error)
    assert found.verdict == verdict
    assert found.message.startswith("scan.dcm: ")
    assert found.hint
    assert found.__cause__ is error


def test_the_kind_of_an_unforeseen_exception_is_told():
    assert "ZeroDivisionError: by nought" in raised(ZeroDivisionError("by nought")).message


def test_a_readers_own_error_is_named_once_and_keeps_verdict_and_hint():
    found = raised(ScanError("is a map", verdict="skip:not-image", hint="Leave it."))
    assert (found.message, found.verdict, found.hint) == ("scan.dcm: is a map", "skip:not-image", "Leave it.")
    assert raised(found).message == found.message


@pytest.mark.parametrize("error", [PlanError("no such attribute"), KeyboardInterrupt()])
def test_what_is_not_the_files_fault_passes(error):
    with pytest.raises(type(error)) as caught, give_verdicts(PATH):
        raise error
    assert caught.value is error


def test_warnings_of_the_libraries_are_silenced():
    with give_verdicts(PATH):
        warnings.warn("VR is odd", UserWarning, stacklevel=1)
