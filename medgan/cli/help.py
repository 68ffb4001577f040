"""Format help pages as plain text, with options grouped by subject.

The boxes that Typer draws need Rich, whose import takes longer than everything else that `--help` does. Type,
help text, subject and default of an option are read from our own function, because Typer stores them
differently in each version.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Iterator, Mapping
from typing import Any

_SUBJECTS = ("Evidence", "Data", "Training", "Output", "Expert", "Options")
"""The headings of groups of options, in this order."""
_EXAMPLE_COMMANDS = ("medgan ", "find ")
_BOLD = "\x1b[1m{}\x1b[0m"
"""Escape sequence of bold text; Click removes it if stdout is not a terminal."""

_Rows = list[tuple[str, str]]
"""[(name, help text)]."""
_Parameters = Mapping[str, inspect.Parameter]
"""{name: parameter} of a function."""


class Page:
    """A mixin that gives a command its help page."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The required words after the command's name, then the optional ones."""
        command: Any = self
        own = parameters(command)
        # The last name of an option is its longest one.
        needed = [
            describe(option, own)[0].rpartition(", ")[2]
            for option in command.get_params(ctx)
            if option.required
        ]
        return ["[OPTIONS]", "COMMAND"] if _commands_of(command) else [*needed, "[OPTIONS]"]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write usage, description and examples, then every argument, command and option."""
        command: Any = self
        command.format_usage(ctx, formatter)
        for paragraph in paragraphs(command.help):
            formatter.write_paragraph()
            with formatter.indentation():
                for line in paragraph:
                    if is_example(line):  # not wrapped, so that it can be copied
                        formatter.write(f"{'':{formatter.current_indent}}{line}\n")
                    else:
                        formatter.write_text(line)
        for heading, rows in _sections(command, command.get_params(ctx)):
            with formatter.section(_BOLD.format(heading)):
                formatter.write_dl(rows, col_max=28)


def paragraphs(text: str) -> Iterator[list[str]]:
    """Yield the paragraphs of a docstring as lists of lines; examples follow their paragraph, one a line."""
    lines: list[str] = []
    for block in text.split("\n\n"):
        example = is_example(block)
        if lines and not example:
            yield lines
            lines = []
        lines.append("  " + block.strip() if example else " ".join(block.split()))
    yield lines


def is_example(paragraph: str) -> bool:
    """Whether a paragraph of a docstring is a command to type."""
    return paragraph.strip().startswith(_EXAMPLE_COMMANDS)


def _sections(command: Any, options: list[Any]) -> Iterator[tuple[str, _Rows]]:
    """(heading, rows) of arguments, commands and each subject of options, without empty ones."""
    own = parameters(command)
    arguments = [option for option in options if option.param_type_name == "argument"]
    found = {
        "Arguments": [describe(argument, own) for argument in arguments],
        "Commands": [(name, _first_paragraph(inner.help)) for name, inner in _commands_of(command).items()],
    }
    for subject in _SUBJECTS:
        found[subject] = [
            describe(option, own)
            for option in options
            if option not in arguments and not option.hidden and _subject_of(option, own) == subject
        ]
    return ((heading, rows) for heading, rows in found.items() if rows)


def parameters(command: Any) -> _Parameters:
    """{name: parameter} of the function behind a command, with evaluated annotations."""
    return inspect.signature(command.callback, eval_str=True).parameters


def words_of(option: Any, own: _Parameters) -> Any:
    """The object with `help`, `metavar` and `rich_help_panel`: our annotation, or the option itself."""
    metadata = getattr(own[option.name].annotation, "__metadata__", ()) if option.name in own else ()
    return next((words for words in metadata if hasattr(words, "rich_help_panel")), option)


def _subject_of(option: Any, own: _Parameters) -> str:
    """The heading under which an option stands."""
    return getattr(words_of(option, own), "rich_help_panel", None) or _SUBJECTS[-1]


def describe(option: Any, own: _Parameters) -> tuple[str, str]:
    """("--name VALUE", "help text and default") of an option or argument; --help is a switch."""
    words = words_of(option, own)
    if option.param_type_name == "argument":
        return words.metavar, f"{words.help} {'Required.' if option.required else ''}".strip()
    kind, default = bool, None
    if option.name in own:
        kind, default = kind_of(own[option.name].annotation), own[option.name].default
    choices = typing.get_args(kind) if typing.get_origin(kind) is typing.Literal else ()
    value = "" if kind is bool else "|".join(choices) or words.metavar
    names = ", ".join([*sorted(option.opts, key=len), *option.secondary_opts])
    note = "Required." if option.required else f"Default: {default}." if default else ""
    return f"{names} {value}".strip(), f"{words.help} {note}".strip()


def kind_of(annotation: Any) -> Any:
    """The type of a given value: int for `Annotated[int | None, ...]`."""
    bare = (
        getattr(annotation, "__origin__", annotation) if hasattr(annotation, "__metadata__") else annotation
    )
    given = [kind for kind in typing.get_args(bare) if kind is not type(None)]
    return given[0] if type(None) in typing.get_args(bare) else bare


def _commands_of(command: Any) -> dict[str, Any]:
    """{name: command} of a group; empty for a command."""
    return dict(getattr(command, "commands", {}))


def _first_paragraph(text: str) -> str:
    """The first paragraph of a docstring, in one line."""
    return " ".join(text.partition("\n\n")[0].split())
