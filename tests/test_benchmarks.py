"""Benchmarks run seldom, so what they take from the package is looked up here."""

import ast
import importlib
import pkgutil
import sys
from pathlib import Path

import pytest

PLACE = Path(__file__).parent / "benchmarks"
BENCHES = sorted(PLACE.glob("bench_*.py"))


@pytest.mark.parametrize("path", BENCHES, ids=lambda path: path.stem)
def test_what_a_benchmark_imports_exists(path):
    for node in imports_in(path.read_text("utf-8")):
        if (node.module or "").startswith("medgan"):
            for alias in node.names:
                pkgutil.resolve_name(f"{node.module}.{alias.name}")


def imports_in(text):
    """The imports of a script, and of the scripts that are texts in it."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom):
            yield node
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "import " in node.value:
            try:
                yield from imports_in(node.value)
            except SyntaxError:
                continue


def test_what_the_ablation_patches_exists(monkeypatch):
    monkeypatch.syspath_prepend(str(PLACE))
    bench = importlib.import_module("bench_ablation")
    targets = {name for changes in bench.VARIANTS.values() for name in changes if name.startswith("medgan.")}
    assert len(targets) == 3
    for target in targets:
        pkgutil.resolve_name(target)
    sys.modules.pop("bench_ablation")
