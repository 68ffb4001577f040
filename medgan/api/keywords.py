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

R = TypeVar("R")


def spread(function: Callable[..., R]) -> Callable[..., R]:
    """Let `function` take the fields of its option groups as keywords, and make the groups of them.

    A group is a parameter whose annotation is a dataclass. The signature says what is taken: the fields in the group's place.
    """
    own = signature_of(function)
    groups = {name: one.annotation for name, one in own.parameters.items() if is_group(one)}

    @functools.wraps(function)
    def spread_out(*arguments: Any, **values: Any) -> R:
        given = signature.bind(*arguments, **values)
        given.apply_defaults()
        for name, group in groups.items():
            fields = {field.name: given.arguments.pop(field.name) for field in dataclasses.fields(group)}
            given.arguments[name] = group(**fields)
        return function(**given.arguments)

    together = [inner for one in own.parameters.values() for inner in members(one)]
    signature = own.replace(parameters=together)
    spread_out.__signature__ = signature  # type: ignore[attr-defined]
    spread_out.__annotations__ = {one.name: one.annotation for one in together}
    return spread_out


def signature_of(function: Callable[..., Any]) -> inspect.Signature:
    """A function's parameters with the types that their annotations stand for; what it returns may not be loaded yet."""
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


def words_of(annotation: Any) -> tuple[Any, Any]:
    """(type, what carries its help) of `Annotated[type, Option(...)]`; (type, None) of any other."""
    if hasattr(annotation, "__metadata__"):
        return annotation.__origin__, annotation.__metadata__[0]
    return annotation, None


def kinds_of(kind: Any) -> tuple[Any, ...]:
    """The types of a union in their order, or the one type."""
    united = typing.get_origin(kind) in {typing.Union, types.UnionType}
    return typing.get_args(kind) if united else (kind,)


def as_typed(annotation: Any) -> Any:
    """An option's annotation as the command line reads it: of several types the last, or none."""
    kind, words = words_of(annotation)
    several = [one for one in kinds_of(kind) if one is not types.NoneType]
    last = several[-1] | None if types.NoneType in kinds_of(kind) else several[-1]
    return annotation if words is None or len(several) < 2 else typing.Annotated[last, words]


def refuse_strange(parameter: inspect.Parameter, value: Any) -> None:
    """OptionError for a value that its option does not have: the command line checks the same by itself."""
    kind, words = words_of(parameter.annotation)
    if value is None or words is None:
        return
    choices = [choice for one in kinds_of(kind) for choice in choices_of(one)]
    if choices and value not in choices:
        raise OptionError(f"{parameter.name} cannot be {value!r}: choose one of {', '.join(choices)}")
    least, most = (getattr(words, end, None) for end in ("min", "max"))
    if least is None:
        return
    ends = f"a number, {least:g} or more" if most is None else f"a number from {least:g} to {most:g}"
    if not isinstance(value, int | float) or not least <= value <= (math.inf if most is None else most):
        raise OptionError(f"{parameter.name} cannot be {value!r}: it must be {ends}")


def choices_of(kind: Any) -> tuple[Any, ...]:
    """The values of a Literal; of any other type none."""
    return typing.get_args(kind) if typing.get_origin(kind) is typing.Literal else ()
