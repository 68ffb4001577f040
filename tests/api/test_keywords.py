import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import pytest

from medgan.api.keywords import as_typed, members, refuse_strange, spread
from medgan.base.errors import OptionError
from medgan.base.option import Option

WORDS = Option(help="How it looks.")
NUMBER = Option(help="How many.", min=1, max=9)


@dataclass(frozen=True, kw_only=True)
class Paint:
    colour: Annotated[Literal["red", "blue"], WORDS] = "red"
    coats: Annotated[int, NUMBER] = 1


@dataclass(frozen=True, kw_only=True)
class GlossPaint(Paint):
    shine: Annotated[float | str | None, WORDS] = None


def describe(wall, *, paint: GlossPaint, dry: bool = False):
    return wall, paint, dry


def test_the_fields_of_a_group_are_keywords_in_its_place():
    function = spread(describe)
    assert list(inspect.signature(function).parameters) == ["wall", "colour", "coats", "shine", "dry"]
    assert function("north", coats=2, dry=True) == ("north", GlossPaint(coats=2), True)
    assert function("north") == ("north", GlossPaint(), False)


def test_a_keyword_that_is_none_is_refused_by_name():
    with pytest.raises(TypeError, match="coat"):
        spread(describe)("north", coat=2)


@pytest.mark.parametrize(
    ("kind", "typed"),
    [
        (str | Path | None, Path | None),
        (int | tuple[int, int] | str | None, str | None),
        (Path | str, str),
        (str | list[str] | None, list[str] | None),
        (Literal["a", "b"] | None, Literal["a", "b"] | None),
        (int, int),
    ],
    ids=str,
)
def test_the_command_line_reads_the_last_of_several_types(kind, typed):
    assert as_typed(Annotated[kind, WORDS]) == typed
    assert as_typed(Annotated[int, Option(help="", accepts=kind)]) == typed


@pytest.mark.parametrize(
    ("name", "value"), [("colour", "green"), ("coats", 0), ("coats", 10), ("coats", "2")]
)
def test_a_value_that_an_option_does_not_have_is_refused(name, value):
    group = inspect.signature(describe).parameters["paint"]
    fields = {one.name: one for one in members(group)}
    with pytest.raises(OptionError, match=f"{name} cannot be {value!r}"):
        refuse_strange(fields[name], value)
    refuse_strange(fields["colour"], "blue")
    refuse_strange(fields["coats"], 9)
    refuse_strange(fields["shine"], None)
