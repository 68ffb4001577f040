"""What every command shares: help page, options from a file, how much it says."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

from medgan.api.keywords import as_typed, option_of, spread
from medgan.base.errors import OptionError
from medgan.base.processes import current_processes
from medgan.base.workers import VARIABLE
from medgan.cli import config, ticker
from medgan.cli.errors import polite_errors
from medgan.cli.help import Page, kind_of, parameters, words_of

R = TypeVar("R")

APART = frozenset({"against", "json", "quiet", "verbose", "workers", "dry_run", "everything", "help"})
"""Parameters that name scans, or change what is said and nothing of the result: like paths, they have no
place in a file of options."""


class Group(Page, TyperGroup):
    """All commands, with our help page."""


class Command(Page, TyperCommand):
    """A command with our help page, plain words for typing errors, and its options left beside its result."""

    def make_context(self, *arguments: Any, **extra: Any) -> Any:
        """Parse; libraries' own words are taken out of a refusal."""
        try:
            return super().make_context(*arguments, **extra)
        except typer.BadParameter as error:
            error.message = reword_refusal(error.message)
            raise

    def invoke(self, ctx: Any) -> Any:
        """Do the work, then leave the options that were given in the output folder."""
        result = super().invoke(ctx)
        out = ctx.params.get("out")
        if (
            isinstance(out, Path)
            and out.is_dir()
            and not ctx.params.get("dry_run")
            and current_processes().is_first
        ):
            config.keep(out, ctx.info_name, places(self, ctx), given_options(self, ctx))
        return result


def reword_refusal(sentence: str) -> str:
    """A refusal of an option's value without the words of the library that checked it."""
    return sentence.removeprefix("Value error, ").replace("Input should be", "it must be", 1)


def setting(option: Any) -> str:
    """The name of an option in a file: as it is typed, without the dashes."""
    return str(max(option.opts, key=len)).lstrip("-")


def settable(command: Any) -> dict[str, Any]:
    """{name in a file: option} of all that a file may set for a command; never a path."""
    own = parameters(command)
    return {
        setting(option): option
        for option in command.params
        if option.param_type_name == "option"
        and option.name not in APART
        and kind_of(own[option.name].annotation) is not Path
    }


def given_options(command: Any, ctx: Any) -> dict[str, Any]:
    """{name in a file: value} of the options that the user gave, on the command line or in a file."""
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, option in settable(command).items()
        if ctx.get_parameter_source(option.name).name in {"COMMANDLINE", "DEFAULT_MAP"}
        and (value := ctx.params.get(option.name)) is not None
    }


def places(command: Any, ctx: Any) -> Iterator[str]:
    """Yield the arguments and options that named folders and files, as stand-ins: `SOURCE`, `--model RUN`."""
    own = parameters(command)
    for option in command.params:
        if option.name in own and option.name not in {"out", "config"} and ctx.params.get(option.name):
            stand_in = words_of(option, own).metavar
            if option.param_type_name == "argument":
                yield stand_in
            elif option.name == "against" or kind_of(own[option.name].annotation) is Path:
                yield f"--{setting(option)} {stand_in}"


def take_from_file(ctx: typer.Context, path: Path | None) -> Path | None:
    """Let the options of a file stand where nothing is typed."""
    if path is not None and not ctx.resilient_parsing:
        options = settable(ctx.command)
        with polite_errors():
            found = config.read(path, str(ctx.info_name), options)
        ctx.default_map = {options[name].name: value for name, value in found.items()}
    return path


Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        is_eager=True,
        callback=take_from_file,
        help=(
            "TOML file of options, such as the medgan.toml that a command leaves in its folder; what is "
            "typed wins."
        ),
    ),
]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Say nothing of progress; warnings and errors stay.")
]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="A line with the time of day for every report of progress.")
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers", "-j", metavar="N", min=1, help="Processes that read scans; default: one per processor."
    ),
]


def take_options(function: Callable[..., R]) -> Callable[..., R]:
    """Give a command the fields of its groups as options.

    An option that the function refuses is reported like one that the parser refuses.
    """
    takes = spread(function)

    @functools.wraps(function)
    def command(**values: Any) -> R:
        try:
            return takes(**values)
        except OptionError as error:
            raise typer.BadParameter(error.message) from None

    own = inspect.signature(takes).parameters.values()
    return _with_parameters(command, [one.replace(annotation=as_option(one.annotation)) for one in own])


def as_option(annotation: Any) -> Any:
    """An option's annotation in the words of Typer; any other as it is."""
    words = option_of(annotation)[1]
    if words is None:
        return annotation
    if words.argument:
        told = typer.Argument(metavar=words.metavar, help=words.help)
    else:
        told = typer.Option(
            *words.names,
            rich_help_panel=words.subject or None,
            metavar=words.metavar,
            help=words.help,
            min=words.min,
            max=words.max,
            hidden=words.hidden,
        )
    return Annotated[as_typed(annotation), told]


def share_options(function: Callable[..., R]) -> Callable[..., R]:
    """Give a command its options and those of all: `--config`, `--quiet`, `--verbose` and `--workers`."""
    takes = take_options(function)

    @functools.wraps(function)
    def command(**values: Any) -> R:
        values.pop("config", None)
        ticker.speak(quiet=bool(values.pop("quiet", False)), verbose=bool(values.pop("verbose", False)))
        workers = values.pop("workers", None)
        if workers is not None:
            os.environ[VARIABLE] = str(workers)
        return takes(**values)

    kinds = {
        "config": (Config, None),
        "quiet": (Quiet, False),
        "verbose": (Verbose, False),
        "workers": (Workers, None),
    }
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
        for name, (kind, default) in kinds.items()
    ]
    return _with_parameters(command, [*inspect.signature(takes).parameters.values(), *added])


def _with_parameters(command: Callable[..., R], parameters: list[inspect.Parameter]) -> Callable[..., R]:
    """The function, whose signature says that it has these parameters."""
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {one.name: one.annotation for one in parameters}
    return command
