import json
import shutil

import numpy as np
import pytest

from medgan.commands import evaluate as module
from medgan.commands import parts
from medgan.commands.balance import BalanceOptions, balance
from medgan.commands.evaluate import EvaluateOptions, evaluate
from medgan.commands.gather import CHECKED, NONE_HELD, UNKNOWN, Request, gather
from medgan.commands.report import report
from medgan.commands.sample import sample
from medgan.dataset.labels import Source
from medgan.errors import DatasetError, MedganError, ModelError, OutputError, PlanError
from medgan.files import read_json
from medgan.gan.model import Model
from medgan.progress import ignore
from medgan.quality import fidelity, spaces
from tests.commands.blobs import discs, untrained

QUICK = EvaluateOptions(only=("fidelity",))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A data set with a test split, a model of it, and what it draws: only to be looked at."""
    place = tmp_path_factory.mktemp("evaluate")
    discs(place / "scans", split="train", full=12, rare=8)
    source = discs(place / "scans", split="test", full=9, rare=8)
    untrained(place / "model", source)
    sample(place / "model", place / "drawn", count=9, filtered=False)
    return {"source": source, "model": place / "model", "drawn": place / "drawn", "place": place}


@pytest.fixture(autouse=True)
def one_space(monkeypatch):
    """The other spaces are tested by themselves; here they would only take time."""
    monkeypatch.setattr(fidelity, "SPACES", {"radiomics": spaces.SPACES["radiomics"]})
    monkeypatch.setattr(fidelity.measure_fidelity, "__kwdefaults__", fidelity.measure_fidelity.__kwdefaults__ | {"spaces": ("radiomics",)})  # fmt: skip


def request(world, **how):
    how = how or {"model": world["model"]}
    return Request(source=how.pop("source", world["source"]), per_class=9, **how)


# --- what is gathered ---


def test_a_model_is_judged_by_test_patients_it_has_not_seen(world):
    found = gather(request(world), ignore)
    assert found.counts == {
        "train": {"full": 12, "rare": 8},
        "val": {"full": 0, "rare": 0},
        "test": {"full": 9, "rare": 8},
        "synthetic": {"full": 9, "rare": 9},
    }
    assert (found.unseen, found.notes) == (CHECKED, ())
    assert not set(found.train.patients) & set(found.test.patients)


def test_a_rare_class_is_drawn_often_enough_to_be_topped_up(world):
    few = Request(source=world["source"], model=world["model"], per_class=2)
    assert gather(few, ignore).synthetic.counts == {"full": 2, "rare": 4}


def test_a_folder_that_sample_wrote_holds_the_images_that_the_model_draws(world):
    from_model, from_folder = (
        gather(request(world, **how), ignore)
        for how in ({"model": world["model"]}, {"synthetic": world["drawn"]})
    )
    assert from_folder.unseen == CHECKED
    assert from_folder.synthetic.counts == from_model.synthetic.counts
    np.testing.assert_allclose(from_folder.synthetic.pixels, from_model.synthetic.pixels, atol=0.5 / 255)
    np.testing.assert_allclose(from_folder.test.pixels, from_model.test.pixels, atol=1e-6)


def test_images_of_another_tool_are_taken_with_a_warning_that_nobody_knows_what_it_saw(world, tmp_path):
    theirs = discs(tmp_path / "theirs", full=9, rare=9).path
    found = gather(request(world, synthetic=theirs), ignore)
    assert found.synthetic.counts == {"full": 9, "rare": 9}
    assert found.synthetic.pixels.shape[2:] == found.test.pixels.shape[2:] == (16, 24)
    assert found.unseen == UNKNOWN
    assert len(set(found.synthetic.patients)) == 18


def test_a_balanced_folder_is_judged_by_itself(world, tmp_path):
    balance(
        world["source"],
        tmp_path / "out",
        model=world["model"],
        options=BalanceOptions(target=14, filter=False),
    )
    found = gather(request(world, source=Source(path=tmp_path / "out")), ignore)
    assert found.counts["train"] == {"full": 12, "rare": 8}
    assert found.counts["synthetic"] == {"full": 2, "rare": 6}
    assert NONE_HELD in found.notes


def test_a_model_that_learned_from_other_images_is_refused(world, tmp_path):
    discs(tmp_path / "more", split="train", full=12, rare=8)
    more = discs(tmp_path / "more", split="test", full=3, rare=3)
    shutil.copy(
        world["source"].path / "test" / "rare" / "scan7.png", tmp_path / "more" / "train" / "rare" / "new.png"
    )
    with pytest.raises(ModelError, match="may have seen the patients"):
        gather(request(world, source=more, model=world["model"]), ignore)
    with pytest.raises(DatasetError, match="may have seen the patients"):
        gather(request(world, source=more, synthetic=world["drawn"]), ignore)


def test_a_model_is_refused_on_a_test_split_that_it_was_trained_on(world, tmp_path):
    flat = tmp_path / "flat"  # all images in train
    for split in ("train", "test"):
        for path in (world["source"].path / split).rglob("*.png"):
            place = flat / path.parent.name / f"{split}-{path.name}"
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, place)
    seen_all = untrained(tmp_path / "model", Source(path=flat))
    with pytest.raises(ModelError, match="may have seen"):
        gather(request(world, model=seen_all), ignore)


def test_nothing_synthetic_is_a_refusal(world):
    with pytest.raises(DatasetError, match="nothing synthetic"):
        gather(Request(source=world["source"]), ignore)


def test_synthetic_images_of_unknown_classes_are_refused(world, tmp_path):
    theirs = discs(tmp_path / "theirs", full=9, strange=9).path
    with pytest.raises(DatasetError, match="strange"):
        gather(request(world, synthetic=theirs), ignore)


# --- what is measured ---


@pytest.fixture
def done(world, tmp_path):
    return evaluate(request(world), tmp_path / "out", options=QUICK)


def test_an_evaluation_leaves_json_a_report_and_its_parts(done):
    assert {path.name for path in done.out.iterdir()} == {
        "evaluation.json",
        "report.html",
        "exhibits.npz",
        "parts",
    }
    told = read_json(done.out / "evaluation.json")
    assert told["verdict"] is None  # usefulness was not asked for
    assert {score["label"] for score in told["scores"]} == {"", "full", "rare"}
    assert told["unseen"] == CHECKED
    assert "cannot be concluded" in told["scores"][0]["note"]


def test_the_same_command_measures_nothing_twice(done, world, monkeypatch):
    def never(*args):
        raise AssertionError

    monkeypatch.setitem(module.PARTS, "fidelity", never)
    again = evaluate(request(world), done.out, options=QUICK)
    assert again.fidelity == done.fidelity


def test_a_part_that_was_cut_off_is_measured_again(done, world):
    (done.out / "parts" / "fidelity.json").write_text('{"key": "', encoding="utf-8")
    again = evaluate(request(world), done.out, options=QUICK)
    assert again.fidelity == done.fidelity


def test_another_seed_needs_another_folder(done, world):
    with pytest.raises(OutputError, match="another evaluation: seed is different"):
        evaluate(request(world), done.out, options=EvaluateOptions(only=("fidelity",), seed=3))


def test_a_part_that_cannot_be_measured_is_told_and_the_others_go_on(world, tmp_path, monkeypatch):
    def unable(*args):
        raise DatasetError("there are no rare classes")

    monkeypatch.setattr(module, "PARTS", {"shortcut": unable, "fidelity": parts.fidelity})
    both = evaluate(request(world), tmp_path / "out")
    assert both.fidelity
    assert both.shortcut is None
    assert "shortcut could not be measured: there are no rare classes" in both.notes
    with pytest.raises(DatasetError):
        evaluate(request(world), tmp_path / "alone", options=EvaluateOptions(only=("shortcut",)))


def test_parts_measured_one_by_one_come_together(done, world, monkeypatch):
    monkeypatch.setattr(
        module, "PARTS", {"fidelity": parts.fidelity, "shortcut": lambda *_: {"verdict": "none"}}
    )
    later = evaluate(request(world), done.out, options=EvaluateOptions(only=("shortcut",)))
    assert later.shortcut == {"verdict": "none"}
    assert later.fidelity == done.fidelity


@pytest.mark.parametrize(
    ("options", "word"), [({"only": ("beauty",)}, "beauty"), ({"effort": "heroic"}, "heroic")]
)
def test_unknown_parts_and_efforts_are_refused(options, word):
    with pytest.raises(PlanError, match=word):
        EvaluateOptions(**options)


def test_a_folder_of_somebody_else_is_refused(world, tmp_path):
    (tmp_path / "mine.txt").touch()
    with pytest.raises(OutputError, match="no evaluation"):
        evaluate(request(world), tmp_path, options=QUICK)


def test_output_never_lands_in_the_input(world):
    with pytest.raises(MedganError, match="inside the input"):
        evaluate(request(world), world["source"].path / "out", options=QUICK)


# --- the report ---


def test_the_report_can_be_made_again_and_is_the_same(done):
    page = done.out / "report.html"
    before = page.read_bytes()
    page.unlink()
    assert report(done.out).report() == {"report": str(page)}
    assert page.read_bytes() == before


def test_the_report_shows_every_class_and_names_no_file(done, world):
    text = (done.out / "report.html").read_text(encoding="utf-8")
    assert text.count('class="images"') == 4
    assert "scan7" not in text
    assert str(world["place"]) not in text


def test_a_balanced_folder_has_its_report(world, tmp_path):
    balance(world["source"], tmp_path / "out", model=world["model"], options=BalanceOptions(filter=False))
    text = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "Contact sheet" in text
    assert "medgan evaluate" in text
    assert Model.load(world["model"]).digest in text


def test_a_training_run_has_a_report_of_its_curves(tmp_path):
    (tmp_path / "run.json").write_text(
        json.dumps(
            {"version": 1, "data_digest": "abc", "plan": {"size": [16, 16], "images_shown": 2, "seed": 0}}
        )
    )
    row = {"images_shown": 1, "critic_loss": 1.0, "generator_loss": 0.5}
    (tmp_path / "log.jsonl").write_text(f"{json.dumps(row)}\n{json.dumps(row | {'images_shown': 2})}\n")
    text = report(tmp_path).page.read_text(encoding="utf-8")
    assert "Losses of generator and discriminator" in text


@pytest.mark.parametrize(("name", "text"), [("other.txt", ""), ("run.json", "[")])
def test_there_is_no_report_of_nothing(tmp_path, name, text):
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(DatasetError):
        report(tmp_path)
