"""A score of synthetic images, beside that of as many real ones.

It has an interval.
"""

from __future__ import annotations

from dataclasses import dataclass

FEW = 50
"""Synthetic images, and real patients, from which on likeness is concluded (docs/concepts/evidence.md)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A score in one feature space for one class, synthetic against unseen real images."""

    name: str
    """"kid", "fd", "sliced_wasserstein", "precision", "recall", "density", "coverage" or "ms_ssim_gap"."""
    space: str
    """Feature space: "lite2", "domain" or "radiomics"; "pixels" if none is needed."""
    label: str = ""
    """Class; empty for all classes together, in the proportions of the real images."""
    value: float | None
    """None if there are too few images; `note` then says so."""
    low: float | None = None
    """Lower end of the 95 % interval, by bootstrap over patients."""
    high: float | None = None
    n: int
    """Synthetic images compared."""
    n_real: int
    """Real images they are compared with."""
    floor: float | None = None
    """The same score with `n` other real images in the place of the synthetic ones."""
    at_floor: bool | None = None
    """Whether it is as good as for other real images, by the paired interval of the difference."""
    better: str
    """"lower" or "higher"."""
    note: str = ""
    """A sentence on what cannot be concluded; empty if nothing limits the score."""


def caveat(n: int, patients: int) -> str:
    """Say what `n` synthetic images and so many real patients cannot show; empty if there are enough."""
    few = min(n, patients)
    if few >= FEW:
        return ""
    which = "synthetic images" if n <= patients else "real patients"
    return (
        f"only {few} {which}: a large distance is telling, but that the images are alike, or better than"
        " those of another generator, cannot be concluded"
    )
