"""Measure a run: overfitting, collapse, copies and distance to real images.

Checks use fixed seeds, and real images that are held back from training.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from medgan.learners.gan.augment import augment
from medgan.learners.gan.detail import to_layout
from medgan.learners.gan.guards import LEAST_PATIENTS, Check, Guards
from medgan.learners.gan.latents import draw_latents
from medgan.learners.gan.sample import draw_class
from medgan.learners.gan.steps import (
    GanState,
    active_discriminator,
    conditioning_weight,
)
from medgan.learners.gan.tone_curves import apply_curves, fit_tone_curves, tone_quantiles
from medgan.plan import Plan
from medgan.preparation.stack import Stack
from medgan.similarity.distances import kernel_distance, median_distance, nearest_ratio, variety
from medgan.similarity.signature import signatures, thumbnails
from medgan.training.batches import TrainingRows, class_images, to_network_range
from medgan.training.monitoring_rows import choose_monitoring_rows
from medgan.training.optimiser import TrainedNetwork
from medgan.training.runtime import reseed

_DRAWN = 128
"""Number of images that a check draws in all, within the two limits below."""
_MOST_DRAWN = 32
"""Largest number of images per class that a check draws."""
_LEAST_DRAWN = 16
"""Smallest number of images per class that a check draws."""
_SPACING = 25
"""Training images between two checks per image that a check draws. A check costs about as much as training on
half the images it draws."""
_LEAST_IMAGES = 8
"""Number of real images of a class below which variety is not compared."""
_LEAST_UNSEEN = 10
"""Number of held-back images of a class below which its distance is taken to its training images instead."""
_RATED = 128
"""Largest number of held-back images that the discriminator rates."""
_REFERENCES = 4096
"""Largest number of training images among which copies are searched."""
_COMPARED = 256
"""Largest number of images of a class in a distance."""
_COPY_PERCENTILE = 0.01
"""Share of new patients' images that may count as near copies."""
_LEAST_PATIENTS = 5
"""Number of patients below which it cannot be measured what a copy is."""
_SETTLED = 0.3
"""Share of the run before which a generator has learned too little to count as collapsed."""
_CHUNK = 32
"""Number of images that pass through a network at once."""


@dataclass(frozen=True, slots=True, eq=False)
class _ClassReference:
    """Measurements of the real images of one class."""

    signatures: Tensor
    """(n, D), standardised signatures from which the distance is taken."""
    scale: float
    """Median distance between two thumbnails."""
    count: int
    """Number of images whose variety is compared: as many as are drawn or as there are, 0 where there are too
    few."""
    variety: float
    """Variety of `count` real images."""


@dataclass(frozen=True, slots=True, eq=False)
class _MonitorReference:
    """Measurements of real images that checks compare with, made once."""

    classes: tuple[_ClassReference, ...]
    centre: Tensor
    spread: Tensor
    """(D,) each: mean and standard deviation of real signatures."""
    thumbnails: Tensor
    """(M, D) of training images."""
    patients: Tensor
    """(M,) their patients, as numbers."""
    usual: float | None
    """Nearest ratio below which only _COPY_PERCENTILE of new patients' images lie; None where there are fewer
    than _LEAST_PATIENTS patients."""


class Monitor:
    """Chooses which rows training may use, and when a run is checked, and checks it."""

    def __init__(self, stack: Stack, plan: Plan) -> None:
        """Hold back rows by whole patients, without reading an image yet."""
        self.stack, self.plan = stack, plan
        every = np.arange(len(stack))
        self.held_back = (
            choose_monitoring_rows(stack.labels, stack.patients) if plan.recipe.guarded else every[:0]
        )
        self.used: NDArray[np.int64] = np.setdiff1d(every, self.held_back)
        self.training = TrainingRows.of(stack, self.used)
        self.per_class = min(max(_DRAWN // len(plan.frame.labels), _LEAST_DRAWN), _MOST_DRAWN)

    def due(self, guards: Guards, images_shown: int, of: int) -> bool:
        """Whether to check the run at this tick.

        That is when enough was trained since the last check, and at the end (`of` images) of a run that has
        been checked before.
        """
        if not self.plan.recipe.guarded:
            return False
        last = guards.checks[-1].images_shown if guards.checks else 0
        enough = images_shown - last >= _SPACING * self.per_class * len(self.plan.frame.labels)
        return enough or (images_shown >= of and last > 0)

    @cached_property
    def reference(self) -> _MonitorReference:
        """Measurements of the real images."""
        rng = np.random.default_rng(self.plan.budget.seed)
        return _measure_reference(self.stack, self.plan, self.used, self.held_back, self.per_class, rng)

    def check(self, gan: GanState, images_shown: int) -> Check:
        """Measure the networks in their present state.

        It seeds torch for itself, so that the training after it does not depend on it.
        """
        # Variety, copies and distance of each class.
        reseed(self.plan.budget.seed, -2 - images_shown)
        plan = gan.plan  # whose length may have been adapted to the clock
        share = conditioning_weight(plan, images_shown)
        shares, copies, distances, errors = {}, {}, {}, []
        for number, label in enumerate(self.plan.frame.labels):
            fake, known = self.draw_as_written(gan.average, number, share), self.reference.classes[number]
            small = thumbnails(fake)
            if known.count:
                shares[label] = variety(small[: known.count], known.scale) / known.variety
            if self.reference.usual is not None:
                _, near = nearest_ratio(small, self.reference.thumbnails, self.reference.patients)
                copies[label] = float((near < self.reference.usual).double().mean())
            own = (signatures(fake) - self.reference.centre) / self.reference.spread
            distances[label], error = kernel_distance(known.signatures, own)
            errors.append(error)
        # Overfitting of the discriminator.
        overfit, overfit_error = self.overfitting(gan, images_shown, share)
        return Check(
            images_shown=images_shown,
            patients=self.patients if plan.recipe.adversary else None,
            settled=share >= 1 and images_shown >= _SETTLED * plan.budget.images_shown,
            overfit=overfit,
            overfit_error=overfit_error,
            variety=shares,
            copies=copies,
            kid=distances,
            kid_error=math.hypot(*errors) / len(errors),
        )

    def draw_as_written(self, network: nn.Module, number: int, share: float) -> Tensor:
        """Images of fixed seeds of a class as they would be written, (per_class, C, H, W).

        They are in [-1, 1], and tone curves are applied where the plan uses them.
        """
        images = draw_class(network, self.plan, number, self.per_class, share).numpy()
        if self.plan.recipe.toned:
            images = apply_curves(images, fit_tone_curves(tone_quantiles(images), self.levels[number]))
        return torch.from_numpy(images).clamp(-1, 1)

    def tones(self, network: nn.Module, count: int) -> NDArray[np.float32]:
        """Tone curves (classes, C, 2, knots) of a generator, from `count` images a class."""
        images = (
            draw_class(network, self.plan, number, count) for number in range(len(self.plan.frame.labels))
        )
        return np.stack(
            [
                fit_tone_curves(tone_quantiles(fakes.numpy()), real)
                for fakes, real in zip(images, self.levels, strict=True)
            ]
        )

    @cached_property
    def levels(self) -> list[NDArray[np.float32]]:
        """Tone quantiles of the real training images of each class."""
        real = class_images(self.training, self.plan)
        return [tone_quantiles(real(number)) for number in range(len(self.plan.frame.labels))]

    @torch.inference_mode()
    def overfitting(self, gan: GanState, images_shown: int, share: float) -> tuple[float | None, float]:
        """r_v (see `Check.overfit`), and its standard error over patients.

        It is measured on images as the discriminator gets them, and None where it cannot be measured.
        """
        # Ratings of held-back, training and synthetic images, in chunks.
        (held_back, train), discriminator = self.rated_rows, active_discriminator(gan, images_shown)
        if self.patients < LEAST_PATIENTS or discriminator is None:
            return None, 0.0
        labels = gan.runtime.tensor(self.stack.labels[held_back])
        parts = [labels[piece] for piece in _chunk_slices(len(labels))]
        fake = torch.cat(
            [gan.layout.network(draw_latents(self.plan, len(y), y.device), y, share).float() for y in parts]
        )
        unknown, known, fakes = (
            self.ratings(gan, discriminator, images, rows, share)
            for images, rows in (
                (to_layout(self.real(held_back), self.plan), held_back),
                (to_layout(self.real(train), self.plan), train),
                (fake, held_back),
            )
        )
        # Where held-back images lie between training images and fakes.
        (new, new_error), (old, old_error) = (
            _mean_over_patients(logits, self.stack.patients[rows])
            for logits, rows in ((unknown, held_back), (known, train))
        )
        apart = old - float(fakes.mean())
        error = math.hypot(new_error, old_error)
        if apart <= 2 * error:  # it hardly separates real from fake, so there is no scale to measure on
            return None, 0.0
        return (old - new) / apart, error / apart

    def ratings(
        self,
        gan: GanState,
        discriminator: TrainedNetwork,
        images: Tensor,
        rows: NDArray[np.int64],
        share: float,
    ) -> NDArray[np.float64]:
        """Logits (N,) of images, augmented as in training, under the classes of `rows`.

        The two logits of an image, means over its places, are averaged with their weights in the loss.
        """
        place = gan.runtime.fabric.device
        labels = gan.runtime.tensor(self.stack.labels[rows])
        found = []
        for piece in _chunk_slices(len(rows)):
            used = augment(images[piece].to(place), gan.strength)
            rated = discriminator.network(used, labels[piece])
            places = rated.float().cpu().double()  # not every device has doubles
            logits = places.view(len(used), -1, places.shape[1]).mean(dim=1)
            weights = logits.new_tensor((1.0, share)[: logits.shape[1]])
            found.append((logits * weights).sum(dim=1) / weights.sum())
        return torch.cat(found).cpu().numpy()

    @cached_property
    def rated_rows(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Held-back rows, and twice as many training rows in the same class proportions."""
        rng = np.random.default_rng(self.plan.budget.seed)
        most = max(_RATED // len(self.plan.frame.labels), 1)
        held = (
            self.held_back[self.stack.labels[self.held_back] == number]
            for number in range(len(self.plan.frame.labels))
        )
        held_back = np.concatenate([np.sort(rng.permutation(rows)[:most]) for rows in held])
        train = [
            rng.permutation(self.used[self.stack.labels[self.used] == number])[: 2 * count]
            for number, count in enumerate(np.bincount(self.stack.labels[held_back]))
        ]
        return held_back, np.concatenate([*train, held_back[:0]])

    @property
    def patients(self) -> int:
        """Number of held-back patients whose images the discriminator rates."""
        return len(np.unique(self.stack.patients[self.rated_rows[0]]))

    def real(self, rows: NDArray[np.int64]) -> Tensor:
        """Real images as the networks see them."""
        return torch.from_numpy(to_network_range(self.stack.images(rows), self.plan))


def _chunk_slices(count: int) -> Iterator[slice]:
    """Slices of at most _CHUNK positions."""
    return (slice(start, start + _CHUNK) for start in range(0, count, _CHUNK))


def _mean_over_patients(values: NDArray[np.float64], patients: NDArray[np.str_]) -> tuple[float, float]:
    """Mean over patients, and its standard error.

    Slices of one patient are not independent, so each patient counts once.
    """
    _, which = np.unique(patients, return_inverse=True)
    means = np.bincount(which, values) / np.bincount(which)
    return float(means.mean()), float(means.std(ddof=1) / math.sqrt(len(means)))


def _measure_reference(
    stack: Stack,
    plan: Plan,
    used: NDArray[np.int64],
    held_back: NDArray[np.int64],
    per_class: int,
    rng: np.random.Generator,
) -> _MonitorReference:
    """Measure the real images that checks compare with.

    Variety and signatures are measured per class, and how near the images of one patient come to those of
    another over all classes.
    """

    def some(rows: NDArray[np.int64], most: int) -> NDArray[np.int64]:
        return np.sort(rng.permutation(rows)[:most])

    def describe(rows: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        images = (
            torch.from_numpy(to_network_range(part, plan)).clamp(-1, 1) for _, part in stack.chunks(rows)
        )
        small, like = zip(*((thumbnails(part), signatures(part)) for part in images), strict=True)
        return torch.cat(small), torch.cat(like)

    # A choice of training images, and of held-back ones.
    share = max(_REFERENCES // len(plan.frame.labels), 1)
    train = np.concatenate(
        [some(used[stack.labels[used] == number], share) for number in range(len(plan.frame.labels))]
    )
    fresh = some(held_back, _COMPARED)
    small, like = describe(train)
    fresh_small, fresh_like = describe(fresh) if len(fresh) else (small[:0], like[:0])
    centre, spread = like.mean(dim=0), like.std(dim=0).clamp(min=1e-3)
    # Classes: signatures to take a distance from, and variety.
    classes = []
    for number in range(len(plan.frame.labels)):
        new = np.flatnonzero(stack.labels[fresh] == number)
        mine = rng.permutation(np.flatnonzero(stack.labels[train] == number))[:_COMPARED]
        chosen = fresh_like[new] if len(new) >= _LEAST_UNSEEN else like[mine]
        classes.append(_ClassReference((chosen - centre) / spread, *_measure_variety(small[mine], per_class)))
    # Patients as numbers.
    _, patients = np.unique(stack.patients, return_inverse=True)
    of_train, of_fresh = (torch.from_numpy(patients[rows]) for rows in (train, fresh))
    # Copies. New patients are the held-back ones, and each training patient compared with all the others.
    known = torch.from_numpy(some(np.arange(len(train)), _COMPARED))
    new_small, new_own = torch.cat([small[known], fresh_small]), torch.cat([of_train[known], of_fresh])
    enough = len(torch.unique(torch.cat([of_train, of_fresh]))) >= _LEAST_PATIENTS
    _, usual = nearest_ratio(new_small, small, of_train, own=new_own)
    return _MonitorReference(
        classes=tuple(classes),
        centre=centre,
        spread=spread,
        thumbnails=small,
        patients=of_train,
        usual=float(torch.quantile(usual, _COPY_PERCENTILE)) if enough else None,
    )


def _measure_variety(small: Tensor, drawn: int) -> tuple[float, int, float]:
    """Scale of real thumbnails in random order, how many are compared, their variety.

    The variety is a mean over all subsets of that many.
    """
    if len(small) < _LEAST_IMAGES:
        return 1.0, 0, 0.0
    scale, count = median_distance(small), min(drawn, len(small))
    parts = torch.stack([small[start : start + count] for start in range(0, len(small) - count + 1, count)])
    return scale, count, sum(variety(part, scale) for part in parts) / len(parts)
