"""Read options from a TOML file (`--config`), and write those of a command.

A file has a table per command, with the names of its options::

    [train]
    size = "128"
    minutes = 30

Options on the command line override those of the file. No path is read from or written to such a file,
because where scans lie is private.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from medgan.base import files
from medgan.base.errors import PlanError

_NAME = "medgan.toml"
"""The file of options that a command writes into its output folder."""
_MAX_BYTES = 1_000_000
"""Bytes of a file of options, at most."""

Options = Mapping[str, Any]
"""{name of an option, without the dashes: its value}."""


def read(path: Path, command: str, known: Iterable[str]) -> dict[str, Any]:
    """Read the options of a command from a TOML file.

    Args:
        path: The file.
        command: The command; without a table for it there are no options.
        known: Names of the options that a file may set.

    Raises:
        PlanError: the file cannot be read, is not TOML, or has an option that the command lacks.
    """
    tables = _tables(path)
    options = tables.get(command, {})
    if not isinstance(options, dict):
        raise PlanError(
            f"{path}: {command} is not a table of options",
            hint=f"Write [{command}] on a line above its options.",
        )
    known = sorted(known)
    for name, value in options.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            raise PlanError(
                f"{path}: {command} has no option {name!r} that a file may set",
                hint=f"Did you mean {near[0]}?" if near else f"Options: {', '.join(known)}.",
            )
        if not _is_option(value):
            raise PlanError(
                f"{path}: {name} is neither text, a number, true or false, nor a list of these",
                hint=f"medgan {command} --help says what --{name} takes.",
            )
    return {name: _as_text(value) for name, value in options.items()}


def _tables(path: Path) -> dict[str, Any]:
    """Read the whole file."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise PlanError(f"{path} is too large for a file of options", hint="Name another --config.")
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PlanError(f"{path}: {error.strerror or error}", hint="Name another --config.") from error
    except (ValueError, RecursionError) as error:
        raise PlanError(
            f"{path} is not a TOML file ({error})", hint="Correct it, or name another --config."
        ) from error


def _is_option(value: Any) -> bool:
    """Whether an option can have this value."""
    simple = (str, int, float)
    return isinstance(value, simple) or (
        isinstance(value, list) and all(isinstance(one, simple) for one in value)
    )


def _as_text(value: Any) -> Any:
    """A value as it would be typed: text, except for switches."""
    if isinstance(value, list):
        return [str(one) for one in value]
    return value if isinstance(value, bool) else str(value)


def keep(folder: Path, command: str, places: Iterable[str], options: Options) -> None:
    """Write the options of a command into a file that `read` accepts.

    Args:
        folder: The output folder.
        command: The command.
        places: Stand-ins for the paths that it was given, such as "--model RUN".
        options: The options that the user gave.
    """
    again = " ".join(["medgan", command, *places, "--out FOLDER --config", _NAME])
    lines = ["# Repeats this command; the folders are yours to name:", f"# {again}", f"[{command}]"]
    lines += [f"{name} = {_toml(value)}" for name, value in sorted(options.items())]
    files.write_text(folder / _NAME, "\n".join(lines) + "\n")


def _toml(value: Any) -> str:
    """Format a value as TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return str(value) if isinstance(value, int | float) else _quote(str(value))


def _quote(text: str) -> str:
    """Quote text as a basic string of TOML 1.0, with quotes, backslashes and control characters escaped."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08X}" for c in escaped) + '"'
