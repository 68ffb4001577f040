"""Train the classifiers of every arm, and predict the held-out images.

Arms of a judge differ only in what they learn from: equal seeds give equal starting weights, and the same
schedules are tried on the same folds of training patients. Those folds choose the schedule of every arm of
real images, which the same arm with synthetic images takes over, and the reference that other arms must
beat; so all held-out patients can judge. A run depends only on its inputs, so that finished runs can be
cached.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from threading import Lock, RLock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medgan.base.progress import OnProgress, Progress, ignore
from medgan.evaluation.usefulness.arms import (
    COMPOSITES,
    FINISH,
    IN_FEATURES,
    NAMED,
    ONE_SIDED,
    ONLY_IN_FEATURES,
    RECIPES,
    SHARED,
    ArmRecipe,
    count_added,
    lesson,
    possible,
    rare_classes,
)
from medgan.evaluation.usefulness.classifiers import (
    Classifier,
    LinearClassifier,
    NetworkClassifier,
    linear_tries,
    network_tries,
)
from medgan.evaluation.usefulness.composites import compose
from medgan.evaluation.usefulness.finetuned import LARGEST, SMALLEST, FineTunedInputs
from medgan.evaluation.usefulness.image_sets import Sets, Split
from medgan.evaluation.usefulness.inputs import SmallNetInputs
from medgan.evaluation.usefulness.parallel import run_at_once
from medgan.evaluation.usefulness.schedules import (
    Schedule,
    ScheduleChoice,
    choose,
    fold_auprc,
    folds_of,
    middle,
)
from medgan.preparation.images import LabelledImages
from medgan.similarity import features
from medgan.similarity.backbone import LITE1, LITE2, is_installed
from medgan.similarity.standardise import standardise

FINE_TUNED = "finetuned"
PROBE = "probe"
CNN = "cnn"
JUDGES = {
    FINE_TUNED: "a pretrained EfficientNet-Lite1 whose last two stages are trained",
    PROBE: "a linear layer on features of EfficientNet-Lite2",
    CNN: "a small convolutional network trained from scratch",
}
"""{judge: kind of classifier}; the first one that is installed gives the verdict."""
_DIGITS = 4
"""Decimals of cached logits, which only rank images."""
RUNGS = (0.5, 0.75)
"""Shares of the rare classes' patients with which the reference is trained again, to measure headroom."""
_LEAST_SEEDS = 2
"""Classifiers per share of patients, at least."""
_FALLBACK = ("oversampling + classical", "class weights", "oversampling")
"""The reference if there are too few patients for folds: the first of these that takes part."""
Runs = MutableMapping[str, Any]
"""{run: its result as JSON}, which the caller stores between calls with equal images and settings."""
_Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How thoroughly arms are compared."""

    judges: tuple[str, ...] = tuple(JUDGES)
    seeds: int = 3
    """Classifiers per arm, with the schedule chosen for it."""
    folds: int = 3
    """Folds of training patients that choose schedules; below 2 the middle schedule is taken."""
    recipes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """{judge: names of its arms}; other judges have all arms that they can learn from."""
    rates: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """{judge: learning rates to try}; other judges try their defaults."""
    steps: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """{judge: numbers of steps to try, ascending}; likewise."""
    side: int = 48
    """Longest side in pixels of what the small network sees."""
    shown: int = LARGEST
    """Longest side in pixels of what the fine-tuned network sees, at most."""
    resamples: int = 2000
    """Of the bootstrap."""
    headroom: bool = True
    """Also train the reference with fewer patients of rare classes, to estimate what more would bring."""
    rare: tuple[str, ...] = ()
    """Classes of the endpoint; empty: those with at most half as many images as the largest."""

    def __post_init__(self) -> None:
        """Check judges, arms and numbers."""
        assert {*self.judges} <= {*JUDGES}, self.judges
        known = {recipe.name for recipe in RECIPES}
        assert all({*names} <= known for names in self.recipes.values()), self.recipes
        assert min(self.side, self.seeds, self.resamples) > 0

    def recipes_of(self, judge: str) -> tuple[ArmRecipe, ...]:
        """The recipes that a judge trains, in the order of RECIPES."""
        wanted = self.recipes.get(judge, [recipe.name for recipe in RECIPES])
        return tuple(
            recipe
            for recipe in RECIPES
            if recipe.name in wanted
            and (recipe.name in IN_FEATURES if judge == PROBE else recipe.name not in ONLY_IN_FEATURES)
        )


_BRIEFLY = (
    "class weights",
    "oversampling",
    "oversampling + classical",
    f"{ONE_SIDED} + classical",
    f"{SHARED} + classical",
    f"{FINISH} + classical",
)
"""The arms of a quick comparison for the judge whose steps are slow."""
EFFORTS = {
    "quick": Settings(
        judges=(FINE_TUNED, PROBE),
        seeds=2,
        folds=2,
        recipes={FINE_TUNED: _BRIEFLY},
        rates={FINE_TUNED: (1e-4,)},
        steps={FINE_TUNED: (25, 50, 100, 200)},
        shown=SMALLEST,
        resamples=1000,
    ),
    "standard": Settings(side=64),
    "thorough": Settings(side=64, seeds=5, resamples=5000),
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcome:
    """The predictions of one arm's classifiers for the held-out images."""

    judge: str
    recipe: ArmRecipe
    added: Mapping[str, int]
    """{class: images that join the real ones}."""
    choice: ScheduleChoice
    logits: _Array
    """(seeds, N, K)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rung:
    """Predictions of the reference, trained with another number of patients of the rare classes."""

    patients: int
    """Patients of all rare classes."""
    logits: _Array
    """(seeds, N, K)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Round:
    """The predictions of all arms of one judge."""

    judge: str
    outcomes: tuple[Outcome, ...]
    reference: Outcome
    """The arm without synthetic images that folds of training patients rank first."""
    named: Outcome | None
    """The arm with synthetic images that was named before testing; None if no such arm takes part."""
    rungs: tuple[Rung, ...] = ()
    """Fewer patients first, all of them last; empty if headroom is not measured."""
    ceiling: Rung | None = None
    """With further real patients of the rare classes, if the caller has some."""

    def of(self, rows: slice) -> Round:
        """The predictions of the same classifiers for some of the held-out images."""
        outcomes = tuple(replace(one, logits=one.logits[:, rows]) for one in self.outcomes)
        there = dict(zip(map(id, self.outcomes), outcomes, strict=True))
        rungs = tuple(replace(one, logits=one.logits[:, rows]) for one in self.rungs)
        return replace(
            self,
            outcomes=outcomes,
            reference=there[id(self.reference)],
            named=self.named and there[id(self.named)],
            rungs=rungs,
            ceiling=self.ceiling and replace(self.ceiling, logits=self.ceiling.logits[:, rows]),
        )


def judges_here(judges: Sequence[str]) -> tuple[str, ...]:
    """The judges whose weights are installed; if there are none, the small network, which needs none."""
    packages = {FINE_TUNED: LITE1[0], PROBE: LITE2[0]}
    here = tuple(judge for judge in judges if judge not in packages or is_installed(packages[judge]))
    return here or (CNN,)


def grid_of(judge: str, settings: Settings) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """Learning rates and numbers of steps to try."""
    eyes = FineTunedInputs if judge == FINE_TUNED else SmallNetInputs
    return settings.rates.get(judge, eyes.rates), settings.steps.get(judge, eyes.steps)


def run_trials(
    split: Split,
    *,
    settings: Settings,
    seed: int,
    more_real: LabelledImages | None = None,
    runs: Runs | None = None,
    on_progress: OnProgress = ignore,
) -> tuple[Round, ...]:
    """Train the classifiers of every arm and predict the held-out images.

    Args:
        split: Real images to learn from, held-out images to predict, synthetic images.
        settings: Judges, arms, schedules and seeds.
        seed: First of the classifiers' seeds.
        more_real: Further real images of rare classes, of other patients; the first judge learns from them
            once, as its ceiling.
        runs: Finished runs; new ones are added.
        on_progress: Called after every run.
    """
    # Train judge after judge, several arms at once.
    judges = plan_trials(split, settings, seed, more_real, {} if runs is None else runs)
    total, done = sum(judge.total(first=judge is judges[0]) for judge in judges), 0
    lock = Lock()

    def report(words: str) -> None:
        nonlocal done
        with lock:
            done = min(done + 1, total)
            on_progress(Progress("judging", done, total, words))

    return tuple(judge.train_arms(report, first=judge is judges[0]) for judge in judges)


def plan_trials(
    split: Split, settings: Settings, seed: int, more_real: LabelledImages | None, runs: Runs
) -> list[JudgeTrials]:
    """Put all images to learn from in one order, and plan the runs of every judge; nothing is computed yet.

    Takes what `run_trials` does.
    """
    train = split.train
    rare = settings.rare or rare_classes(train.counts)
    composing = any(
        recipe.adds == COMPOSITES for judge in settings.judges for recipe in settings.recipes_of(judge)
    )
    composed = compose(train if composing else train.take([]), seed)
    sets = Sets.of(split, more_real or train.take([]), composed, rare)
    return [
        JudgeTrials(judge=judge, sets=sets, settings=settings, seed=seed, runs=runs)
        for judge in settings.judges
    ]


def arm_to_tune(recipe: ArmRecipe) -> ArmRecipe:
    """The arm of real images whose schedule an arm takes: itself, or the same without synthetic images."""
    return recipe.without if recipe.made else recipe


class JudgeTrials:
    """The runs of one judge; its features are computed when the first run that is not cached needs them."""

    def __init__(self, *, judge: str, sets: Sets, settings: Settings, seed: int, runs: Runs) -> None:
        """Take images and settings; nothing is computed yet."""
        self.judge, self.sets, self.settings, self.seed, self.runs = judge, sets, settings, seed, runs
        self.recipes = possible(sets.learned, settings.recipes_of(judge), sets.usual)
        self.folds = folds_of(sets.train, sets.rare, settings.folds, seed)
        self.lock = RLock()  # arms are trained several at once
        self.choices: dict[str, ScheduleChoice] = {}
        self.choosing: dict[str, Lock] = {}

    @property
    def learner(self) -> Classifier:
        """The judge's classifier with its inputs, computed once."""
        with self.lock:
            return self._learner

    @cached_property
    def _learner(self) -> Classifier:
        learned, asked, like = (
            np.concatenate(self.sets.pixels),
            self.sets.held_out.pixels,
            self.sets.train.pixels,
        )
        if self.judge == PROBE:
            look = features.lite2_features()
            seen, held = look(learned), look(asked)
            real = seen[: len(like)]
            return LinearClassifier(learned=standardise(seen, real), asked=standardise(held, real))
        if self.judge == FINE_TUNED:
            shown = self.settings.shown
            return NetworkClassifier(
                eyes=FineTunedInputs(learned, asked, like=like, seed=self.seed, side=shown)
            )
        return NetworkClassifier(eyes=SmallNetInputs(learned, asked, like=like, side=self.settings.side))

    def tries(self, recipe: ArmRecipe) -> tuple[tuple[Schedule, ...], ...]:
        """Schedules to try; one run gives all schedules of a group."""
        if self.judge == PROBE:
            return linear_tries(recipe)
        return network_tries(*grid_of(self.judge, self.settings))

    def total(self, *, first: bool) -> int:
        """Estimate the number of runs: tries and seeds of every arm, and those for the headroom."""
        tuned = {arm_to_tune(recipe) for recipe in self.recipes} if self.folds is not None else ()
        tries = sum(len(self.tries(recipe)) for recipe in tuned)
        more = len(RUNGS) * self.turns if first and self.settings.headroom else 0
        return tries + len(self.recipes) * self.settings.seeds + more

    def train_arms(self, report: Callable[[str], None], *, first: bool) -> Round:
        """Train the classifiers of every arm; the first judge also measures the headroom."""
        # All arms, several at once.
        outcomes = tuple(run_at_once([partial(self.outcome, recipe, report) for recipe in self.recipes]))
        by_name = {outcome.recipe.name: outcome for outcome in outcomes}

        # The reference: the best arm without synthetic images, by folds of training patients.
        plain = [outcome for outcome in outcomes if not outcome.recipe.made]
        reference = max(plain, key=lambda one: one.choice.inner or 0.0)
        if reference.choice.inner is None:
            reference = next((by_name[name] for name in _FALLBACK if name in by_name), reference)
        asked = first and self.settings.headroom
        return Round(
            judge=self.judge,
            outcomes=outcomes,
            reference=reference,
            named=next((by_name[name] for name in NAMED if name in by_name), None),
            rungs=tuple(self.rungs(reference, report)) if asked else (),
            ceiling=self.rung(reference, np.ones(len(self.sets.learned), bool), "more")
            if first and not self.sets.usual.all()
            else None,
        )

    def outcome(self, recipe: ArmRecipe, report: Callable[[str], None]) -> Outcome:
        """Choose the schedule of an arm, and train its classifiers on all training patients."""
        words = f"{self.judge}: {recipe.name}"
        choice = self.choose_schedule(recipe, lambda: report(words))
        said = []
        for turn in range(self.settings.seeds):
            said.append(self.answers(recipe, choice.schedule, self.sets.usual, "", self.seed + turn))
            report(words)
        drawn = lesson(recipe, self.sets.learned, self.sets.usual, self.seed)
        return Outcome(
            judge=self.judge,
            recipe=recipe,
            added=count_added(drawn, self.sets.learned),
            choice=choice,
            logits=np.array(said, np.float32),
        )

    def choose_schedule(self, recipe: ArmRecipe, report: Callable[[], None]) -> ScheduleChoice:
        """The schedule of an arm; an arm with synthetic images takes that of the same arm without them."""
        tuned = arm_to_tune(recipe)
        with self.lock:
            choosing = self.choosing.setdefault(tuned.name, Lock())
        with choosing:
            if tuned.name not in self.choices:
                self.choices[tuned.name] = self.best(tuned, report)
        choice = self.choices[tuned.name]
        return choice if tuned is recipe else replace(choice, inner=None, spread=None)

    def best(self, recipe: ArmRecipe, report: Callable[[], None]) -> ScheduleChoice:
        """The schedule that folds of training patients rank first for an arm of real images."""
        groups = self.tries(recipe)
        every = [schedule for group in groups for schedule in group]
        if self.folds is None:
            return middle(every)
        found: dict[Schedule, float] = {}
        for group in groups:
            key = f"{self.judge}/{recipe.name}/folds/{self.settings.folds}/{self.seed}/" + ";".join(
                one.key for one in group
            )
            if key not in self.runs:
                self.keep(key, self.try_schedules(recipe, group, self.folds))
            found |= dict(zip(group, self.runs[key], strict=True))
            report()
        return choose(found)

    def try_schedules(
        self, recipe: ArmRecipe, group: Sequence[Schedule], folds: NDArray[np.int64]
    ) -> list[float]:
        """Cross-validated AUPRC of each schedule of a group, each image drawn as often as in the end."""
        # Folds have fewer images, so their schedules are shorter.
        train, learned = self.sets.train, self.sets.learned
        kept = 1 - 1 / len(np.unique(folds))
        short = {one: one.shorten(kept) for one in group}

        # Learn from all folds but one, predict that one.
        said = {schedule: np.zeros((len(train), len(train.names)), np.float32) for schedule in group}
        for number in np.unique(folds).tolist():
            real = np.zeros(len(learned), bool)
            real[: len(train)] = folds != number
            taught = lesson(recipe, learned, learned.beside(real) & self.sets.usual, self.seed)
            rows = np.flatnonzero(folds == number)
            told = {
                one: ask(rows)
                for one, ask in self.learner.learn(taught, list(dict.fromkeys(short.values())), self.seed)
            }
            for one in group:
                said[one][rows] = told[short[one]]
        return [round(fold_auprc(said[one], train.labels, folds, self.sets.rare), 5) for one in group]

    def answers(
        self, recipe: ArmRecipe, schedule: Schedule, side: NDArray[np.bool_], word: str, seed: int
    ) -> list[list[float]]:
        """Train one classifier, or take it from the cache, and return its logits of the held-out images.

        Args:
            recipe: The arm.
            schedule: Learning rate and steps, or penalty.
            side: (N,): images to learn from.
            word: Part of the cache key that stands for `side`.
            seed: Decides starting weights and draws.
        """
        key = f"{self.judge}/{recipe.name}/{word}/{seed}/{schedule.key}"
        if key not in self.runs:
            taught = lesson(recipe, self.sets.learned, side, seed)
            ((_, ask),) = self.learner.learn(taught, [schedule], seed)
            self.keep(key, ask(None).astype(np.float64).round(_DIGITS).tolist())
        found: list[list[float]] = self.runs[key]
        return found

    def keep(self, key: str, value: Any) -> None:
        """Add a finished run to the cache."""
        with self.lock:
            self.runs[key] = value

    def rungs(self, reference: Outcome, report: Callable[[str], None]) -> Iterator[Rung]:
        """Train the reference with fewer patients of the rare classes, and with all."""
        # The images to learn from at every share of the patients.
        sides = {
            share: [self.sets.fewer(share, self.seed + turn) for turn in range(self.turns)] for share in RUNGS
        }

        # Train several classifiers at once.
        def answers(share: float, turn: int) -> list[list[float]]:
            side, seed = sides[share][turn], self.seed + turn
            said = self.answers(reference.recipe, reference.choice.schedule, side, f"{share:g}", seed)
            report(f"{self.judge}: {share:.0%} of the rare patients")
            return said

        places = [(share, turn) for share in RUNGS for turn in range(self.turns)]
        told = run_at_once([partial(answers, *place) for place in places])
        for number, share in enumerate(RUNGS):
            said = told[number * self.turns : (number + 1) * self.turns]
            yield Rung(patients=self.sets.patients(sides[share][0]), logits=np.array(said, np.float32))
        yield self.rung(reference, self.sets.usual, "")

    def rung(self, reference: Outcome, side: NDArray[np.bool_], word: str) -> Rung:
        """Train the reference on the images in `side`."""
        said = [
            self.answers(reference.recipe, reference.choice.schedule, side, word, self.seed + turn)
            for turn in range(self.turns)
        ]
        return Rung(patients=self.sets.patients(side), logits=np.array(said, np.float32))

    @property
    def turns(self) -> int:
        """Classifiers that measure the headroom: at least two, because the patients left out are random."""
        return max(self.settings.seeds, _LEAST_SEEDS)
