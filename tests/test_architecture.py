"""The package keeps its floors, its library owners and its sizes, read from the source with `ast` alone."""

import ast
from pathlib import Path

import pytest

from docs.count import actions, arguments, is_participle

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "medgan"
MODULES = sorted(PACKAGE.rglob("*.py"))
NAMES = [str(path.relative_to(PACKAGE)) for path in MODULES]

FLOORS = {
    "base": 1, "scans": 2, "dataset": 3, "plan": 4, "preparation": 5, "pictures": 5, "similarity": 6,
    "training": 6, "learners": 7, "filtering": 8, "output": 8, "evaluation": 9, "reports": 10,
    "commands": 11, "api": 12, "cli": 13, "__main__": 14, "__init__": 14,
}  # fmt: skip
OWNERS = {
    "pydicom": ("scans/dicom/",),
    "nibabel": ("scans/nifti",),
    "skimage": (
        "scans/raster",
        "scans/intensity",
        "scans/geometry",
        "scans/masks",
        "similarity/",
        "evaluation/",
    ),
    "rich": ("cli/",),
    "typer": ("cli/",),
    "matplotlib": ("reports/", "pictures/"),
    "jinja2": ("reports/",),
    "lightning_fabric": ("training/",),
    "scipy": ("similarity/", "filtering/", "evaluation/"),
    "sklearn": ("similarity/", "filtering/", "evaluation/"),
    "torchmetrics": ("similarity/", "evaluation/"),
    "torch": (
        "base/threads",
        "similarity/",
        "training/",
        "learners/",
        "filtering/",
        "evaluation/",
        "reports/",
        "api/tensors",
    ),
}
LONGEST_MODULE, LONGEST_FUNCTION = 500, 60  # the command line is one page, and has a line per option
MOST_ARGUMENTS = 8


def tree_of(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path):
    """Every module name that `path` imports, deferred imports included."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: relative import"
            yield node.module
            if node.module == "medgan":
                yield from (f"medgan.{alias.name}" for alias in node.names)


def room(module):
    """The first name below the package: `medgan.scans.scan` -> `scans`."""
    return module.split(".")[1]


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_a_module_imports_its_own_folder_and_lower_floors_only(path):
    home = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    rooms = {room(name) for name in imports(path) if name.startswith("medgan.")} - {home, "__version__"}
    upward = sorted(name for name in rooms if FLOORS[name] >= FLOORS[home])
    assert not upward, f"{home} (floor {FLOORS[home]}) imports {upward}"


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_a_library_is_imported_by_its_owner_only(path):
    place = path.relative_to(PACKAGE).as_posix()
    strangers = sorted(
        name
        for name in imports(path)
        if name.split(".")[0] in OWNERS and not place.startswith(OWNERS[name.split(".")[0]])
    )
    assert not strangers


def test_commands_never_reach_for_the_screen():
    screens = {f"medgan.cli.{name}" for name in ("errors", "screen", "tables", "ticker", "terminal")}
    reaching = {path.relative_to(PACKAGE).parts[0] for path in MODULES if screens & set(imports(path))}
    assert reaching == {"cli", "__main__.py"}


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_modules_and_functions_stay_short(path):
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= LONGEST_MODULE
    lengths = {  # from the docstring on: the arguments of a command are its options, however many it has
        node.name: node.end_lineno - node.body[0].lineno + 1
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef)
    }
    long = {name: length for name, length in lengths.items() if length > LONGEST_FUNCTION}
    assert not long


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_a_function_has_at_most_eight_arguments(path):
    functions = [node for node in ast.walk(tree_of(path)) if isinstance(node, ast.FunctionDef)]
    assert not [node.name for node in functions if arguments(node) > MOST_ARGUMENTS]


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_no_function_is_named_by_a_participle(path):
    assert not list(filter(is_participle, actions([tree_of(path)])))


def test_no_two_classes_share_a_name():
    names = [
        node.name for path in MODULES for node in ast.walk(tree_of(path)) if isinstance(node, ast.ClassDef)
    ]
    assert sorted(names) == sorted(set(names))


def test_a_module_that_no_other_imports_has_private_names_only():
    froms = [node for path in MODULES for node in ast.walk(tree_of(path)) if isinstance(node, ast.ImportFrom)]
    imported = {f"{node.module}.{alias.name}" for node in froms for alias in node.names}
    imported |= {name for path in MODULES for name in imports(path)}
    for path in MODULES:
        own = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
        if own not in imported:
            nouns = (ast.FunctionDef, ast.ClassDef)
            public = {one.name for one in tree_of(path).body if isinstance(one, nouns) if one.name[0] != "_"}
            assert public <= {"main"}, path


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_a_module_says_what_it_is_and_does_not_print(path):
    tree = tree_of(path)
    first = (ast.get_docstring(tree) or "").partition("\n")[0]
    assert first.endswith((".", ":", "]"))
    calls = [
        node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and hasattr(node.func, "id")
    ]
    assert "print" not in calls


def test_every_folder_is_a_package_and_every_floor_is_known():
    folders = {path.parent for path in MODULES}
    assert all((folder / "__init__.py").exists() for folder in folders)
    homes = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in MODULES}
    assert homes <= set(FLOORS)


def test_the_package_offers_what_it_names_and_nothing_else():
    import medgan

    assert all(hasattr(medgan, name) for name in medgan.__all__)
    assert set(medgan.__all__) <= set(dir(medgan))
    with pytest.raises(AttributeError, match="Nonsense"):
        medgan.Nonsense  # noqa: B018  # the look-up is what is tested


def test_every_all_is_sorted():
    for path in MODULES:
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
                names = ast.literal_eval(node.value)
                assert names == sorted(names), path
