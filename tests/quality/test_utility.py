"""What is said of synthetic images whose worth is known."""

import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from medgan.errors import DatasetError
from medgan.files import plain, revive
from medgan.quality import predictions as module
from medgan.quality import utility
from medgan.quality.contest import EFFORTS, JUDGES, Settings, contest, judges_here
from medgan.quality.predictions import predictions
from medgan.quality.turns import divided
from medgan.quality.utility import Usefulness, measure_usefulness
from medgan.quality.verdict import CANNOT_TELL, HARMS, HELPS, NO_BENEFIT, Panel
from tests.quality.rings import shapes, with_pixels

TRAIN, VAL, TEST = shapes(200, 12, 0), shapes(100, 40, 1), shapes(150, 60, 2)
TRUE = shapes(0, 188, 3)
SETTINGS = Settings(
    judges=("cnn",), steps=120, seeds=2, side=24, resamples=300, ratios=("1", "parity"),
    recipes=("class weights", "oversampling", "oversampling + classical", "synthetic + classical"),
)  # fmt: skip
BRIEF = dataclasses.replace(SETTINGS, steps=3)


@pytest.fixture(scope="module")
def plain_runs():
    """Runs of the arms without synthetic images, shared by all tests that judge by the same settings."""
    return {}


def judged(synthetic, plain_runs, settings=SETTINGS, **sets):
    runs = dict(plain_runs)
    chosen = {"train": TRAIN, "val": VAL, "test": TEST, **sets}
    found = measure_usefulness(**chosen, synthetic=synthetic, settings=settings, seed=0, runs=runs)
    if settings == SETTINGS:
        plain_runs |= {key: value for key, value in runs.items() if "synthetic" not in key}
    return found


@pytest.mark.slow
def test_synthetic_images_of_the_true_distribution_help(plain_runs):
    found = judged(TRUE, plain_runs)
    assert found.verdict == HELPS
    assert found.interval[0] > 0
    assert found.best_arm == "synthetic + classical"
    assert found.sentence.startswith("Synthetic images help to find rare in held-out patients: +")
    assert f"synthetic + classical at ratio {found.ratio} against " in found.sentence


@pytest.mark.slow
def test_images_of_another_class_harm(plain_runs):
    wrong = shapes(188, 0, 4)
    wrong = dataclasses.replace(wrong, labels=np.ones(188, np.int64))
    found = judged(wrong, plain_runs)
    assert found.verdict == HARMS
    assert "harm" in found.sentence
    whole = found.judges[0].whole
    assert (found.comparison, found.difference, found.interval) == ("whole", whole.difference, whole.interval)
    assert found.interval[1] < 0


@pytest.mark.slow
def test_noise_harms(plain_runs):
    noise = np.random.default_rng(5).random(TRUE.pixels.shape)
    assert judged(with_pixels(TRUE, noise), plain_runs).verdict == HARMS


@pytest.mark.slow
def test_duplicates_of_real_images_are_no_benefit(plain_runs):
    rare = TRAIN.of("rare")
    found = judged(rare.take(np.arange(188) % len(rare)), plain_runs)
    assert found.verdict == NO_BENEFIT
    low, high = found.interval
    assert low <= 0 <= high or abs(found.difference) < 0.02
    assert found.sentence.startswith("No benefit")


@pytest.fixture(scope="module")
def brief():
    """A result of hardly trained classifiers, to look at its form."""
    return measure_usefulness(TRAIN, VAL, TEST, TRUE, settings=BRIEF, seed=0)


def test_the_result_is_json_and_back(brief):
    assert revive(Usefulness, json.loads(json.dumps(plain(brief)))) == brief


def test_the_result_tells_how_it_was_measured(brief):
    assert brief.rare == ("rare",)
    assert brief.tested == {"normal": 150, "rare": 60}
    assert brief.patients == 210
    assert "bootstrap over patients" in brief.method
    assert {(arm.name, arm.ratio) for arm in brief.arms} == {
        ("class weights", ""),
        ("oversampling", ""),
        ("oversampling + classical", ""),
        ("synthetic + classical", "1"),
        ("synthetic + classical", "parity"),
    }
    for arm in brief.arms:
        assert arm.low <= arm.auprc <= arm.high or arm.high - arm.low < 0.02
        assert np.mean(arm.per_seed) == pytest.approx(arm.auprc, abs=1e-4)


def test_arms_are_chosen_by_validation_alone(brief):
    told = brief.judges[0].best
    best = max((arm for arm in brief.arms if not arm.made), key=lambda arm: arm.validation)
    assert told.alternative == best.name
    ours = max((arm for arm in brief.arms if arm.made), key=lambda arm: arm.validation)
    assert (told.best_arm, told.ratio) == (ours.name, ours.ratio)
    assert told.difference == pytest.approx(ours.auprc - best.auprc, abs=1e-4)


@pytest.mark.parametrize("halved", [False, True])
def test_what_arms_say_of_each_image_that_judges_gives_their_figures(halved):
    one = dataclasses.replace(BRIEF, seeds=1)
    sets = (TRAIN, TEST.take([]), TEST, TRUE) if halved else (TRAIN, VAL, TEST, TRUE)
    heard = utility.hearing(*sets, settings=one, seed=0)
    said = predictions(heard.bench, heard.outcomes, heard.rare)
    assert said.probabilities.shape == (len(said.arms), len(TEST), 2)
    assert np.bincount(said.truth).tolist() == [150, 60]
    assert set(said.turn.tolist()) == ({0, 1} if halved else {0})
    for arm, told in zip(utility.judgement(heard, one).arms, said.probabilities, strict=True):
        areas = [
            average_precision_score(said.truth[said.turn == turn], told[said.turn == turn, 1])
            for turn in set(said.turn.tolist())
        ]
        assert arm.auprc == pytest.approx(np.mean(areas), abs=1e-3)
        assert told.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert said.arms[0] == ("cnn", "class weights", "")


def test_where_there_is_too_much_to_say_an_even_choice_of_images_stands_for_all(monkeypatch):
    monkeypatch.setattr(module, "MOST", 5 * 2 * 30)
    heard = utility.hearing(TRAIN, VAL, TEST, TRUE, settings=dataclasses.replace(BRIEF, seeds=1), seed=0)
    said = predictions(heard.bench, heard.outcomes, heard.rare)
    assert said.probabilities.shape == (5, 30, 2)
    assert np.bincount(said.truth).tolist() == [22, 8]


def test_finished_runs_are_not_repeated():
    runs, seen = {}, []
    first = measure_usefulness(TRAIN, VAL, TEST, TRUE, settings=BRIEF, seed=0, runs=runs)
    assert len(runs) == 5 * BRIEF.seeds
    stopped = dict(list(json.loads(json.dumps(runs)).items())[:7])

    class Watched(dict):
        def __setitem__(self, key, value):
            seen.append(key)
            super().__setitem__(key, value)

    again = measure_usefulness(TRAIN, VAL, TEST, TRUE, settings=BRIEF, seed=0, runs=Watched(stopped))
    assert seen == list(runs)[7:]
    assert again == first


def test_progress_counts_every_run():
    told = []
    measure_usefulness(TRAIN, VAL, TEST, TRUE, settings=BRIEF, seed=0, on_progress=told.append)
    for stage, total in (("judging", 10), ("drawing patients again", 5)):
        assert [one.done for one in told if one.stage == stage] == list(range(1, total + 1))
        assert {one.total for one in told if one.stage == stage} == {total}


@pytest.mark.parametrize("given", [0, 1])
def test_halves_of_patients_that_are_not_divided_choose_for_each_other(given):
    held = [TEST, TEST.take([])] if given == 0 else [TEST.take([]), TEST]
    found = measure_usefulness(TRAIN, *held, TRUE, settings=BRIEF, seed=0)
    assert found.turns == 2
    assert found.tested == {"normal": 150, "rare": 60}
    assert found.patients == 210
    halves = divided(TEST, 0.5, 0)
    turns = [
        measure_usefulness(TRAIN, *pair, TRUE, settings=BRIEF, seed=0) for pair in (halves, halves[::-1])
    ]
    assert found.judges[0].best.difference == pytest.approx(
        np.mean([turn.judges[0].best.difference for turn in turns]), abs=1e-4
    )
    for arm, one, other in zip(found.arms, *(turn.arms for turn in turns), strict=True):
        assert arm.auprc == pytest.approx((one.auprc + other.auprc) / 2, abs=1e-4)
        assert arm.validation == pytest.approx((one.validation + other.validation) / 2, abs=1e-4)
    assert found.interval[1] - found.interval[0] < max(np.diff(turn.interval)[0] for turn in turns)
    assert "each half chose" in found.method
    chosen = {(turn.best_arm, turn.ratio, turn.alternative) for turn in turns}
    assert found.judges[0].best.agreed == (chosen == {(found.best_arm, found.ratio, found.alternative)})
    shown = found.judges[0].shown
    assert ("what the other half chose" in found.sentence) == (
        not shown.agreed and found.verdict != CANNOT_TELL
    )
    assert [one.auprc - one.alternative_auprc for one in found.judges[0].best.rounds] == [
        pytest.approx(turn.judges[0].best.difference, abs=1e-4) for turn in turns
    ]


def test_a_division_parts_patients_and_keeps_classes():
    images = shapes(40, 12, 0, per_patient=2)
    first, second = divided(images, 0.5, 0)
    assert not set(first.patients) & set(second.patients)
    assert len(first) + len(second) == len(images)
    assert first.counts == second.counts == {"normal": 20, "rare": 6}


def test_several_rare_classes_count_alike():
    three = ("normal", "rare", "scar")
    sets = [dataclasses.replace(one, names=three) for one in (TRAIN, VAL, TEST, TRUE)]
    for number, one in enumerate(sets[:3]):
        labels = one.labels.copy()
        labels[np.flatnonzero(labels == 0)[: 10 * (number + 1)]] = 2
        sets[number] = dataclasses.replace(one, labels=labels)
    found = measure_usefulness(*sets, settings=BRIEF, seed=0)
    assert found.rare == ("rare", "scar")
    assert "rare and scar" in found.sentence


def test_held_out_images_without_a_rare_class_are_refused():
    with pytest.raises(DatasetError, match="the test images hold none of rare"):
        measure_usefulness(TRAIN, VAL, TEST.of("normal"), TRUE, settings=BRIEF, seed=0)


def test_without_a_useful_synthetic_image_there_is_nothing_to_judge():
    with pytest.raises(DatasetError, match="nothing to judge"):
        measure_usefulness(TRAIN, VAL, TEST, shapes(20, 0, 9), settings=BRIEF, seed=0)


def test_an_unknown_judge_is_a_fault_of_ours():
    with pytest.raises(AssertionError, match="oracle"):
        Settings(judges=("oracle",))


def test_efforts_grow():
    steps = [EFFORTS[name].steps * EFFORTS[name].seeds for name in ("quick", "standard", "thorough")]
    assert steps == sorted(set(steps))


def test_a_judge_without_its_weights_is_left_out(monkeypatch):
    monkeypatch.setattr("medgan.quality.contest.installed", lambda package: False)
    assert judges_here(tuple(JUDGES)) == ("cnn",)


def test_the_probe_sees_features_once_and_no_classical_augmentation(monkeypatch):
    from medgan.quality import features

    looks = []

    def stand_in():
        def look(pixels):
            looks.append(len(pixels))
            return pixels.reshape(len(pixels), -1)

        return look

    monkeypatch.setattr(features, "lite2", stand_in)
    settings = dataclasses.replace(BRIEF, judges=("probe",), recipes=Settings().recipes)
    outcomes = contest(TRAIN, VAL, TRUE, settings=settings, seed=0)
    assert looks == [len(TRAIN) + len(TRUE), len(VAL)]
    assert not any(one.variant.recipe.classical for one in outcomes)


def test_of_a_few_rare_patients_nothing_is_concluded(plain_runs):
    few = shapes(150, 40, 2, per_patient=10)
    found = judged(TRUE, plain_runs, BRIEF, test=few)
    assert found.verdict == CANNOT_TELL
    assert found.rare_patients == {"rare": 4}
    assert found.patients_needed >= 5
    assert found.sentence == (
        "Cannot tell whether synthetic images help: only 4 held-out patients have rare;"
        f" at least {found.patients_needed} are needed for a verdict."
    )


def entry(made, auprc):
    """An arm that has `auprc` under every resample."""
    arm = SimpleNamespace(judge="cnn", name="a", ratio="1" if made else "", made=made, validation=auprc)
    return SimpleNamespace(arm=arm, auprc=(auprc,), validation=(auprc,), resampled=np.full((1, 20), auprc))


@pytest.mark.parametrize(("fewest", "verdict"), [(4, CANNOT_TELL), (5, None)])
@pytest.mark.parametrize(("auprc", "told"), [(0.9, HELPS), (0.1, HARMS), (0.5, NO_BENEFIT)])
def test_gain_harm_and_no_benefit_need_five_patients(fewest, verdict, auprc, told):
    panel = Panel(label="rare", patients=fewest, fewest=fewest, turns=1)
    found = utility.judged("cnn", [entry(False, 0.5), entry(True, auprc)], panel)
    assert found.verdict == (verdict or told)
    assert found.patients_needed == (5 if verdict else None)


def test_both_sides_of_every_turn_are_told(brief):
    for comparison in (brief.judges[0].best, brief.judges[0].whole):
        means = [one.auprc - one.alternative_auprc for one in comparison.rounds]
        assert np.mean(means) == pytest.approx(comparison.difference, abs=1e-4)
    by_name = {(arm.name, arm.ratio): arm for arm in brief.arms}
    (one,) = brief.judges[0].best.rounds
    assert by_name[one.arm, one.ratio].per_turn == (one.auprc,)
    assert by_name[one.alternative, one.alternative_ratio].auprc == one.alternative_auprc


def test_every_arm_has_the_interval_of_its_sensitivity(brief):
    for arm in brief.arms:
        assert 0 <= arm.sensitivity_low <= arm.sensitivity_high <= 1
        assert arm.sensitivity_low - 0.1 <= arm.sensitivity <= arm.sensitivity_high + 0.1
