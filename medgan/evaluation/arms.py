"""Real, made and composed images -> arms: what a classifier learns from in each, how often it sees an image, what an error costs.

The arms without made images are those that a claim must beat (Bissoto 2104.10603; Fedoruk 2304.09067; count-matched duplicates: PMLR
318:954). Arms with made images draw every class equally often, and but for the one-sided ones draw the same share of made images within
every class: what only one class has becomes the sign of that class.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int64]

REAL, MADE, COMPOSED = range(3)
"""Where an image that is learned from comes from: a scanner; the images that are judged; two real images of one class."""
EARLY = 0.6
"""Share of the steps in which arms of two stages draw made images; the others see real images alone."""
DUPLICATES, COMPOSITES, SYNTHETIC, SMOTE = "duplicates", "composites", "synthetic", "smote"
OVERSAMPLING, CLASSICAL = "oversampling", " + classical"
"""An arm's name, and what the names of arms with classical augmentation end with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a classifier is trained in one arm."""

    name: str
    adds: str = ""
    """What joins the real images: "" nothing, "duplicates", "composites", "synthetic", or "smote" (within features)."""
    share: float = 0.0
    """Of the draws of every class that are added images; 0: in each class as many as it lacks join, and draws go by numbers."""
    worth: float = 1.0
    """What an error on an added image costs, beside 1 for a real one."""
    staged: bool = False
    """Added images are drawn in the first 60 % of the steps alone; real ones alone after."""
    even: bool = False
    """Classes are drawn equally often; else as often as they have images."""
    weighted: bool = False
    """An error costs more the fewer images its class has."""
    adjusted: bool = False
    """Logits are raised by the log of how frequent a class is while learning (balanced softmax; logit adjustment, arXiv 2007.07314)."""
    mixed: bool = False
    """Pairs of images are blended, and so is what they are called (mixup, arXiv 1710.09412)."""
    classical: bool = False
    """Every image is shifted, turned and changed in contrast a little, differently each time."""
    discriminant: bool = False
    """Linear discriminant analysis with a shrunk covariance in the place of a logistic regression."""

    @property
    def made(self) -> bool:
        """Whether the images that are judged take part."""
        return self.adds == SYNTHETIC

    @property
    def without(self) -> Recipe:
        """The same without what it adds: every class drawn equally often, with classical augmentation or without."""
        return replace(
            self, name=OVERSAMPLING + CLASSICAL * self.classical, adds="", share=0.0, worth=1.0, staged=False
        )


def _with_views(*recipes: Recipe) -> Iterator[Recipe]:
    """Each recipe, and the same with classical augmentation."""
    for recipe in recipes:
        yield recipe
        yield replace(recipe, name=recipe.name + CLASSICAL, classical=True)


ONE_SIDED, SHARED, HALF, LIGHT, FINISH, PRETRAIN = (
    "one-sided",
    "share 0.25",
    "share 0.5",
    "share 0.25 at weight 0.3",
    "finish on real",
    "pretrain",
)
RECIPES = (
    Recipe(name="real"),
    Recipe(name="class weights", weighted=True),
    Recipe(name="balanced softmax", adjusted=True),
    Recipe(name=OVERSAMPLING, even=True),
    Recipe(name="classical", classical=True),
    Recipe(name=OVERSAMPLING + CLASSICAL, even=True, classical=True),
    Recipe(name="duplicates", adds=DUPLICATES, even=True),
    Recipe(name="mixup", even=True, mixed=True),
    Recipe(name="composites", adds=COMPOSITES, share=0.25, even=True),
    Recipe(name="discriminant", even=True, discriminant=True),
    Recipe(name="smote", adds=SMOTE, even=True),
    *_with_views(
        Recipe(name=ONE_SIDED, adds=SYNTHETIC, even=True),
        Recipe(name=SHARED, adds=SYNTHETIC, share=0.25, even=True),
        Recipe(name=HALF, adds=SYNTHETIC, share=0.5, even=True),
        Recipe(name=LIGHT, adds=SYNTHETIC, share=0.25, worth=0.3, even=True),
        Recipe(name=FINISH, adds=SYNTHETIC, share=0.5, staged=True, even=True),
        Recipe(name=PRETRAIN, adds=SYNTHETIC, share=1.0, staged=True, even=True),
    ),
)
NAMED = (f"{FINISH} + classical", SHARED, f"{ONE_SIDED} + classical", ONE_SIDED)
"""The arm that gives the verdict, named before anything is tested: the first of these that a judge can learn from the images it is given."""
IN_FEATURES = frozenset(
    {"real", "class weights", "composites", "discriminant", "smote", ONE_SIDED, SHARED, HALF, LIGHT}
)
"""Arms of a judge that learns from features: of images as they are, in no order, so views, stages and numbers of draws mean nothing."""
ONLY_IN_FEATURES = frozenset({"discriminant", "smote"})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Learned:
    """The images that classifiers may learn from, in the order in which eyes have them: real, made, composed."""

    names: tuple[str, ...]
    labels: Labels
    """(N,): index into `names`."""
    origins: Labels
    """(N,): REAL, MADE or COMPOSED."""
    parents: Labels
    """(N, 2): of a composed image its parents; of any other its own row, twice."""

    def __len__(self) -> int:
        """Number of images."""
        return len(self.labels)

    def count(self, origin: int, side: NDArray[np.bool_]) -> Labels:
        """(K,): images of each class that are of `origin` and in `side` (N,)."""
        return np.bincount(self.labels[side & (self.origins == origin)], minlength=len(self.names))

    def beside(self, real: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """(N,): what may be learned from where of the real images only `real` (N,) may: these, and what is composed of them.

        No made image: its generator has seen all real ones.
        """
        return np.asarray(real[self.parents].all(axis=1))


def rare_classes(counts: Mapping[str, int]) -> tuple[str, ...]:
    """Classes with at most half as many images as the largest; where none is so small, the smallest."""
    there = {label: count for label, count in counts.items() if count}
    most, least = max(there.values()), min(there.values())
    return tuple(label for label, count in sorted(there.items()) if count <= max(most // 2, least))


def possible(learned: Learned, recipes: Sequence[Recipe], side: NDArray[np.bool_]) -> tuple[Recipe, ...]:
    """Those of `recipes` that the images in `side` (N,) allow: what joins every class must be there in every class."""
    there, lacking = learned.count(REAL, side) > 0, _lacking(learned, side) > 0
    has = {SYNTHETIC: learned.count(MADE, side) > 0, COMPOSITES: learned.count(COMPOSED, side) > 0}

    def allowed(recipe: Recipe) -> bool:
        if recipe.adds not in has:
            return True
        found = has[recipe.adds]
        return bool(found[there].all() if recipe.share else (found & lacking).any())

    return tuple(recipe for recipe in recipes if allowed(recipe))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DrawPool:
    """Images, how often each is drawn and what an error on it costs."""

    rows: Labels
    """(P,): rows of the learned images; duplicates are rows that occur again."""
    chances: NDArray[np.float64]
    """(P,), sum 1."""
    costs: NDArray[np.float32]
    """(P,): weight of an error."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lesson:
    """What one classifier is taught: all of an arm but how fast and how long."""

    recipe: Recipe
    labels: Labels
    """(N,): classes of the learned images."""
    classes: int
    real: int
    """Different real images that it is taught."""
    stages: tuple[tuple[float, DrawPool], ...]
    """(share of the steps, what is drawn in it), one after another."""
    prior: NDArray[np.float32] | None = None
    """(K,): what is added to logits while learning."""


def lesson(recipe: Recipe, learned: Learned, side: NDArray[np.bool_], seed: int) -> Lesson:
    """The lesson of an arm from the images in `side` (N,); `seed` chooses among those of which there are more than are needed."""
    counts = learned.count(REAL, side)
    first = _pool(recipe, learned, side, seed)
    after = _pool(replace(recipe, adds="", share=0.0), learned, side, seed)
    share = counts / counts.sum()
    return Lesson(
        recipe=recipe,
        labels=learned.labels,
        classes=len(learned.names),
        real=int(counts.sum()),
        stages=((EARLY, first), (1 - EARLY, after)) if recipe.staged else ((1.0, first),),
        prior=np.log(np.maximum(share, 1e-6)).astype(np.float32) if recipe.adjusted else None,
    )


def count_added(drawn: Lesson, learned: Learned) -> dict[str, int]:
    """{class: images that join the real ones in a lesson}, every class."""
    rows = drawn.stages[0][1].rows
    fresh = np.bincount(learned.labels[rows[learned.origins[rows] != REAL]], minlength=len(learned.names))
    if drawn.recipe.adds == DUPLICATES:
        fresh = np.bincount(learned.labels[rows], minlength=len(learned.names)) - np.bincount(
            learned.labels[np.unique(rows)], minlength=len(learned.names)
        )
    return dict(zip(learned.names, fresh.tolist(), strict=True))


def _pool(recipe: Recipe, learned: Learned, side: NDArray[np.bool_], seed: int) -> DrawPool:
    chance = np.random.default_rng(seed)
    real = np.flatnonzero(side & (learned.origins == REAL))
    rows = np.concatenate([real, *_joining(recipe, learned, side, chance)])
    labels, extra = learned.labels[rows], learned.origins[rows] != REAL
    counts = learned.count(REAL, side)
    costs = np.where(extra, recipe.worth, 1.0)
    if recipe.weighted:  # n / (classes * n_c), as scikit-learn's "balanced"
        costs *= (len(real) / (np.count_nonzero(counts) * np.maximum(counts, 1)))[labels]
    return DrawPool(rows=rows, chances=_chances(recipe, labels, extra), costs=costs.astype(np.float32))


def _joining(
    recipe: Recipe, learned: Learned, side: NDArray[np.bool_], chance: np.random.Generator
) -> Iterator[Labels]:
    """Class by class the rows that join the real ones."""
    lacking = _lacking(learned, side)
    origin = {SYNTHETIC: MADE, COMPOSITES: COMPOSED, DUPLICATES: REAL}.get(recipe.adds)
    for number in range(len(learned.names)) if origin is not None else ():
        own = np.flatnonzero(side & (learned.labels == number) & (learned.origins == origin))
        if recipe.share:
            yield own
        elif recipe.adds == DUPLICATES and len(own):
            rounds = [chance.permutation(own) for _ in range(-(-int(lacking[number]) // len(own)))]
            yield np.concatenate([*rounds, own[:0]])[: lacking[number]]
        else:
            yield chance.permutation(own)[: lacking[number]]


def _lacking(learned: Learned, side: NDArray[np.bool_]) -> Labels:
    """(K,): images by which each class is smaller than the largest."""
    counts = learned.count(REAL, side)
    return np.asarray(counts.max() - counts, np.int64)


def _chances(recipe: Recipe, labels: Labels, extra: NDArray[np.bool_]) -> NDArray[np.float64]:
    """How often each image is drawn."""
    if not recipe.even:
        return np.full(len(labels), 1 / len(labels))
    groups, weights = labels, np.ones(len(labels))
    if recipe.share:
        both = np.isin(labels, labels[extra])  # a class without added images has real ones alone
        groups = labels * 2 + extra
        weights = np.where(both, np.where(extra, recipe.share, 1 - recipe.share), 1.0)
    weights = weights / np.bincount(groups)[groups]
    chances: NDArray[np.float64] = weights / weights.sum()
    return chances
