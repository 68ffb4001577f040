"""What a trainer should do with each image: its weight, its stage, its group."""

from __future__ import annotations

from dataclasses import dataclass

REAL_WEIGHT, MADE_WEIGHT = 1.0, 0.3
"""How much an image counts beside others of its class. A made one counts less, for it may be wrong; 0.3 is a choice, no measurement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """What a trainer should do with one image: the last columns of manifest.csv, in this order."""

    made: int
    """1 where medgan made the image, 0 where it is real."""
    kind: str
    """"real", or "from-noise": drawn by the generator from random numbers alone."""
    weight: float
    """`REAL_WEIGHT` or `MADE_WEIGHT`."""
    stage: str
    """"pretrain": to be learned from at first only; "finish": also at the end."""
    parents: str = ""
    """The real images that a made one is made of; an image from random numbers has none."""
    group: str
    """Images of one group belong in one split: the digest of a real image's patient, else the name of the file."""


def role_of(name: str, patient: str, *, made: bool) -> Role:
    """The role of the image in the file `name`; `patient` is the digest that stands for its patient, empty where it has none."""
    return Role(
        made=int(made),
        kind="from-noise" if made else "real",
        weight=MADE_WEIGHT if made else REAL_WEIGHT,
        stage="pretrain" if made else "finish",
        group=patient or name,
    )
