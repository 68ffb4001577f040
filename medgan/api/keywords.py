"""Spread groups of options into keywords of their own, and check what is given for them."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import math
import types
import typing
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from medgan.base.errors import OptionError
from medgan.base.option import Option

R = TypeVar("R")


def spread(function: Callable[..., R]) -> Callable[..., R]:
    """Let `function` take the fields of its option groups as keywords, and make the groups of them.

    A group is a parameter whose annotation is a dataclass. The signature says what is taken: the fields in
    the group's place.
    """
    own = signature_of(function)
    groups = {name: one.annotation for name, one in own.parameters.items() if is_group(one)}

    @functools.wraps(function)
    def spread_out(*arguments: Any, **values: Any) -> R:
        given = signature.bind(*arguments, **values)
        given.apply_defaults()
        for name, group in groups.items():
            fields = [field.name for field in dataclasses.fields(group)]
            read = {
                field: read_value(signature.parameters[field], given.arguments.pop(field)) for field in fields
            }
            given.arguments[name] = group(**read)
        return function(**given.arguments)

    together = [inner for one in own.parameters.values() for inner in members(one)]
    signature = own.replace(parameters=together)
    spread_out.__signature__ = signature  # type: ignore[attr-defined]
    spread_out.__annotations__ = {one.name: one.annotation for one in together}
    return spread_out


def signature_of(function: Callable[..., Any]) -> inspect.Signature:
    """Return a function's parameters with the types that their annotations stand for.

    The type of its result is left out: it may not be loaded yet.
    """
    own = inspect.signature(function)
    told = {name: one.annotation for name, one in own.parameters.items() if one.annotation is not one.empty}
    bare, spaces = types.SimpleNamespace(__annotations__=told), getattr(function, "__globals__", {})
    kinds = typing.get_type_hints(bare, spaces, include_extras=True)
    together = [
        one.replace(annotation=kinds.get(name, one.annotation)) for name, one in own.parameters.items()
    ]
    return inspect.Signature(together)


def is_group(parameter: inspect.Parameter) -> bool:
    """Whether a parameter takes a group of options."""
    return dataclasses.is_dataclass(parameter.annotation)


def members(parameter: inspect.Parameter) -> Iterator[inspect.Parameter]:
    """A parameter, or in the place of a group its fields."""
    if not is_group(parameter):
        yield parameter
        return
    kinds = typing.get_type_hints(parameter.annotation, include_extras=True)
    for field in dataclasses.fields(parameter.annotation):
        default = parameter.empty if field.default is dataclasses.MISSING else field.default
        yield inspect.Parameter(
            field.name, parameter.KEYWORD_ONLY, default=default, annotation=kinds[field.name]
        )


def option_of(annotation: Any) -> tuple[Any, Option | None]:
    """Return an annotation's (type of what may be given, option), or (type, None) where it is no option."""
    words = next((one for one in getattr(annotation, "__metadata__", ()) if isinstance(one, Option)), None)
    if words is None:
        return annotation, None
    return words.accepts or annotation.__origin__, words


def read_value(parameter: inspect.Parameter, value: Any) -> Any:
    """What was given as the value of a field; None, and a default, are values already."""
    words = option_of(parameter.annotation)[1]
    given = value is not None and value is not parameter.default
    return words.parse(value) if words and words.parse and given else value


def kinds_of(kind: Any) -> tuple[Any, ...]:
    """The types of a union in their order, or the one type."""
    united = typing.get_origin(kind) in {typing.Union, types.UnionType}
    return typing.get_args(kind) if united else (kind,)


def as_typed(annotation: Any) -> Any:
    """The type of an option on the command line: of several types the last, or none."""
    kind = option_of(annotation)[0]
    several = [one for one in kinds_of(kind) if one is not types.NoneType]
    return several[-1] | None if types.NoneType in kinds_of(kind) else several[-1]


def refuse_strange(parameter: inspect.Parameter, value: Any) -> None:
    """OptionError for a value that its option does not have: the command line checks the same by itself."""
    kind, words = option_of(parameter.annotation)
    if value is None or words is None:
        return
    choices = [choice for one in kinds_of(kind) for choice in choices_of(one)]
    if choices and value not in choices:
        raise OptionError(f"{parameter.name} cannot be {value!r}: choose one of {', '.join(choices)}")
    least, most = words.min, words.max
    if least is None:
        return
    ends = f"a number, {least:g} or more" if most is None else f"a number from {least:g} to {most:g}"
    if not isinstance(value, int | float) or not least <= value <= (math.inf if most is None else most):
        raise OptionError(f"{parameter.name} cannot be {value!r}: it must be {ends}")


def choices_of(kind: Any) -> tuple[Any, ...]:
    """The values of a Literal; of any other type none."""
    return typing.get_args(kind) if typing.get_origin(kind) is typing.Literal else ()
