"""A longer run continues a finished one; a shorter, different or unreadable one is refused in words."""

import dataclasses
import json
import shutil

import pytest

from medgan.base.errors import OutputError
from medgan.base.files import read_json, write_json
from medgan.commands.train import train
from medgan.commands.training_run import Leg, continue_plan
from medgan.learners.gan.model import Model
from medgan.learners.gan.steps import _cosine, conditioning_weight
from medgan.plan import Overrides
from medgan.training import loop
from tests.commands.blobs import discs, tree
from tests.learners.gan.phantoms import tiny_plan

QUICK = Overrides(effort="smoke", size=(16, 24), images=32, batch=8, device="cpu", features="none")
LONGER = dataclasses.replace(QUICK, images=64)


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    return discs(tmp_path_factory.mktemp("scans"), normal=6, covid=4)


@pytest.fixture(scope="module")
def finished(scans, tmp_path_factory):
    """A finished run, only to be copied."""
    return train(scans, tmp_path_factory.mktemp("finished") / "run", overrides=QUICK).run


@pytest.fixture
def run(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "run")


def test_more_images_go_on_with_a_finished_run_and_the_folder_says_so(scans, run):
    before = Model.load(run)
    longer = train(scans, run, overrides=LONGER)
    assert (longer.images_shown, Model.load(run).images_shown) == (64, 64)
    assert longer.model_digest != before.digest
    facts = read_json(run / "run.json")
    assert [leg["images_shown"] for leg in facts["legs"]] == [32]
    assert facts["options"]["images"] == 64
    assert read_json(run / "model" / "model.json")["legs"] == [32]
    assert "64 images shown, in runs that were continued after 32." in (run / "model" / "card.md").read_text()
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    shown = [row["images_shown"] for row in rows]
    assert shown == sorted(set(shown))
    assert {32, 64} <= set(shown)


def test_the_same_longer_command_again_trains_nothing_and_a_third_goes_on_with_it(scans, run):
    digest = train(scans, run, overrides=LONGER).model_digest
    before = tree(run)
    assert train(scans, run, overrides=LONGER).model_digest == digest
    assert tree(run) == before
    train(scans, run, overrides=dataclasses.replace(QUICK, images=96))
    assert read_json(run / "model" / "model.json")["legs"] == [32, 64]


def test_a_longer_run_that_was_stopped_ends_as_one_that_was_not(scans, finished, tmp_path):
    def stop(report):
        if report.stage == "training" and report.done >= 56:
            raise KeyboardInterrupt

    straight, cut = (shutil.copytree(finished, tmp_path / name) for name in ("straight", "cut"))
    with pytest.raises(KeyboardInterrupt):
        train(scans, cut, overrides=LONGER, on_progress=stop)
    again, whole = (train(scans, folder, overrides=LONGER) for folder in (cut, straight))
    assert again.model_digest == whole.model_digest


def test_more_minutes_go_on_with_a_finished_run(scans, run, monkeypatch):
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    (run / "log.jsonl").write_text("".join(json.dumps({**row, "seconds": 3.0}) + "\n" for row in rows))
    monkeypatch.setattr(loop, "fit_to_minutes", lambda plan, *_: plan)  # a machine that keeps its pace
    wish = dataclasses.replace(QUICK, images=None, minutes=0.1)
    longer = train(scans, run, overrides=wish)  # 32 images took 3 seconds, so 64 take 6
    assert longer.images_shown == 64
    with pytest.raises(OutputError, match="a longer run"):
        train(scans, run, overrides=dataclasses.replace(wish, minutes=0.05))


def test_a_run_that_is_not_finished_is_first_to_be_finished(scans, tmp_path):
    def stop(report):
        if report.stage == "training" and report.done >= 24:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(scans, tmp_path / "run", overrides=QUICK, on_progress=stop)
    with pytest.raises(OutputError, match="a shorter run that is not finished") as caught:
        train(scans, tmp_path / "run", overrides=LONGER)
    assert "Repeat its command" in caught.value.hint


def test_a_run_that_guards_stopped_is_not_gone_on_with(scans, run):
    facts = read_json(run / "model" / "model.json")
    facts["guards"] = {"alarms": [], "stopped": "stopped at 32 images"}
    write_json(run / "model" / "model.json", facts)
    with pytest.raises(OutputError, match="guards stopped at 32 images"):
        train(scans, run, overrides=LONGER)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seed": 3}, "--images was 32, is now 64; --seed was not given, is now 3"),
        ({"size": (24, 24)}, "--size was 16x24, is now 24x24"),
    ],
    ids=str,
)
def test_another_recipe_is_no_longer_run(scans, run, change, words):
    before = tree(run)
    with pytest.raises(OutputError, match=words) as caught:
        train(scans, run, overrides=dataclasses.replace(LONGER, **change))
    assert not {"base", "ema", "seen_at", "images_shown"} & set(caught.value.message.split())
    assert tree(run) == before


def test_a_run_of_which_nobody_knows_what_was_typed_is_refused_by_the_options_that_decide(scans, run):
    facts = read_json(run / "run.json")
    del facts["options"]
    write_json(run / "run.json", facts)
    with pytest.raises(OutputError, match="--seed was 0, is now 3"):
        train(scans, run, overrides=dataclasses.replace(QUICK, seed=3))
    assert train(scans, run, overrides=LONGER).images_shown == 64


@pytest.mark.parametrize(
    "change",
    [{"version": "1"}, {"plan": {}}, {"plan": 3}, {"data_digest": None}, {"legs": [3]}, {"options": 1}],
    ids=str,
)
def test_a_damaged_run_file_is_refused_in_words(scans, run, change):
    write_json(run / "run.json", {**read_json(run / "run.json"), **change})
    with pytest.raises(OutputError, match=r"run\.json cannot be read"):
        train(scans, run, overrides=QUICK)


def test_the_rate_goes_on_from_where_it_was_and_classes_stay_apart():
    plan = tiny_plan(images_shown=320)
    again = continue_plan(plan, [Leg(images_shown=160, rate_end=5e-4, penalty_end=0.1)])
    assert _cosine(again.recipe.rate, again.recipe.rate_end, 0.0) == 5e-4
    assert conditioning_weight(plan, 160) < 1 == conditioning_weight(again, 160)
    assert again.recipe.penalty == again.recipe.penalty_end == 0.1
    assert continue_plan(plan, []) is plan
