"""What a user decides about a training, in the place of the rules of the plan."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal

from medgan.base.errors import OptionError
from medgan.base.option import Device, Option

_training = partial(Option, subject="Training")
_expert = partial(Option, subject="Expert")

TrainSeed = Annotated[
    int | None, _training(names=("--seed",), metavar="N", min=0, help="Random seed; default: 0.")
]


def as_size(size: int | tuple[int, ...] | str) -> tuple[int, ...] | None:
    """`64` or `64x80` as (H, W); a pair is one already."""
    if isinstance(size, tuple):
        return size
    sides = (str(size) or "0").lower().split("x")
    if not all(side.isdecimal() for side in sides) or len(sides) not in {1, 2}:
        raise OptionError(f"--size {size}: write 64, or 64x80 for 64 rows of 80 pixels")
    return (int(sides[0]), int(sides[-1])) if size else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """What the user decided; None leaves it to the rules. Fields are options of `train` and `balance`."""

    effort: Annotated[
        Literal["smoke", "quick", "standard", "thorough"],
        _training(
            help=(
                "How long to train, and the longest side at most: smoke 32, quick 64, standard and thorough "
                "256 pixels, or 512 with --device cuda."
            )
        ),
    ] = "standard"
    minutes: Annotated[
        float | None, _training(metavar="N", min=0.05, help="Time to train, instead of the effort's length.")
    ] = None
    size: Annotated[
        tuple[int, ...] | None,
        _training(
            metavar="HxW",
            accepts=int | tuple[int, int] | str | None,
            parse=as_size,
            help=(
                "Image in pixels: 64, or rows x columns: 64x80. Default: that of the scans, as far as the "
                "effort allows."
            ),
        ),
    ] = None
    batch: Annotated[int | None, _expert(metavar="N", min=2, help="Images per step.")] = None
    images: Annotated[
        int | None, _expert(metavar="N", min=1, help="Images shown in all, instead of the effort's length.")
    ] = None
    seed: TrainSeed = None
    device: Device = "auto"
    precision: Annotated[
        Literal["fp32", "bf16"] | None,
        _expert(help="Number format; default: what a timed probe finds quicker."),
    ] = None
    cuda_graphs: Annotated[
        bool | None,
        _expert(
            names=("--cuda-graphs/--no-cuda-graphs",),
            help=(
                "Replay training steps as CUDA graphs; default: on a GPU, where a timed probe finds it "
                "quicker."
            ),
        ),
    ] = None
    arch: Annotated[
        Literal["repaired", "dcgan"] | None,
        _expert(help="Network: ours, or the DCGAN of 2015 as a baseline."),
    ] = None
    noise: Annotated[
        Literal["normal", "uniform"] | None, _expert(help="Distribution of the latent vector.")
    ] = None
    features: Annotated[
        Literal["lite0", "none"] | None,
        _expert(help="Pretrained network that guides training; default: lite0."),
    ] = None
    adversary: Annotated[
        float | None,
        _expert(
            metavar="WEIGHT",
            min=0.0,
            help="Weight of the discriminator beside that network; 0: none. Default: 0.1.",
        ),
    ] = None
    window: Annotated[
        str | None,
        _training(metavar="NAME", help="CT window: full, lung, soft, bone, brain, or LOW:HIGH in HU."),
    ] = None
