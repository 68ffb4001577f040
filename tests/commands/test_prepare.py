import csv
import json

import pytest

from medgan.base.errors import DatasetError, ModelError, OutputError
from medgan.commands.balance import balance
from medgan.commands.options import BalanceOptions
from medgan.commands.prepare import prepare
from medgan.commands.train import train
from medgan.dataset.source import Source
from medgan.plan import Overrides
from tests.conftest import cut_sample

SMALL = Overrides(effort="smoke", images=32, size=(16, 16), batch=16, features="none")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A data set with splits, and a model that learned from its train split."""
    place = tmp_path_factory.mktemp("conform")
    cut_sample(place / "scans" / "train", {"normal": 8, "mass": 4})
    cut_sample(place / "scans" / "test", {"effusion": 3, "normal": 2})
    train(Source(path=place / "scans"), place / "run", overrides=SMALL)
    return place


def table(folder):
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.slow
def test_test_scans_come_in_the_form_of_the_model_and_nothing_synthetic(place, tmp_path):
    done = prepare(Source(path=place / "scans"), tmp_path / "test", like=place / "run", split="test")
    rows = table(tmp_path / "test")
    assert (done.counts["before"], done.written) == (
        {"effusion": 3, "normal": 2},
        {"effusion": 0, "normal": 0},
    )
    assert {row["origin"] for row in rows} == {"real"}
    assert len(rows) == 5
    assert json.loads((tmp_path / "test" / "run.json").read_text())["settings"]["command"] == "prepare"
    items = json.loads((tmp_path / "test" / "datalist.json").read_text())
    assert (len(items["test"]), "training" in items) == (5, False)  # nothing may learn from them by accident
    assert {row["split"] for row in rows} == {"test"}
    card = (tmp_path / "test" / "README.md").read_text("utf-8")
    assert "Every image belongs to the test split: judge by them once" in card
    assert "## Training a classifier" not in card


@pytest.mark.slow
def test_a_scan_comes_out_as_balance_writes_it(place, tmp_path):
    prepare(Source(path=place / "scans"), tmp_path / "all", like=place / "run", split="train")
    balance(
        Source(path=place / "scans"), tmp_path / "bal", options=BalanceOptions(model=place / "run", share=0)
    )
    one, other = ({row["pixel_sha256"] for row in table(tmp_path / name)} for name in ("all", "bal"))
    assert other  # balance leaves out patients who are also in test
    assert other < one


@pytest.mark.slow
def test_without_a_split_all_scans_are_written_and_repeating_changes_nothing(place, tmp_path):
    first = prepare(Source(path=place / "scans"), tmp_path / "all", like=place / "run")
    assert sum(first.counts["before"].values()) == len(table(tmp_path / "all")) == 17
    assert {row["split"] for row in table(tmp_path / "all")} == {""}
    assert "divide them by patient" in (tmp_path / "all" / "README.md").read_text("utf-8")
    assert prepare(Source(path=place / "scans"), tmp_path / "all", like=place / "run") == first
    with pytest.raises(OutputError, match="split was all, is now test"):
        prepare(Source(path=place / "scans"), tmp_path / "all", like=place / "run", split="test")


@pytest.mark.slow
def test_a_split_that_is_not_there_and_a_folder_without_a_model_are_refused(place, tmp_path):
    with pytest.raises(DatasetError, match="no usable scan in val"):
        prepare(Source(path=place / "scans"), tmp_path / "val", like=place / "run", split="val")
    with pytest.raises(ModelError):
        prepare(Source(path=place / "scans"), tmp_path / "val", like=place / "scans")
    assert not (tmp_path / "val").exists()


@pytest.mark.slow
def test_whom_training_held_out_are_in_val_and_no_longer_in_train(tmp_path):
    cut_sample(tmp_path / "scans", {"normal": 12, "mass": 12})
    scans, model = Source(path=tmp_path / "scans"), tmp_path / "run"
    train(scans, model, overrides=SMALL)
    written = {
        split: {
            row["pixel_sha256"]
            for row in (prepare(scans, tmp_path / split, like=model, split=split) and table(tmp_path / split))
        }
        for split in ("train", "val")
    }
    balance(scans, tmp_path / "balanced", options=BalanceOptions(model=model, share=0))
    assert written["val"]
    assert not written["val"] & written["train"]
    assert written["train"] == {row["pixel_sha256"] for row in table(tmp_path / "balanced")}
    with pytest.raises(DatasetError, match="no usable scan in test") as refused:
        prepare(scans, tmp_path / "test", like=model, split="test")
    assert refused.value.hint == "There are scans in train and val: name one of them with --split."
