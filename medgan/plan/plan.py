"""What the user decided himself, and what is decided in all: Overrides and Plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from medgan.base.files import to_json
from medgan.scans.scan import OutputFormat


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """What the user decided himself; None leaves the decision to the rules."""

    effort: str = "standard"
    """"smoke", "quick", "standard" or "thorough"."""
    minutes: float | None = None
    """Wall-clock budget for training; sets `images_shown`, from a timed probe first and then from the run's own pace."""
    size: tuple[int, ...] | None = None
    """(H, W) of the training image."""
    batch: int | None = None
    images: int | None = None
    """Images shown in all."""
    seed: int | None = None
    device: str = "auto"
    """"auto", "cpu", "cuda", "mps"."""
    precision: str | None = None
    """"fp32" or "bf16"; None leaves it to a timed probe."""
    graphed: bool | None = None
    """Whether a GPU replays steps as CUDA graphs; None leaves it to a timed probe."""
    arch: str | None = None
    """"repaired" or "dcgan"."""
    noise: str | None = None
    """"normal" or "uniform"."""
    features: str | None = None
    """"lite0" or "none"; None takes what is installed."""
    window: str | None = None
    """CT window: "full", "lung", "soft", "bone", "brain" or "LOW:HIGH" in HU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that training and writing follow. Equal plans and equal data give equal models."""

    version: int = 1
    labels: tuple[str, ...]
    arch: str
    size: tuple[int, ...]
    """(H, W) of the training image in pixels."""
    base: tuple[int, ...]
    """(h0, w0) cells the generator starts from, 3 to 7 each."""
    channels: int
    geometry: str
    """"physical": every image keeps its millimetres and is padded or cropped about its centre; "stretch": resized to fill."""
    mm_per_pixel: float | None
    """Physical geometry only: the side of a training pixel."""
    form: OutputFormat
    """Intensity range and file form; its low and high are what -1 and 1 stand for."""
    span: tuple[float, ...] = (0.0, 1.0)
    """What the networks see as -1 and 1, as shares of the form's range."""
    latent: int
    noise: str
    """"normal" or "uniform"."""
    widths: tuple[int, ...]
    """Channels per stage, from the base outward: doublings + 1 numbers."""
    outlined: int = 2
    """Doublings from the base to the image that the generator begins with; 0 for dcgan, which begins with noise."""
    batch: int
    images_shown: int
    features: str = "none"
    """Frozen network in whose features the generator matches the real distribution: "lite0", or "none"."""
    seen_at: int = 0
    """Longer side in pixels at which that network sees the images; 0 without one."""
    matching: float = 0.0
    """Weight of the distance in those features in the generator's loss."""
    adversary: float = 1.0
    """Weight of the discriminator in the generator's loss; 0: there is none."""
    joins: float = 0.0
    """Fraction of the run after which the discriminator joins in."""
    group: int = 1
    """Images of one class that follow each other in a batch."""
    evenness: float = 0.5
    """How far class frequencies are evened out in the end: classes are shown n ** (1 - evenness) times as often as they are large."""
    loss: str
    """"relativistic" or "bce": of the discriminator and against it; "none" without one."""
    rate: float
    """Learning rate at the start; `rate_end` at the end, along a cosine."""
    rate_end: float
    betas: tuple[float, ...]
    stride: float = 0.0
    """Farthest that a step moves a weight, in learning rates; 0: as far as Adam does by itself."""
    penalty: float
    """gamma of R1 and R2 at the start, `penalty_end` at the end."""
    penalty_end: float
    penalty_every: int
    """Steps between penalties (lazy regularisation); 0 for none."""
    ema: float
    """Half-life of the averaged generator in images; 0 for none."""
    augment: float
    """Strength of differentiable augmentation: 0 none, 1 as published."""
    guarded: bool = False
    """Whether guards hold images back, watch for overfitting, collapse and copies, and act."""
    toned: bool = False
    """Whether images are written by tone curves, which give each class the intensities of its real images."""
    condition: tuple[float, ...]
    """Fractions of the run where the class condition starts to fade in and is whole."""
    tick: int
    """Images between two ticks (log line, grid, checkpoint)."""
    precision: str
    """"fp32" or "bf16"; "auto" until a timed probe has settled it."""
    graphed: bool | None = False
    """Whether a GPU replays the passes of a step as CUDA graphs; None until a timed probe has settled it."""
    device: str
    seed: int
    minutes: float | None = None
    """Wall-clock budget, to which `images_shown` is corrected at every tick; None where images are what was asked for."""
    why: Mapping[str, str] = field(default_factory=dict)
    """{field: reason}, beginning with "fixed", "rule" or "override"."""

    @property
    def doublings(self) -> int:
        """How often the base is doubled."""
        return len(self.widths) - 1

    @property
    def grid(self) -> tuple[int, int]:
        """(H, W) at which the networks work: `size`, or the nearest above that is cells doubled, where they resample from and to `size`."""
        height, width = self.base
        return height << self.doublings, width << self.doublings


def explain(plan: Plan) -> dict[str, dict[str, Any]]:
    """{field: {value, why}}, as the reports tell it."""
    return {name: {"value": to_json(getattr(plan, name)), "why": why} for name, why in plan.why.items()}


Choices = dict[str, tuple[Any, str]]
"""{field of the plan: (value, reason)}."""


def choose(wished: Any, rule: Any, reason: str) -> tuple[Any, str]:
    """The user's word where there is one, else the rule's."""
    return (wished, "override: as asked") if wished is not None else (rule, reason)
