"""The pages on Python hold what they show: every block runs, one after the other, on the sample data."""

import re
import shutil
from pathlib import Path

import pytest

import medgan
from medgan.evaluation import analyses
from medgan.evaluation.usefulness.trials import Settings

ROOT = Path(__file__).parents[1]
API, JOURNEY = ROOT / "docs" / "api.md", ROOT / "docs" / "how-to" / "from-folder-to-verdict.md"


def blocks(page):
    """The Python blocks of a page."""
    return re.findall(r"^```python\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def execute(page, folder, monkeypatch):
    """Run a page's blocks in one name space, in a folder with sample data as `scans/`; return the names."""
    shutil.copytree(ROOT / "sample_data" / "chest_ct", folder / "scans")
    monkeypatch.chdir(folder)
    names = {}
    for number, block in enumerate(blocks(page), start=1):
        exec(compile(block, f"{page.name}, block {number}", "exec"), names)
    return names


def test_every_verb_has_an_example():
    shown = "".join(blocks(API))
    verbs = ("inspect", "train", "sample", "balance", "evaluate", "report")
    assert all(f"medgan.{name}(" in shown for name in verbs)
    assert all(f"medgan.{name}" in shown for name in ("Model.load", "Folder", "Synthetic", "MedganError"))


@pytest.mark.slow
def test_the_page_on_python_runs(tmp_path, monkeypatch, capsys):
    names = execute(API, tmp_path, monkeypatch)
    assert isinstance(names["forecast"], medgan.BalanceForecast)
    assert names["drawn"].written["mass"] == 4
    assert names["evaluation"].giveaways is not None
    assert "nowhere does not exist - Check the path" in capsys.readouterr().out


@pytest.mark.slow
def test_the_way_from_a_folder_to_a_verdict_runs(tmp_path, monkeypatch):
    brief = Settings(
        judges=("cnn",), steps={"cnn": (2,)}, rates={"cnn": (1e-3,)}, seeds=2, folds=2, side=16, resamples=20
    )
    monkeypatch.setattr(analyses, "_settings_of", lambda job: brief)
    names = execute(JOURNEY, tmp_path, monkeypatch)
    assert names["evaluation"].verdict in {"helps", "no-difference", "harms", "cannot-tell"}
    assert (tmp_path / "evaluation" / "report.html").is_file()
