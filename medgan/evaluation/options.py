"""What a user decides about an evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal

from medgan.base.option import Device, Holdout, Option, Seed

_evidence = partial(Option, subject="Evidence")


@dataclass(frozen=True, kw_only=True)
class EvidenceOptions:
    """What is measured, how thoroughly, and on whom."""

    holdout: Holdout = None
    no_filter: Annotated[
        bool,
        _evidence(
            names=("--no-filter",),
            help=(
                "Judge images of a model as they are drawn, not those that `sample` and `balance` would "
                "choose."
            ),
        ),
    ] = False
    only: Annotated[
        list[str] | str | None,
        _evidence(
            metavar="PARTS",
            help=(
                "Measure only these parts, separated by commas: fidelity, giveaways, usefulness, shortcut, "
                "privacy."
            ),
        ),
    ] = None
    effort: Annotated[
        Literal["quick", "standard", "thorough"],
        _evidence(help="How much is compared; how long that takes is told before it starts."),
    ] = "quick"
    quiz: Annotated[
        bool,
        _evidence(
            names=("--quiz",),
            help=(
                "Also write quiz.html, on which you tell real from synthetic images yourself; it holds real "
                "scans."
            ),
        ),
    ] = False
    seed: Seed = 0
    device: Device = "auto"

    @property
    def parts(self) -> tuple[str, ...]:
        """`fidelity,privacy` as a tuple."""
        names = self.only.split(",") if isinstance(self.only, str) else self.only or ()
        return tuple(name.strip() for name in names if name.strip())
