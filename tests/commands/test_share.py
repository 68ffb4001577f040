"""What each class of a balanced folder is made up of, by a share or by what validation patients say."""

import json
from dataclasses import replace

import pytest

from medgan.base.errors import PlanError
from medgan.commands import share
from medgan.commands.balance import balance
from medgan.commands.options import BalanceOptions
from medgan.commands.share import BalancePolicy
from medgan.evaluation.usefulness.share_choice import Chosen, ShareTrial
from medgan.evaluation.usefulness.trials import Settings
from medgan.filtering import candidates, in_memory
from medgan.filtering.candidates import Selection
from medgan.filtering.selection import CandidateImage
from tests.commands.blobs import discs, tree, untrained


@pytest.fixture(autouse=True)
def unchecked(monkeypatch):
    """An untrained generator stands for a good one, and shows no class."""
    monkeypatch.setattr(candidates, "is_network_installed", lambda: False)


BEFORE = {"cyst": 20, "mass": 40, "normal": 100}


def mixture(**wishes):
    return BalancePolicy(**{"per_class": {}, "share": 0.25, **wishes})


def made(whole):
    return [quota.made for quota in whole.values()]


def passed(**kept):
    """A choice in which so many images of each class are kept."""
    drawn = {
        label: tuple(CandidateImage(seed=seed, kept=seed < count) for seed in range(60))
        for label, count in kept.items()
    }
    return Selection(drawn=drawn)


def test_by_default_every_class_is_as_large_as_the_largest_and_has_the_same_share():
    whole = mixture().of(BEFORE)
    assert [(one.real, one.repeated, one.made) for one in whole.values()] == [
        (20, 80, 33),
        (40, 60, 33),
        (100, 0, 33),
    ]


def test_the_old_top_up_makes_images_of_small_classes_alone():
    whole = mixture(fill="synthetic", share=None).of(BEFORE)
    assert [(one.real, one.repeated, one.made) for one in whole.values()] == [
        (20, 0, 80),
        (40, 0, 60),
        (100, 0, 0),
    ]


@pytest.mark.parametrize("wish", ["-1", "much", "inf", "nan", "", "1", "1.5", 1.0])
def test_what_is_no_share_is_refused(wish):
    with pytest.raises(PlanError, match="--share must be a number") as refused:
        BalanceOptions(share=wish).refuse()
    assert "0.25" in refused.value.hint


@pytest.mark.parametrize("wish", [0, 0.25, "auto"])
def test_a_share_of_a_one_sided_folder_is_refused(wish):
    with pytest.raises(PlanError, match="gives every class the same share") as refused:
        BalanceOptions(share=wish, fill="synthetic").refuse()
    assert refused.value.hint
    with pytest.raises(PlanError, match="--fill both is not known"):
        BalanceOptions(fill="both").refuse()


# --- less than asked for ---


def test_where_few_images_of_a_class_pass_the_share_is_lowered_in_all_and_told():
    wish = mixture()
    whole, words = wish.fit(wish.of(BEFORE), passed(cyst=33, mass=20, normal=40))
    assert made(whole) == [20, 20, 20]
    assert words == "share 0.17 instead of 0.25: only 20 of 33 images of mass passed the filter"
    whole, words = wish.fit(wish.of(BEFORE), passed(cyst=33, mass=33, normal=33))
    assert (made(whole), words) == ([33, 33, 33], "")
    _, words = wish.fit(wish.of(BEFORE), passed(cyst=33, mass=33))
    assert words == "share 0 instead of 0.25: only 0 of 33 images of normal passed the filter"


def test_where_most_were_refused_for_their_class_the_sentence_says_so():
    def refused(why, count):
        kept = passed(cyst=33, mass=33)
        drawn = tuple(
            CandidateImage(seed=seed, kept=seed < 6, reason=why * (count > seed >= 6)) for seed in range(1320)
        )
        return Selection(drawn={**kept.drawn, "normal": drawn})

    wish = mixture()
    plain = "share 0.06 instead of 0.25: only 6 of 33 images of normal passed the filter"
    _, words = wish.fit(wish.of(BEFORE), refused("class", 1314))
    assert words == (
        f"{plain}; 1,308 of 1,320 drawn show that class less surely than real images do, "
        "and a longer training (--minutes) may draw better ones"
    )
    for why, count in (("class", 600), ("realism", 1314)):  # few of them, or another reason
        assert wish.fit(wish.of(BEFORE), refused(why, count))[1] == plain


def test_a_share_that_is_hardly_less_is_told_in_more_digits():
    wish, many = mixture(), {"a": 1000, "b": 900}
    kept = Selection(drawn={label: tuple(CandidateImage(seed=seed) for seed in range(332)) for label in many})
    _, words = wish.fit(wish.of(many), kept)
    assert words == "share 0.249 instead of 0.25: only 332 of 333 images of a passed the filter"


def test_a_limit_on_synthetic_images_is_told_too():
    assert mixture(most=0.5).limit(BEFORE) == (
        "share 0.09 instead of 0.25: 10 of 33 images of cyst are allowed by --max-synthetic-ratio"
    )
    assert made(mixture(most=0.5).of(BEFORE)) == [10, 10, 10]
    assert not mixture(most=2.0).limit(BEFORE)
    assert not mixture(most=0.5, fill="synthetic", share=None).limit(BEFORE)


def test_repeats_stand_in_where_a_top_up_falls_short():
    wish = mixture(fill="synthetic", share=None)
    whole, words = wish.fit(wish.of(BEFORE), passed(cyst=50, mass=60))
    assert [(one.repeated, one.made) for one in whole.values()] == [(30, 50), (0, 60), (0, 0)]
    assert words.endswith("synthetic ones that did not pass the filter: 30 of class cyst")


def test_images_in_doubt_go_first_where_fewer_are_wanted():
    drawn = (
        CandidateImage(seed=0, reason="class"),
        CandidateImage(seed=1),
        CandidateImage(seed=2, kept=False, reason="copy"),
        CandidateImage(seed=3),
        CandidateImage(seed=4),
    )
    choice = Selection(drawn={"a": drawn}).hold({"a": 2})
    assert choice.seeds("a") == [1, 3]
    assert [one.reason for one in choice.drawn["a"]] == ["class", "", "copy", "", "surplus"]
    assert Selection(drawn={"a": drawn}).hold({"a": 4}).seeds("a") == [0, 1, 3, 4]


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
    monkeypatch.setattr(share, "EFFORTS", {"quick": quick})


AUTO = BalanceOptions(share="auto")


def asked(monkeypatch, number):
    """Let validation patients choose `number`; a list of the sets of images that were tried."""
    seen = []

    def choose(sets, **_):
        seen.append((sets.train, sets.held_out, sets.synthetic))
        trial = ShareTrial(judge="cnn", arm="oversampling", share=number, auprc=0.5)
        return Chosen(
            share=number,
            arm="oversampling",
            judge="cnn",
            difference=0.0,
            error=0.1,
            sentence=f"so be it: {number}",
            rare=("covid",),
            validated=sets.held_out.counts,
            trials=(trial,),
        )

    monkeypatch.setattr(share, "choose_share", choose)
    return seen


def test_the_chosen_share_is_written_and_told(scans, model, tmp_path, monkeypatch):
    seen = asked(monkeypatch, "0.25")
    done = balance(scans, tmp_path / "out", options=replace(AUTO, model=model))
    assert (done.written, done.repeated) == ({"covid": 4, "normal": 4}, {"covid": 6, "normal": 0})
    assert done.as_json()["share"] == {"asked": "auto", "reached": 0.25, "sentence": "so be it: 0.25"}
    facts = json.loads((tmp_path / "out" / "run.json").read_text("utf-8"))
    assert facts["share"] == done.as_json()["share"]
    assert facts["settings"]["share"] == "auto"
    card = (tmp_path / "out" / "README.md").read_text("utf-8")
    assert "auto asked for, 0.25 reached, the same in every class (so be it: 0.25)" in card
    ((train, val, synthetic),) = seen
    assert (train.counts, val.counts) == ({"covid": 6, "normal": 12}, {"covid": 4, "normal": 6})
    assert synthetic.counts == {"covid": 12, "normal": 12}
    again = balance(scans, tmp_path / "out", options=replace(AUTO, model=model))
    assert again.as_json() == done.as_json()
    assert len(seen) == 1


def test_images_are_tried_as_they_would_be_written(scans, model, tmp_path, monkeypatch):
    seen = asked(monkeypatch, "0")

    def sieve(model, label, wish, against, job):
        return [CandidateImage(seed=seed, kept=bool(seed % 2)) for seed in range(2 * wish.counts[label])]

    monkeypatch.setattr(in_memory, "filter_class", sieve)
    balance(scans, tmp_path / "filtered", options=replace(AUTO, model=model))
    balance(scans, tmp_path / "plain", options=replace(AUTO, model=model, no_filter=True))
    assert [images.patients.tolist() for _, _, images in seen] == [
        [f"synthetic {label} {seed}" for label in ("covid", "normal") for seed in seeds]
        for seeds in (range(1, 24, 2), range(12))
    ]


def test_nothing_is_a_legal_answer(scans, model, tmp_path, monkeypatch):
    asked(monkeypatch, "0")
    done = balance(scans, tmp_path / "out", options=replace(AUTO, model=model))
    assert done.written == {"covid": 0, "normal": 0}
    assert done.counts["after"] == {"covid": 12, "normal": 12}
    assert not list((tmp_path / "out").rglob("*_syn_*"))


def test_nothing_and_no_real_images_either_is_refused(scans, model, tmp_path, monkeypatch):
    asked(monkeypatch, "0")
    with pytest.raises(PlanError, match="nothing to write without real images: so be it: 0"):
        balance(scans, tmp_path / "out", options=replace(AUTO, model=model, real="none"))


def test_test_patients_are_never_asked_and_training_ones_neither(scans, model, tmp_path, monkeypatch):
    seen = asked(monkeypatch, "0.5")
    balance(scans, tmp_path / "out", options=replace(AUTO, model=model))
    ((train, val, _),) = seen
    assert not set(train.patients) & set(val.patients)
    assert len(train) + len(val) == 12 + 6 + 6 + 4


def test_a_stopped_choice_goes_on(scans, model, tmp_path, hasty, monkeypatch):
    done = balance(scans, tmp_path / "one", options=replace(AUTO, model=model))
    runs = tmp_path / "one.share" / "runs.jsonl"
    lines = runs.read_text("utf-8").splitlines(keepends=True)
    assert len(lines) > 6
    assert done.share["reached"] in {0.0, 0.25, 0.5}
    (tmp_path / "two.share").mkdir()
    (tmp_path / "two.share" / "runs.jsonl").write_text("".join(lines[:4]), encoding="utf-8")
    balance(scans, tmp_path / "two", options=replace(AUTO, model=model))
    assert tree(tmp_path / "two.share") == tree(tmp_path / "one.share")
    assert tree(tmp_path / "two") == tree(tmp_path / "one")


def test_without_validation_patients_auto_is_refused_before_any_training(tmp_path):
    source = discs(tmp_path / "scans", normal=8, covid=4)
    with pytest.raises(PlanError, match="there are none") as refused:
        balance(source, tmp_path / "out", options=AUTO)
    assert "--holdout" in refused.value.hint
    assert not (tmp_path / "out.run").exists()


def test_validation_patients_are_asked_of_classes_of_equal_size_too(tmp_path, monkeypatch):
    seen = asked(monkeypatch, "0.5")
    discs(tmp_path / "scans", split="train", normal=4, covid=4)
    source = discs(tmp_path / "scans", split="val", normal=2, covid=2)
    run = untrained(tmp_path / "run", source)
    done = balance(source, tmp_path / "out", options=replace(AUTO, model=run, no_filter=True))
    assert len(seen) == 1
    assert (done.written, done.repeated) == ({"covid": 4, "normal": 4}, {"covid": 0, "normal": 0})


def test_a_model_that_may_have_seen_the_validation_patients_is_refused(scans, tmp_path, monkeypatch):
    asked(monkeypatch, "1")
    other = discs(tmp_path / "other", normal=5, covid=4)
    stranger = untrained(tmp_path / "model", other)
    with pytest.raises(PlanError, match="may have seen the validation patients"):
        balance(scans, tmp_path / "out", options=replace(AUTO, model=stranger, any_model=True))
