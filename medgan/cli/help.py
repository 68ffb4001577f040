"""A command and its options in, its help page out: plain text, options by subject.

The boxes that Typer draws need Rich, whose import takes longer than everything else that `--help` does. What an option takes,
its words, subject and default are read from our own function: the parameters that Typer makes of it keep them elsewhere in each version.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Iterator, Mapping
from typing import Any

SUBJECTS = ("Evidence", "Data", "Training", "Output", "Expert", "Options")
"""The headings under which options stand, in this order."""
COMMANDS_IN_EXAMPLES = ("medgan ", "find ")
BOLD = "\x1b[1m{}\x1b[0m"
"""Taken away again where stdout is no terminal."""

Rows = list[tuple[str, str]]
"""[(name, words)]."""
Parameters = Mapping[str, inspect.Parameter]
"""{name: parameter} of a function."""


class Page:
    """Mixed into a command, shows its help."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """What must follow the command's name, then what may."""
        command: Any = self
        own = parameters(command)
        # Of several names of an option the last one, which is the longest.
        needed = [
            describe(option, own)[0].rpartition(", ")[2]
            for option in command.get_params(ctx)
            if option.required
        ]
        return ["[OPTIONS]", "COMMAND"] if commands_of(command) else [*needed, "[OPTIONS]"]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Usage, words, examples, then every argument, command and option."""
        command: Any = self
        command.format_usage(ctx, formatter)
        for paragraph in paragraphs(command.help):
            formatter.write_paragraph()
            with formatter.indentation():
                for line in paragraph:
                    if is_example(line):  # whole, however narrow the terminal, so that it can be copied
                        formatter.write(f"{'':{formatter.current_indent}}{line}\n")
                    else:
                        formatter.write_text(line)
        for heading, rows in sections(command, command.get_params(ctx)):
            with formatter.section(BOLD.format(heading)):
                formatter.write_dl(rows, col_max=28)


def paragraphs(text: str) -> Iterator[list[str]]:
    """A docstring's paragraphs as [line]; the examples that follow a colon stand right below it, one a line."""
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
    return paragraph.strip().startswith(COMMANDS_IN_EXAMPLES)


def sections(command: Any, options: list[Any]) -> Iterator[tuple[str, Rows]]:
    """(heading, rows) of arguments, commands and options by subject; no empty ones."""
    own = parameters(command)
    arguments = [option for option in options if option.param_type_name == "argument"]
    found = {
        "Arguments": [describe(argument, own) for argument in arguments],
        "Commands": [(name, first_sentence(inner.help)) for name, inner in commands_of(command).items()],
    }
    for subject in SUBJECTS:
        found[subject] = [
            describe(option, own)
            for option in options
            if option not in arguments and not option.hidden and subject_of(option, own) == subject
        ]
    return ((heading, rows) for heading, rows in found.items() if rows)


def parameters(command: Any) -> Parameters:
    """{name: parameter} of the function behind a command, as it is written: `Annotated[type, typer.Option(...)] = default`."""
    return inspect.signature(command.callback, eval_str=True).parameters


def words_of(option: Any, own: Parameters) -> Any:
    """Whatever carries `help`, `metavar` and `rich_help_panel`: what our function says, else the option, as --help, itself."""
    metadata = getattr(own[option.name].annotation, "__metadata__", ()) if option.name in own else ()
    return next((words for words in metadata if hasattr(words, "rich_help_panel")), option)


def subject_of(option: Any, own: Parameters) -> str:
    """The heading under which an option stands."""
    return getattr(words_of(option, own), "rich_help_panel", None) or SUBJECTS[-1]


def describe(option: Any, own: Parameters) -> tuple[str, str]:
    """("--name VALUE", "what it is; its default") of an option or argument; one that is not our own, as --help, is a switch."""
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
    """The type that a value has when it is given: `Annotated[int | None, ...]` is int."""
    bare = (
        getattr(annotation, "__origin__", annotation) if hasattr(annotation, "__metadata__") else annotation
    )
    given = [kind for kind in typing.get_args(bare) if kind is not type(None)]
    return given[0] if type(None) in typing.get_args(bare) else bare


def commands_of(command: Any) -> dict[str, Any]:
    """{name: command} of a group; of a command, none."""
    return dict(getattr(command, "commands", {}))


def first_sentence(text: str) -> str:
    """What a docstring begins with."""
    return " ".join(text.partition("\n\n")[0].split())
