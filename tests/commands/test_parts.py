import numpy as np
import pytest

from medgan.commands import parts
from medgan.commands.gather import CHECKED, Gathered
from medgan.commands.parts import Job, Runs, shortcut, usefulness
from medgan.errors import DatasetError
from medgan.progress import ignore
from tests.quality.phantoms import drawn


def test_finished_runs_are_found_again(tmp_path):
    runs = Runs(tmp_path / "runs.json", "a key")
    runs["cnn, real, 0"] = [[0.5, 1.5]]
    assert dict(Runs(tmp_path / "runs.json", "a key")) == {"cnn, real, 0": [[0.5, 1.5]]}


def test_runs_of_other_images_or_settings_are_not_taken(tmp_path):
    Runs(tmp_path / "runs.json", "a key")["run"] = 1
    assert len(Runs(tmp_path / "runs.json", "another key")) == 0


@pytest.mark.parametrize("text", ["{", "[]", "null"])
def test_damaged_runs_count_as_none(tmp_path, text):
    (tmp_path / "runs.json").write_text(text, encoding="utf-8")
    assert len(Runs(tmp_path / "runs.json", "a key")) == 0


@pytest.mark.parametrize("part", [usefulness, shortcut])
def test_without_held_out_patients_nothing_is_judged(part):
    train = drawn((9, 4), 0)
    nobody = train.take([])
    images = Gathered(
        train=train, val=nobody, test=nobody, synthetic=train.take(np.arange(4)), unseen=CHECKED, sources={}
    )
    job = Job(images=images, effort="quick", seed=0, runs={}, on_progress=ignore)
    with pytest.raises(DatasetError, match="no real patients are held out"):
        part(job)


@pytest.mark.parametrize(
    ("part", "measure"), [(usefulness, "measure_usefulness"), (shortcut, "measure_shortcut")]
)
@pytest.mark.parametrize("split", ["val", "test"])
def test_patients_of_either_split_can_judge(part, measure, split, monkeypatch):
    """`--holdout` makes a val split and no test split."""
    train = drawn((9, 4), 0)
    held = {"val": train.take([]), "test": train.take([]), split: drawn((5, 3), 1)}
    images = Gathered(train=train, **held, synthetic=train.take(np.arange(4)), unseen=CHECKED, sources={})
    asked = []
    monkeypatch.setattr(parts, measure, lambda *sets, **_: asked.append(sum(map(len, sets[1:-1]))))
    part(Job(images=images, effort="quick", seed=0, runs={}, on_progress=ignore))
    assert asked == [8]
