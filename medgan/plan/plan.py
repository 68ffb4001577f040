"""Everything that is decided about a training run, with its reasons."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from medgan.scans.scan import OutputFormat


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What an image is: its class, axes, channels and intensities.

    Scans are prepared for it, whatever is then done with them; nothing here says how a network learns.
    """

    labels: tuple[str, ...]
    """Class names, in the order of their numbers."""
    size: tuple[int, ...]
    """(H, W) of an image in pixels."""
    channels: int
    geometry: str
    """"physical": every image keeps its millimetres and is padded or cropped about its centre. "stretch":
    every image is resized to fill."""
    mm_per_pixel: float | None
    """Side of a pixel in millimetres; None for geometry "stretch"."""
    form: OutputFormat
    """Intensity range and file format of written images. Its low and high are the values at pixel 0.0 and
    1.0."""
    span: tuple[float, ...] = (0.0, 1.0)
    """What networks see as -1 and 1, as shares of the range of `form`."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(C, H, W) of an image."""
        return self.channels, *self.size


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a GAN learns: its networks, losses, learning rates and guards."""

    arch: str
    base: tuple[int, ...]
    """(h0, w0): cells from which the generator starts, 3 to 7 along each side."""
    latent: int
    noise: str
    """"normal" or "uniform"."""
    widths: tuple[int, ...]
    """Channels per stage, from the base outward: one number more than doublings."""
    gaussian_level: int = 2
    """Doublings from the base to the blurred image that the generator starts from; 0 for dcgan, which starts
    from noise."""
    features: str = "none"
    """Frozen network in whose features the generator matches the real distribution: "lite0", or "none"."""
    feature_resolution: int = 0
    """Longer side in pixels at which the frozen network sees images; 0 without one."""
    matching: float = 0.0
    """Weight of the distance in those features in the generator's loss."""
    adversary: float = 1.0
    """Weight of the discriminator in the generator's loss; 0 where there is no discriminator."""
    discriminator_widths: tuple[int, ...] = ()
    """Channels of a discriminator that judges every place of an image by itself, from the image inward; ()
    where it judges whole images, with the widths of the generator."""
    discriminator_start: float = 0.0
    """Share of the run after which the discriminator starts."""
    group: int = 1
    """Images of one class that follow each other in a batch."""
    evenness: float = 0.5
    """How far class frequencies are balanced in batches: a class of n images is shown in proportion to n **
    (1 - evenness), so 0 keeps the frequencies of the data and 1 shows every class equally often."""
    loss: str
    """Loss of the discriminator and against it: "relativistic" or "bce"; "none" without a discriminator."""
    rate: float
    """Learning rate at the start. It follows a cosine to `rate_end`."""
    rate_end: float
    betas: tuple[float, ...]
    stride: float = 0.0
    """Farthest that one step moves a weight, in learning rates; 0 sets no limit to Adam."""
    penalty: float
    """gamma of the R1 and R2 penalties at the start; `penalty_end` at the end."""
    penalty_end: float
    penalty_every: int
    """Steps between penalties (lazy regularisation); 0 for none."""
    ema: float
    """Half-life of the averaged generator in images; 0 for none."""
    augment: float
    """Strength of differentiable augmentation: 0 none, 1 as published."""
    guarded: bool = False
    """Whether guards set images aside for monitoring, watch for overfitting, collapse and copies, and react.
    """
    toned: bool = False
    """Whether written images go through tone curves, which give each class the intensities of its real
    images."""
    condition: tuple[float, ...]
    """Shares of the run at which the class condition starts to fade in and is complete."""
    detail_widths: tuple[int, ...] = ()
    """Channels of the detail stage, first at the size of the layout and then after each doubling; () where
    the generator draws the whole image itself."""
    detail_noise: int = 0
    """Maps of noise, of the size of the layout, from which the detail stage draws."""
    detail_patch: int = 0
    """Longest side in pixels of the patches on which the detail stage is trained."""
    detail_penalty: float = 0.0
    """gamma of the R1 and R2 penalties of the discriminator of patches, per place that it judges."""

    @property
    def doublings(self) -> int:
        """Number of times the base is doubled by the generator, without the detail stage."""
        return len(self.widths) - 1

    @property
    def grid(self) -> tuple[int, int]:
        """(H, W) of what the generator draws: the layout where a detail stage follows, else the image."""
        height, width = self.base
        return height << self.doublings, width << self.doublings

    @property
    def image_grid(self) -> tuple[int, int]:
        """(H, W) of the image inside the networks.

        It is the size of the frame, or the next larger grid of doubled cells, from and to which the networks
        resample.
        """
        height, width = self.grid
        return height << self.detail_doublings, width << self.detail_doublings

    @property
    def detail_doublings(self) -> int:
        """Number of times the detail stage doubles the layout; 0 without one."""
        return max(len(self.detail_widths) - 1, 0)

    @property
    def latent_numbers(self) -> int:
        """Random numbers from which an image is drawn: the latent, then the noise of the detail stage."""
        height, width = self.grid
        return self.latent + self.detail_noise * height * width


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How much is trained, on what, and from which random numbers."""

    batch: int
    images_shown: int
    minutes: float | None = None
    """Wall-clock budget, to which `images_shown` is corrected at every tick; None where the user asked for
    images."""
    tick: int
    """Images between two ticks (log line, image grid, checkpoint)."""
    device: str
    precision: str
    """"fp32" or "bf16"; "auto" until a timed probe has decided."""
    graphed: bool | None = False
    """Whether a GPU replays the passes of a step as CUDA graphs; None until a timed probe has decided."""
    threads: int | None = None
    """Threads on a processor, where a timed probe has decided; None for as many as torch takes."""
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that training and writing follow, with its reasons.

    Equal plans and equal data give equal models.
    """

    frame: Frame
    recipe: Recipe
    budget: Budget
    why: Mapping[str, str] = field(default_factory=dict)
    """{field of a part: reason}; a reason starts with "fixed", "rule" or "override"."""

    @classmethod
    def of(cls, values: Mapping[str, Any], why: Mapping[str, str]) -> Plan:
        """Build the plan whose parts have these fields, each named once: {field: value}."""
        parts: dict[str, dict[str, Any]] = {part: {} for part in _PARTS}
        for name, value in values.items():
            parts[PART_OF[name]][name] = value
        return cls(**{part: kind(**parts[part]) for part, kind in _PARTS.items()}, why=why)

    def value_of(self, name: str) -> Any:
        """The value of a field, whichever part has it."""
        return getattr(getattr(self, PART_OF[name]), name)

    def replace(self, **changes: Any) -> Plan:
        """The same plan with other values for some fields of its parts."""
        parts: dict[str, dict[str, Any]] = {}
        for name, value in changes.items():
            parts.setdefault(PART_OF[name], {})[name] = value
        replaced: dict[str, Any] = {
            part: dataclasses.replace(getattr(self, part), **values) for part, values in parts.items()
        }
        return dataclasses.replace(self, **replaced)


_PARTS: Mapping[str, Any] = {"frame": Frame, "recipe": Recipe, "budget": Budget}
"""{part of a plan: its class}."""
PART_OF: Mapping[str, str] = {
    one.name: part for part, kind in _PARTS.items() for one in dataclasses.fields(kind)
}
"""{field: the part of the plan that has it}. No two parts have a field of the same name."""

Choices = dict[str, tuple[Any, str]]
"""{field of a part of the plan: (value, reason)}."""


def choose(wished: Any, rule: Any, reason: str) -> tuple[Any, str]:
    """The user's choice where there is one, else the rule's, with the reason."""
    return (wished, "override: as asked") if wished is not None else (rule, reason)
