"""Write the pages, or the parts of them, that follow from the code.

These are `docs/cli.md`, the plan in `docs/concepts.md`, floors and tree in `docs/architecture.md`, and the
errors in `docs/troubleshooting.md`, and the signatures of Python in `medgan/api/public.pyi`.

    python docs/generate.py [--check]

With `--check` nothing is written; it fails when a page is out of date.
"""

from __future__ import annotations

import ast
import math
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main
from stub import STUB, stub

from medgan.cli.app import app
from medgan.cli.help import describe, is_example, paragraphs, parameters
from medgan.dataset.fingerprint import measure
from medgan.dataset.index import index
from medgan.dataset.source import Source
from medgan.plan import Overrides, decide
from medgan.plan.canvas import EFFORTS
from medgan.plan.flat import FIELD_OF
from medgan.plan.rules import RECOMMENDED, SMOKE_IMAGES
from medgan.scans.scan import OutputFormat

ROOT = Path(__file__).resolve().parents[1]
CLI = ROOT / "docs" / "cli.md"
CONCEPTS = ROOT / "docs" / "concepts.md"
ARCHITECTURE = ROOT / "docs" / "architecture.md"
TROUBLESHOOTING = ROOT / "docs" / "troubleshooting.md"
EXAMPLE = ROOT / "sample_data" / "chest_ct"

LAWS = ROOT / "tests" / "test_architecture.py"
"""Holds the floors and the owners of libraries."""

ERRORS = {
    "DatasetError": "The data set",
    "PlanError": "Options and plan",
    "ModelError": "Models and runs",
    "OutputError": "Output",
    "JobError": "Several processes",
}
"""{class of error: heading}."""

TOP = {
    "README.md": "what it is, two commands, limits",
    "CONTRIBUTING.md": (
        "set-up, rules, and how to add a format, a learner, a recipe, an analysis, an option, a benchmark"
    ),
    "SECURITY.md": "how to report a fault, and what happens to patient data",
    "CITATION.cff": "how to cite",
    "LICENSE": "Apache-2.0",
    "Makefile": "the only commands a developer needs",
    "pyproject.toml": "packaging, and the settings of every tool",
    "constraints.txt": "the versions that `make setup` installs",
    ".pre-commit-config.yaml": "ruff and mypy before a commit",
    ".ci/": "`run`: the programs that some tests use, then `make test` and `make lowest`",
    ".github/": "the workflow that runs every test, and the form for a problem",
    "sample_data/": "generated scans for the demo and the tests, and the script that draws them",
    "docs/": "quickstart, concepts, how-to, reference, decisions, benchmarks",
    "tests/": "a folder per room of medgan/; architecture, docs and end-to-end tests at its root",
    "medgan/": "the package, top floor first: a module imports its own folder and lower ones only",
}
"""Every entry of the repository but .gitignore, and what it is."""


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
    architecture = filled(ARCHITECTURE.read_text(encoding="utf-8"), "floors", floors())
    return {
        CLI: "".join(cli_lines()),
        STUB: stub(),
        CONCEPTS: filled(concepts, "recipes", recipes()),
        ARCHITECTURE: filled(architecture, "tree", tree),
        TROUBLESHOOTING: filled(TROUBLESHOOTING.read_text(encoding="utf-8"), "errors", error_tables()),
    }


def filled(page: str, name: str, text: str) -> str:
    """`page` with `text` between the comments `name` and `/name`."""
    start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->\n"
    before, _, rest = page.partition(start)
    _, found, after = rest.partition(end)
    assert found, f"the page has no {start.strip()} and {end.strip()}"
    return f"{before}{start}{text}\n{end}{after}"


def error_tables() -> str:
    """A table per class of error: each sentence of the code and its next step; "..." is what differs."""
    found: dict[str, set[tuple[str, str]]] = {name: set() for name in ERRORS}
    for path in sorted((ROOT / "medgan").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and node.args and getattr(node.func, "id", "") in ERRORS:
                hints = [word.value for word in node.keywords if word.arg == "hint"]
                row = (words_of(node.args[0], path), words_of(hints[0], path) if hints else "")
                found[ast.unparse(node.func)].add(row)
    lines = []
    for name, heading in ERRORS.items():
        lines += [f"### {heading}", "", "| sentence | next |", "| --- | --- |"]
        rows = sorted(found[name], key=lambda row: (row[0].lstrip(".: ").lower(), row))
        for sentence, hint in rows:
            if sentence.strip(".: "):  # else the system's own words
                lines.append(f"| {sentence} | {hint.replace('|', '&#124;')} |")
        lines.append("")
    return "\n".join(lines[:-1])


def words_of(node: ast.expr, path: Path) -> str:
    """The text of an expression in a module, with "..." for what is only known when it runs."""
    text = "..."
    if isinstance(node, ast.Constant):
        text = str(node.value)
    elif isinstance(node, ast.JoinedStr):
        text = "".join(words_of(part, path) for part in node.values)
    elif isinstance(node, ast.FormattedValue):
        text = words_of(node.value, path)
    elif isinstance(node, ast.IfExp):
        text = words_of(node.body, path)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        text = words_of(node.left, path) + words_of(node.right, path)
    elif isinstance(node, ast.Name):
        text = constant(node.id, path)
    return re.sub(r"\.\.\.( ?\.\.\.|\.)+", "...", text)


def constant(name: str, path: Path) -> str:
    """The text of a constant that a module has or imports; "..." where it is none."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == name:
            return words_of(node.value, path)
        if isinstance(node, ast.ImportFrom) and node.module and name in {one.name for one in node.names}:
            home = ROOT.joinpath(*node.module.split(".")).with_suffix(".py")
            return constant(name, home) if home.exists() else "..."
    return "..."


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


_ABOVE = "images above 64 pixels alone have a detail stage"
"""Why a plan of smaller images has no decision."""


def recipes() -> str:
    """Every decision of both networks for the same data set."""
    fingerprint = measure(index(Source(path=EXAMPLE)))
    ours, paper = (decide(fingerprint, Overrides(arch=arch)) for arch in ("repaired", "dcgan"))
    lines = ["| decision | `repaired` | `dcgan` | why (of `repaired`) |", "| --- | --- | --- | --- |"]
    for key, field in FIELD_OF.items():
        if key != "arch":
            values = (value_words(one.value_of(field)) for one in (ours, paper))
            lines.append(f"| `{key}` | {' | '.join(values)} | {ours.why.get(field, _ABOVE)} |")
    return "\n".join(lines)


def value_words(value: Any) -> str:
    """A decision's value in a table cell."""
    if isinstance(value, OutputFormat):
        kind = f"dicom ({value.dicom_class})" if value.format == "dicom" else value.format
        return f"{kind}, {value.low:g} to {value.high:g} {value.unit}, {value.bits} bits"
    if isinstance(value, tuple):
        return ", ".join(map(value_words, value)) or "none"
    return (
        f"{value:,}" if isinstance(value, int) else f"{value:g}" if isinstance(value, float) else str(value)
    )


def law(name: str) -> Any:
    """A constant of the architecture test."""
    for node in ast.parse(LAWS.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == name:
            return ast.literal_eval(node.value)
    raise AssertionError(f"{LAWS} has no {name}")


def floors() -> str:
    """A table of the floors: their rooms, and the libraries that only these import."""
    owners = {
        library: {place.partition("/")[0] for place in places} for library, places in law("OWNERS").items()
    }
    levels: dict[int, list[str]] = {}
    for room, level in law("FLOORS").items():
        if place_of(room).exists():
            levels.setdefault(level, []).append(room)
    lines = [
        "| floor | rooms | libraries they own |",
        "| --- | --- | --- |",
    ]
    for level, rooms in sorted(levels.items(), reverse=True):
        owned = sorted(library for library, homes in owners.items() if homes & set(rooms))
        lines.append(f"| {level} | {', '.join(f'`{room}`' for room in sorted(rooms))} | {', '.join(owned)} |")
    return "\n".join(lines)


def place_of(room: str) -> Path:
    """The folder or the module of a room."""
    folder = ROOT / "medgan" / room
    return folder if folder.is_dir() else folder.with_suffix(".py")


def tree_lines() -> Iterator[str]:
    """A line per top-level entry, then a line per module of the package, top floor first."""
    level = law("FLOORS")
    entries = [(0, name, words) for name, words in TOP.items()]
    for place in sorted(map(place_of, level), key=lambda place: (-level[place.stem], place.stem)):
        if place.exists():
            entries += branch(place, depth=1)
    width = max(len(name) + 4 * depth for depth, name, _ in entries) + 2
    for depth, name, words in entries:
        yield f"{'    ' * depth}{name:{width - 4 * depth}}{words}".rstrip()


def branch(place: Path, depth: int) -> Iterator[tuple[int, str, str]]:
    """(depth, name, what it says of itself) of a module, or of a folder and all modules in it."""
    if place.is_file():
        yield depth, place.name, first_line(place)
        return
    yield depth, f"{place.name}/", first_line(place / "__init__.py")
    for path in sorted(place.iterdir()):
        if (path.suffix == ".py" and path.stem != "__init__") or (path / "__init__.py").exists():
            yield from branch(path, depth + 1)


def first_line(path: Path) -> str:
    """What a module says of itself."""
    return (
        (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[0].rstrip(".")
    )


def cli_lines() -> Iterator[str]:
    """The reference page of the command line, in Markdown."""
    yield (
        "# Command line\n\nGenerated by `make docs` from `medgan/cli/app.py` and "
        "`medgan/commands/options.py`; every command also answers to `--help`.\n"
    )
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
        name, words = (text.replace("|", "\\|") for text in describe(option, own))
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
Where stderr is a terminal, bars show how far a command is; where it is a file or a pipe, plain lines \
do, one when a stage begins, one
every half minute, and one when it is over. Colour vanishes where there is no terminal; `NO_COLOR` \
is honoured.
"""


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
