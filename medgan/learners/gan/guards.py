"""Rules of the guards: what a check means, and what to do about it.

A check may raise alarms, change the augmentation, keep a generator, or stop training early. The rules are
pure functions of numbers: monitor.py makes the checks, learner.py applies the rules.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from torch import Tensor

_OVERFIT = 0.5
"""The discriminator overfits above this value, at which arXiv 2006.06676 aims."""
_NOT_OVERFIT = 0.25
"""It clearly does not overfit below this value."""
_SURE = 3.0
"""Standard errors by which overfitting must exceed 0 to count."""
LEAST_PATIENTS = 8
"""Number of held-back patients below which overfitting is not measured."""
_COLLAPSED = 0.25
"""A class has collapsed when its synthetic images have less than this share of the variety of as many real
ones."""
_COPIED = 0.2
"""Largest share of a class's synthetic images that may be near copies. Of new patients' images 0.01 are, by
the definition of the threshold."""
_STRONGEST = 1.5
"""Largest strength of augmentation, where 1 is the published one."""
_UP = 0.25
"""Increase of the strength after a check that found overfitting or copies."""
_DOWN = 0.125
"""Decrease after a check that found neither, down to the plan's strength."""
_KEPT = 3
"""Largest number of generators that are kept: the best two so far and the latest."""
_PATIENCE = 4
"""Number of checks in a row with problems after which training stops, if a sound generator has been kept.
They take about a fifth of a run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """Results of one check, None or an absent class for what could not be measured."""

    images_shown: int
    settled: bool = True
    """Whether the class conditioning is complete and enough has been learned. Before that, no class counts as
    collapsed."""
    patients: int | None = LEAST_PATIENTS
    """Held-back patients by whom overfitting is measured; None without a discriminator, since only that can
    overfit."""
    overfit: float | None = None
    """r_v = (D(train) - D(held back)) / (D(train) - D(fake)): 0 for a discriminator that rates held-back
    images like training images, 1 for one that rates them like fakes."""
    overfit_error: float = 0.0
    """Its standard error over patients."""
    variety: Mapping[str, float] = field(default_factory=dict)
    """{class: variety of its synthetic images, as a share of the variety of as many real ones}."""
    copies: Mapping[str, float] = field(default_factory=dict)
    """{class: share of its synthetic images that are nearer to a training image than new patients' images
    are}; empty where there are too few patients to tell."""
    kid: Mapping[str, float] = field(default_factory=dict)
    """{class: KID between its synthetic images and held-back ones, or training images where none are held
    back}."""
    kid_error: float = 0.0
    """Standard error of the mean KID over classes."""

    def facts(self) -> dict[str, Any]:
        """Rounded values for the log."""

        def short(value: Any) -> Any:
            if isinstance(value, Mapping):
                return {label: round(number, 4) for label, number in value.items()}
            return round(value, 4) if isinstance(value, float) else value

        return {one.name: short(getattr(self, one.name)) for one in dataclasses.fields(self)}

    @property
    def overfits(self) -> bool:
        """Whether the discriminator has memorised its training images."""
        return self.overfit is not None and self.overfit > max(_OVERFIT, _SURE * self.overfit_error)

    @property
    def collapsed(self) -> tuple[str, ...]:
        """Classes whose synthetic images hardly differ.

        A generator that has just started draws a single image, but has not collapsed.
        """
        return tuple(label for label, share in self.variety.items() if self.settled and share < _COLLAPSED)

    @property
    def copied(self) -> tuple[str, ...]:
        """Classes whose synthetic images repeat training images."""
        return tuple(label for label, share in self.copies.items() if share > _COPIED)

    @property
    def sound(self) -> bool:
        """Whether no class has collapsed or is copied."""
        return not self.collapsed and not self.copied

    @property
    def rank(self) -> tuple[int, float]:
        """Rank of a generator, smallest first: classes with problems, then mean KID."""
        return len({*self.collapsed, *self.copied}), fmean(self.kid.values())


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """A generator that may become the model, with its check."""

    check: Check
    weights: Mapping[str, Tensor]
    """State dict of the averaged generator."""


@dataclass(slots=True)
class Guards:
    """What the guards remember of a run, all of which is in the checkpoint."""

    checks: list[Check] = field(default_factory=list)
    kept: list[Snapshot] = field(default_factory=list)
    stopped: str = ""
    """Why training stopped early; empty while it continues."""

    def state(self) -> dict[str, Any]:
        """State for the checkpoint, of plain numbers, text and tensors."""
        return {
            "looks": [dataclasses.asdict(one) for one in self.checks],
            "kept": [
                {"look": dataclasses.asdict(one.check), "weights": dict(one.weights)} for one in self.kept
            ],
            "stopped": self.stopped,
        }

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> Guards:
        """Restore from `state()`."""
        return cls(
            checks=[Check(**one) for one in state["looks"]],
            kept=[Snapshot(Check(**one["look"]), one["weights"]) for one in state["kept"]],
            stopped=state["stopped"],
        )


def next_strength(check: Check, strength: float, least: float) -> float:
    """Strength of augmentation after a check.

    It rises where the discriminator overfits or the generator copies, and falls slowly to `least` where
    neither happens. A plan without augmentation (`least` 0) stays without, because its images would not be
    those of its recipe.
    """
    if not least:
        return 0.0
    if check.overfits or check.copied:
        return max(min(strength + _UP, _STRONGEST), least)
    eased = check.overfit is None or check.overfit < _NOT_OVERFIT
    return max(strength - _DOWN, least) if eased else strength


def keep_snapshots(kept: Sequence[Snapshot], candidate: Snapshot) -> list[Snapshot]:
    """Keep the best two snapshots in the order of training, and the candidate.

    The candidate is kept because later generators may be better than can be measured yet.
    """
    best = sorted(kept, key=lambda one: one.check.rank)[: _KEPT - 1]
    return [*sorted(best, key=lambda one: one.check.images_shown), candidate]


def choose_snapshot(kept: Sequence[Snapshot]) -> Snapshot:
    """Choose the generator that becomes the model.

    Of those with the fewest problems, it is the latest whose KID is within one standard error of the
    smallest. KID on a few held-back images is imprecise and generators improve with training, so the later
    one gets the benefit of the doubt (the one-standard-error rule of Breiman et al., Classification and
    Regression Trees, 1984).
    """
    troubles, distance = min(one.check.rank for one in kept)
    error = next(one.check.kid_error for one in kept if one.check.rank == (troubles, distance))
    equal = [one for one in kept if one.check.rank[0] == troubles and one.check.rank[1] <= distance + error]
    return max(equal, key=lambda one: one.check.images_shown)


def reason_to_stop(checks: Sequence[Check], kept: Sequence[Snapshot]) -> str:
    """Why training should stop, in words, or "" where it should continue."""
    latest = checks[-_PATIENCE:]
    sound = [one.check.images_shown for one in kept if one.check.sound]
    if len(latest) < _PATIENCE or any(check.sound for check in latest) or not sound:
        return ""
    return (
        f"stopped at {latest[-1].images_shown:,} images, because {_PATIENCE} checks in a row found collapsed "
        f"or copied classes; the generator of {max(sound):,} images, which is sound, was kept"
    )


def alarms(check: Check) -> tuple[str, ...]:
    """What a person should know about a check, in sentences; empty when all is well."""
    found = []
    if check.overfits:
        found.append(
            f"the discriminator has memorised its training images (overfitting {check.overfit:.2f} of 1)"
        )
    found += [
        f"{label}: synthetic images hardly differ ({check.variety[label]:.0%} of the variety of real ones)"
        for label in check.collapsed
    ]
    found += [
        f"{label}: {check.copies[label]:.0%} of the synthetic images are near copies of training images"
        for label in check.copied
    ]
    return tuple(found)


def guard_status(checks: Sequence[Check], strength: float, least: float) -> str:
    """The latest check in words for the progress line, "" before the first check."""
    if not checks:
        return ""
    found = [*alarms(checks[-1])]
    if strength > least:
        found.append(f"augmentation is at {strength:g} instead of {least:g}")
    if not found:
        found = ["no problems"]
    if not checks[-1].copies:
        found.append("copies cannot be detected with so few patients")
    patients = checks[-1].patients
    if patients is not None and patients < LEAST_PATIENTS:
        found.append(f"overfitting cannot be measured with {patients} held-back patients")
    return "guards: " + "; ".join(found)
