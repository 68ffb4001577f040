"""Write out the signatures of the Python verbs from the groups of options, for editors and type checkers."""

from __future__ import annotations

import inspect
import json
import textwrap
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from medgan.api import public
from medgan.api.keywords import kinds_of, option_of

STUB = Path(__file__).resolve().parents[1] / "medgan" / "api" / "public.pyi"
WIDTH = 110
"""Columns of a line of code."""
VERBS = ("inspect", "train", "anomaly", "sample", "balance", "evaluate", "prepare", "report")
HEAD = '''\
"""The verbs of Python, every option written out; made by `make docs` from `medgan/commands/options.py`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, overload

from medgan.base.progress import OnProgress
from medgan.base.results import (
    AnomalyResult,
    BalanceForecast,
    EvaluateResult,
    InspectResult,
    ReportResult,
    TrainResult,
    WriteResult,
)
'''


def stub() -> str:
    """The text of `public.pyi`."""
    return HEAD + "".join(text for name in VERBS for text in verb_texts(name))


def verb_texts(name: str) -> Iterator[str]:
    """A verb, or where a dry run gives another result both of its overloads."""
    verb: Any = getattr(public, name)
    if len(verb.kinds) == 1:
        yield "\n" + verb_text(name, verb, verb.kinds[0], {})
    else:
        for dry, kind in ((False, verb.kinds[0]), (True, verb.kinds[-1])):
            told = f"dry_run: Literal[{dry}]" + ("" if dry else " = False")
            yield "\n@overload\n" + verb_text(name, verb, kind, {"dry_run": told})


def verb_text(name: str, verb: Any, kind: type[Any], told: dict[str, str]) -> str:
    """One definition; `told` holds the parameters that are written otherwise."""
    # what is worked on, then options by name alone
    first, *rest = inspect.signature(verb).parameters.values()
    lines = [f"def {name}(", f"    {parameter_text(first)},", "    *,"]
    lines += [f"    {told.get(one.name) or parameter_text(one)}," for one in rest]
    lines.append(f") -> {kind.__name__}:")
    doc = [line for text in f'"""{verb.__doc__}'.splitlines() for line in fit(text)]
    return "\n".join([*lines, *doc, '    """']) + "\n"


def fit(line: str) -> list[str]:
    """A line of a docstring inside a function, broken where it is too long."""
    option = "    " if line.startswith(" ") else ""  # what follows stands below the words of its option
    inside = textwrap.TextWrapper(WIDTH, initial_indent="    ", subsequent_indent=option * 2 + "    ")
    inside.break_on_hyphens = False
    return inside.wrap(line) or [""]


def parameter_text(parameter: inspect.Parameter) -> str:
    """`minutes: float | None = None`."""
    if parameter.name == "on_progress":
        return "on_progress: OnProgress = ..."
    text = f"{parameter.name}: {type_text(option_of(parameter.annotation)[0])}"
    default = parameter.default
    if default is parameter.empty:
        return text
    return f"{text} = {json.dumps(default) if isinstance(default, str) else repr(default)}"


def type_text(kind: Any) -> str:
    """A type as it is written."""
    several = kinds_of(kind)
    if len(several) > 1:
        return " | ".join(map(type_text, several))
    if kind is types.NoneType:
        return "None"
    arguments = typing.get_args(kind)
    if typing.get_origin(kind) is typing.Literal:
        return f"Literal[{', '.join(map(json.dumps, arguments))}]"
    name = str((typing.get_origin(kind) or kind).__name__)
    return f"{name}[{', '.join(map(type_text, arguments))}]" if arguments else name
