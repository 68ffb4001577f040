"""What guards saw at a tick -> what it means and what is done about it: alarms in words, augmentation, checkpoints kept, an early stop.

Pure rules, on numbers. `monitor.py` takes the looks; `fit.py` asks and obeys.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from torch import Tensor

_OVERFIT, _NOT_OVERFIT = 0.5, 0.25
"""The discriminator overfits above the one, and clearly does not below the other (arXiv 2006.06676 aims at 0.5)."""
_SURE = 3.0
"""Standard errors by which overfitting must exceed 0 to be believed."""
LEAST_PATIENTS = 8
"""Fewer unseen patients say nothing of overfitting."""
_COLLAPSED = 0.25
"""A class has collapsed when its synthetic images show less than this share of the variety of as many real ones."""
_COPIED = 0.2
"""Share of a class's synthetic images that may be near copies; of new patients' images 0.01 are, by the threshold's making."""
_STRONGEST, _UP, _DOWN = 1.5, 0.25, 0.125
"""Augmentation goes up quickly, to 1.5 times the published strength at most, and down again slowly, to the plan's."""
_KEPT = 3
"""Generators kept at most: the best two so far and the latest."""
_PATIENCE = 4
"""Looks in a row in trouble after which training stops, when a sound generator is kept: about a fifth of a run."""
LEAST_LR_FACTOR = 1 / 8
"""Lowest pace: three times may the losses break down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What guards saw at one tick; what could not be judged is None, or its class is absent."""

    images_shown: int
    settled: bool = True
    """Whether the class condition is whole and some learning was done: before, a class cannot be said to have collapsed."""
    patients: int | None = LEAST_PATIENTS
    """Unseen patients that overfitting is told by; None without a discriminator, which alone can overfit."""
    overfit: float | None = None
    """r_v = (D(train) - D(unseen)) / (D(train) - D(fake)): 0 for a discriminator that rates unseen images as those it knows, 1 as fakes."""
    overfit_error: float = 0.0
    """Its standard error, over patients."""
    variety: Mapping[str, float] = field(default_factory=dict)
    """{class: variety of its synthetic images as a share of that of as many real ones}."""
    copies: Mapping[str, float] = field(default_factory=dict)
    """{class: share of its synthetic images that are nearer to one training image than new patients' images come}; empty where too few
    patients are known to tell."""
    kid: Mapping[str, float] = field(default_factory=dict)
    """{class: distance of its synthetic images from unseen ones, from training images where none are unseen}."""
    kid_error: float = 0.0
    """Standard error of their mean."""

    def facts(self) -> dict[str, Any]:
        """What the log keeps, rounded."""

        def short(value: Any) -> Any:
            if isinstance(value, Mapping):
                return {label: round(number, 4) for label, number in value.items()}
            return round(value, 4) if isinstance(value, float) else value

        return {one.name: short(getattr(self, one.name)) for one in dataclasses.fields(self)}

    @property
    def overfits(self) -> bool:
        """Whether the discriminator knows its training images by heart."""
        return self.overfit is not None and self.overfit > max(_OVERFIT, _SURE * self.overfit_error)

    @property
    def collapsed(self) -> tuple[str, ...]:
        """Classes whose images hardly differ. A generator that has just begun draws one image only, and has not collapsed."""
        return tuple(label for label, share in self.variety.items() if self.settled and share < _COLLAPSED)

    @property
    def copied(self) -> tuple[str, ...]:
        """Classes whose images repeat training images."""
        return tuple(label for label, share in self.copies.items() if share > _COPIED)

    @property
    def sound(self) -> bool:
        """Neither collapsed nor copied anywhere."""
        return not self.collapsed and not self.copied

    @property
    def rank(self) -> tuple[int, float]:
        """Order among kept generators, the best first: classes in trouble, then the mean distance over classes."""
        return len({*self.collapsed, *self.copied}), fmean(self.kid.values())


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """A generator that may become the model, with what guards saw of it."""

    look: Check
    weights: Mapping[str, Tensor]
    """State of the averaged generator."""


@dataclass(slots=True)
class Guards:
    """What guards remember of a run; all of it is in the checkpoint."""

    looks: list[Check] = field(default_factory=list)
    kept: list[Snapshot] = field(default_factory=list)
    stopped: str = ""
    """Why training stopped early; empty while it goes on."""

    def state(self) -> dict[str, Any]:
        """Plain numbers, words and tensors."""
        return {
            "looks": [dataclasses.asdict(look) for look in self.looks],
            "kept": [
                {"look": dataclasses.asdict(one.look), "weights": dict(one.weights)} for one in self.kept
            ],
            "stopped": self.stopped,
        }

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> Guards:
        """From `state()`."""
        return cls(
            looks=[Check(**look) for look in state["looks"]],
            kept=[Snapshot(Check(**one["look"]), one["weights"]) for one in state["kept"]],
            stopped=state["stopped"],
        )


def next_strength(look: Check, strength: float, least: float) -> float:
    """Strength of augmentation from here on: up when something is learned by heart, slowly down to `least` when nothing is.

    A plan without augmentation (`least` 0) stays without: its images would not be those of its recipe.
    """
    if not least:
        return 0.0
    if look.overfits or look.copied:
        return max(min(strength + _UP, _STRONGEST), least)
    eased = look.overfit is None or look.overfit < _NOT_OVERFIT
    return max(strength - _DOWN, least) if eased else strength


def keep_snapshots(kept: Sequence[Snapshot], candidate: Snapshot) -> list[Snapshot]:
    """The best two of those kept, in the order of training, and the candidate, for later may be better than can be seen yet."""
    best = sorted(kept, key=lambda one: one.look.rank)[: _KEPT - 1]
    return [*sorted(best, key=lambda one: one.look.images_shown), candidate]


def choose_snapshot(kept: Sequence[Snapshot]) -> Snapshot:
    """The generator that becomes the model: of the soundest, the latest whose distance is within one standard error of the least.

    Distances on a few unseen images are rough, and a generator gains by training on, so the benefit of the doubt is the later one's
    (the one-standard-error rule of Breiman et al., Classification and Regression Trees, 1984).
    """
    troubles, distance = min(one.look.rank for one in kept)
    error = next(one.look.kid_error for one in kept if one.look.rank == (troubles, distance))
    equal = [one for one in kept if one.look.rank[0] == troubles and one.look.rank[1] <= distance + error]
    return max(equal, key=lambda one: one.look.images_shown)


def reason_to_stop(looks: Sequence[Check], kept: Sequence[Snapshot]) -> str:
    """Why training on would be in vain, in words; empty when it would not."""
    latest = looks[-_PATIENCE:]
    sound = [one.look.images_shown for one in kept if one.look.sound]
    if len(latest) < _PATIENCE or any(look.sound for look in latest) or not sound:
        return ""
    return (
        f"stopped at {latest[-1].images_shown:,} images, for {_PATIENCE} looks in a row found classes collapsed or copied; "
        f"the generator of {max(sound):,} images is sound and kept"
    )


def alarms(look: Check) -> tuple[str, ...]:
    """What a person should know of a look, one sentence each; none when all is well."""
    found = [
        f"the discriminator knows its training images by heart ({look.overfit:.2f} of the way from unseen ones to synthetic ones)"
    ] if look.overfits else []  # fmt: skip
    found += [
        f"{label}: synthetic images hardly differ ({look.variety[label]:.0%} of the variety of real ones)"
        for label in look.collapsed
    ]
    found += [
        f"{label}: {look.copies[label]:.0%} of the synthetic images come as near to a training image as a copy"
        for label in look.copied
    ]
    return tuple(found)


def guard_status(looks: Sequence[Check], strength: float, least: float) -> str:
    """The latest look for the line of progress: its alarms, what is being done, or that all is well; empty before the first."""
    if not looks:
        return ""
    found = [*alarms(looks[-1])]
    if strength > least:
        found.append(f"augmentation is at {strength:g} instead of {least:g}")
    if not found:
        found = ["nothing amiss"]
    if not looks[-1].copies:
        found.append("copies cannot be told among so few patients")
    patients = looks[-1].patients
    if patients is not None and patients < LEAST_PATIENTS:
        found.append(f"overfitting cannot be judged by {patients} unseen patients")
    return "guards: " + "; ".join(found)
