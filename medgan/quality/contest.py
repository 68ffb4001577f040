"""Real and synthetic images -> the logits of every arm's classifiers on held-out images: all arms alike but for what they learn from.

Every arm of a judge takes the same steps, portions and learning rate, and starts from the same weights for the same seed. One
run (judge, arm, ratio, seed) depends on nothing but its inputs, so finished runs can be kept and a stopped contest goes on.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from medgan.learn.backbone import LITE2, installed
from medgan.progress import OnProgress, Progress, ignore
from medgan.quality import features
from medgan.quality.arms import PARITY, RECIPES, Recipe, Variant, pool, variants
from medgan.quality.classifier import Training, inputs_of, logits, standardised, trained
from medgan.quality.images import Images

CNN, PROBE = "cnn", "probe"
JUDGES = {
    CNN: "a small convolutional network trained from scratch",
    PROBE: "a linear layer on features of EfficientNet-Lite2",
}
DIGITS = 4
"""Of the logits that are kept: they rank images, and are JSON."""
Runs = MutableMapping[str, Any]
"""{run: its logits (N, K) as lists}, kept by the caller from one call to the next, for equal images and settings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How thorough a contest is."""

    judges: tuple[str, ...] = (CNN, PROBE)
    steps: int = 400
    """Optimiser steps of every classifier."""
    batch: int = 32
    side: int = 48
    """Longest side in pixels of what the network sees."""
    seeds: int = 3
    """Classifiers per arm."""
    ratios: tuple[str, ...] = ("0.25", "0.5", "1", PARITY)
    """Synthetic images per real one, ascending; 0 is always among the arms: it is oversampling."""
    recipes: tuple[str, ...] = tuple(recipe.name for recipe in RECIPES)
    """Arms that take part."""
    resamples: int = 1000
    """Of the bootstrap."""
    rare: tuple[str, ...] = ()
    """The classes whose gain is the endpoint; empty: those with at most half as many images as the largest."""

    def __post_init__(self) -> None:
        """State what those who make settings guarantee."""
        assert {*self.judges} <= {*JUDGES}, self.judges
        assert {*self.recipes} <= {recipe.name for recipe in RECIPES}, self.recipes
        assert min(self.steps, self.batch, self.side, self.seeds, self.resamples) > 0

    @property
    def chosen(self) -> tuple[Recipe, ...]:
        """The recipes that take part."""
        return tuple(recipe for recipe in RECIPES if recipe.name in self.recipes)


EFFORTS = {
    "quick": Settings(),
    "standard": Settings(steps=1000, side=64, seeds=5, resamples=2000),
    "thorough": Settings(steps=2000, side=64, seeds=10, resamples=5000),
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcome:
    """What the classifiers of one arm say of the held-out images."""

    judge: str
    variant: Variant
    logits: NDArray[np.float32]
    """(seeds, N, K)."""


def judges_here(judges: Sequence[str]) -> tuple[str, ...]:
    """Those of `judges` that this installation has the weights for."""
    lite2 = installed(LITE2[0])
    return tuple(judge for judge in judges if judge != PROBE or lite2)


def contest(  # noqa: PLR0913  # the sets of images are no noun
    train: Images,
    held_out: Images,
    synthetic: Images,
    *,
    settings: Settings,
    seed: int,
    runs: Runs | None = None,
    on_progress: OnProgress = ignore,
) -> tuple[Outcome, ...]:
    """Train every arm's classifiers and ask them about `held_out`; results in `runs` are taken from there and put there."""
    assert train.names == held_out.names == synthetic.names
    kept: Runs = {} if runs is None else runs
    plan = list(_runs(train, synthetic, settings))
    done, outcomes = 0, []
    for judge, part in groupby(plan, key=lambda run: run[0]):
        ready = None
        for _, variant in part:
            said = []
            for turn in range(settings.seeds):
                key = f"{judge}/{variant.recipe.name}/{variant.ratio}/{seed + turn}"
                if key not in kept:
                    ready = ready or _inputs(judge, train, held_out, synthetic, settings)
                    kept[key] = _run(variant, ready, (train, synthetic), settings, seed + turn)
                said.append(kept[key])
                done += 1
                on_progress(
                    Progress("judging", done, len(plan) * settings.seeds, f"{judge}: {variant.recipe.name}")
                )
            outcomes.append(Outcome(judge=judge, variant=variant, logits=np.array(said, np.float32)))
    return tuple(outcomes)


def count(train: Images, synthetic: Images, settings: Settings) -> int:
    """Small networks that a contest trains; linear layers cost next to nothing beside them."""
    return settings.seeds * sum(judge == CNN for judge, _ in _runs(train, synthetic, settings))


def _runs(train: Images, synthetic: Images, settings: Settings) -> Iterator[tuple[str, Variant]]:
    for judge in settings.judges:
        for variant in variants(train.counts, synthetic.counts, settings.ratios, settings.chosen):
            if (
                judge != PROBE or not variant.recipe.classical
            ):  # features are taken once, of images as they are
                yield judge, variant


def _inputs(
    judge: str, train: Images, held_out: Images, synthetic: Images, settings: Settings
) -> tuple[Tensor, Tensor]:
    """What the judge is given: of train and synthetic images together, and of held-out ones."""
    learned = np.concatenate([train.pixels, synthetic.pixels])
    if judge == CNN:
        return (
            inputs_of(learned, settings.side, train.pixels),
            inputs_of(held_out.pixels, settings.side, train.pixels),
        )
    look = features.lite2()
    seen, asked = look(learned), look(held_out.pixels)
    return standardised(seen, seen[: len(train)]), standardised(asked, seen[: len(train)])


def _run(
    variant: Variant,
    inputs: tuple[Tensor, Tensor],
    sets: tuple[Images, Images],
    settings: Settings,
    seed: int,
) -> list[list[float]]:
    """The logits of one classifier on the held-out images."""
    train, synthetic = sets
    drawn = pool(variant, train.names, train.labels, synthetic.labels, seed)
    training = Training(
        steps=settings.steps,
        batch=settings.batch,
        classes=len(train.names),
        seed=seed,
        classical=variant.recipe.classical,
    )
    labels = np.concatenate([train.labels, synthetic.labels])
    network = trained(inputs[0], labels, drawn, training)
    told: list[list[float]] = logits(network, inputs[1]).astype(np.float64).round(DIGITS).tolist()
    return told
