"""A damaged or hostile manifest.csv or run.json ends in a sentence and exit code 1.

Nothing of the reader's own files is read.
"""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from medgan.base.errors import DatasetError, MedganError
from medgan.base.job import ALONE
from medgan.cli.app import app
from medgan.commands.balance import balance
from medgan.commands.evaluate import evaluate
from medgan.commands.options import BalanceOptions
from medgan.commands.report import report
from medgan.dataset.source import Source
from medgan.evaluation.data import Request, load_evaluation_data
from medgan.evaluation.options import EvidenceOptions
from tests.commands.blobs import discs, untrained
from tests.reports.sample_reports import arm, scores


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A data set with a test split, and a balanced folder of PNG files made from it: only to be copied."""
    place = tmp_path_factory.mktemp("malformed")
    discs(place / "scans", split="train", full=6, rare=4)
    source = discs(place / "scans", split="test", full=3, rare=3)
    model = untrained(place / "model", source)
    balance(source, place / "balanced", options=BalanceOptions(model=model, no_filter=True, format="png"))
    return source, place / "balanced"


@pytest.fixture
def folder(world, tmp_path):
    return shutil.copytree(world[1], tmp_path / "theirs")


def judged(world, folder):
    """Both ways in which such a folder can be judged."""
    yield lambda: load_evaluation_data(Request(source=Source(path=folder)), ALONE)
    yield lambda: load_evaluation_data(Request(source=world[0], synthetic=folder), ALONE)


def rows(edit):
    """manifest.csv with its lines changed."""

    def change(folder):
        path = folder / "manifest.csv"
        head, *lines = path.read_text(encoding="utf-8").splitlines()
        path.write_text("\n".join(edit(head, lines)) + "\n", encoding="utf-8")

    return change


def cell(name, value, number=-1):
    """One cell of manifest.csv changed; the last line is of a synthetic image."""

    def edit(head, lines):
        cells = lines[number].split(",")
        cells[head.split(",").index(name)] = value
        lines[number] = ",".join(cells)
        return [head, *lines]

    return rows(edit)


def run(**changes):
    """run.json with other values; a function is given the old one."""

    def change(folder):
        path = folder / "run.json"
        told = json.loads(path.read_text(encoding="utf-8"))
        for name, value in changes.items():
            told[name] = value(told[name]) if callable(value) else value
        path.write_text(json.dumps(told), encoding="utf-8")

    return change


def text(name, value):
    return lambda folder: (folder / name).write_bytes(value)


def form(**changes):
    return run(form=lambda old: {**old, **changes})


def resized(folder):
    """One image has another size."""
    path = sorted((folder / "images").rglob("*_syn_*.png"))[-1]
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(path)


def coloured(folder):
    """One image has colours."""
    path = sorted((folder / "images").rglob("*_syn_*.png"))[-1]
    shape = np.asarray(Image.open(path)).shape
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (*shape, 3), np.uint8)).save(path)


DAMAGED = {
    "a field beyond every limit": rows(lambda head, lines: [head, *lines, "x" * 200_000]),
    "a heading alone": rows(lambda head, lines: [head]),
    "a heading and blank lines": rows(lambda head, lines: [head, "", ""]),
    "nothing": text("manifest.csv", b""),
    "a short line": rows(lambda head, lines: [head, *lines[:-1], ",".join(lines[-1].split(",")[:9])]),
    "a long line": rows(lambda head, lines: [head, *lines[:-1], lines[-1] + ",more"]),
    "a column less": rows(lambda head, lines: [head.replace("label,", "lable,", 1), *lines]),
    "bytes that are no text": text("manifest.csv", b"path,label\n\xff\xfe\xfa,x\n"),
    "an unknown class": cell("label", "nobody"),
    "an unknown origin": cell("origin", "stolen"),
    "a path with a byte of zero": cell("path", "images/a\0b.png"),
    "a path to nothing": cell("path", "images/rare/absent.png"),
    "a path to a folder": cell("path", "images"),
    "images of two sizes": resized,
    "images in gray and colour": coloured,
    "a form of nothing": run(form={}),
    "a strange form": form(x=1),
    "a form that is a list": run(form=[1]),
    "a form of NaN": form(low=float("nan")),
    "a form of infinity": form(high=float("inf")),
    "an empty range": form(low=5.0, high=5.0),
    "a range of words": form(low="dark"),
    "no such format": form(format="exe"),
    "no such unit": form(unit="stars"),
    "no such number of bits": form(bits=10**9),
    "no such number of channels": form(channels=7),
    "more channels than there are": form(channels=3),
    "a spacing of NaN": form(spacing_mm=[float("nan")] * 3),
    "a spacing of one number": form(spacing_mm=[1.0]),
    "a spacing below nothing": form(spacing_mm=[1.0, -1.0, 1.0]),
    "labels that are a number": run(labels=3),
    "labels that are words": run(labels=["full", "rare"]),
    "labels twice": run(labels=lambda old: [*old, old[0]]),
    "no labels": run(labels=[]),
    "digests that are no text": run(data=7),
    "a seed that is a word": run(training_seed="seven"),
    "settings that are a list": run(settings=[1]),
    "a list": text("run.json", b"[1]"),
    "null": text("run.json", b"null"),
    "a beginning": text("run.json", b'{"version": 1'),
    "too many brackets": text("run.json", b"[" * 200_000),
    "a number beyond all": text("run.json", b'{"version": 1e400}'),
}


@pytest.mark.parametrize("change", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_folder_is_told_in_a_sentence(world, folder, change):
    change(folder)
    for judge in judged(world, folder):
        with pytest.raises(DatasetError) as told:
            judge()
        assert str(folder) in told.value.message
        assert len(told.value.message) < 400
        assert told.value.hint


@pytest.mark.parametrize(
    "place", ["../mine.png", "images/../../mine.png", "ABSOLUTE", "LINK", "LINKED/mine.png"]
)
def test_a_manifest_reads_nothing_outside_its_folder(world, folder, place):
    mine = folder.parent / "mine.png"
    shutil.copy(next((folder / "images").rglob("*_syn_*.png")), mine)
    (folder / "images" / "link.png").symlink_to(mine)
    (folder / "linked").symlink_to(folder.parent)
    place = {"ABSOLUTE": str(mine), "LINK": "images/link.png", "LINKED/mine.png": "linked/mine.png"}.get(
        place, place
    )
    cell("path", place)(folder)
    for judge in judged(world, folder):
        with pytest.raises(MedganError, match="is not a file of this folder"):
            judge()


@pytest.mark.parametrize("name", ["manifest.csv", "run.json"])
def test_what_a_folder_says_of_itself_is_read_from_itself(world, folder, name):
    shutil.move(folder / name, folder.parent / name)
    (folder / name).symlink_to(folder.parent / name)
    for judge in judged(world, folder):
        with pytest.raises(MedganError, match="is not a file of this folder"):
            judge()


@pytest.fixture(scope="module")
def evaluation(world, tmp_path_factory):
    """An evaluation with arms and scores: only to be copied."""
    out = tmp_path_factory.mktemp("evaluation") / "out"
    evaluate(Request(source=Source(path=world[1]), evidence=EvidenceOptions(only="privacy")), out)
    told = json.loads((out / "evaluation.json").read_text(encoding="utf-8"))
    told["arms"], told["scores"] = (
        [arm("real", 0.5, made=False), arm("share 0.25", 0.6, made=True)],
        scores(),
    )
    told["filter"] = {"sentence": "The filter was off."}
    told["shortcut"] = {"verdict": "visible", "sentence": "Seen, and not used."}
    (out / "evaluation.json").write_text(json.dumps(told), encoding="utf-8")
    return out


def inside(rows, **changes):
    """The first element of a list in evaluation.json with other values."""

    def change(told):
        told[rows][0] |= changes

    return change


def without(name):
    return lambda told: told.pop(name)


def other(name, value):
    return lambda told: told.update({name: value})


def among_tests(told):
    told["privacy"]["tests"] = [{"name": "T1"}]


EVALUATIONS = {
    "counts of nothing": other("counts", {}),
    "counts that are a list": other("counts", [1]),
    "counts below nothing": other("counts", {"train": {"a": -1}, "synthetic": {"a": 1}}),
    "counts beyond all": other("counts", {"train": {"a": 10**400}, "synthetic": {"a": 1}}),
    "counts that are words": other("counts", {"train": {"a": "many"}, "synthetic": {}}),
    "no counts": without("counts"),
    "no notes": without("notes"),
    "no command": without("command"),
    "a command that never ends": other("command", "medgan 'evaluate"),
    "scores that are an object": other("scores", {"a": 1}),
    "a score of nothing": other("scores", [{}]),
    "a score without a value": lambda told: told["scores"][0].pop("value"),
    "a score that is a word": inside("scores", value="good"),
    "a score that nobody knows": inside("scores", name="beauty"),
    "a score of NaN": inside("scores", value=float("nan")),
    "arms that are words": other("arms", ["real"]),
    "an arm that lacks its figures": lambda told: told["arms"][0].pop("auprc"),
    "an arm of infinity": inside("arms", auprc=float("inf")),
    "an arm whose name is a list": inside("arms", name=["real"]),
    "a verdict that is a list": other("verdict", []),
    "a privacy that is a word": other("privacy", "passed"),
    "a head-room that is a word": other("headroom", "none"),
    "tests that lack their figures": among_tests,
    "a shortcut that is a list": other("shortcut", [1]),
    "a second test that is a word": other("usefulness", {"external": "helps"}),
    "a second test whose arms lack their figures": other(
        "usefulness", {"external": {"arms": [{"name": "real"}]}}
    ),
    "giveaways that are a word": other("giveaways", "shape"),
    "giveaways without figures": other(
        "giveaways", {"signs": [{"sign": "shape", "values": 1, "classes": [{"label": "a"}]}]}
    ),
    "giveaways of another hospital that are a word": other("giveaways", {"external": "shape"}),
    "giveaways of another hospital without figures": other(
        "giveaways", {"external": {"signs": [{"sign": "shape", "values": 1, "classes": [{"label": "a"}]}]}}
    ),
    "a sign of nothing": other("giveaways", {"signs": [{}]}),
    "a filter without words": other("filter", {}),
    "settings that are a number": other("settings", 3),
    "sources that are lists": other("sources", {"data": [1]}),
}


@pytest.mark.parametrize("change", EVALUATIONS.values(), ids=EVALUATIONS)
def test_a_damaged_evaluation_is_told_in_a_sentence(evaluation, tmp_path, change):
    folder = shutil.copytree(evaluation, tmp_path / "theirs")
    told = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
    change(told)
    (folder / "evaluation.json").write_text(json.dumps(told), encoding="utf-8")
    page = (folder / "report.html").read_bytes()
    with pytest.raises(
        DatasetError, match=r"evaluation\.json is damaged, or was not written by medgan"
    ) as error:
        report(folder)
    assert len(error.value.message) < 400
    assert (folder / "report.html").read_bytes() == page


EXHIBITS = {
    "walls that are a number": {"walls": 3},
    "a wall that is a list": {"walls": [[1]]},
    "a wall of nothing": {"walls": [{}]},
    "a wall of rows that are words": {"walls": [{"label": "a", "real": ["0"], "synthetic": []}]},
    "a wall of rows that are not there": {"walls": [{"label": "a", "real": [10**6], "synthetic": []}]},
    "a wall with names that are a number": {
        "walls": [{"label": "a", "real": [], "synthetic": [], "names": 1}]
    },
    "a pair of one": {"pairs": [{"label": "a", "words": "w", "rows": [0]}]},
    "a pair of nobody": {"pairs": [{"label": "a", "words": "w", "rows": [0, -1]}]},
    "a rank that is a word": {"ranked": ["best"]},
    "a rank of rows that are not there": {
        "ranked": [{"label": "a", "rows": [{"title": "t", "rows": [10**6], "captions": [""]}]}]
    },
    "a rank with a caption too many": {
        "ranked": [{"label": "a", "rows": [{"title": "t", "rows": [0], "captions": ["", ""]}]}]
    },
    "a wall with a name too many": {
        "walls": [{"label": "a", "real": [], "synthetic": [0], "names": ["a", "b"]}]
    },
    "facts that are a list": [1],
}


@pytest.mark.parametrize("facts", EXHIBITS.values(), ids=EXHIBITS)
def test_damaged_exhibits_are_told_in_a_sentence(evaluation, tmp_path, facts):
    folder = shutil.copytree(evaluation, tmp_path / "theirs")
    with np.load(folder / "exhibits.npz") as kept:
        np.savez(folder / "exhibits.npz", pixels=kept["pixels"], facts=np.array(json.dumps(facts)))
    with pytest.raises(DatasetError, match=r"exhibits\.npz is damaged, or was not written by medgan"):
        report(folder)


def test_a_sound_evaluation_has_its_page(evaluation):
    text = report(evaluation).report.read_text(encoding="utf-8")
    assert "Seen, and not used." in text
    assert "The filter was off." in text


def test_a_newer_evaluation_with_more_keys_has_its_page(evaluation, tmp_path):
    folder = shutil.copytree(evaluation, tmp_path / "newer")
    told = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
    told["more"] = 1
    for one in (*told["arms"], *told["scores"]):
        one["more"] = {"a": 1}
    (folder / "evaluation.json").write_text(json.dumps(told), encoding="utf-8")
    assert report(folder).report.is_file()


@pytest.mark.parametrize("data", [b"", b"[1]", b"{}", b'{"version": 1e400}', b"[" * 100_000, b"\xff\xfe"])
def test_a_command_ends_with_a_sentence_and_one(tmp_path, capsys, data):
    (tmp_path / "evaluation.json").write_bytes(data)
    with pytest.raises(SystemExit) as ended:
        app(["report", str(tmp_path)], standalone_mode=False)
    assert ended.value.code == 1
    told = capsys.readouterr().err
    assert "error: " in told
    assert "next: " in told
    assert "unexpected" not in told


def test_a_sound_folder_is_judged(world, folder):
    for judge in judged(world, folder):
        assert judge().synthetic.counts == {"full": 2, "rare": 2}
