"""Names with letters that the encoding of stdout lacks: the whole table, with escapes, and exit code 0."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from medgan.cli import screen
from tests.conftest import cut_sample

CJK, ACCENT, EMOJI = "\u80ba\u708e", "r\u00e9tine", "\U0001f9e0"
"""Names of classes: two letters no 8-bit encoding has, one of Latin-1, one outside of the basic plane."""


@pytest.fixture
def named(tmp_path):
    """Scans in classes with names that cause trouble."""
    scans = cut_sample(tmp_path / "scans", {"normal": 3, "mass": 9})
    files = sorted((scans / "mass").iterdir())
    for name in (CJK, ACCENT, EMOJI):
        (scans / name).mkdir()
        for path in (files.pop(), files.pop(), files.pop()):
            path.rename(scans / name / path.name)
    (scans / "mass").rmdir()
    return scans


def inspect(scans, *words, **environment):
    """(exit code, stdout, stderr) in bytes of `medgan inspect`; the environment names the encoding."""
    plain = {
        name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHONIO"))
    }
    done = subprocess.run(
        [sys.executable, "-m", "medgan", "inspect", scans, *words],
        env=plain | environment,
        capture_output=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("environment", "shown"),
    [
        ({"PYTHONIOENCODING": "cp1252"}, [b"\\u80ba\\u708e", b"r\xe9tine", b"\\U0001f9e0"]),
        ({"PYTHONIOENCODING": "ascii"}, [b"\\u80ba\\u708e", b"r\\xe9tine", b"\\U0001f9e0"]),
        ({"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}, [b"\\u80ba\\u708e", b"r\\xe9tine"]),
    ],
    ids=["cp1252", "ascii", "C"],
)
def test_the_whole_table_is_told(named, environment, shown):
    code, out, _ = inspect(named, "--files", **environment)
    assert code == 0
    assert all(name in out for name in shown)
    assert b"Plan" in out or b"warning" in out  # what comes last


def test_an_error_that_names_such_a_file_is_told(tmp_path):
    code, out, told = inspect(tmp_path / CJK, PYTHONIOENCODING="latin-1")
    assert (code, out) == (1, b"")
    assert rb"\u80ba\u708e does not exist" in told


def test_json_is_the_same_in_every_encoding(named):
    answers = [inspect(named, "--json", PYTHONIOENCODING=encoding)[1] for encoding in ("cp1252", "utf-8")]
    assert answers[0] == answers[1]
    assert CJK in json.loads(answers[0])["counts"]["train"]


@pytest.mark.parametrize("name", [CJK, EMOJI, "a\nwarning: forged", "a\x1b[2J", "a\u2028b", "a\x85b"])
def test_every_table_and_fact_takes_any_name(name, monkeypatch, tmp_path):
    """What commands show, through a stdout that knows Latin-1 alone."""
    from medgan.cli.terminal import steady

    path = tmp_path / "told"
    with path.open("w", encoding="latin-1") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        steady()
        screen.show_report({"report": name})
        screen.show_cache(
            {"cache": name, "bytes": 1, "freed_bytes": None, "index": [], "stacks": [], "unknown": [name]}
        )
        screen.show_training(
            {"run": name, "images_shown": 1, "seconds": 1.0, "model_digest": "ab", "warnings": [name]}
        )
        counts = {"before": {name: 1}, "after": {name: 2}}
        screen.show_output(
            {
                "counts": counts,
                "written": {name: 1},
                "repeated": {name: 0},
                "out": name,
                "manifest": name,
                "real": "prepared",
                "share": {"asked": "", "reached": None, "sentence": ""},
                "notes": [name],
                "filter": {"on": False, "checks": [], "class_check": {"sentences": [name]}, "counts": {}},
            }
        )
    text = Path(path).read_text(encoding="latin-1")
    escape = name.encode("ascii", "backslashreplace").decode() if name.isprintable() else repr(name)[1:-1]
    assert escape in text
    assert not any(line.startswith("warning: forged") for line in text.splitlines())
    assert "\x1b" not in text
