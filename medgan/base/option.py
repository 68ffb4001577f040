"""Describe an option beside the type of its field.

The command line and Python read the same description.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """What help, parser and checks must know of an option; it stands in the annotation of a field."""

    help: str
    subject: str = ""
    """The heading under which help shows it."""
    names: tuple[str, ...] = ()
    """How it is typed, such as "--out" and "-o"; empty: the name of the field, with dashes."""
    metavar: str | None = None
    """What stands for its value in help."""
    min: float | None = None
    max: float | None = None
    hidden: bool = False
    argument: bool = False
    """Whether it is typed by its place, without a name."""
    accepts: Any = None
    """The type of what may be given, where that is not the type of the field; of several types the command
    line reads the last."""
    parse: Callable[[Any], Any] | None = None
    """Turns what is given into the value of the field."""


# --- options that several groups have ---

Device = Annotated[
    Literal["auto", "cpu", "cuda", "mps"], Option(subject="Training", help="Where to compute.")
]
Holdout = Annotated[
    float | None,
    Option(
        subject="Data",
        metavar="FRACTION",
        min=0.0,
        max=0.9,
        help=(
            "Share of the train patients set aside as val, unseen. Default: as the model was trained; for a "
            "new one, 0.2 where there is no val and no test."
        ),
    ),
]
Seed = Annotated[
    int, Option(subject="Output", metavar="N", min=0, help="Seed of the first image; the next ones follow.")
]
