"""What a comparison computes is counted beforehand as it is computed in the end."""

import dataclasses

import numpy as np
import pytest

from medgan.evaluation.usefulness import classifiers
from medgan.evaluation.usefulness.finetuned import views_of
from medgan.evaluation.usefulness.image_sets import Split
from medgan.evaluation.usefulness.inputs import SmallNetInputs
from medgan.evaluation.usefulness.trials import EFFORTS, Settings, run_trials
from medgan.evaluation.usefulness.workload import Workload, count_work
from medgan.similarity import features
from tests.evaluation.rings import shapes

TRAIN, TEST, TRUE = shapes(60, 12, 0), shapes(50, 20, 2), shapes(40, 40, 3)
SPLIT = Split(TRAIN, TEST, TRUE)
BRIEF = Settings(
    judges=("cnn",),
    steps={"cnn": (4,)},  # one number of steps, so that nothing has to be estimated
    rates={"cnn": (1e-3, 3e-3)},
    seeds=2,
    folds=2,
    side=16,
    resamples=50,
    recipes={"cnn": ("class weights", "oversampling + classical", "one-sided", "finish on real + classical")},
)


@pytest.mark.parametrize("folds", [0, 2, 3])
@pytest.mark.parametrize("headroom", [False, True])
def test_networks_take_as_many_steps_and_predict_as_many_images_as_counted(monkeypatch, folds, headroom):
    taken, predicted = [], []
    batch, logits, logits_of = SmallNetInputs.batch, SmallNetInputs.logits, SmallNetInputs.logits_of

    def counted_batch(self, rows, **how):
        taken.append(1)
        return batch(self, rows, **how)

    def counted_logits(self, network):
        predicted.append(len(self.asked))
        return logits(self, network)

    def counted_logits_of(self, network, rows):
        predicted.append(len(rows))
        return logits_of(self, network, rows)

    monkeypatch.setattr(SmallNetInputs, "batch", counted_batch)
    monkeypatch.setattr(SmallNetInputs, "logits", counted_logits)
    monkeypatch.setattr(SmallNetInputs, "logits_of", counted_logits_of)
    settings = dataclasses.replace(BRIEF, folds=folds, headroom=headroom)
    run_trials(SPLIT, settings=settings, seed=0)
    work = count_work(SPLIT, settings)["cnn"]
    assert work.predicted == sum(predicted)
    # Arms with fewer patients learn in as many steps; folds of 12 patients round theirs.
    assert work.steps == pytest.approx(sum(taken), rel=0.1)


def test_finished_runs_are_not_counted_again(monkeypatch):
    runs, taken = {}, []
    run_trials(SPLIT, settings=BRIEF, seed=0, runs=runs)
    whole = count_work(SPLIT, BRIEF)["cnn"]
    assert count_work(SPLIT, BRIEF, [f"other {run}" for run in runs])["cnn"] == whole
    assert count_work(SPLIT, BRIEF, runs)["cnn"] == Workload()

    # Every third run is lost, and takes its share of the steps.
    left = {run: value for number, (run, value) in enumerate(runs.items()) if number % 3}
    work = count_work(SPLIT, BRIEF, left)["cnn"]
    batch = SmallNetInputs.batch

    def counted(self, rows, **how):
        taken.append(1)
        return batch(self, rows, **how)

    monkeypatch.setattr(SmallNetInputs, "batch", counted)
    run_trials(SPLIT, settings=BRIEF, seed=0, runs=dict(left))
    assert work.steps == pytest.approx(len(taken), rel=0.25)
    assert work.steps < 0.5 * whole.steps


def test_linear_classifiers_are_as_many_as_counted(monkeypatch):
    monkeypatch.setattr(
        features, "lite2_features", lambda: lambda images: images.reshape(len(images), -1)[:, :40]
    )
    fitted = []
    learn = classifiers.LinearClassifier.learn

    def counted(self, lesson, schedules, seed):
        for one in learn(self, lesson, schedules, seed):
            fitted.append(len(lesson.stages[0][1].rows))
            yield one

    monkeypatch.setattr(classifiers.LinearClassifier, "learn", counted)
    settings = dataclasses.replace(
        BRIEF, judges=("probe",), recipes={"probe": ("real", "share 0.25", "smote")}
    )
    run_trials(SPLIT, settings=settings, seed=0)
    work = count_work(SPLIT, settings)["probe"]
    assert work == Workload(fits=len(fitted), learned=work.learned, looks=len(TRAIN) + len(TRUE) + len(TEST))
    assert work.learned == pytest.approx(np.mean(fitted), rel=0.2)


def test_frozen_stages_see_every_image_and_view_once():
    settings = dataclasses.replace(
        BRIEF, judges=("finetuned",), recipes={"finetuned": ("oversampling", "finish on real + classical")}
    )
    work = count_work(SPLIT, settings)["finetuned"]
    views = (len(TRAIN) + len(TRUE)) * views_of(len(TRAIN) + len(TRUE))
    assert work.frozen == len(TEST) + len(TRAIN) + views
    plain = dataclasses.replace(settings, recipes={"finetuned": ("oversampling",)})
    assert count_work(SPLIT, plain)["finetuned"].frozen == len(TEST) + len(TRAIN)


def test_schedules_that_are_still_to_be_chosen_count_as_the_mean_of_the_longer_half():
    settings = dataclasses.replace(
        BRIEF,
        steps={"cnn": (25, 50, 100, 200)},
        rates={"cnn": (1e-3,)},
        recipes={"cnn": ("oversampling",)},
        headroom=False,
    )
    assert count_work(SPLIT, settings)["cnn"].steps == 200 + 2 * 150  # folds of half the images, two seeds


def test_efforts_grow_and_counting_reads_no_pixel():
    bare = Split(*(dataclasses.replace(one, pixels=one.pixels * np.nan) for one in (TRAIN, TEST, TRUE)))
    steps = [
        sum(work.steps for work in count_work(bare, EFFORTS[name]).values())
        for name in ("quick", "standard", "thorough")
    ]
    assert steps == sorted(set(steps))
