"""The code in, the pages that must not differ from it out: `docs/cli.md`, the plan in `docs/concepts.md`, the tree in `docs/architecture.md`.

    python docs/generate.py [--check]

With `--check` nothing is written; it fails when a page is out of date.
"""

from __future__ import annotations

import ast
import dataclasses
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

from medgan.cli import app
from medgan.dataset.fingerprint import measure
from medgan.dataset.index import index
from medgan.dataset.source import Source
from medgan.pages import described, is_example, paragraphs, parameters
from medgan.plan import Overrides, decide
from medgan.plan.canvas import EFFORTS
from medgan.plan.rules import RECOMMENDED, SMOKE_IMAGES
from medgan.scans.scan import Form

ROOT = Path(__file__).resolve().parents[1]
CLI = ROOT / "docs" / "cli.md"
CONCEPTS = ROOT / "docs" / "concepts.md"
ARCHITECTURE = ROOT / "docs" / "architecture.md"
EXAMPLE = ROOT / "sample_data" / "chest_ct"

ROOMS = (
    "__init__.py", "__main__.py", "cli.py", "base_command.py", "options.py", "commands", "report", "quality", "gan", "learn", "prepare.py", "plan",
    "dataset", "scans", "screen.py", "config.py", "ticker.py", "terminal.py", "pages.py", "cache.py", "files.py", "progress.py", "world.py", "errors.py", "py.typed",
)  # fmt: skip
"""Top floor first: the tree is the order of dependence."""

TOP = {
    "pyproject.toml": "packaging, and the settings of every tool",
    "constraints.txt": "the versions that `make setup` installs",
    "Makefile": "the only commands a developer needs",
    ".ci/run": "what CI does: `make test`, then `make lowest`",
    "LICENSE": "Apache-2.0",
    "README.md": "what it is, two commands, limits",
    "sample_data/": "generated scans for the demo and the tests, and the script that draws them",
    "docs/": "quickstart, concepts, how-to, reference, decisions, benchmarks",
    "tests/": "mirrors medgan/ file for file; architecture, docs and end-to-end tests at its root",
    "medgan/": "the package, top floor first: a module imports its own folder and lower ones only",
}


def main(check: bool) -> int:
    """Write what changed, or with `check` only say so; 1 when `check` found something."""
    stale = [path for path, text in pages().items() if not path.exists() or path.read_text("utf-8") != text]
    for path in stale:
        print(f"{path.relative_to(ROOT)} {'is out of date: run `make docs`' if check else 'written'}")
        if not check:
            path.write_text(pages()[path], encoding="utf-8")
    return int(check and bool(stale))


def pages() -> dict[Path, str]:
    """{page: the text it should have}."""
    tree = "\n".join(["```text", *tree_lines(), "```"])
    concepts = filled(CONCEPTS.read_text(encoding="utf-8"), "efforts", efforts())
    return {
        CLI: "".join(cli_lines()),
        CONCEPTS: filled(concepts, "recipes", recipes()),
        ARCHITECTURE: filled(ARCHITECTURE.read_text(encoding="utf-8"), "tree", tree),
    }


def filled(page: str, name: str, text: str) -> str:
    """`page` with `text` between the comments `name` and `/name`."""
    start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->\n"
    before, _, rest = page.partition(start)
    _, found, after = rest.partition(end)
    assert found, f"the page has no {start.strip()} and {end.strip()}"
    return f"{before}{start}{text}\n{end}{after}"


def efforts() -> str:
    """The dial and the images shown, as a table each."""
    lines = ["| effort | longest side in pixels | share of the images shown |", "| --- | --- | --- |"]
    for effort, (side, share) in EFFORTS.items():
        lines.append(f"| `{effort}` | {side} | {share or f'{SMOKE_IMAGES} images in all'} |")
    lines += ["", "| training images | images shown at effort standard |", "| --- | --- |"]
    least = 1
    for most, shown in RECOMMENDED:
        ends = f"{least:,} or more" if most == math.inf else f"{least:,} to {most:,}"
        lines.append(f"| {ends} | {shown:,} |")
        least = int(most) + 1 if most < math.inf else least
    return "\n".join(lines)


def recipes() -> str:
    """Every decision of both networks for the same data set."""
    fingerprint = measure(index(Source(path=EXAMPLE)))
    ours, paper = (decide(fingerprint, Overrides(arch=arch)) for arch in ("repaired", "dcgan"))
    lines = ["| decision | `repaired` | `dcgan` | why (of `repaired`) |", "| --- | --- | --- | --- |"]
    for field in dataclasses.fields(ours):
        if field.name not in {"version", "why", "arch"}:
            values = (value_words(getattr(one, field.name)) for one in (ours, paper))
            lines.append(f"| `{field.name}` | {' | '.join(values)} | {ours.why[field.name]} |")
    return "\n".join(lines)


def value_words(value: Any) -> str:
    """A decision's value in a table cell."""
    if isinstance(value, Form):
        kind = f"dicom ({value.dicom_class})" if value.format == "dicom" else value.format
        return f"{kind}, {value.low:g} to {value.high:g} {value.unit}, {value.bits} bits"
    if isinstance(value, tuple):
        return ", ".join(map(value_words, value))
    return (
        f"{value:,}" if isinstance(value, int) else f"{value:g}" if isinstance(value, float) else str(value)
    )


def tree_lines() -> Iterator[str]:
    """A line per top-level entry, then a line per module of the package."""
    entries = [(0, name, words) for name, words in TOP.items()]
    for room in ROOMS:
        place = ROOT / "medgan" / room
        if place.is_dir():
            entries.append((1, f"{room}/", first_line(place / "__init__.py")))
            modules = sorted(
                path for path in place.iterdir() if path.suffix == ".py" and path.stem != "__init__"
            )
            entries += [(2, path.name, first_line(path)) for path in modules]
        elif place.exists():
            words = first_line(place) if place.suffix == ".py" else "the package is typed"
            entries.append((1, room, words))
    width = max(len(name) + 4 * depth for depth, name, _ in entries) + 2
    for depth, name, words in entries:
        yield f"{'    ' * depth}{name:{width - 4 * depth}}{words}".rstrip()


def first_line(path: Path) -> str:
    """What a module says of itself."""
    return (
        (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[0].rstrip(".")
    )


def cli_lines() -> Iterator[str]:
    """The reference page of the command line, in Markdown."""
    yield "# Command line\n\nGenerated by `make docs` from `medgan/cli.py` and `medgan/options.py`; every command also answers to `--help`.\n"
    group: Any = typer.main.get_command(app)
    yield f"\n{markdown(group.help)}\n\n| option | what |\n| --- | --- |\n"
    yield from rows(group)
    yield "| `--help`, `-h` | Show the help of `medgan` or of a command. |\n"
    for name, command in group.commands.items():
        yield f"\n## medgan {name}\n\n{markdown(command.help)}\n\n| option | what |\n| --- | --- |\n"
        yield from rows(command)
    yield EXITS


def markdown(text: str) -> str:
    """A docstring as Markdown: the commands in it become code."""
    lines = [line for paragraph in paragraphs(text) for line in paragraph]
    return "\n\n".join(f"    {line.strip()}" if is_example(line) else line for line in lines)


def rows(command: Any) -> Iterator[str]:
    """The lines of a command's table of options."""
    own = parameters(command)
    for option in command.params:
        if option.hidden:
            continue
        name, words = (text.replace("|", "\\|") for text in described(option, own))
        yield f"| `{name}` | {words} |\n"


EXITS = """
## Exit codes

| code | meaning |
| --- | --- |
| 0 | done |
| 1 | something you can mend: a sentence and the next step are on stderr |
| 2 | the command line itself is wrong |
| 3 | unexpected: one line on stderr names a log file with versions, command and traceback |
| 130 | interrupted; stderr says how to go on |

Results go to stdout, everything else to stderr.
Where stderr is a terminal, bars show how far a command is; where it is a file or a pipe, plain lines do, one when a stage begins, one
every half minute, and one when it is over. Colour vanishes where there is no terminal; `NO_COLOR` is honoured.
"""


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
