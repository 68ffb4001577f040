"""Score: one figure about synthetic images, with its interval, its n, and what real images reach at the same n."""

from __future__ import annotations

from dataclasses import dataclass

FEW = 50
"""Below this many synthetic images, or real patients, no distance is steady enough to conclude from (KID: docs/concepts/evidence.md)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One figure in one feature space for one class, synthetic against unseen real images."""

    name: str
    """"kid", "fd", "sliced_wasserstein", "precision", "recall", "density", "coverage" or "ms_ssim_gap"."""
    space: str
    """Feature space: "lite2", "domain" or "radiomics"; "pixels" where none is needed."""
    label: str = ""
    """Class; empty for all classes together, mixed as the real ones are."""
    value: float | None
    """None where there are too few images to compute it; `note` then says so."""
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
    """Whether it cannot be told from that of other real images, or is better: by the paired bootstrap of the difference."""
    better: str
    """"lower" or "higher"."""
    note: str = ""
    """What cannot be concluded, in words; empty where nothing stands in the way."""


def caveat(n: int, patients: int) -> str:
    """What `n` synthetic images and so many real patients cannot tell; empty where there are enough: slices of one patient are alike."""
    few = min(n, patients)
    if few >= FEW:
        return ""
    which = "synthetic images" if n <= patients else "real patients"
    return (
        f"only {few} {which}: a large distance is telling, but that the images are alike, or better than those "
        "of another generator, cannot be concluded"
    )
