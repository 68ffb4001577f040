"""`train` writes a run folder with a model; repeated, it resumes, and refuses to become another run."""

import dataclasses
import importlib.util
import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from medgan.base.errors import OutputError, PlanError
from medgan.base.files import read_json, write_json
from medgan.base.progress import NOTE, WARNING
from medgan.commands import train as command
from medgan.commands.train import train
from medgan.dataset.source import Source
from medgan.learners.gan.learner import GanLearner
from medgan.learners.gan.model import Model
from medgan.plan import Overrides, clock
from medgan.training import loop
from medgan.training.probe import Cost
from tests.commands.blobs import discs, tree

QUICK = Overrides(effort="smoke", size=(16, 24), images=64, batch=8, device="cpu", features="none")


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    return discs(tmp_path_factory.mktemp("scans"), normal=6, covid=4)


@pytest.fixture(scope="module")
def trained(scans, tmp_path_factory):
    """A finished run, only to be looked at."""
    return train(scans, tmp_path_factory.mktemp("finished") / "run", overrides=QUICK)


def test_the_report_is_the_documented_json(trained):
    report = json.loads(json.dumps(trained.as_json()))
    assert list(report) == ["run", "images_shown", "seconds", "model_digest", "warnings"]
    assert (report["run"], report["images_shown"]) == (str(trained.run), 64)
    assert report["seconds"] > 0
    assert report["model_digest"] == Model.load(trained.run).digest


def test_the_model_knows_its_data_by_counts_and_a_digest_alone(trained, scans):
    facts = json.loads((trained.run / "model" / "model.json").read_text(encoding="utf-8"))
    assert facts["counts"] == {"covid": 4, "normal": 5}  # one of six is held out, none of four
    assert facts["holdout"] == {"share": 0.2, "least": 5}
    assert len(facts["data_digest"]) == 64
    for name in ("model.json", "card.md"):
        text = (trained.run / "model" / name).read_text(encoding="utf-8")
        assert str(scans.path) not in text
        assert "scan0" not in text


def test_patients_are_counted_where_they_are_known_and_only_those_learned_from(scans, tmp_path):
    table = tmp_path / "labels.csv"
    lines = [f"{label}/scan{n}.png,{label},P{n // 2}" for label in ("covid", "normal") for n in range(4)]
    table.write_text("\n".join(["path,label,patient,split", *(f"{line},train" for line in lines)]))
    with table.open("a", encoding="utf-8") as stream:
        stream.write("\nnormal/scan4.png,normal,P1,val")  # so P1 leaks, and is learned from no more
    source = Source(path=scans.path, labels=table)
    run = train(source, tmp_path / "run", overrides=QUICK).run
    facts = json.loads((run / "model" / "model.json").read_text(encoding="utf-8"))
    assert (facts["counts"], facts["patients"]) == ({"covid": 2, "normal": 2}, {"covid": 1, "normal": 1})


def test_the_log_has_a_line_per_tick_with_the_documented_keys(trained):
    rows = [json.loads(line) for line in (trained.run / "log.jsonl").read_text().splitlines()]
    assert [row["images_shown"] for row in rows] == list(range(8, 65, 8))
    documented = {"images_shown", "seconds", "images_per_second", "generator_loss", "critic_loss"}
    assert all(documented <= set(row) for row in rows)


def test_every_tick_leaves_a_grid_of_eight_seeds_per_class(trained):
    grids = sorted((trained.run / "grids").iterdir())
    assert [path.name for path in grids] == [f"{shown:09d}.png" for shown in range(8, 65, 8)]
    with Image.open(grids[-1]) as picture:
        assert 950 <= picture.width <= 1150
        assert np.asarray(picture.convert("L")).std() > 0


def test_every_tick_rewrites_the_picture_of_how_training_stands(trained):
    with Image.open(trained.run / "progress.png") as picture:
        assert picture.size[0] == 1000
        assert np.asarray(picture.convert("L")).std() > 0


def test_progress_tells_reading_preparing_and_training_to_the_end(scans, tmp_path):
    told = []
    train(scans, tmp_path / "run", overrides=QUICK, on_progress=told.append)
    stages = list(dict.fromkeys(report.stage for report in told))
    assert stages == ["reading", NOTE, WARNING, "preparing", "training"]
    assert (told[-1].done, told[-1].total) == (64, 64)
    assert "told from synthetic" in told[-1].words


def test_before_the_time_is_spent_the_size_of_the_images_is_told(scans, tmp_path):
    told = []
    found = train(scans, tmp_path / "run", overrides=QUICK, dry_run=True, on_progress=told.append)
    (note,) = [report for report in told if report.stage == NOTE and "pixels" in report.words]
    height, width = found.plan["size"]["value"]
    assert note.words.startswith("Your scans are ")
    assert note.words.endswith(f" pixels; images will be {height} x {width} (--size changes it).")
    assert note.facts == {"seconds_left": pytest.approx(found.estimate_seconds, abs=0.05)}


def test_prepared_images_lie_in_the_private_cache_for_the_next_run_and_in_no_run_folder(
    scans, tmp_path, cache_of_test
):
    told = []
    for name in ("first", "second"):
        train(scans, tmp_path / name, overrides=QUICK, on_progress=told.append)
        assert not [*(tmp_path / name).rglob("*.npy")]
    assert len([*cache_of_test.glob("stacks/*/pixels.npy")]) == 1
    assert [one.stage for one in told].count("preparing") == 1


def test_a_dry_run_decides_estimates_and_writes_nothing(scans, tmp_path):
    report = train(scans, tmp_path / "run", overrides=QUICK, dry_run=True).as_json()
    assert list(tmp_path.iterdir()) == []
    assert report["estimate_seconds"] > 0
    assert (report["images_shown"], report["model_digest"]) == (0, "")
    assert report["plan"]["size"] == {"value": [16, 24], "why": "override: as asked"}
    assert all(decision["why"] for decision in report["plan"].values())


def test_the_same_command_again_trains_nothing(scans, trained):
    before = tree(trained.run)
    told = []
    again = train(scans, trained.run, overrides=QUICK, on_progress=told.append)
    assert (again.images_shown, again.model_digest) == (64, trained.model_digest)
    assert "The model was already complete, so nothing was trained." in [report.words for report in told]
    assert tree(trained.run) == before


def test_a_run_that_an_older_medgan_began_goes_on_where_its_plan_meant_the_same(scans, trained, tmp_path):
    """A field that did not exist had its default: --features none has no frozen network, so nothing has
    changed for it."""
    run = shutil.copytree(trained.run, tmp_path / "run")
    facts = read_json(run / "run.json")
    assert facts["plan"].pop("seen_at") == 0
    write_json(run / "run.json", facts)
    assert train(scans, run, overrides=QUICK).model_digest == trained.model_digest
    facts["plan"].pop("outlined")  # which was 2, and is 1 where images are as small as these
    write_json(run / "run.json", facts)
    with pytest.raises(OutputError, match="would train it differently"):
        train(scans, run, overrides=QUICK)


def test_a_decision_that_an_older_medgan_made_otherwise_is_named_and_can_be_made_again(
    scans, trained, tmp_path
):
    run = shutil.copytree(trained.run, tmp_path / "run")
    facts = read_json(run / "run.json")
    facts["plan"]["adversary"] = 0.5
    write_json(run / "run.json", facts)
    with pytest.raises(OutputError, match=r"--adversary was 0\.5, is now 1\.0") as caught:
        train(scans, run, overrides=QUICK)
    assert "give these options as they were" in caught.value.hint
    wish = dataclasses.replace(QUICK, adversary=0.5)
    assert train(scans, run, overrides=wish).model_digest == trained.model_digest


def test_two_runs_of_one_command_give_the_same_weights(scans, trained, tmp_path):
    assert train(scans, tmp_path / "run", overrides=QUICK).model_digest == trained.model_digest


def test_another_seed_gives_other_weights(scans, trained, tmp_path):
    other = train(scans, tmp_path / "run", overrides=dataclasses.replace(QUICK, seed=1))
    assert other.model_digest != trained.model_digest


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"images": 32}, "a longer run of 64 images"),
        ({"seed": 3}, "--seed was not given, is now 3"),
        ({"arch": "dcgan"}, "--arch was not given, is now dcgan"),
        ({"size": (24, 24)}, "--size was 16x24, is now 24x24"),
        (
            {"effort": "quick", "size": (24, 24)},
            "--effort was smoke, is now quick; --size was 16x24",
        ),
    ],
    ids=str,
)
def test_a_run_of_another_plan_is_refused_with_the_difference(scans, trained, change, words):
    before = tree(trained.run)
    with pytest.raises(OutputError, match=words) as caught:
        train(scans, trained.run, overrides=dataclasses.replace(QUICK, **change))
    assert "--out" in caught.value.hint
    assert tree(trained.run) == before


def test_a_run_of_other_data_is_refused(trained, tmp_path):
    other = discs(tmp_path / "scans", normal=6, covid=3)
    with pytest.raises(OutputError, match="training images, labels or splits have changed"):
        train(other, trained.run, overrides=QUICK)


def test_a_run_never_lands_inside_the_scans(scans):
    with pytest.raises(OutputError, match="inside"):
        train(scans, scans.path / "covid" / "run", overrides=QUICK)


def test_minutes_become_images_once_and_a_repeat_keeps_them(scans, tmp_path, monkeypatch):
    wish = dataclasses.replace(QUICK, images=None, minutes=0.1)
    monkeypatch.setattr(
        command, "measure_costs", lambda trial, plan, names, **_: {name: Cost(0.1, 0.1) for name in names}
    )
    monkeypatch.setattr(loop, "fit_to_minutes", lambda plan, *_: plan)  # a machine that keeps its pace
    first = train(scans, tmp_path / "run", overrides=wish)
    planned = Model.load(first.run).plan.budget.images_shown
    assert first.images_shown == planned == 64  # 60 in six seconds, to the full batch
    monkeypatch.setattr(command, "measure_costs", lambda trial, plan, names, **_: {})  # not asked again
    again = train(scans, tmp_path / "run", overrides=wish)
    assert (again.images_shown, again.model_digest) == (64, first.model_digest)


@pytest.mark.parametrize(("bf16", "chosen"), [(0.05, "bf16"), (0.2, "fp32")])
def test_a_probe_chooses_the_precision_once_and_a_repeat_keeps_it(scans, tmp_path, monkeypatch, bf16, chosen):
    asked = []

    def costs(trial, plan, names, **_):
        asked.append(tuple(names))
        return {"fp32": Cost(0.1, 0.3), "bf16": Cost(bf16, 0.2)}

    monkeypatch.setattr(clock, "_LONG_IMAGES", 64)
    monkeypatch.setattr(command, "measure_costs", costs)
    first = train(scans, tmp_path / "run", overrides=QUICK)
    plan = Model.load(first.run).plan
    assert plan.budget.precision == chosen
    assert "by a timed probe" in plan.why["precision"]
    again = train(scans, tmp_path / "run", overrides=QUICK)
    assert again.model_digest == first.model_digest
    assert asked == [("fp32", "bf16")]
    dry = train(scans, tmp_path / "other", overrides=QUICK, dry_run=True)
    assert dry.estimate_seconds == pytest.approx(64 * (0.2 if chosen == "bf16" else 0.3))


def test_a_run_of_some_minutes_on_a_busy_machine_takes_one_thread_and_a_repeat_keeps_it(
    scans, tmp_path, monkeypatch
):
    before, told, seen = torch.get_num_threads(), [], set()
    step = GanLearner.step

    def watched(self, run):
        seen.add(torch.get_num_threads())
        return step(self, run)

    def costs(trial, plan, names, **_):
        seen.add(torch.get_num_threads())
        return {name: Cost(1.0, 1.0) for name in names}

    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(GanLearner, "step", watched)
    monkeypatch.setattr(command, "measure_costs", costs)
    monkeypatch.setattr(command, "time_threads", lambda *_, **__: {1: 0.01, 2: 0.02})
    monkeypatch.setattr(loop, "fit_to_minutes", lambda plan, *_: plan)  # a machine that keeps its pace
    wish = dataclasses.replace(QUICK, images=None, minutes=1.0)
    torch.set_num_threads(2)
    try:
        first = train(scans, tmp_path / "run", overrides=wish, on_progress=told.append)
        assert torch.get_num_threads() == 2
        assert seen == {1}
        words = "Training uses one thread: 10 ms an image on one thread by a timed probe, 20 ms on 2"
        assert any(report.stage == NOTE and report.words.startswith(words) for report in told)
        record = read_json(tmp_path / "run" / "run.json")["plan"]
        assert (record["threads"], Model.load(first.run).plan.budget.threads) == (1, 1)

        # A run that was killed goes on with the same number, unless the user gives another.
        monkeypatch.setattr(command, "time_threads", lambda *_, **__: 1 / 0)  # not asked again
        shutil.rmtree(tmp_path / "run" / "model")
        (tmp_path / "run" / "state.pt").unlink()
        assert train(scans, tmp_path / "run", overrides=wish).model_digest == first.model_digest
        assert seen == {1}
        monkeypatch.setenv("OMP_NUM_THREADS", "2")
        shutil.rmtree(tmp_path / "run" / "model")
        (tmp_path / "run" / "state.pt").unlink()
        other = train(scans, tmp_path / "run", overrides=wish)
        assert (Model.load(other.run).plan.budget.threads, seen) == (None, {1, 2})
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("trial", "graphed", "pace"), [((0.1, ""), True, 0.1), ((0.1, "differ"), False, 0.3)]
)
def test_a_gpu_tries_cuda_graphs_once_and_a_run_goes_on_without_them(
    scans, tmp_path, monkeypatch, trial, graphed, pace
):
    told = []
    monkeypatch.setattr(clock, "_LONG_IMAGES", 64)
    monkeypatch.setattr(clock, "_GRAPH_MINUTES", 0.3)
    monkeypatch.setattr(command, "can_replay", lambda device: device == "cpu")  # which stands for a GPU
    monkeypatch.setattr(
        command, "measure_costs", lambda trial, plan, names, **_: {name: Cost(0.1, 0.3) for name in names}
    )
    monkeypatch.setattr(command, "time_with_graphs", lambda *_: trial)
    wish = dataclasses.replace(QUICK, precision="fp32")
    dry = train(scans, tmp_path / "dry", overrides=wish, dry_run=True)
    assert dry.estimate_seconds == pytest.approx(64 * pace)
    first = train(scans, tmp_path / "run", overrides=wish, on_progress=told.append)
    plans = [Model.load(first.run).plan]
    assert [report.done for report in told if report.stage == "timing CUDA graphs"] == [0, 1]
    monkeypatch.setattr(command, "time_with_graphs", lambda *_: 1 / 0)  # not asked again
    again = train(scans, tmp_path / "run", overrides=wish)
    plans.append(Model.load(again.run).plan)
    without = train(scans, tmp_path / "run", overrides=dataclasses.replace(wish, cuda_graphs=False))
    assert [plan.budget.graphed for plan in plans] == [graphed] * 2
    assert again.model_digest == without.model_digest == first.model_digest


def test_cuda_graphs_without_a_gpu_are_refused_before_anything_is_written(scans, tmp_path):
    with pytest.raises(PlanError, match="--cuda-graphs needs one process"):
        train(scans, tmp_path / "run", overrides=dataclasses.replace(QUICK, cuda_graphs=True))
    assert not (tmp_path / "run").exists()


def test_a_gpu_that_only_pretends_to_know_bf16_is_not_asked_for_it(scans, tmp_path, monkeypatch):
    asked = []

    def costs(trial, plan, names, **_):
        asked.append(tuple(names))
        return {name: Cost(0.1, 0.3) for name in names}

    monkeypatch.setattr(clock, "_LONG_IMAGES", 64)
    monkeypatch.setattr(command, "supports_bf16", lambda device: False)
    monkeypatch.setattr(command, "measure_costs", costs)
    dry = train(scans, tmp_path / "run", overrides=QUICK, dry_run=True)
    assert (asked, dry.plan["precision"]["value"]) == ([("fp32",)], "fp32")
    with pytest.raises(PlanError, match="does not support bf16"):
        train(scans, tmp_path / "run", overrides=dataclasses.replace(QUICK, precision="bf16"))


def test_a_gpu_without_enough_memory_leaves_no_folder_so_that_a_smaller_size_may_be_tried(
    scans, tmp_path, monkeypatch
):
    def exhaust(*_):
        raise torch.OutOfMemoryError

    with monkeypatch.context() as patch:
        patch.setattr(GanLearner, "step", exhaust)
        with pytest.raises(PlanError, match="does not have enough memory") as told:
            train(scans, tmp_path / "run", overrides=QUICK)
    assert "--size" in told.value.hint
    assert not (tmp_path / "run").exists()
    smaller = dataclasses.replace(QUICK, size=(8, 12), images=16)
    assert train(scans, tmp_path / "run", overrides=smaller).images_shown == 16


def test_a_short_run_is_exact_without_a_probe(scans, trained):
    plan = Model.load(trained.run).plan
    assert plan.budget.precision == "fp32"
    assert plan.why["precision"].startswith("rule: exact everywhere")


def test_patients_that_are_held_out_are_not_learned_from(scans, tmp_path):
    held = train(scans, tmp_path / "run", overrides=QUICK, holdout=0.25)
    assert Model.load(held.run).counts == {"covid": 3, "normal": 4}
    with pytest.raises(OutputError, match=r"--holdout was 0\.25, is now not given"):
        train(scans, tmp_path / "run", overrides=QUICK)


def test_a_class_of_a_single_image_is_refused_before_anything_is_written(tmp_path):
    source = discs(tmp_path / "scans", normal=4, covid=1)
    with pytest.raises(PlanError, match="'covid' has 1 training image"):
        train(source, tmp_path / "run", overrides=QUICK)
    assert not (tmp_path / "run").exists()


def test_the_input_is_left_as_it_was(scans, tmp_path):
    before = tree(scans.path)
    train(scans, tmp_path / "run", overrides=QUICK)
    assert tree(scans.path) == before


def test_a_relative_folder_and_an_absolute_one_are_the_same_run(scans, trained, monkeypatch):
    monkeypatch.chdir(scans.path.parent)
    again = train(Source(path=scans.path.relative_to(scans.path.parent)), trained.run, overrides=QUICK)
    assert again.model_digest == trained.model_digest


@pytest.mark.skipif(not importlib.util.find_spec("tensorboard"), reason="tensorboard is not installed")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_is_written_when_asked_for(scans, tmp_path):
    train(scans, tmp_path / "run", overrides=QUICK, tensorboard=True)
    assert list((tmp_path / "run" / "tensorboard").glob("events.*"))
