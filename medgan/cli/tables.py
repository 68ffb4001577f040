"""Write lines, facts and tables on stdout, whatever names they hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from medgan.base.escape import printable
from medgan.cli.terminal import put, render


def write_facts(facts: Mapping[str, Any]) -> None:
    """Write names and values in two columns."""
    width = max(map(len, facts)) + 2
    for name, value in facts.items():
        write_line(f"{name:{width}}{value}")


def format_words(value: object) -> str:
    """A value as text: mappings and lists without brackets, numbers with as many digits as are read."""
    if isinstance(value, Mapping):
        told = {name or "unknown": item for name, item in value.items() if item not in ("", None)}
        return ", ".join(f"{name}: {format_words(item)}" for name, item in told.items())
    if isinstance(value, list | tuple):
        return " ".join(map(format_words, value))
    ways: Mapping[type, str] = {int: ",", float: ".6g"}
    return format(value, ways.get(type(value), ""))


def write_table(title: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a title, a heading and aligned columns, with numbers to the right; nothing without rows."""
    from rich.table import Table
    from rich.text import Text

    body = [list(row) for row in rows]
    if not body:
        return
    table = Table(box=None, show_header=any(head), header_style="dim", padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("")
    for name, cells in zip(head, zip(*body, strict=True), strict=True):
        numeric = any(isinstance(cell, int) for cell in cells)
        table.add_column(Text(name), justify="right" if numeric and name else "left")
    for row in body:
        table.add_row("", *(Text(printable(format_words(cell))) for cell in row))
    put(render(Text(""), Text(title, style="bold"), table))


def write_line(text: str, *, style: str = "") -> None:
    """Write a line."""
    from rich.text import Text

    put(render(Text(printable(text), style=style)))
