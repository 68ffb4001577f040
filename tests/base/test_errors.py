import pytest

from medgan.base import errors
from medgan.base.errors import DatasetError, MedganError, ModelError, OutputError, PlanError, ScanError


@pytest.mark.parametrize("kind", [DatasetError, ModelError, OutputError, PlanError])
def test_an_error_keeps_what_is_wrong_apart_from_what_to_do_next(kind):
    error = kind("the disk is full", hint="Free some space.")
    assert isinstance(error, MedganError)
    assert (error.message, error.hint, str(error)) == (
        "the disk is full",
        "Free some space.",
        "the disk is full",
    )


def test_a_hint_may_be_left_out():
    assert PlanError("no").hint == ""


@pytest.mark.parametrize("verdict", ["skip:duplicate", "error:truncated"])
def test_a_scan_error_carries_its_verdict(verdict):
    assert ScanError("cut short", verdict=verdict).verdict == verdict


def test_a_verdict_of_another_form_is_our_own_mistake():
    with pytest.raises(AssertionError):
        ScanError("cut short", verdict="broken")


def test_the_tree_at_the_top_names_every_error():
    kinds = {
        "MedganError",
        *(one.__name__ for kind in MedganError.__subclasses__() for one in (kind, *kind.__subclasses__())),
    }
    drawn = {word.strip("│├└─ ").split()[0] for word in errors.__doc__.splitlines() if "Error" in word}
    assert drawn == kinds
