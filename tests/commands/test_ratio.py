"""How many synthetic images each class gets, by a number or by what validation patients say."""

import dataclasses
import json

import pytest

from medgan.commands import offer, ratio
from medgan.commands.balance import BalanceOptions, balance
from medgan.commands.ratio import TopUp
from medgan.errors import PlanError
from medgan.quality.contest import Settings
from medgan.quality.ratios import Chosen, Trial
from medgan.quality.sieve import Drawn
from tests.commands.blobs import discs, tree, untrained

BEFORE = {"cyst": 20, "mass": 40, "normal": 100}


def wanted(**wishes):
    return list(TopUp(**{"per_class": {}, **wishes}).missing(BEFORE).values())


def test_by_default_every_class_reaches_the_target():
    assert wanted() == [80, 60, 0]
    assert wanted(target=50) == [30, 10, 0]


@pytest.mark.parametrize(
    ("number", "counts"), [("0", [0, 0, 0]), ("0.25", [5, 10, 0]), ("1", [20, 40, 0]), ("2", [40, 60, 0])]
)
def test_a_ratio_is_per_real_image_and_never_beyond_the_target(number, counts):
    assert wanted(ratio=number) == counts


def test_the_stricter_of_two_limits_holds():
    assert wanted(ratio="1", most=0.5) == [10, 20, 0]
    assert wanted(ratio="0.25", most=0.5) == [5, 10, 0]


def test_everywhere_is_as_many_in_every_class():
    assert wanted(everywhere=True) == [80, 80, 80]
    assert wanted(everywhere=True, ratio="0.5") == [20, 20, 20]
    assert wanted(everywhere=True, most=1.5) == [30, 30, 30]  # 60 would be 3 per image of the smallest


@pytest.mark.parametrize("number", ["-1", "much", "inf", "nan", ""])
def test_what_is_no_ratio_is_refused(number):
    with pytest.raises(PlanError, match="is no ratio"):
        BalanceOptions(ratio=number)


# --- auto ---


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """Train 12 and 6, val 6 and 4, test 3 and 3."""
    root = tmp_path_factory.mktemp("scans")
    discs(root, split="train", normal=12, covid=6)
    discs(root, split="val", normal=6, covid=4)
    return discs(root, split="test", normal=3, covid=3)


@pytest.fixture(scope="module")
def model(scans, tmp_path_factory):
    return untrained(tmp_path_factory.mktemp("model"), scans)


@pytest.fixture
def hasty(monkeypatch):
    """Classifiers that hardly learn: what they say is not what is tested."""
    quick = Settings(judges=("cnn",), steps={"cnn": (2,)}, rates={"cnn": (1e-3,)}, seeds=1, folds=0, side=16)
    monkeypatch.setattr(ratio, "EFFORTS", {"quick": quick})


AUTO = BalanceOptions(ratio="auto")


def asked(monkeypatch, number):
    """Let validation patients choose `number`; a list of the sets of images that were tried."""
    seen = []

    def choose(train, val, synthetic, **_):
        seen.append((train, val, synthetic))
        trial = Trial(judge="cnn", arm="oversampling", ratio=number, auprc=0.5)
        return Chosen(
            ratio=number, arm="oversampling", judge="cnn", sentence=f"so be it: {number}", rare=("covid",),
            validated=val.counts, trials=(trial,),
        )  # fmt: skip

    monkeypatch.setattr(ratio, "choose_ratio", choose)
    return seen


def test_the_chosen_ratio_is_written_and_told(scans, model, tmp_path, monkeypatch):
    seen = asked(monkeypatch, "0.5")
    done = balance(scans, tmp_path / "out", model=model, options=AUTO)
    assert done.written == {"covid": 3, "normal": 0}
    assert done.report()["ratio"] == {"chosen": "0.5", "sentence": "so be it: 0.5"}
    facts = json.loads((tmp_path / "out" / "run.json").read_text("utf-8"))
    assert facts["ratio"] == done.report()["ratio"]
    assert facts["settings"]["ratio"] == "auto"
    assert "- How many synthetic images: so be it: 0.5" in (tmp_path / "out" / "README.md").read_text("utf-8")
    ((train, val, synthetic),) = seen
    assert (train.counts, val.counts) == ({"covid": 6, "normal": 12}, {"covid": 4, "normal": 6})
    assert synthetic.counts == {"covid": 6, "normal": 0}
    again = balance(scans, tmp_path / "out", model=model, options=AUTO)
    assert again.was_complete
    assert again.report() == done.report()
    assert len(seen) == 1


def test_images_are_tried_as_they_would_be_written(scans, model, tmp_path, monkeypatch):
    seen = asked(monkeypatch, "0")

    def sieve(model, label, wish, against, on_progress):
        return [Drawn(seed=seed, kept=bool(seed % 2)) for seed in range(2 * wish.counts[label])]

    monkeypatch.setattr(offer, "chosen", sieve)
    balance(scans, tmp_path / "filtered", model=model, options=AUTO)
    balance(scans, tmp_path / "plain", model=model, options=dataclasses.replace(AUTO, filter=False))
    assert [images.patients.tolist() for _, _, images in seen] == [
        [f"synthetic covid {seed}" for seed in seeds] for seeds in (range(1, 12, 2), range(6))
    ]


def test_nothing_is_a_legal_answer(scans, model, tmp_path, monkeypatch):
    asked(monkeypatch, "0")
    done = balance(scans, tmp_path / "out", model=model, options=AUTO)
    assert done.written == {"covid": 0, "normal": 0}
    assert done.after == {"covid": 6, "normal": 12}
    assert not list((tmp_path / "out").rglob("*_syn_*"))


def test_nothing_and_no_real_images_either_is_refused(scans, model, tmp_path, monkeypatch):
    asked(monkeypatch, "0")
    with pytest.raises(PlanError, match="nothing to write without real images: so be it: 0"):
        balance(scans, tmp_path / "out", model=model, options=dataclasses.replace(AUTO, real="none"))


def test_test_patients_are_never_asked_and_training_ones_neither(scans, model, tmp_path, monkeypatch):
    seen = asked(monkeypatch, "1")
    balance(scans, tmp_path / "out", model=model, options=AUTO)
    ((train, val, _),) = seen
    assert not set(train.patients) & set(val.patients)
    assert len(train) + len(val) == 12 + 6 + 6 + 4


def test_a_stopped_choice_goes_on(scans, model, tmp_path, hasty, monkeypatch):
    done = balance(scans, tmp_path / "one", model=model, options=AUTO)
    runs = tmp_path / "one.ratio" / "runs.jsonl"
    lines = runs.read_text("utf-8").splitlines(keepends=True)
    assert len(lines) > 6
    assert done.ratio["chosen"] in {"0", "0.25", "0.5", "1", "parity"}
    (tmp_path / "two.ratio").mkdir()
    (tmp_path / "two.ratio" / "runs.jsonl").write_text("".join(lines[:4]), encoding="utf-8")
    balance(scans, tmp_path / "two", model=model, options=AUTO)
    assert tree(tmp_path / "two.ratio") == tree(tmp_path / "one.ratio")
    assert tree(tmp_path / "two") == tree(tmp_path / "one")


def test_without_validation_patients_auto_is_refused_before_any_training(tmp_path):
    source = discs(tmp_path / "scans", normal=8, covid=4)
    with pytest.raises(PlanError, match="there are none") as refused:
        balance(source, tmp_path / "out", options=AUTO)
    assert "--holdout" in refused.value.hint
    assert not (tmp_path / "out.run").exists()


def test_where_no_class_lacks_images_nobody_is_asked(tmp_path, monkeypatch):
    seen = asked(monkeypatch, "1")
    source = discs(tmp_path / "scans", normal=4, covid=4)
    done = balance(source, tmp_path / "out", options=AUTO)
    assert not seen
    assert done.ratio == {"chosen": "", "sentence": ""}


def test_a_model_that_may_have_seen_the_validation_patients_is_refused(scans, tmp_path, monkeypatch):
    asked(monkeypatch, "1")
    other = discs(tmp_path / "other", normal=5, covid=4)
    stranger = untrained(tmp_path / "model", other)
    with pytest.raises(PlanError, match="may have seen the validation patients"):
        balance(scans, tmp_path / "out", model=stranger, options=dataclasses.replace(AUTO, any_model=True))
