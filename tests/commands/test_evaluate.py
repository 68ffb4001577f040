import json
import shutil
import time
from dataclasses import fields, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from medgan.base.errors import DatasetError, MedganError, ModelError, OutputError, PlanError
from medgan.base.files import read_json
from medgan.base.job import ALONE
from medgan.base.progress import ignore
from medgan.base.run_folder import ResultCache
from medgan.commands import evaluate as module
from medgan.commands.balance import balance
from medgan.commands.evaluate import _parts_to_measure, _repeat_command, _TimeForecast, evaluate
from medgan.commands.options import BalanceOptions, DrawOptions
from medgan.commands.report import report
from medgan.commands.sample import sample
from medgan.dataset.index import index
from medgan.dataset.source import Source
from medgan.evaluation import analyses, fidelity, forecast
from medgan.evaluation.data import (
    _CHECKED,
    _NONE_HELD,
    _UNKNOWN,
    _UNNAMED,
    Request,
    _chose_own_share,
    load_evaluation_data,
)
from medgan.evaluation.options import EvidenceOptions
from medgan.evaluation.quiz import choose_quiz
from medgan.evaluation.usefulness import classifiers
from medgan.evaluation.usefulness.trials import Settings, judges_here
from medgan.evaluation.usefulness.workload import Workload
from medgan.filtering import candidates, in_memory, selection
from medgan.learners.gan.model import Model
from medgan.reports import exhibits, quiz
from medgan.similarity import spaces
from tests.commands.blobs import discs, untrained
from tests.test_docs import documented, paths

QUICK = {"only": "fidelity"}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A data set with a test split, a model of it, and what it draws: only to be looked at."""
    place = tmp_path_factory.mktemp("evaluate")
    discs(place / "scans", split="train", full=12, rare=8)
    source = discs(place / "scans", split="test", full=9, rare=8)
    untrained(place / "model", source)
    sample(place / "model", place / "drawn", options=DrawOptions(count=9, no_filter=True))
    return {"source": source, "model": place / "model", "drawn": place / "drawn", "place": place}


@pytest.fixture(autouse=True)
def one_space(monkeypatch):
    """The other spaces are tested by themselves; here they would only take time."""
    monkeypatch.setattr(fidelity, "SPACES", {"radiomics": spaces.SPACES["radiomics"]})
    monkeypatch.setattr(
        fidelity.measure_fidelity,
        "__kwdefaults__",
        fidelity.measure_fidelity.__kwdefaults__ | {"spaces": ("radiomics",)},
    )


def request(world, **how):
    names = {field.name for field in fields(EvidenceOptions)}
    evidence = EvidenceOptions(**{name: how.pop(name) for name in names & set(how)})
    how = how or {"model": world["model"]}
    return Request(source=how.pop("source", world["source"]), per_class=9, evidence=evidence, **how)


# --- what is gathered ---


def test_a_model_is_judged_by_test_patients_it_has_not_seen(world):
    found = load_evaluation_data(request(world), ALONE)
    assert found.counts == {
        "train": {"full": 12, "rare": 8},
        "val": {"full": 0, "rare": 0},
        "test": {"full": 9, "rare": 8},
        "synthetic": {"full": 9, "rare": 9},
    }
    assert (found.unseen, found.notes) == (_CHECKED, (_UNNAMED,))
    assert not set(found.train.patients) & set(found.test.patients)


def test_a_rare_class_is_drawn_often_enough_to_be_topped_up(world):
    few = Request(source=world["source"], model=world["model"], per_class=2)
    assert load_evaluation_data(few, ALONE).synthetic.counts == {"full": 2, "rare": 4}


@pytest.mark.parametrize("filtered", [True, False])
def test_a_folder_that_sample_wrote_holds_the_images_that_are_judged(world, tmp_path, filtered):
    against = world["source"].path if filtered else None
    sample(
        world["model"],
        tmp_path / "drawn",
        options=DrawOptions(count=9, no_filter=not filtered, against=against),
    )
    from_model, from_folder = (
        load_evaluation_data(request(world, **how), ALONE)
        for how in ({"model": world["model"], "no_filter": not filtered}, {"synthetic": tmp_path / "drawn"})
    )
    assert from_folder.unseen == _CHECKED
    assert from_folder.synthetic.counts == from_model.synthetic.counts
    assert from_folder.synthetic.sources.tolist() == from_model.synthetic.sources.tolist()
    np.testing.assert_allclose(from_folder.synthetic.pixels, from_model.synthetic.pixels, atol=0.5 / 255)
    assert (from_model.filter["on"], from_folder.filter) == (filtered, None)
    np.testing.assert_allclose(from_folder.test.pixels, from_model.test.pixels, atol=1e-6)


def test_images_of_another_tool_are_taken_with_a_warning_that_nobody_knows_what_it_saw(world, tmp_path):
    theirs = discs(tmp_path / "theirs", full=9, rare=9).path
    found = load_evaluation_data(request(world, synthetic=theirs), ALONE)
    assert found.synthetic.counts == {"full": 9, "rare": 9}
    assert found.synthetic.pixels.shape[2:] == found.test.pixels.shape[2:] == (16, 24)
    assert found.unseen == _UNKNOWN
    assert len(set(found.synthetic.patients)) == 18


def test_images_of_another_tool_are_judged_though_medgan_itself_could_not_learn_from_the_scans(tmp_path):
    source, theirs = discs(tmp_path / "scans", full=8, rare=1), discs(tmp_path / "theirs", full=4, rare=4)
    found = load_evaluation_data(
        Request(source=source, synthetic=theirs.path, evidence=EvidenceOptions(holdout=0.25, device="cpu")),
        ALONE,
    )
    assert found.train.counts == {"full": 6, "rare": 1}
    assert found.synthetic.counts == {"full": 4, "rare": 4}


def test_a_balanced_folder_is_judged_by_itself(world, tmp_path):
    balance(
        world["source"],
        tmp_path / "out",
        options=BalanceOptions(model=world["model"], target=14, no_filter=True),
    )
    found = load_evaluation_data(request(world, source=Source(path=tmp_path / "out")), ALONE)
    assert found.counts["train"] == {"full": 12, "rare": 8}
    assert found.counts["synthetic"] == {"full": 5, "rare": 5}
    assert _NONE_HELD in found.notes


def test_patients_who_chose_the_share_are_told_where_they_judge_it_too(world):
    manifest = index(world["source"])
    asleep = replace(
        manifest,
        records=tuple(replace(one, split=one.split.replace("test", "val")) for one in manifest.records),
    )

    def asked(share):
        return SimpleNamespace(settings={"share": share} if share else {"command": "sample"})

    assert _chose_own_share(asked("auto"), asleep)
    assert not _chose_own_share(asked("auto"), manifest)
    assert not _chose_own_share(asked(0.5), asleep)
    assert not _chose_own_share(asked(None), asleep)


def test_a_model_that_learned_from_other_images_is_refused(world, tmp_path):
    discs(tmp_path / "more", split="train", full=12, rare=8)
    more = discs(tmp_path / "more", split="test", full=3, rare=3)
    shutil.copy(
        world["source"].path / "test" / "rare" / "scan7.png", tmp_path / "more" / "train" / "rare" / "new.png"
    )
    with pytest.raises(ModelError, match="may have seen the patients"):
        load_evaluation_data(request(world, source=more, model=world["model"]), ALONE)
    with pytest.raises(DatasetError, match="may have seen the patients"):
        load_evaluation_data(request(world, source=more, synthetic=world["drawn"]), ALONE)


def test_a_model_is_refused_on_a_test_split_that_it_was_trained_on(world, tmp_path):
    flat = tmp_path / "flat"  # all images in train
    for split in ("train", "test"):
        for path in (world["source"].path / split).rglob("*.png"):
            place = flat / path.parent.name / f"{split}-{path.name}"
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, place)
    seen_all = untrained(tmp_path / "model", Source(path=flat))
    with pytest.raises(ModelError, match="may have seen"):
        load_evaluation_data(request(world, model=seen_all), ALONE)


def test_a_balanced_folder_knows_by_which_seed_patients_were_held_out(tmp_path):
    source = discs(tmp_path / "scans", full=20, rare=14)
    model = untrained(tmp_path / "model", source, holdout=0.3, training_seed=5)
    options = BalanceOptions(model=model, no_filter=True)
    balance(source, tmp_path / "out", options=options, holdout=0.3)
    found = load_evaluation_data(
        Request(source=source, synthetic=tmp_path / "out", evidence=EvidenceOptions(holdout=0.3)), ALONE
    )
    assert found.unseen == _CHECKED
    assert found.held_out.counts == {"full": 6, "rare": 4}


@pytest.mark.parametrize("wish", [{"holdout": 0.2}, {"label_tag": "BodyPartExamined"}, {"modality": "CT"}])
def test_wishes_about_real_data_are_refused_of_a_balanced_folder(world, tmp_path, wish):
    balance(
        world["source"],
        tmp_path / "out",
        options=BalanceOptions(model=world["model"], target=14, no_filter=True),
    )
    held, read = ({"holdout": wish["holdout"]}, {}) if "holdout" in wish else ({}, wish)
    asked = Request(source=Source(path=tmp_path / "out", **read), evidence=EvidenceOptions(**held))
    with pytest.raises(DatasetError, match="which is read as it is"):
        load_evaluation_data(asked, ALONE)


def test_nothing_synthetic_is_a_refusal(world):
    with pytest.raises(DatasetError, match="nothing synthetic"):
        load_evaluation_data(Request(source=world["source"]), ALONE)


def test_synthetic_images_of_unknown_classes_are_refused(world, tmp_path):
    theirs = discs(tmp_path / "theirs", full=9, strange=9).path
    with pytest.raises(DatasetError, match="holds classes that the data set lacks: strange") as error:
        load_evaluation_data(request(world, synthetic=theirs), ALONE)
    assert "full, rare" in error.value.hint


def test_what_files_say_goes_with_their_images(tmp_path):
    for label, sides in (("full", (16, 24)), ("rare", (20, 22))):
        for split in ("train", "test"):
            discs(tmp_path / "scans", split=split, shape=sides, **{label: 9 if label == "full" else 6})
    source = Source(path=tmp_path / "scans")
    model = untrained(tmp_path / "model", source)
    found = load_evaluation_data(
        Request(source=source, model=model, per_class=2, evidence=EvidenceOptions(no_filter=True)), ALONE
    )
    for split in ("train", "test"):
        images, files = getattr(found, split), found.circumstances[split]
        assert [tuple(row[:2]) for row in files.shape] == [((16, 24), (20, 22))[n] for n in images.labels]
    assert len(found.circumstances["val"]) == 0
    told = analyses._giveaways(
        analyses.AnalysisInput(images=found, effort="quick", seed=0, runs={}, on_progress=ignore)
    )
    assert "Picture shape alone tells full from the rest with an AUROC of 1.00" in told.sentence


def test_another_hospital_is_asked_what_gives_its_classes_away_and_both_answers_stand_together(tmp_path):
    """At home the classes have two sizes, at the other hospital one, which gives nothing away."""
    for split in ("train", "test"):
        for label, sides in (("full", (16, 24)), ("rare", (20, 22))):
            discs(tmp_path / "scans", split=split, shape=sides, **{label: 9 if label == "full" else 6})
    discs(tmp_path / "theirs", shape=(18, 23), full=8, rare=7)
    source = Source(path=tmp_path / "scans")
    untrained(tmp_path / "model", source)
    asked = Request(
        source=source,
        model=tmp_path / "model",
        external=tmp_path / "theirs",
        evidence=EvidenceOptions(no_filter=True, only="giveaways"),
    )
    told = evaluate(asked, tmp_path / "out").as_json()
    first, second = told["giveaways"], told["giveaways"]["external"]
    assert (first["verdict"], first["patients"], second["patients"], second["external"]) == (
        "told",
        15,
        15,
        None,
    )
    shape, _, scanner = second["signs"]
    assert [(one["label"], one["auroc"], one["patients"]) for one in shape["classes"]] == [
        ("full", 0.5, 8),
        ("rare", 0.5, 7),
    ]
    assert scanner["classes"] == []
    (answer,) = told["answers"]
    assert answer["tone"] == "even"
    assert answer["sentence"] == f"{first['sentence']} At another hospital: {second['sentence']}"
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert f"<p>At another hospital: {second['sentence']}</p>" in page
    assert "by itself tells a class from all others on the patients of another hospital" in page


# --- the filter ---


def test_filtered_images_are_others_and_every_part_sees_them(world, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(
        module, "PARTS", {name: lambda job: seen.append(job.images.synthetic) for name in module.PARTS}
    )
    told = {
        on: evaluate(request(world, model=world["model"], no_filter=not on), tmp_path / str(on))
        for on in (True, False)
    }
    assert len({id(images) for images in seen}) == 2
    assert len(seen) == 2 * len(module.PARTS)
    assert seen[0].sources.tolist() != seen[-1].sources.tolist()
    assert told[True].sources["drawn"] != told[False].sources["drawn"]
    assert (told[True].settings["filter"], told[False].settings["filter"]) == (True, False)
    assert ("--no-filter" in told[True].command, "--no-filter" in told[False].command) == (False, True)


def test_what_the_filter_made_of_the_images_is_told(done):
    told = read_json(done.out / "evaluation.json")["filter"]
    assert (told["on"], told["checks"], told["as_drawn"]) == (True, ["copy", "class"], [])
    assert told["compared_with"] == done.sources["data"]
    assert set(told["counts"]) == {"full", "rare"}
    assert [one["kept"] for one in told["counts"].values()] == [9, 9]
    drawn = sum(one["drawn"] for one in told["counts"].values())
    assert f"The filter kept 18 of {drawn} images drawn" in told["sentence"]
    assert told["sentence"] in (done.out / "report.html").read_text(encoding="utf-8")


def test_filtered_or_not_are_two_evaluations_and_that_is_said_before_anything_is_drawn(
    done, world, monkeypatch
):
    monkeypatch.setattr(in_memory, "draw", None)
    with pytest.raises(OutputError, match="filter was true, is now false"):
        evaluate(request(world, model=world["model"], no_filter=True, **QUICK), done.out)


def test_what_was_chosen_once_is_judged_again_even_if_it_would_now_come_out_otherwise(
    done, world, monkeypatch
):
    monkeypatch.setattr(in_memory, "draw_and_filter", lambda *_: pytest.fail("chosen again"))
    assert evaluate(request(world, **QUICK), done.out).sources == done.sources


def test_a_refused_model_leaves_no_folder(world, tmp_path):
    more = discs(tmp_path / "more", split="train", full=13, rare=8)
    with pytest.raises(ModelError):
        evaluate(request(world, source=more, model=world["model"], **QUICK), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_class_that_is_copied_is_judged_as_it_is_drawn_and_that_is_told(world, tmp_path, monkeypatch):
    def look(pixels, seeds, label, real):
        drawn, points = selection.check_candidates(pixels, seeds, label, real)
        return [replace(one, reason="copy" if label == 0 and one.seed % 2 else "") for one in drawn], points

    monkeypatch.setattr(candidates, "check_candidates", look)
    told = evaluate(request(world, **QUICK), tmp_path / "out")
    assert told.scores
    assert told.filter["as_drawn"] == ["full"]
    counts = told.filter["counts"]["full"]
    assert (counts["copy"], counts["kept"]) == (counts["drawn"] // 2, 0)
    _, note = told.notes
    assert f"class full: {counts['copy']} of {counts['drawn']} images drawn are near copies" in note
    assert "The filter kept 9 of 36" in told.filter["sentence"]
    assert "Judged as drawn, for more than a fifth are near copies: full." in told.filter["sentence"]
    found = load_evaluation_data(request(world), ALONE)
    assert found.synthetic.of("full").sources.tolist() == [f"seed {seed}" for seed in range(9)]


# --- what is measured ---


@pytest.fixture
def done(world, tmp_path):
    return evaluate(request(world, **QUICK), tmp_path / "out")


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
    assert told["unseen"] == _CHECKED
    assert "cannot be concluded" in told["scores"][0]["note"]


def test_the_same_command_measures_nothing_twice(done, world, monkeypatch):
    def never(*args):
        raise AssertionError

    monkeypatch.setitem(module.PARTS, "fidelity", never)
    second = evaluate(request(world, **QUICK), done.out)
    assert second.scores == done.scores


def test_a_part_that_was_cut_off_is_measured_again(done, world):
    (done.out / "parts" / "fidelity.json").write_text('{"key": "', encoding="utf-8")
    second = evaluate(request(world, **QUICK), done.out)
    assert second.scores == done.scores


def test_the_command_of_an_evaluation_names_how_its_data_were_read(world):
    source = replace(world["source"], label_tag="BodyPartExamined", modality="CT", allow_burned_in=True)
    told = _repeat_command(request(world, source=source, synthetic=world["drawn"], holdout=0.2))
    assert told.startswith(
        "medgan evaluate SOURCE --label-from-tag BodyPartExamined --modality CT --allow-burned-in"
        " --synthetic FOLDER"
    )
    source = replace(world["source"], labels=world["place"] / "patients of Dr Who.csv")
    assert "evaluate SOURCE --labels LABELS --model RUN" in _repeat_command(
        request(world, source=source, model=world["model"])
    )


def test_a_part_that_cannot_be_measured_is_told_and_the_others_go_on(world, tmp_path, monkeypatch):
    def unable(*args):
        raise DatasetError("there are no rare classes")

    monkeypatch.setattr(module, "PARTS", {"shortcut": unable, "fidelity": analyses._fidelity})
    both = evaluate(request(world), tmp_path / "out")
    assert both.scores
    assert both.shortcut is None
    assert "shortcut could not be measured: there are no rare classes" in both.notes
    with pytest.raises(DatasetError):
        evaluate(request(world, only="shortcut"), tmp_path / "alone")


def test_parts_measured_one_by_one_come_together(done, world, monkeypatch):
    monkeypatch.setattr(
        module, "PARTS", {"fidelity": analyses._fidelity, "shortcut": lambda *_: {"verdict": "none"}}
    )
    later = evaluate(request(world, only="shortcut"), done.out)
    assert later.shortcut == {"verdict": "none"}
    assert later.scores == done.scores


@pytest.mark.parametrize(
    ("options", "word"), [({"only": "beauty"}, "beauty"), ({"effort": "heroic"}, "heroic")]
)
def test_unknown_parts_and_efforts_are_refused(world, tmp_path, options, word):
    with pytest.raises(PlanError, match=word):
        evaluate(request(world, **options), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_beside_usefulness_stands_what_gives_classes_away():
    assert _parts_to_measure(("usefulness",)) == ("giveaways", "usefulness")
    assert _parts_to_measure(("fidelity",)) == ("fidelity",)
    assert _parts_to_measure(()) == tuple(analyses.PARTS)


def test_what_gives_classes_away_is_told_on_every_page(world, tmp_path):
    told = evaluate(request(world, only="giveaways"), tmp_path / "out")
    assert [sign["sign"] for sign in told.giveaways["signs"]] == ["shape", "brightness", "scanner"]
    found = read_json(told.out / "evaluation.json")
    assert found["giveaways"] == told.giveaways
    assert [one["question"] for one in found["answers"]] == ["Do the scans give their class away?"]
    page = (told.out / "report.html").read_text(encoding="utf-8")
    assert told.giveaways["sentence"] in page
    assert '<td colspan="6">not known</td>' in page


# --- the quiz ---


def test_a_quiz_is_written_where_it_is_asked_for_and_shows_what_is_judged(world, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(quiz, "choose_quiz", lambda *given: asked.append(given) or choose_quiz(*given))
    told = evaluate(request(world, **QUICK, quiz=True), tmp_path / "out")
    assert told.quiz == {"page": "quiz.html", "images": 34, "classes": {"full": 18, "rare": 16}}
    assert set(paths(told.as_json()["quiz"], dict.fromkeys(("full", "rare"), "<label>"))) == documented(
        "Quiz"
    )
    assert "--quiz" in told.command
    ((data, _),) = asked
    assert told.counts["synthetic"] == data.synthetic.counts
    shown = choose_quiz(data, 0).images.patients.tolist()
    assert not set(shown) & set(data.train.patients)
    page = (told.out / "quiz.html").read_text(encoding="utf-8")
    assert told.filter["sentence"] in page
    assert "No detector was trained" in page
    assert '<a href="quiz.html">' in (told.out / "report.html").read_text(encoding="utf-8")


def test_an_evaluation_without_quiz_says_nothing_of_one(done):
    assert "quiz" not in read_json(done.out / "evaluation.json")
    assert "quiz" not in (done.out / "report.html").read_text(encoding="utf-8")


def test_a_quiz_joins_an_evaluation_later_and_is_renewed_by_the_next(done, world, monkeypatch):
    monkeypatch.setitem(module.PARTS, "fidelity", lambda _: pytest.fail("measured twice"))
    asked = evaluate(request(world, **QUICK, quiz=True), done.out)
    assert (asked.scores, asked.settings) == (done.scores, done.settings)
    detector = {"verdict": "visible", "sentence": "", "told_apart": 0.87, "interval": [0.8, 0.93]}
    monkeypatch.setitem(module.PARTS, "shortcut", lambda _: detector)
    later = evaluate(request(world, only="shortcut"), done.out)
    assert later.quiz == asked.quiz
    assert "an AUC of 0.87 (0.80 to 0.93)" in (done.out / "quiz.html").read_text(encoding="utf-8")


def test_without_held_out_patients_a_note_says_why_there_is_no_quiz(world, tmp_path):
    options = BalanceOptions(model=world["model"], target=14, no_filter=True)
    balance(world["source"], tmp_path / "out", options=options)
    asked = Request(source=Source(path=tmp_path / "out"), evidence=EvidenceOptions(**QUICK, quiz=True))
    told = evaluate(asked, tmp_path / "evaluation")
    assert told.quiz is None
    assert (
        "no quiz was written: no class has both a real image of a held-out patient and a synthetic image"
        in told.notes
    )
    assert not (told.out / "quiz.html").exists()


def test_output_never_lands_in_the_input(world):
    with pytest.raises(MedganError, match="inside the input"):
        evaluate(request(world, **QUICK), world["source"].path / "out")


def test_what_classifiers_said_is_kept_beside_the_arms_it_is_of_and_names_no_patient(
    world, tmp_path, monkeypatch
):
    brief = Settings(
        judges=("cnn",), steps={"cnn": (2,)}, rates={"cnn": (1e-3,)}, seeds=2, folds=2, side=16, resamples=20
    )
    monkeypatch.setattr(analyses, "_settings_of", lambda job: brief)
    told = evaluate(request(world, only="usefulness"), tmp_path / "out")
    said = exhibits.read_exhibits(tmp_path / "out").predictions
    assert said.arms == tuple((arm["judge"], arm["name"]) for arm in told.usefulness["arms"])
    assert np.bincount(said.truth).tolist() == [9, 8]
    assert (said.names, said.rare) == (("full", "rare"), ("rare",))
    held = load_evaluation_data(request(world), ALONE).held_out
    facts = json.dumps(exhibits.read_exhibits(tmp_path / "out").facts)
    assert not any(patient in facts for patient in held.patients)
    monkeypatch.setattr(classifiers, "train_classifiers", None)  # nothing is trained twice
    evaluate(request(world, **QUICK), tmp_path / "out")
    again = exhibits.read_exhibits(tmp_path / "out").predictions
    np.testing.assert_array_equal(again.probabilities, said.probabilities)
    first = read_json(tmp_path / "out" / "evaluation.json")
    assert [first[name] for name in ("verdict", "difference", "reference", "patients_needed")] == [
        told.usefulness[name] for name in ("verdict", "difference", "reference", "patients_needed")
    ]


def test_how_long_it_takes_is_told_before_it_starts(world, tmp_path, monkeypatch):
    asked, told = [], []
    monkeypatch.setattr(
        module,
        "forecast",
        lambda images, names, effort, finished: asked.append((list(names), effort, [*finished])) or 361.0,
    )
    evaluate(request(world, **QUICK), tmp_path / "out", on_progress=told.append)
    assert asked == [(["fidelity"], "quick", [])]
    first = next(one for one in told if one.stage == "evaluating")
    assert first.words == "quick: about 6 min on this machine, by a short trial"
    assert 300 < first.facts["seconds_left"] <= 361
    told.clear()
    evaluate(request(world, **QUICK), tmp_path / "out", on_progress=told.append)  # nothing is left to measure
    assert len(asked) == 1
    assert "about" not in next(one for one in told if one.stage == "evaluating").words


def test_runs_that_a_killed_evaluation_finished_are_left_out_of_the_forecast(world, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(module, "forecast", lambda *given: asked.append(sorted(given[-1])) or 1.0)
    monkeypatch.setitem(module.PARTS, "fidelity", lambda _: [])
    first = evaluate(request(world, **QUICK), tmp_path / "out")
    parts = tmp_path / "out" / "parts"
    key = module._cache_key("usefulness", first.settings)
    ResultCache(parts / "usefulness-runs.jsonl", key)["cnn/real//0/steps=50"] = []
    ResultCache(parts / "usefulness-runs.jsonl", "other settings")["cnn/real//1/steps=50"] = []
    (parts / "fidelity.json").unlink()
    evaluate(request(world, **QUICK), tmp_path / "out")
    assert asked == [[], ["cnn/real//0/steps=50"]]


@pytest.mark.parametrize(("only", "runs"), [(("usefulness",), 6), (("shortcut",), 7), (("fidelity",), 6)])
def test_a_forecast_counts_steps_and_looks(world, monkeypatch, only, runs):
    brief = Settings(
        judges=("cnn",),
        steps={"cnn": (50,)},
        rates={"cnn": (1e-3,)},
        seeds=1,
        folds=0,
        side=16,
        headroom=False,
        recipes={"cnn": ("real", "oversampling", "one-sided", "classical", "duplicates", "share 0.25")},
    )
    monkeypatch.setattr(forecast.trials, "EFFORTS", {"quick": brief})
    monkeypatch.setattr(forecast._Trial, "step", lambda *_: 1.0)
    monkeypatch.setattr(forecast._Trial, "predict", lambda *_: 0.0)
    monkeypatch.setattr(forecast._Trial, "time_lite2", lambda *_: 0.0)
    monkeypatch.setattr(forecast, "_time_scores", lambda _: 0.0)
    for name, seconds in (("radiomics", 1e-6), ("search", 0.0), ("domain", (1.0, 1e-6))):
        monkeypatch.setattr(forecast._Trial, name, seconds)
    found = load_evaluation_data(request(world), ALONE)
    assert round(forecast.forecast(found, only, "quick")) == 50 * runs
    finished = ["cnn/real//0/steps=50", "cnn/oversampling//0/steps=50"]
    left = runs - 2 if only == ("usefulness",) else runs
    assert round(forecast.forecast(found, only, "quick", finished)) == 50 * left


def test_a_trial_takes_some_time_and_no_chance(world):
    found = load_evaluation_data(request(world), ALONE)
    settings = Settings(side=16)
    before = torch.get_rng_state()
    trial = forecast._Trial(images=found, settings=settings)
    for judge in judges_here(("finetuned", "cnn")):
        assert 0 < trial.step(judge) < 5
        assert 0 < trial.predict(judge) < 5
        assert trial.inputs(judge).rates[0] > 0
    if "finetuned" in judges_here(("finetuned",)):
        assert 0 < trial.frozen < 5
    assert 0 < trial.fit(Workload(fits=1, learned=40)) < 5
    for seconds in (trial.lite2, trial.lite2_alone, trial.radiomics, trial.search, *trial.domain):
        assert 0 <= seconds < 5
    assert torch.equal(torch.get_rng_state(), before)


# --- the report ---


def test_the_report_can_be_made_again_and_is_the_same(done):
    page = done.out / "report.html"
    before = page.read_bytes()
    page.unlink()
    assert report(done.out).as_json() == {"report": str(page)}
    assert page.read_bytes() == before


def test_the_report_shows_every_class_and_names_no_file(done, world):
    text = (done.out / "report.html").read_text(encoding="utf-8")
    assert text.count('class="images"') == 4
    assert "scan7" not in text
    assert str(world["place"]) not in text


def test_a_balanced_folder_has_its_report(world, tmp_path):
    balance(world["source"], tmp_path / "out", options=BalanceOptions(model=world["model"], no_filter=True))
    text = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "No screen for copies" not in text
    assert "filter was off" in text
    assert "medgan evaluate scans/ --synthetic out --out out-evaluation" in text
    assert Model.load(world["model"]).digest in text


def test_a_training_run_has_a_report_of_its_curves(tmp_path):
    (tmp_path / "run.json").write_text(
        json.dumps(
            {
                "version": 1,
                "data_digest": "abc",
                "plan": {"size": [16, 16], "images_shown": 2, "seed": 0, "labels": ["a"]},
            }
        )
    )
    row = {
        "images_shown": 1,
        "seconds": 1.0,
        "seconds_left": 0.0,
        "images_per_second": 9.0,
        "critic_loss": 1.0,
        "generator_loss": 0.5,
    }
    (tmp_path / "log.jsonl").write_text(f"{json.dumps(row)}\n{json.dumps(row | {'images_shown': 2})}\n")
    text = report(tmp_path).report.read_text(encoding="utf-8")
    assert "What the two networks were trained to minimise" in text
    assert "This training is not finished" in text


@pytest.mark.parametrize(("name", "text"), [("other.txt", ""), ("run.json", "[")])
def test_there_is_no_report_of_nothing(tmp_path, name, text):
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(DatasetError):
        report(tmp_path)


def test_a_forecast_that_has_run_out_tells_no_time():
    clock = _TimeForecast(effort="quick", seconds=60.0, began=time.monotonic() - 3600)
    assert clock.report(2, 4, "part shortcut").facts == {}


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
def test_what_a_killed_evaluation_leaves_never_refuses_the_next(world, tmp_path, left):
    out = tmp_path / "out"
    (out / "parts" if left else out).mkdir(parents=True)
    for name, data in left.items():
        (out / name).write_bytes(data)
    done = evaluate(request(world, only="privacy"), out)
    assert done.privacy["verdict"]
    assert {path.name for path in out.iterdir() if not path.name.startswith(".")} == {
        "evaluation.json",
        "report.html",
        "exhibits.npz",
        "parts",
    }
