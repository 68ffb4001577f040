"""What a trainer should do with each image: its weight, its stage, its group."""

from __future__ import annotations

from dataclasses import dataclass

_REAL_WEIGHT = 1.0
"""Weight of a real image beside others of its class."""
MADE_WEIGHT = 0.3
"""Weight of a synthetic image, less because it may be wrong; a starting value, not a measurement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """The last columns of manifest.csv, in this order."""

    made: int
    """1 for a synthetic image, 0 for a real one."""
    kind: str
    """"real", "repeated" (a real image once more), or "from-noise" (drawn by the generator from random
    numbers)."""
    weight: float
    """`_REAL_WEIGHT` or `MADE_WEIGHT`."""
    stage: str
    """"pretrain" (train on it at first only) or "finish" (also at the end)."""
    parents: str = ""
    """The real images that a synthetic one is made of; empty for an image from random numbers."""
    group: str
    """Images of one group belong in one split: the digest of a real image's patient, or else the name of the
    file."""


_REAL = "real"
"""Kind of a real image."""
REPEATED = "repeated"
"""Kind of a real image that is in the folder once more."""
_FROM_NOISE = "from-noise"
"""Kind of a synthetic image."""


def role_of(name: str, patient: str, *, made: bool, repeated: bool = False) -> Role:
    """The role of an image.

    Args:
        name: the name of its file, of a repeated image that of the file it repeats.
        patient: the digest of its patient; empty for a synthetic image.
        made: whether it is synthetic.
        repeated: whether it is a real image once more.
    """
    return Role(
        made=int(made),
        kind=_FROM_NOISE if made else REPEATED if repeated else _REAL,
        weight=MADE_WEIGHT if made else _REAL_WEIGHT,
        stage="pretrain" if made else "finish",
        group=patient or name,
    )
