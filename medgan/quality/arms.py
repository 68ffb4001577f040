"""Counts of real and synthetic images -> arms: what a classifier is trained on, how often it sees each image, what an error costs.

The arms are those that a claim for synthetic images must beat (Bissoto 2104.10603; Fedoruk 2304.09067; count-matched duplicates:
PMLR 318:954). All of them draw the same number of images in the same number of steps. Arms with synthetic images draw classes
evenly, as oversampling does: at ratio 0 they *are* oversampling, so that what is measured is the images and not the balance.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medgan.dataset.quota import quotas

Labels = NDArray[np.int64]

PARITY = "parity"
"""The ratio at which every class is as large as the largest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a classifier is trained in one arm."""

    name: str
    adds: str = ""
    """What joins the real training images: "" nothing, "duplicates" of real ones, "synthetic" images in classes that lack some, or
    synthetic images "everywhere": as many in every class."""
    even: bool = False
    """Classes are drawn equally often; else as often as they have images."""
    weighted: bool = False
    """An error costs more the fewer images its class has."""
    classical: bool = False
    """Every image is shifted, turned and changed in contrast a little, differently each time."""

    @property
    def made(self) -> bool:
        """Whether synthetic images take part."""
        return self.adds in {"synthetic", "everywhere"}


RECIPES = (
    Recipe(name="real"),
    Recipe(name="class weights", weighted=True),
    Recipe(name="oversampling", even=True),
    Recipe(name="classical", classical=True),
    Recipe(name="oversampling + classical", even=True, classical=True),
    Recipe(name="duplicates", adds="duplicates", even=True),
    Recipe(name="synthetic", adds="synthetic", even=True),
    Recipe(name="synthetic + classical", adds="synthetic", even=True, classical=True),
    Recipe(name="everywhere", adds="everywhere", even=True),
    Recipe(name="everywhere + classical", adds="everywhere", even=True, classical=True),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A recipe with its numbers: one arm of the comparison."""

    recipe: Recipe
    ratio: str = ""
    """Synthetic images per real one of the same class: "0.25", "0.5", "1", "parity"; "" where nothing is added."""
    added: Mapping[str, int]
    """{class: images that join}, every class."""


def rare_classes(counts: Mapping[str, int]) -> tuple[str, ...]:
    """Classes with at most half as many images as the largest; where none is so small, the smallest."""
    there = {label: count for label, count in counts.items() if count}
    most, least = max(there.values()), min(there.values())
    return tuple(label for label, count in sorted(there.items()) if count <= max(most // 2, least))


def added(adds: str, counts: Mapping[str, int], ratio: str) -> dict[str, int]:
    """{class: images that join `counts` real ones} at `ratio`, as `balance` counts them."""
    lacking = quotas(counts, max_ratio=None if ratio == PARITY else float(ratio))
    most = max(lacking.values())
    return dict.fromkeys(lacking, most) if adds == "everywhere" else lacking


def variants(
    counts: Mapping[str, int],
    made: Mapping[str, int],
    ratios: Sequence[str],
    recipes: Sequence[Recipe] = RECIPES,
) -> Iterator[Variant]:
    """Every arm that `counts` real and `made` synthetic images allow.

    Where there are fewer synthetic images than a ratio asks for, all there are take part; a ratio that changes nothing beside the
    one before is left out. Duplicates come once, as many as the largest ratio adds: drawn evenly, fewer are no other arm.
    """
    for recipe in recipes:
        before: dict[str, int] = dict.fromkeys(counts, 0)
        if not recipe.adds:
            yield Variant(recipe=recipe, added=before)
        for ratio in ratios[-1:] if recipe.adds == "duplicates" else ratios if recipe.adds else ():
            wanted = added(recipe.adds, counts, ratio)
            if recipe.made:
                wanted = {label: min(number, made.get(label, 0)) for label, number in wanted.items()}
            if recipe.adds == "everywhere":
                wanted = dict.fromkeys(wanted, min(wanted.values()))
            if wanted != before:
                yield Variant(recipe=recipe, ratio=ratio, added=wanted)
            before = wanted


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pool:
    """The images of one arm and how often each is drawn."""

    rows: Labels
    """(P,): rows of the real images followed by the synthetic ones; duplicates are rows that occur again."""
    chances: NDArray[np.float64]
    """(P,), sum 1."""
    costs: NDArray[np.float32]
    """(K,): weight of an error on an image of each class, mean 1 over the images drawn."""


def pool(variant: Variant, names: Sequence[str], real: Labels, made: Labels, seed: int) -> Pool:
    """The pool of an arm from the classes (indices into `names`) of real (N,) and synthetic (M,) images; `seed` chooses among them."""
    chance = np.random.default_rng(seed)
    rows = [np.arange(len(real))]
    for number, name in enumerate(names):
        wanted = variant.added[name]
        if wanted and variant.recipe.made:
            own = len(real) + np.flatnonzero(made == number)
            rows.append(chance.permutation(own)[:wanted])
        elif wanted:
            rows.append(_repeated(np.flatnonzero(real == number), wanted, chance))
    everything = np.concatenate(rows)
    labels = np.concatenate([real, made])[everything]
    chances = _chances(variant, labels, everything >= len(real))
    counts = np.bincount(real, minlength=len(names))
    costs = np.ones(len(names))
    if variant.recipe.weighted:  # n / (classes * n_c), as scikit-learn's "balanced"
        costs = len(real) / (np.count_nonzero(counts) * np.maximum(counts, 1))
    return Pool(rows=everything, chances=chances, costs=costs.astype(np.float32))


def _repeated(own: Labels, wanted: int, chance: np.random.Generator) -> Labels:
    """`wanted` rows of `own`, each as often as every other, give or take one."""
    rounds = [chance.permutation(own) for _ in range(-(-wanted // len(own)))]
    return np.concatenate(rounds)[:wanted]


def _chances(variant: Variant, labels: Labels, synthetic: NDArray[np.bool_]) -> NDArray[np.float64]:
    """How often each image is drawn; "everywhere" draws the same share of synthetic images in every class.

    Then that an image is synthetic says nothing of its class. The share is the one the smallest class has by its numbers.
    """
    if not variant.recipe.even:
        return np.full(len(labels), 1 / len(labels))
    groups = labels
    weights = np.ones(len(labels))
    if variant.recipe.adds == "everywhere":
        least = np.bincount(labels[~synthetic])
        most = max(variant.added.values())
        share = most / (most + least[least > 0].min())
        groups, weights = labels * 2 + synthetic, np.where(synthetic, share, 1 - share)
    weights /= np.bincount(groups)[groups]
    chances: NDArray[np.float64] = weights / weights.sum()
    return chances
