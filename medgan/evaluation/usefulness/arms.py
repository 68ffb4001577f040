"""The arms: the ways in which a classifier may be trained.

An arm says what is learned from, how often an image is seen, and what an error costs.

A claim must beat the arms without synthetic images (Bissoto 2104.10603; Fedoruk 2304.09067; count-matched
duplicates: PMLR 318:954). Arms with synthetic images draw every class equally often. All but the one-sided
ones draw the same share of synthetic images in every class, because what only one class has becomes a sign of
that class.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

_Labels = NDArray[np.int64]

REAL = 0
"""Origin of a real image."""
MADE = 1
"""Origin of a synthetic image."""
COMPOSED = 2
"""Origin of an image composed of two real images of one class."""
_EARLY = 0.6
"""Share of the steps in which arms of two stages draw synthetic images; the rest draw only real ones."""
DUPLICATES = "duplicates"
COMPOSITES = "composites"
SYNTHETIC = "synthetic"
SMOTE = "smote"
OVERSAMPLING = "oversampling"
"""The arm of real images whose classes are drawn equally often."""
CLASSICAL = " + classical"
"""Ending of the names of arms with classical augmentation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmRecipe:
    """How a classifier is trained in one arm."""

    name: str
    adds: str = ""
    """What joins the real images: "" (nothing), "duplicates", "composites", "synthetic" or "smote"."""
    share: float = 0.0
    """Share of added images in the draws of every class; 0: every class gets as many as it lacks."""
    worth: float = 1.0
    """Weight of an error on an added image; an error on a real one weighs 1."""
    staged: bool = False
    """Draw added images only in the first 60 % of the steps, and only real ones after that."""
    even: bool = False
    """Draw classes equally often; otherwise as often as they have images."""
    weighted: bool = False
    """An error costs more the fewer images its class has."""
    adjusted: bool = False
    """Add the log of the class frequency to logits in training (balanced softmax, arXiv 2007.07314)."""
    mixed: bool = False
    """Blend pairs of images and their labels (mixup, arXiv 1710.09412)."""
    classical: bool = False
    """Shift, rotate and change the contrast of every image a little, differently each time."""
    discriminant: bool = False
    """Linear discriminant analysis with a shrunk covariance instead of a logistic regression."""

    @property
    def made(self) -> bool:
        """Whether synthetic images take part."""
        return self.adds == SYNTHETIC

    @property
    def without(self) -> ArmRecipe:
        """The same arm without added images: oversampling, with classical augmentation or without."""
        return replace(
            self, name=OVERSAMPLING + CLASSICAL * self.classical, adds="", share=0.0, worth=1.0, staged=False
        )


def _with_views(*recipes: ArmRecipe) -> Iterator[ArmRecipe]:
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
    ArmRecipe(name="real"),
    ArmRecipe(name="class weights", weighted=True),
    ArmRecipe(name="balanced softmax", adjusted=True),
    ArmRecipe(name=OVERSAMPLING, even=True),
    ArmRecipe(name="classical", classical=True),
    ArmRecipe(name=OVERSAMPLING + CLASSICAL, even=True, classical=True),
    ArmRecipe(name="duplicates", adds=DUPLICATES, even=True),
    ArmRecipe(name="mixup", even=True, mixed=True),
    ArmRecipe(name="composites", adds=COMPOSITES, share=0.25, even=True),
    ArmRecipe(name="discriminant", even=True, discriminant=True),
    ArmRecipe(name="smote", adds=SMOTE, even=True),
    *_with_views(
        ArmRecipe(name=ONE_SIDED, adds=SYNTHETIC, even=True),
        ArmRecipe(name=SHARED, adds=SYNTHETIC, share=0.25, even=True),
        ArmRecipe(name=HALF, adds=SYNTHETIC, share=0.5, even=True),
        ArmRecipe(name=LIGHT, adds=SYNTHETIC, share=0.25, worth=0.3, even=True),
        ArmRecipe(name=FINISH, adds=SYNTHETIC, share=0.5, staged=True, even=True),
        ArmRecipe(name=PRETRAIN, adds=SYNTHETIC, share=1.0, staged=True, even=True),
    ),
)
NAMED = (f"{FINISH} + classical", SHARED, f"{ONE_SIDED} + classical", ONE_SIDED)
"""The arm that gives the verdict, named before testing: the first of these that the images allow."""
IN_FEATURES = frozenset(
    {"real", "class weights", "composites", "discriminant", "smote", ONE_SIDED, SHARED, HALF, LIGHT}
)
"""Arms of a judge that learns from features, where views, stages and numbers of draws mean nothing."""
ONLY_IN_FEATURES = frozenset({"discriminant", "smote"})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Learned:
    """The images that classifiers may learn from, in one order: real, synthetic, composed, further real."""

    names: tuple[str, ...]
    labels: _Labels
    """(N,): index into `names`."""
    origins: _Labels
    """(N,): REAL, MADE or COMPOSED."""
    parents: _Labels
    """(N, 2): rows of the parents of a composed image; of any other image its own row, twice."""

    def __len__(self) -> int:
        """Number of images."""
        return len(self.labels)

    def count(self, origin: int, side: NDArray[np.bool_]) -> _Labels:
        """(K,): number of images of each class that are of `origin` and in `side` (N,)."""
        return np.bincount(self.labels[side & (self.origins == origin)], minlength=len(self.names))

    def beside(self, real: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """(N,): the given real images, and those composed of them.

        Synthetic images are left out, because their generator has seen all real ones.
        """
        return np.asarray(real[self.parents].all(axis=1))


def rare_classes(counts: Mapping[str, int]) -> tuple[str, ...]:
    """The classes with at most half as many images as the largest, or else the smallest class."""
    there = {label: count for label, count in counts.items() if count}
    most, least = max(there.values()), min(there.values())
    return tuple(label for label, count in sorted(there.items()) if count <= max(most // 2, least))


def possible(
    learned: Learned, recipes: Sequence[ArmRecipe], side: NDArray[np.bool_]
) -> tuple[ArmRecipe, ...]:
    """The recipes that the images in `side` (N,) allow; a share in every class needs images of each."""
    there, lacking = learned.count(REAL, side) > 0, _lacking(learned, side) > 0
    has = {SYNTHETIC: learned.count(MADE, side) > 0, COMPOSITES: learned.count(COMPOSED, side) > 0}

    def allowed(recipe: ArmRecipe) -> bool:
        if recipe.adds not in has:
            return True
        found = has[recipe.adds]
        return bool(found[there].all() if recipe.share else (found & lacking).any())

    return tuple(recipe for recipe in recipes if allowed(recipe))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DrawPool:
    """Images, with the probability of drawing each and the weight of an error on it."""

    rows: _Labels
    """(P,): rows of the images; duplicates are repeated rows."""
    chances: NDArray[np.float64]
    """(P,): probabilities of drawing, with sum 1."""
    costs: NDArray[np.float32]
    """(P,): weight of an error."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lesson:
    """Everything that one classifier learns from: an arm without its schedule."""

    recipe: ArmRecipe
    labels: _Labels
    """(N,): classes of the images."""
    classes: int
    real: int
    """Number of distinct real images."""
    stages: tuple[tuple[float, DrawPool], ...]
    """(share of the steps, images drawn in them), one after another."""
    prior: NDArray[np.float32] | None = None
    """(K,): added to logits in training."""


def lesson(recipe: ArmRecipe, learned: Learned, side: NDArray[np.bool_], seed: int) -> Lesson:
    """Build the lesson of an arm.

    Args:
        recipe: The arm.
        learned: All images that classifiers may learn from.
        side: (N,): those that this classifier learns from.
        seed: Chooses added images if there are more than needed.
    """
    counts = learned.count(REAL, side)
    first = _pool(recipe, learned, side, seed)
    after = _pool(replace(recipe, adds="", share=0.0), learned, side, seed)
    share = counts / counts.sum()
    return Lesson(
        recipe=recipe,
        labels=learned.labels,
        classes=len(learned.names),
        real=int(counts.sum()),
        stages=((_EARLY, first), (1 - _EARLY, after)) if recipe.staged else ((1.0, first),),
        prior=np.log(np.maximum(share, 1e-6)).astype(np.float32) if recipe.adjusted else None,
    )


def count_added(drawn: Lesson, learned: Learned) -> dict[str, int]:
    """{class: images that join the real ones in a lesson}."""
    rows = drawn.stages[0][1].rows
    fresh = np.bincount(learned.labels[rows[learned.origins[rows] != REAL]], minlength=len(learned.names))
    if drawn.recipe.adds == DUPLICATES:
        fresh = np.bincount(learned.labels[rows], minlength=len(learned.names)) - np.bincount(
            learned.labels[np.unique(rows)], minlength=len(learned.names)
        )
    return dict(zip(learned.names, fresh.tolist(), strict=True))


def _pool(recipe: ArmRecipe, learned: Learned, side: NDArray[np.bool_], seed: int) -> DrawPool:
    rng = np.random.default_rng(seed)
    real = np.flatnonzero(side & (learned.origins == REAL))
    rows = np.concatenate([real, *_joining(recipe, learned, side, rng)])
    labels, extra = learned.labels[rows], learned.origins[rows] != REAL
    counts = learned.count(REAL, side)
    costs = np.where(extra, recipe.worth, 1.0)
    if recipe.weighted:  # n / (classes * n_c), as scikit-learn's "balanced"
        costs *= (len(real) / (np.count_nonzero(counts) * np.maximum(counts, 1)))[labels]
    return DrawPool(rows=rows, chances=_chances(recipe, labels, extra), costs=costs.astype(np.float32))


def _joining(
    recipe: ArmRecipe, learned: Learned, side: NDArray[np.bool_], rng: np.random.Generator
) -> Iterator[_Labels]:
    """The rows that join the real ones, class by class."""
    lacking = _lacking(learned, side)
    origin = {SYNTHETIC: MADE, COMPOSITES: COMPOSED, DUPLICATES: REAL}.get(recipe.adds)
    for number in range(len(learned.names)) if origin is not None else ():
        own = np.flatnonzero(side & (learned.labels == number) & (learned.origins == origin))
        if recipe.share:
            yield own
        elif recipe.adds == DUPLICATES and len(own):
            rounds = [rng.permutation(own) for _ in range(-(-int(lacking[number]) // len(own)))]
            yield np.concatenate([*rounds, own[:0]])[: lacking[number]]
        else:
            yield rng.permutation(own)[: lacking[number]]


def _lacking(learned: Learned, side: NDArray[np.bool_]) -> _Labels:
    """(K,): how many images each class has fewer than the largest."""
    counts = learned.count(REAL, side)
    return np.asarray(counts.max() - counts, np.int64)


def _chances(recipe: ArmRecipe, labels: _Labels, extra: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The probability of drawing each image."""
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
