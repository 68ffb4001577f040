"""Stack + Plan + networks -> a Look: overfitting, collapse, copies and distance, measured on fixed seeds and on rows that training never sees."""

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
from medgan.learners.gan.guards import LEAST_PATIENTS, Check, Guards
from medgan.learners.gan.sample import draw_class
from medgan.learners.gan.steps import (
    DiscriminatorState,
    GanState,
    active_discriminator,
    conditioning_weight,
    draw_latents,
)
from medgan.learners.gan.tone_curves import apply_curves, fit_tone_curves, tone_quantiles
from medgan.plan import Plan
from medgan.prepare.stack import Stack
from medgan.similarity.distances import kernel_distance, median_distance, nearest_ratio, variety
from medgan.similarity.signature import signatures, thumbnails
from medgan.training.batches import TrainingRows, class_images, to_network_range
from medgan.training.monitoring_rows import choose_monitoring_rows
from medgan.training.runtime import reseed

_DRAWN, _MOST_DRAWN, _LEAST_DRAWN = 128, 32, 16
"""Images drawn at a look in all, and per class at most and at least."""
_SPACING = 25
"""Training images between two looks for each one drawn: a look costs about as much as training on half of what it draws."""
_LEAST_IMAGES = 8
"""Fewer real images of a class show no variety to compare with."""
_LEAST_UNSEEN = 10
"""Fewer unseen images of a class make no reference for a distance: its training images are taken instead."""
_RATED, _REFERENCES, _COMPARED = 128, 4096, 256
"""At most: unseen images that the discriminator rates, training images that copies are looked for among, images of a class in a distance."""
_COPY_PERCENTILE = 0.01
"""Share of new patients' images that may pass for near copies."""
_LEAST_PATIENTS = 5
"""Fewer patients do not tell how near one's images come to another's, and so not what a copy is."""
_SETTLED = 0.3
"""Share of the run before which a generator has learned too little to be called collapsed."""
_CHUNK = 32
"""Images that pass through a network at once."""


@dataclass(frozen=True, slots=True, eq=False)
class _ClassReference:
    """What is known of the real images of one class."""

    signatures: Tensor
    """(n, D), standardised: what a distance is taken from."""
    scale: float
    """Median distance of two thumbnails."""
    count: int
    """Images whose variety is compared: as many as are drawn, or as there are; 0 where there are too few."""
    variety: float
    """Of `count` real images."""


@dataclass(frozen=True, slots=True, eq=False)
class _MonitorReference:
    """What looks compare with, prepared once."""

    classes: tuple[_ClassReference, ...]
    centre: Tensor
    spread: Tensor
    """(D,) each: mean and deviation of real signatures."""
    thumbnails: Tensor
    """(M, D) of training images."""
    patients: Tensor
    """(M,) their patients, as numbers."""
    usual: float | None
    """Closeness below which only USUAL of new patients' images lie; None where there are fewer than LEAST_KNOWN patients."""


class Monitor:
    """A run's guards at work: which rows training may see, when to look, and what is seen."""

    def __init__(self, stack: Stack, plan: Plan) -> None:
        """Hold rows back, by whole patients; nothing is read before the first look."""
        self.stack, self.plan = stack, plan
        every = np.arange(len(stack))
        self.unseen = choose_monitoring_rows(stack.labels, stack.patients) if plan.guarded else every[:0]
        self.seen: NDArray[np.int64] = np.setdiff1d(every, self.unseen)
        self.pool = TrainingRows.of(stack, self.seen)
        self.per_class = min(max(_DRAWN // len(plan.labels), _LEAST_DRAWN), _MOST_DRAWN)

    def due(self, guards: Guards, images_shown: int, of: int) -> bool:
        """Whether to look at this tick: when enough was learned since, and at the end (`of` images) of a run that was ever looked at."""
        if not self.plan.guarded:
            return False
        last = guards.looks[-1].images_shown if guards.looks else 0
        enough = images_shown - last >= _SPACING * self.per_class * len(self.plan.labels)
        return enough or (images_shown >= of and last > 0)

    @cached_property
    def reference(self) -> _MonitorReference:
        """Real images, measured."""
        chance = np.random.default_rng(self.plan.seed)
        return _measure_reference(self.stack, self.plan, self.seen, self.unseen, self.per_class, chance)

    def look(self, learners: GanState, images_shown: int) -> Check:
        """Measure the networks as they stand; chance is left as if nothing had been drawn from it."""
        reseed(self.plan.seed, -2 - images_shown)
        plan = learners.plan  # a clock may have changed its length
        share = conditioning_weight(plan, images_shown)
        shares, copies, distances, errors = {}, {}, {}, []
        for number, label in enumerate(self.plan.labels):
            fake, known = self.written(learners.average, number, share), self.reference.classes[number]
            small = thumbnails(fake)
            if known.count:
                shares[label] = variety(small[: known.count], known.scale) / known.variety
            if self.reference.usual is not None:
                _, near = nearest_ratio(small, self.reference.thumbnails, self.reference.patients)
                copies[label] = float((near < self.reference.usual).double().mean())
            own = (signatures(fake) - self.reference.centre) / self.reference.spread
            distances[label], error = kernel_distance(known.signatures, own)
            errors.append(error)
        overfit, overfit_error = self.overfitting(learners, images_shown, share)
        return Check(
            images_shown=images_shown,
            patients=self.patients if plan.adversary else None,
            settled=share >= 1 and images_shown >= _SETTLED * plan.images_shown,
            overfit=overfit,
            overfit_error=overfit_error,
            variety=shares,
            copies=copies,
            kid=distances,
            kid_error=math.hypot(*errors) / len(errors),
        )

    def written(self, network: nn.Module, number: int, share: float) -> Tensor:
        """The same seeds of a class at every look, by tone curves as they would be written: (per_class, C, H, W) in [-1, 1]."""
        images = draw_class(network, self.plan, number, self.per_class, share).numpy()
        if self.plan.toned:
            images = apply_curves(images, fit_tone_curves(tone_quantiles(images), self.levels[number]))
        return torch.from_numpy(images).clamp(-1, 1)

    def tones(self, network: nn.Module, count: int) -> NDArray[np.float32]:
        """The tone curves (classes, C, 2, knots) of a generator, from `count` images of each class."""
        images = (draw_class(network, self.plan, number, count) for number in range(len(self.plan.labels)))
        return np.stack(
            [
                fit_tone_curves(tone_quantiles(made.numpy()), real)
                for made, real in zip(images, self.levels, strict=True)
            ]
        )

    @cached_property
    def levels(self) -> list[NDArray[np.float32]]:
        """The `tone.levels` of the real images of each class that training sees, as the networks see them."""
        real = class_images(self.pool, self.plan)
        return [tone_quantiles(real(number)) for number in range(len(self.plan.labels))]

    @torch.inference_mode()
    def overfitting(self, learners: GanState, images_shown: int, share: float) -> tuple[float | None, float]:
        """r_v on the images as the discriminator gets them, and its standard error over patients; None where it says nothing."""
        (unseen, train), critic = self.judged, active_discriminator(learners, images_shown)
        if self.patients < LEAST_PATIENTS or critic is None:
            return None, 0.0
        labels = learners.runtime.tensor(self.stack.labels[unseen])
        parts = [labels[piece] for piece in _chunk_slices(len(labels))]
        fake = torch.cat(
            [learners.generator(draw_latents(self.plan, len(y), y.device), y, share).float() for y in parts]
        )
        unknown, known, made = (
            self.ratings(learners, critic, images, rows, share)
            for images, rows in ((self.real(unseen), unseen), (self.real(train), train), (fake, unseen))
        )
        (new, new_error), (old, old_error) = (
            _mean_over_patients(logits, self.stack.patients[rows])
            for logits, rows in ((unknown, unseen), (known, train))
        )
        apart = old - float(made.mean())
        error = math.hypot(new_error, old_error)
        if apart <= 2 * error:  # it hardly tells real from fake, so there is nothing to measure by
            return None, 0.0
        return (old - new) / apart, error / apart

    def ratings(
        self,
        learners: GanState,
        critic: DiscriminatorState,
        images: Tensor,
        rows: NDArray[np.int64],
        share: float,
    ) -> NDArray[np.float64]:
        """Logits (N,) of images, augmented as in training, under the classes of `rows`; both logits weighed as in the loss."""
        place = learners.runtime.fabric.device
        labels = learners.runtime.tensor(self.stack.labels[rows])
        found = []
        for piece in _chunk_slices(len(rows)):
            seen = augment(images[piece].to(place), learners.strength)
            rated = critic.network(seen, labels[piece])
            logits = rated.float().cpu().double()  # not every device has doubles
            weights = logits.new_tensor((1.0, share)[: logits.shape[1]])
            found.append((logits * weights).sum(dim=1) / weights.sum())
        return torch.cat(found).cpu().numpy()

    @cached_property
    def judged(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Unseen rows, and twice as many that training sees, in the same proportion of classes."""
        chance = np.random.default_rng(self.plan.seed)
        most = max(_RATED // len(self.plan.labels), 1)
        held = (
            self.unseen[self.stack.labels[self.unseen] == number] for number in range(len(self.plan.labels))
        )
        unseen = np.concatenate([np.sort(chance.permutation(rows)[:most]) for rows in held])
        train = [
            chance.permutation(self.seen[self.stack.labels[self.seen] == number])[: 2 * count]
            for number, count in enumerate(np.bincount(self.stack.labels[unseen]))
        ]
        return unseen, np.concatenate([*train, unseen[:0]])

    @property
    def patients(self) -> int:
        """Unseen patients that the discriminator rates."""
        return len(np.unique(self.stack.patients[self.judged[0]]))

    def real(self, rows: NDArray[np.int64]) -> Tensor:
        """Real images as the networks see them."""
        return torch.from_numpy(to_network_range(self.stack.images(rows), self.plan))


def _chunk_slices(count: int) -> Iterator[slice]:
    """Slices of at most PIECE."""
    return (slice(start, start + _CHUNK) for start in range(0, count, _CHUNK))


def _mean_over_patients(values: NDArray[np.float64], patients: NDArray[np.str_]) -> tuple[float, float]:
    """Mean over patients, and its standard error: slices of one patient are no independent witnesses."""
    _, which = np.unique(patients, return_inverse=True)
    means = np.bincount(which, values) / np.bincount(which)
    return float(means.mean()), float(means.std(ddof=1) / math.sqrt(len(means)))


def _measure_reference(
    stack: Stack,
    plan: Plan,
    seen: NDArray[np.int64],
    unseen: NDArray[np.int64],
    per_class: int,
    chance: np.random.Generator,
) -> _MonitorReference:
    """Measure real images: of each class its variety and signatures, and how near one patient's images come to another's."""

    def some(rows: NDArray[np.int64], most: int) -> NDArray[np.int64]:
        return np.sort(chance.permutation(rows)[:most])

    def looked_at(rows: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        images = (
            torch.from_numpy(to_network_range(part, plan)).clamp(-1, 1) for _, part in stack.chunks(rows)
        )
        small, like = zip(*((thumbnails(part), signatures(part)) for part in images), strict=True)
        return torch.cat(small), torch.cat(like)

    share = max(_REFERENCES // len(plan.labels), 1)
    train = np.concatenate(
        [some(seen[stack.labels[seen] == number], share) for number in range(len(plan.labels))]
    )
    fresh = some(unseen, _COMPARED)
    small, like = looked_at(train)
    fresh_small, fresh_like = looked_at(fresh) if len(fresh) else (small[:0], like[:0])
    centre, spread = like.mean(dim=0), like.std(dim=0).clamp(min=1e-3)
    classes = []
    for number in range(len(plan.labels)):
        new = np.flatnonzero(stack.labels[fresh] == number)
        mine = chance.permutation(np.flatnonzero(stack.labels[train] == number))[:_COMPARED]
        chosen = fresh_like[new] if len(new) >= _LEAST_UNSEEN else like[mine]
        classes.append(_ClassReference((chosen - centre) / spread, *_measure_variety(small[mine], per_class)))
    _, patients = np.unique(stack.patients, return_inverse=True)
    of_train, of_fresh = (torch.from_numpy(patients[rows]) for rows in (train, fresh))
    # New patients: the unseen ones, and each patient in the training images beside all the others.
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
    """Scale of real thumbnails in random order; how many of them are compared; the variety of that many, a mean over all."""
    if len(small) < _LEAST_IMAGES:
        return 1.0, 0, 0.0
    scale, count = median_distance(small), min(drawn, len(small))
    parts = torch.stack([small[start : start + count] for start in range(0, len(small) - count + 1, count)])
    return scale, count, sum(variety(part, scale) for part in parts) / len(parts)
