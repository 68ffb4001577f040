"""No two commands write into one folder at a time."""

import pytest

from medgan.base.errors import OutputError
from medgan.base.job import Job
from medgan.commands.evaluate import EvaluateOptions, evaluate
from medgan.commands.folder_lock import lock_folder
from medgan.commands.train import train
from medgan.evaluation.data import Request
from tests.commands.blobs import SMALL, discs, tree, untrained


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    return discs(tmp_path_factory.mktemp("scans"), normal=6, covid=4)


def test_what_another_command_is_writing_is_left_alone(scans, tmp_path):
    half = tmp_path / "out" / ".writing" / "0"
    half.mkdir(parents=True)
    (half / "half.png").write_bytes(b"written by another")
    before = tree(tmp_path / "out")
    locked = lock_folder(tmp_path / "out", Job().first)
    with locked, pytest.raises(OutputError, match="another command is writing into"):
        train(scans, tmp_path / "out", overrides=SMALL)
    assert tree(tmp_path / "out") == before


LEFT = (
    {},
    {"parts/.settings.json.partial": b""},
    {"parts/.choice.jsonl.partial": b"{"},
    {"parts/settings.json": b""},
    {"parts/settings.json": bytes(40)},
    {"parts/choice.jsonl": b'{"key": "a'},
    {"parts/privacy.json": b"[]", "parts/.privacy.json.partial": b"{"},
    {"parts/settings.json": b"{}", "exhibits.npz": b"PK", ".evaluation.json.partial": b"{"},
    {"parts/settings.json": b"{}", "evaluation.json": b"", ".report.html.partial": b"<"},
)
"""{file: bytes} that an evaluation may leave that is killed at its first write, or at a later one, or by a
disk that then lost what was not flushed."""


@pytest.mark.parametrize("left", LEFT)
def test_what_a_killed_evaluation_leaves_never_refuses_the_next(scans, tmp_path, left):
    model = untrained(tmp_path / "model", scans)
    out = tmp_path / "out"
    (out / "parts" if left else out).mkdir(parents=True)
    for name, data in left.items():
        (out / name).write_bytes(data)
    done = evaluate(
        Request(source=scans, model=model, per_class=2), out, options=EvaluateOptions(only=("privacy",))
    )
    assert done.privacy["verdict"]
    assert {path.name for path in out.iterdir() if not path.name.startswith(".")} == {
        "evaluation.json",
        "report.html",
        "exhibits.npz",
        "parts",
    }
