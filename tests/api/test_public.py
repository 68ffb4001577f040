"""The Python verbs: the command line's options as keywords, its JSON as dataclasses, its bytes on disk."""

import dataclasses
import inspect
import json
import subprocess
import sys
from keyword import iskeyword
from pathlib import Path

import pytest
import typer.main
from typer.testing import CliRunner

import medgan
from medgan import MedganError, Model, OptionError
from medgan.api.keywords import choices_of, kinds_of
from medgan.base import results
from medgan.cli.app import app
from medgan.cli.help import kind_of, parameters
from tests.commands.blobs import discs, tree, untrained

ROOT = Path(__file__).parents[2]
COMMANDS = typer.main.get_command(app).commands
VERBS = ("inspect", "train", "anomaly", "sample", "balance", "evaluate", "prepare", "report")
SHOWN = {"json", "all", "quiet", "verbose", "config", "workers", "help"}
"""Options of the command line that change what is said, or where options come from."""


def keyword(option):
    """The keyword that stands for an option: its name, an underscore behind a word of Python itself."""
    if option.param_type_name == "argument":
        return option.name
    name = max(option.opts, key=len).lstrip("-").replace("-", "_")
    return f"{name}_" if iskeyword(name) else name


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Scans and a model that never trained."""
    place = tmp_path_factory.mktemp("verbs")
    untrained(place / "run", discs(place / "scans", normal=4, covid=3))
    return place


def run(*words):
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", VERBS)
def test_a_verb_takes_the_options_of_its_command_and_their_defaults(name):
    options = {keyword(one): one for one in COMMANDS[name].params if keyword(one) not in SHOWN}
    typed = parameters(COMMANDS[name])
    signature = inspect.signature(getattr(medgan, name)).parameters
    assert set(signature) == {*options, "on_progress"}
    for key, option in options.items():
        assert (signature[key].default is inspect.Parameter.empty) == option.required, key
        if not option.required:
            assert signature[key].default == option.default, key
        choices = [choice for kind in kinds_of(signature[key].annotation) for choice in choices_of(kind)]
        assert choices == list(choices_of(kind_of(typed[option.name].annotation))), key


@pytest.mark.parametrize("name", VERBS)
def test_a_verb_says_what_every_option_is(name):
    verb = getattr(medgan, name)
    told = inspect.getdoc(verb)
    assert all(f"    {key}: " in told for key in inspect.signature(verb).parameters)


def test_no_room_of_the_package_takes_the_name_of_a_verb():
    rooms = {path.stem for path in (ROOT / "medgan").iterdir()}
    assert not rooms & set(medgan.__all__)


def test_importing_medgan_loads_no_library():
    script = "import sys, medgan; print(sorted({'torch', 'numpy', 'typer', 'pydicom'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_python_never_loads_the_library_of_the_command_line(place):
    script = (
        "import sys, medgan; medgan.inspect(sys.argv[1]); print(sorted({'typer', 'rich'} & set(sys.modules)))"
    )
    line = [sys.executable, "-c", script, str(place / "scans")]
    assert subprocess.run(line, capture_output=True, text=True, check=True).stdout == "[]\n"


def test_inspect_gives_the_documented_json(place, capsys):
    told = []
    found = medgan.inspect(place / "scans", files=True, on_progress=told.append)
    assert told
    assert capsys.readouterr() == ("", "")
    assert found.as_json() == run("inspect", place / "scans", "--files", "--json")
    assert medgan.inspect(str(place / "scans")).files is None


def test_sample_writes_the_bytes_of_its_command(place, tmp_path, capsys):
    done = medgan.sample(place / "run", out=tmp_path / "verb", label="covid", count=2, seed=5, no_filter=True)
    assert capsys.readouterr() == ("", "")
    words = ("--label", "covid", "--count", 2, "--seed", 5, "--no-filter", "--json")
    told = run("sample", place / "run", "--out", tmp_path / "command", *words)
    assert done.out == tmp_path / "verb"
    swapped = json.dumps(done.as_json()).replace(str(done.out), told["out"])
    assert json.loads(swapped) == told
    command = tree(tmp_path / "command")
    del command["medgan.toml"]  # which only a command line leaves, for it repeats one
    assert tree(tmp_path / "verb") == command


def test_images_of_a_model_in_memory_are_those_that_are_written(place, tmp_path):
    from medgan.scans.formats import write
    from medgan.scans.scan import Provenance

    done = medgan.sample(place / "run", out=tmp_path / "out", count=20, seed=3, no_filter=True)
    model = Model.load(str(place / "run"))
    for label in model.labels:
        images = model.sample(label, 20, seed=3)
        assert images.pixels.shape == (20, 1, 16, 24)
        assert (images.label, images.model, images.seeds) == (label, model.digest, tuple(range(3, 23)))
        for image in images:
            mark = Provenance(
                synthetic=True, label=label, index=image.seed + 1, seed=image.seed, model=image.model
            )
            again = write(tmp_path / f"{label}{image.seed}", image.pixels[0], images.form, mark)
            there = done.out / "images" / label / f"{label}_syn_{image.seed + 1:06d}.png"
            assert again.read_bytes() == there.read_bytes()


def test_what_a_model_cannot_draw_is_refused(place):
    model = Model.load(place / "run")
    with pytest.raises(MedganError, match="cannot sample"):
        model.sample("covid", 0)
    with pytest.raises(MedganError, match="no class"):
        model.sample("covit", 1)


def test_balance_writes_the_bytes_of_its_command(place, tmp_path):
    options = {"any_model": True, "no_filter": True, "class_": {"covid": 5}, "share": 0.5}
    dry = medgan.balance(place / "scans", out=tmp_path / "verb", model=place / "run", dry_run=True, **options)
    assert isinstance(dry, medgan.BalanceForecast)
    assert not (tmp_path / "verb").exists()
    done = medgan.balance(place / "scans", out=tmp_path / "verb", model=place / "run", **options)
    assert done.written == dry.missing
    words = ("--any-model", "--no-filter", "--class", "covid=5", "--share", "0.5", "--json")
    told = run("balance", place / "scans", "--out", tmp_path / "command", "--model", place / "run", *words)
    assert done.counts == told["counts"]
    verb, command = tree(tmp_path / "verb"), tree(tmp_path / "command")
    assert {name for name in command if command[name] != verb.get(name)} <= {"medgan.toml", "report.html"}
    assert medgan.report(tmp_path / "verb").report == tmp_path / "verb" / "report.html"


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("train", {"effort": "heroic"}, "effort cannot be 'heroic'"),
        ("train", {"minutes": 0}, "minutes cannot be 0"),
        ("train", {"size": "big"}, "--size big"),
        ("balance", {"target": "smallest"}, "--target smallest"),
        ("balance", {"top_up": True, "real": "link"}, "--top-up"),
        ("evaluate", {"real": "scans"}, "Name the real images once"),
    ],
)
def test_a_wrong_option_is_refused_as_on_the_command_line(name, options, told, tmp_path):
    with pytest.raises(OptionError, match=told):
        getattr(medgan, name)(tmp_path, out=tmp_path / "out", **options)


def test_what_cannot_be_used_is_refused_with_a_next_step(tmp_path):
    with pytest.raises(medgan.DatasetError, match="does not exist") as refused:
        medgan.inspect(tmp_path / "nowhere")
    assert refused.value.hint


@pytest.mark.parametrize(
    ("kind", "heading"),
    [
        (results.InspectResult, "inspect"),
        (results.WriteResult, "sample and balance"),
        (results.BalanceForecast, "balance, dry run"),
        (results.EvaluateResult, "evaluate"),
        (results.ReportResult, "report"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_result_has_the_documented_keys(kind, heading):
    from tests.test_docs import documented

    keys = {key.partition(".")[0].removesuffix("[]") for key in documented(heading)}
    assert {field.name for field in dataclasses.fields(kind)} == keys


@pytest.mark.slow
def test_a_type_checker_knows_the_signatures(tmp_path):
    script = (
        "import medgan\n"
        "reveal_type(medgan.balance('scans', out='b').counts)\n"
        "reveal_type(medgan.balance('scans', out='b', dry_run=True).missing)\n"
        "medgan.train('scans', out='r', efort='quick')\n"
        "medgan.train('scans', out='r', effort='heroic')\n"
    )
    (tmp_path / "user.py").write_text(script)
    line = [sys.executable, "-m", "mypy", "--strict", str(tmp_path / "user.py")]
    told = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False).stdout
    told = told.replace("builtins.", "").replace("typing.", "")
    assert 'user.py:2: note: Revealed type is "Mapping[str, Mapping[str, int]]"' in told
    assert 'user.py:3: note: Revealed type is "Mapping[str, int]"' in told
    assert 'user.py:4: error: Unexpected keyword argument "efort"' in told
    assert "user.py:5: error: " in told
    assert "Found 2 errors" in told
