"""Count what the rules of the house are about, in a checkout of any commit.

    python docs/count.py [FOLDER]

Prints a Markdown row per figure, for the package `medgan` below FOLDER (default: this checkout).
"""

from __future__ import annotations

import ast
import statistics
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

WIDTH = 110
IRREGULAR = {
    "built", "broken", "chosen", "done", "drawn", "found", "given", "gone", "held", "hidden", "kept",
    "known", "laid", "lost", "made", "meant", "said", "seen", "sent", "shown", "told", "taken", "taught",
    "thrown", "written",
}  # fmt: skip
PARTICLES = {
    "after", "apart", "as", "at", "away", "back", "before", "beside", "by", "for", "from", "in", "into",
    "of", "off", "on", "out", "over", "to", "under", "up", "with",
}  # fmt: skip
REGULAR = {"embed", "feed", "need", "reseed", "seed"}
"""Verbs that end like a participle."""


def main(place: Path) -> None:
    """Print the figures."""
    modules = {path: path.read_text(encoding="utf-8") for path in sorted((place / "medgan").rglob("*.py"))}
    trees = {path: ast.parse(text) for path, text in modules.items()}
    functions = [
        node for tree in trees.values() for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)
    ]
    classes = [node for tree in trees.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    lengths = sorted(node.end_lineno - node.lineno + 1 for node in functions if node.end_lineno)
    names = Counter(node.name for node in classes)
    figures = {
        "modules without `__init__`": sum(path.stem != "__init__" for path in modules),
        "rooms (folders)": len({path.parent for path in modules}) - 1,
        "modules in the largest room": max(Counter(path.parent for path in modules).values()) - 1,
        "lines of a function, median": statistics.median(lengths),
        "lines of a function, 9 of 10 at most": lengths[len(lengths) * 9 // 10],
        "functions named by a participle": sum(map(is_participle, actions(trees.values()))),
        "class names used twice or more": sum(count > 1 for count in names.values()),
        "dataclasses": sum(is_dataclass(node) for node in classes),
        "functions of more than 8 arguments": sum(arguments(node) > 8 for node in functions),
        f"lines of more than {WIDTH} characters": sum(
            len(line) > WIDTH for text in modules.values() for line in text.splitlines()
        ),
    }
    for name, figure in figures.items():
        print(f"| {name} | {figure:g} |")


def actions(trees: Iterable[ast.Module]) -> Iterator[str]:
    """Names of functions and methods; a property says what something is, and may be named by any word."""
    for node in (node for tree in trees for node in ast.walk(tree)):
        if isinstance(node, ast.Module | ast.ClassDef):
            functions = (one for one in node.body if isinstance(one, ast.FunctionDef))
            yield from (
                one.name
                for one in functions
                if "property" not in " ".join(map(ast.unparse, one.decorator_list))
            )


def is_participle(name: str) -> bool:
    """Whether a name is a participle, alone or with a particle (`told`, `kept_in`): it says no action."""
    first, *rest = name.strip("_").split("_")
    return (first in IRREGULAR or (first.endswith("ed") and first not in REGULAR)) and set(rest) <= PARTICLES


def is_dataclass(node: ast.ClassDef) -> bool:
    """Whether a class is decorated as a dataclass."""
    return any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list)


def arguments(node: ast.FunctionDef) -> int:
    """How many arguments a function names."""
    return sum(map(len, (node.args.posonlyargs, node.args.args, node.args.kwonlyargs)))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[1])
