"""What a trainer should do with each image: its weight, its stage, its group."""

from __future__ import annotations

from dataclasses import dataclass

_REAL_WEIGHT, MADE_WEIGHT = 1.0, 0.3
"""How much an image counts beside others of its class. A made one counts less, for it may be wrong; 0.3 is a choice, no measurement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """What a trainer should do with one image: the last columns of manifest.csv, in this order."""

    made: int
    """1 where medgan made the image, 0 where it is real."""
    kind: str
    """"real", "repeated" (a real image once more), or "from-noise": drawn by the generator from random numbers alone."""
    weight: float
    """`_REAL_WEIGHT` or `MADE_WEIGHT`."""
    stage: str
    """"pretrain": to be learned from at first only; "finish": also at the end."""
    parents: str = ""
    """The real images that a made one is made of; an image from random numbers has none."""
    group: str
    """Images of one group belong in one split: the digest of a real image's patient, else the name of the file."""


_REAL, REPEATED, _FROM_NOISE = "real", "repeated", "from-noise"
"""Kinds of images."""


def role_of(name: str, patient: str, *, made: bool, repeated: bool = False) -> Role:
    """The role of an image by the name of its file, of a repeated one that of the file it repeats, and the digest of its patient."""
    return Role(
        made=int(made),
        kind=_FROM_NOISE if made else REPEATED if repeated else _REAL,
        weight=MADE_WEIGHT if made else _REAL_WEIGHT,
        stage="pretrain" if made else "finish",
        group=patient or name,
    )
