"""A command and its options in, its help page out: plain text, options by subject.

The boxes that Typer draws need Rich, whose import takes longer than everything else that `--help` does.
"""

from __future__ import annotations

import typing
from collections.abc import Iterator
from typing import Any

SUBJECTS = ("Evidence", "Data", "Training", "Output", "Options")
"""The headings under which options stand, in this order."""
COMMANDS_IN_EXAMPLES = ("medgan ", "find ")
BOLD = "\x1b[1m{}\x1b[0m"
"""Taken away again where stdout is no terminal."""

Rows = list[tuple[str, str]]
"""[(name, words)]."""


class Page:
    """Mixed into a command, shows its help."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """What must follow the command's name, then what may."""
        command: Any = self
        needed = [described(option)[0] for option in command.get_params(ctx) if option.required]
        return [*needed, "COMMAND" if commands_of(command) else "[OPTIONS]"]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Usage, words, examples, then every argument, command and option."""
        command: Any = self
        command.format_usage(ctx, formatter)
        for paragraph in paragraphs(command.help):
            formatter.write_paragraph()
            with formatter.indentation():
                for line in paragraph:
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
    arguments = [option for option in options if option.param_type_name == "argument"]
    found = {
        "Arguments": [described(argument) for argument in arguments],
        "Commands": [(name, first_sentence(inner.help)) for name, inner in commands_of(command).items()],
    }
    for subject in SUBJECTS:
        found[subject] = [
            described(option)
            for option in options
            if option not in arguments and (option.rich_help_panel or SUBJECTS[-1]) == subject
        ]
    return ((heading, rows) for heading, rows in found.items() if rows)


def described(option: Any) -> tuple[str, str]:
    """("--name VALUE", "what it is; its default") of an option or argument."""
    kind = option.type_descriptor.annotation
    choices = typing.get_args(kind) if typing.get_origin(kind) is typing.Literal else ()
    value = "" if kind is bool else "|".join(choices) or option.metavar
    if option.param_type_name == "argument":
        return option.metavar, f"{option.help} {'Required.' if option.required else ''}".strip()
    names = ", ".join([*sorted(option.opts, key=len), *option.secondary_opts])
    note = "Required." if option.required else f"Default: {option.default}." if option.default else ""
    return f"{names} {value}".strip(), f"{option.help} {note}".strip()


def commands_of(command: Any) -> dict[str, Any]:
    """{name: command} of a group; of a command, none."""
    return dict(getattr(command, "commands", {}))


def first_sentence(text: str) -> str:
    """What a docstring begins with."""
    return " ".join(text.partition("\n\n")[0].split())
