"""The documentation is true: links resolve, commands parse, generated pages are fresh, keys are real."""

import ast
import csv
import dataclasses
import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import typer.main

import medgan
from medgan.base.job import ALONE
from medgan.cli.app import app
from medgan.commands.balance import balance
from medgan.commands.cache import cache
from medgan.commands.dry_run import foresee
from medgan.commands.evaluate import evaluate
from medgan.commands.inspect import inspect
from medgan.commands.options import BalanceOptions, DrawOptions
from medgan.commands.prepare import prepare
from medgan.commands.report import report
from medgan.commands.sample import sample
from medgan.commands.train import train
from medgan.dataset.source import Source
from medgan.evaluation.analyses import PARTS
from medgan.evaluation.data import Request, load_evaluation_data
from medgan.evaluation.giveaways import Giveaway, Giveaways, Separation
from medgan.evaluation.options import EvidenceOptions
from medgan.evaluation.score import Score
from medgan.evaluation.shortcut import Shortcut, ShortcutReliance
from medgan.evaluation.usefulness.arm_scores import Arm
from medgan.evaluation.usefulness.comparison import Judgement, Usefulness
from medgan.evaluation.usefulness.headroom import Headroom, Level
from medgan.evaluation.usefulness.schedules import Schedule
from medgan.evaluation.usefulness.share_choice import Chosen
from medgan.evaluation.usefulness.verdict import Comparison
from medgan.filtering.separability import class_check_report
from medgan.learners.gan.guards import Check
from medgan.output.tables import manifest_csv, metadata_csv
from medgan.plan import Overrides
from medgan.plan.flat import FIELD_OF
from medgan.scans.scan import OutputFormat
from tests.commands.test_anomaly import picture
from tests.filtering import test_separability as checks

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
ROOT_PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")]
PAGES = [*ROOT_PAGES, ROOT / "sample_data" / "README.md", *sorted(DOCS.rglob("*.md"))]
NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]
CODE = sorted((ROOT / "medgan").rglob("*.py"))
KNOWN_ERRORS = {"MedganError", "DatasetError", "PlanError", "ModelError", "OutputError"}


# --- links ---


def text_of(page):
    return page.read_text(encoding="utf-8")


def anchors(page):
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", text_of(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_link_resolves(page):
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(page)):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        if not there.exists() or (anchor and anchor not in anchors(there)):
            broken.append(target)
    assert not broken


def test_every_page_can_be_reached_from_the_index():
    reached, pending = set(), [DOCS / "index.md"]
    while pending:
        page = pending.pop()
        if page not in reached and page.suffix == ".md" and page.exists():
            reached.add(page)
            links = re.findall(r"\]\(([^)#\s]+)", text_of(page))
            pending += [(page.parent / link).resolve() for link in links if "://" not in link]
    assert sorted(DOCS.rglob("*.md")) == sorted(page for page in reached if DOCS in page.parents)


def test_the_index_of_the_log_leads_to_every_section():
    index, _, rest = text_of(DOCS / "log.md").partition("\n## ")
    assert sorted(re.findall(r"\]\(#([^)]*)\)", index)) == sorted(
        anchors(DOCS / "log.md") - {"log-of-what-did-not-help"}
    )
    assert rest


# --- names of the code ---


HISTORY = ("docs/log.md", "docs/changelog.md", "docs/decisions/")
"""Pages that may name files as they once were."""


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith(HISTORY)])
def test_every_file_and_folder_that_a_page_names_exists(name):
    places = r"`((?:medgan|tests|docs|sample_data|\.ci|\.github)/[\w./-]*)`"
    assert not [path for path in re.findall(places, text_of(ROOT / name)) if not (ROOT / path).exists()]


def test_the_tree_has_a_line_for_every_module_and_everything_else_that_is_tracked():
    listed = text_of(DOCS / "architecture.md").partition("<!-- tree -->")[2]
    lines = re.findall(r"^( *)(\S+)  +\S", listed, re.MULTILINE)
    modules = [path.name for path in CODE if path.name != "__init__.py" or path.parent == ROOT / "medgan"]
    assert sorted(name for indent, name in lines if indent and name.endswith(".py")) == sorted(modules)
    command = ["git", "-C", str(ROOT), "ls-files"]
    tracked = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split("\n")
    top = {
        f"{name}/" if rest else name for name, _, rest in (path.partition("/") for path in tracked if path)
    }
    if not top:
        pytest.skip("no git repository")
    assert {name for indent, name in lines if not indent} == top - {".gitignore"}


def test_every_noun_of_the_concepts_is_a_class_and_stands_in_the_diagram_of_them():
    section = text_of(DOCS / "concepts.md").partition("## The nouns\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.*`) \|", section, re.MULTILINE)
    nouns = {noun for row in rows for noun in re.findall(r"`(\w+)`", row)}
    classes = {name for path in CODE for name in re.findall(r"^class (\w+)", text_of(path), re.MULTILINE)}
    assert {"Scan", "Plan", "Model", "EvaluateResult"} < nouns
    assert nouns <= classes
    drawn = set(
        re.findall(r"\b[A-Z]\w+", section.partition("```mermaid\nflowchart TD\n")[2].partition("```")[0])
    )
    assert drawn < nouns


@pytest.mark.parametrize("page", ROOT_PAGES[:2], ids=lambda page: page.name)
def test_every_name_that_a_page_says_a_module_holds_is_there(page):
    pairs = re.findall(r"`(\w+)` (?:of|in|to) `(medgan/[\w/]+\.\w+)`", text_of(page))
    pairs += [
        (name, path) for path, name in re.findall(r"`(medgan/[\w/]+\.\w+)`, let `(\w+)`", text_of(page))
    ]
    assert pairs
    assert not [(name, path) for name, path in pairs if not re.search(rf"\b{name}\b", text_of(ROOT / path))]


def test_every_noun_that_contributors_read_of_is_one_of_the_code():
    nouns = set(re.findall(r"`([A-Z][a-z]\w+)`", text_of(ROOT / "CONTRIBUTING.md")))
    assert len(nouns) > 4
    code = "\n".join(map(text_of, CODE))
    assert not [noun for noun in nouns if not re.search(rf"^(class )?{noun}\b( = |\(|:)", code, re.MULTILINE)]


# --- what surrounds the code ---


def test_the_workflow_runs_every_test_on_the_python_versions_that_are_declared():
    project = tomllib.loads(text_of(ROOT / "pyproject.toml"))["project"]
    prefix = "Programming Language :: Python :: 3."
    declared = [line.removeprefix(prefix) for line in project["classifiers"] if line.startswith(prefix)]
    workflow = text_of(ROOT / ".github" / "workflows" / "tests.yml")
    tested = json.loads(re.search(r"^ +python-version: (\[.*\])$", workflow, re.MULTILINE)[1])
    assert tested == [f"3.{minor}" for minor in declared]
    assert project["requires-python"] == f">={tested[0]}"
    assert re.search(r"^ +- run: make test\b", workflow, re.MULTILINE)


def test_every_place_that_names_the_version_names_the_same():
    version = tomllib.loads(text_of(ROOT / "pyproject.toml"))["project"]["version"]
    assert re.search(r"^version: (.*)$", text_of(ROOT / "CITATION.cff"), re.MULTILINE)[1] == version
    assert medgan.__version__ == version
    assert re.search(r"^## .*?(\d+\.\d+\.\d+)", text_of(DOCS / "changelog.md"), re.MULTILINE)[1] == version


def test_hooks_before_a_commit_run_tools_that_are_here_already():
    hooks = text_of(ROOT / ".pre-commit-config.yaml")
    assert re.findall(r"repo: (\S+)", hooks) == ["local"]
    assert set(re.findall(r"entry: (\S+)", hooks)) == {".venv/bin/ruff", ".venv/bin/mypy", ".venv/bin/python"}


# --- commands ---


def commands_in(page):
    """Every command in an indented block, a fenced block or in backticks: lists of words."""
    inline = re.findall(r"`((?:find .*\| )?medgan [^`]*)`", text_of(page))
    blocks = re.findall(r"^(?: {4})?((?:find .*\| )?medgan .*)$", text_of(page), re.MULTILINE)
    for line in [*inline, *blocks]:
        words = shlex.split(line, comments=True)
        words = words[words.index("medgan") + 1 :]
        yield words[: words.index("|")] if "|" in words else words


def whole(words):
    """Whether a command is meant to be run, and no name like `medgan balance`."""
    return len(words) > 1 and words[0].islower() and words[0] in typer.main.get_command(app).commands


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_command_parses(page, monkeypatch):
    monkeypatch.setattr("medgan.cli.config.read", lambda *_: {})  # the files that pages speak of are not here
    group = typer.main.get_command(app)
    for name, *words in filter(whole, commands_in(page)):
        command = group.commands[name]
        if all(word.startswith("--") for word in words):  # an option spoken of: "medgan inspect --files"
            assert set(words) <= {name for option in command.params for name in option.opts}
        else:
            command.make_context(name, words)


def test_the_readme_shows_every_command():
    shown = {words[0] for words in commands_in(ROOT / "README.md") if words}
    assert set(typer.main.get_command(app).commands) <= shown


def test_every_option_is_on_the_page_of_the_command_line():
    page = text_of(DOCS / "cli.md")
    for name, command in typer.main.get_command(app).commands.items():
        section = page.partition(f"## medgan {name}\n")[2].partition("\n## ")[0]
        missing = [
            option.opts[0]
            for option in command.params
            if option.opts[0].startswith("--")
            and not option.hidden
            and not re.search(rf"[` ]{option.opts[0]}[` ,]", section)
        ]
        assert not missing, name


def test_every_make_target_that_is_named_exists():
    targets = set(re.findall(r"^([a-z]+):", text_of(ROOT / "Makefile"), re.MULTILINE))
    named = {target for page in PAGES for target in re.findall(r"`make ([a-z]+)`", text_of(page))}
    assert named
    assert named <= targets


def test_generated_pages_are_fresh():
    command = [sys.executable, str(DOCS / "generate.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_every_picture_is_small_shown_and_can_be_drawn_again(tmp_path):
    command = [sys.executable, str(DOCS / "pictures.py"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    drawn = {path.name for path in tmp_path.iterdir()}
    assert drawn == {path.name for path in (DOCS / "images").glob("reading-*.png")}
    assert all(f"../images/{name})" in text_of(DOCS / "concepts" / "reading.md") for name in drawn)
    assert all((DOCS / "images" / name).stat().st_size < 60_000 for name in drawn)


# --- keys ---


def documented(heading):
    """The keys in the first column of the tables below a heading of json.md."""
    _, _, rest = text_of(DOCS / "json.md").partition(f" {heading}\n")
    assert rest, heading
    section = re.split(r"^#+ ", rest, maxsplit=1, flags=re.MULTILINE)[0]
    return set(re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE))


def paths(value, names, at="", leaves=()):
    """Every path through JSON as documented: keys of `names` are written <name>, elements of lists []."""
    if isinstance(value, list) and at not in leaves:
        found = {path for item in value for path in paths(item, names, f"{at}[]", leaves)}
    elif isinstance(value, dict) and at not in leaves:
        found = {
            path
            for key, item in value.items()
            for path in paths(item, names, f"{at}.{names.get(key, key)}".lstrip("."), leaves)
        }
    else:
        found = {at}
    return found


def of_class_check(at=""):
    """The keys of a class check that found something: the classes here are too small for one."""
    return {f"{at}class_check.{path}" for path in paths(class_check_report(checks.judge(), checks.NAMES), {})}


@pytest.fixture(scope="module")
def world(tmp_path_factory, cut_scans):
    """A data set, a run, a sample and a balanced folder, as small as can be."""
    place = tmp_path_factory.mktemp("docs")
    source = Source(path=cut_scans)
    wishes = Overrides(effort="smoke", images=32, size=(16, 16), batch=16)
    names = dict.fromkeys(("normal", "mass"), "<label>") | {"train": "<split>"}
    first = next(iter(sorted((cut_scans / "mass").iterdir())))
    (place / "boxes").mkdir()
    (place / "boxes" / f"{first.stem}.txt").write_text("7 0.5 0.5 0.2 0.2\n", encoding="utf-8")
    return {
        "source": source,
        "names": names,
        "inspection": inspect(source, files=True, masks=place / "boxes").as_json(),
        "dry": train(source, place / "dry", overrides=wishes, dry_run=True).as_json(),
        "training": train(source, place / "run", overrides=wishes).as_json(),
        "sample": sample(place / "run", place / "drawn", options=DrawOptions(count=1)).as_json(),
        "balance": balance(
            source, place / "out", options=BalanceOptions(model=place / "run", target="largest")
        ).as_json(),
        "foreseen": foresee(
            source, place / "foreseen", options=BalanceOptions(model=place / "run"), overrides=Overrides()
        ).as_json(),
        "prepared": prepare(source, place / "prepared", like=place / "run").as_json(),
        "run": place / "run",
        "out": place / "out",
        "drawn": place / "drawn",
    }


def keys_of(world, value, *, leaves=(), **more):
    return paths(value, world["names"] | more, leaves=leaves)


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.slow
def test_the_report_of_inspect_has_the_documented_keys(world):
    report = world["inspection"]
    fields = dict.fromkeys(report["plan"], "<field>")
    verdicts = dict.fromkeys(report["verdicts"], "<verdict>")
    measured = {"dicom": "<format>", "CT": "<modality>", "HU": "<meaning>", "1": "<channels>"}
    measured["7"] = "<region>"
    found = paths(report | {"plan": {}, "pairs": {}}, world["names"] | verdicts | measured)
    found |= {f"pairs.{key}" for key in report["pairs"]}
    found |= {f"plan.{path}" for path in paths(report["plan"], fields, leaves={"<field>.value"})}
    apart = {f"told_apart.{path}" for path in paths(class_check_report(checks.judge(), checks.NAMES), {})}
    assert found - {"plan", "pairs"} | apart - {"told_apart.sentences[]"} == documented("inspect")


@pytest.mark.slow
def test_the_reports_of_train_have_the_documented_keys(world):
    assert set(world["training"]) == documented("train")
    dry = world["dry"]
    fields = dict.fromkeys(dry.pop("plan"), "<field>")
    assert fields
    extra = set(dry) - set(world["training"]) | {"plan.<field>.value", "plan.<field>.why"}
    assert extra == documented("train, dry run")


def test_the_reports_about_normal_scans_have_the_documented_keys(tmp_path):
    chance = np.random.default_rng(0)
    for split, label, count in (("train", "normal", 40), ("test", "normal", 2), ("test", "sick", 2)):
        (tmp_path / "scans" / split / label).mkdir(parents=True)
        for number in range(count):
            picture(chance, sick=label == "sick").save(tmp_path / "scans" / split / label / f"{number}.png")
    run = {"for_": "anomaly", "normal": "normal"}
    trained = medgan.train(tmp_path / "scans", out=tmp_path / "run", **run)
    assert paths(trained.as_json(), {}) - {"warnings[]"} == (
        documented("train") - {"warnings"} | documented("train, normal scans")
    )
    found = medgan.anomaly(tmp_path / "scans", model=tmp_path / "run", out=tmp_path / "out").as_json()
    assert paths(found, dict.fromkeys(found["verdicts"], "<verdict>")) == documented("anomaly")
    with (tmp_path / "out" / "scores.csv").open(newline="", encoding="utf-8") as stream:
        columns = next(csv.reader(stream))
    assert all(f"`{name}`" in text_of(DOCS / "json.md").partition("## anomaly")[2] for name in columns)


def test_the_report_of_cache_has_the_documented_keys(cut_scans, tmp_path, cache_of_test):
    train(
        Source(path=cut_scans), tmp_path / "run", overrides=Overrides(effort="smoke", images=4, size=(16, 16))
    )
    (cache_of_test / "index.sqlite").touch()
    (cache_of_test / "notes").touch()
    assert paths(cache().as_json(), {}) == documented("cache")


@pytest.mark.slow
def test_the_report_of_a_dry_balance_has_the_documented_keys(world):
    seen = world["foreseen"]
    fields = dict.fromkeys(seen.pop("plan"), "<field>")
    assert fields
    extra = {"plan.<field>.value", "plan.<field>.why"}
    assert keys_of(world, seen | {"notes": [""]}) | extra == documented("balance, dry run")


@pytest.mark.slow
def test_the_report_of_prepare_has_documented_keys_alone(world):
    assert (
        {"out", "manifest", "filter.on"}
        < keys_of(world, world["prepared"])
        < documented("sample and balance")
    )


@pytest.mark.slow
@pytest.mark.parametrize("command", ["sample", "balance"])
def test_the_reports_of_sample_and_balance_have_the_documented_keys(world, command):
    expected = documented("sample and balance") - {"films[]"}  # if asked for
    assert keys_of(world, world[command] | {"notes": [""]}) | of_class_check("filter.") == expected


@pytest.mark.slow
def test_the_report_of_evaluate_has_the_documented_keys(world, tmp_path, monkeypatch):
    monkeypatch.setitem(
        PARTS, "fidelity", lambda *_: (Score(name="kid", space="", value=1.0, n=1, n_real=1, better="lower"),)
    )
    request = Request(source=Source(path=world["out"]), evidence=EvidenceOptions(only="fidelity"))
    told = evaluate(request, tmp_path / "out").as_json()
    names = world["names"] | dict.fromkeys(("train", "val", "test", "synthetic"), "<split>")
    found = paths(told | {"arms": 0, "notes": [""], "sources": {}, "settings": {}}, names)
    scores = {path for path in found if path.startswith("scores[].")}
    assert {path.removeprefix("scores[].") for path in scores} == documented("Score")
    assert all(name in told for name in ("sources", "settings"))
    expected = {path for path in documented("evaluate") if "<name>" not in path} - {"quiz"}  # if asked for
    assert found - scores | {"scores[]"} == expected
    assert set(report(tmp_path / "out").as_json()) == documented("report")


@pytest.mark.slow
def test_what_the_filter_made_of_a_model_has_the_documented_keys(world):
    request = Request(source=world["source"], model=world["run"], per_class=2)
    found = keys_of(world, load_evaluation_data(request, ALONE).filter | {"as_drawn": [""]})
    assert found | of_class_check() == documented("Filter")


@pytest.mark.slow
def test_the_run_folder_holds_the_documented_keys(world):
    run = world["run"]
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert rows
    of_detail = {"detail_loss", "detail_told_apart"}  # of runs above 64 pixels
    assert all(set(row) | of_detail == documented("log.jsonl") for row in rows)
    folder = keys_of(world, read(run / "run.json"), leaves={"plan", "options"})
    model = keys_of(world, read(run / "model" / "model.json"), leaves={"plan"})
    assert folder | {"legs"} == documented("run.json of train")  # legs: where a run was gone on with
    assert model | {"legs"} == documented("model.json")


@pytest.mark.slow
def test_the_output_folder_holds_the_documented_keys(world):
    facts = read(world["out"] / "run.json")
    verdicts = dict.fromkeys(facts["verdicts"], "<verdict>")
    found = paths(facts | {"notes": [""]}, world["names"] | verdicts, leaves={"settings", "form"})
    expected = documented("run.json of sample and balance") - {"films[]"}  # if asked for
    assert found | of_class_check("filter.") == expected
    data = read(world["out"] / "datalist.json")
    assert paths(data, dict.fromkeys(data["labels"], "<number>")) == documented("datalist.json")
    for name in ("manifest.csv", "rejected.csv"):
        with (world["out"] / name).open(encoding="utf-8", newline="") as stream:
            assert set(next(csv.reader(stream))) == documented(name)


@pytest.mark.parametrize(("name", "table"), [("manifest.csv", manifest_csv), ("metadata.csv", metadata_csv)])
def test_every_column_of_a_table_is_documented(name, table):
    assert set(table([]).strip().split(",")) == documented(name)


@pytest.mark.parametrize(
    ("noun", "heading"),
    [
        (Usefulness, "Usefulness"),
        (Judgement, "Judgement"),
        (Comparison, "Comparison"),
        (Headroom, "Head-room"),
        (Level, "Level"),
        (Schedule, "Schedule"),
        (Arm, "Arm"),
        (Shortcut, "Shortcut"),
        (ShortcutReliance, "Lean"),
        (Chosen, "share.json"),
    ],
)
def test_every_field_of_the_evidence_is_documented(noun, heading):
    assert {field.name for field in dataclasses.fields(noun)} == documented(heading)


def test_every_field_of_what_gives_classes_away_is_documented():
    nouns = {"": Giveaways, "signs[].": Giveaway, "signs[].classes[].": Separation}
    told = {f"{place}{field.name}" for place, noun in nouns.items() for field in dataclasses.fields(noun)}
    assert told - {"signs", "signs[].classes"} == documented("Giveaways")


def test_every_field_of_the_plan_and_the_form_is_documented():
    assert {"version", *FIELD_OF, "why"} == documented("Plan")
    assert {field.name for field in dataclasses.fields(OutputFormat)} == documented("Form")
    assert {field.name for field in dataclasses.fields(Check)} == documented("Guards")


# --- sentences ---


def pieces(node):
    """The literal text of a string expression, cut where something is filled in."""
    if isinstance(node, ast.Constant):
        yield str(node.value)
    elif isinstance(node, ast.JoinedStr):
        for part in node.values:
            yield from pieces(part) if isinstance(part, ast.Constant | ast.IfExp) else ()
            if isinstance(part, ast.FormattedValue) and isinstance(part.value, ast.IfExp):
                yield from pieces(part.value.body)
                yield from pieces(part.value.orelse)
    elif isinstance(node, ast.BinOp):
        yield from pieces(node.left)
        yield from pieces(node.right)


def sentences(path):
    """A telling literal piece of every message that a module can raise as a MedganError."""
    for node in ast.walk(ast.parse(text_of(path))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in KNOWN_ERRORS and node.args:
            found = [piece.strip(" :;,(").partition("(")[0].strip() for piece in pieces(node.args[0])]
            telling = [piece for piece in found if len(piece) > 7]
            yield from telling[:1]


@pytest.mark.parametrize("path", CODE, ids=[str(path.relative_to(ROOT / "medgan")) for path in CODE])
def test_every_error_is_on_the_page_of_errors(path):
    page = text_of(DOCS / "troubleshooting.md")
    assert not [sentence for sentence in sentences(path) if sentence not in page]


def test_every_verdict_is_on_the_page_of_errors_and_no_other():
    told = set(
        re.findall(r"^\| `((?:skip|error):[a-z-]+)`", text_of(DOCS / "troubleshooting.md"), re.MULTILINE)
    )
    given = {
        verdict for path in CODE for verdict in re.findall(r'"((?:skip|error):[a-z0-9-]+)"', text_of(path))
    }
    assert told == given
