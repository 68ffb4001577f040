"""Fingerprint + overrides -> Plan: the only place that decides, with a reason for every decision."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from medgan.dataset.fingerprint import Fingerprint
from medgan.errors import PlanError
from medgan.scans.dicom_classes import own_class
from medgan.scans.scan import Form
from medgan.scans.windows import parse_window


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """What the user decided himself; None leaves the decision to the rules."""

    effort: str = "standard"
    """"smoke", "quick", "standard" or "thorough"."""
    minutes: float | None = None
    """Wall-clock budget for training; sets `images_shown` from a timed probe."""
    size: tuple[int, ...] | None = None
    """(H, W) of the training image."""
    batch: int | None = None
    images: int | None = None
    """Images shown to the discriminator in all."""
    seed: int | None = None
    device: str = "auto"
    """"auto", "cpu", "cuda", "mps"."""
    precision: str | None = None
    """"fp32" or "bf16"."""
    arch: str | None = None
    """"repaired" or "dcgan"."""
    noise: str | None = None
    """"normal" or "uniform"."""
    window: str | None = None
    """CT window: "full", "lung", "soft", "bone", "brain" or "LOW:HIGH" in HU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that training and writing follow. Equal plans and equal data give equal models."""

    version: int = 1
    labels: tuple[str, ...]
    arch: str
    size: tuple[int, ...]
    """(H, W) of the training image in pixels: base x 2**doublings."""
    base: tuple[int, ...]
    """(h0, w0) cells the generator starts from, 3 to 6 each."""
    channels: int
    geometry: str
    """"physical": every image keeps its millimetres and is padded or cropped about its centre; "stretch": resized to fill."""
    mm_per_pixel: float | None
    """Physical geometry only: the side of a training pixel."""
    form: Form
    """Intensity range and file form; its low and high are what -1 and 1 stand for."""
    span: tuple[float, ...] = (0.0, 1.0)
    """What the networks see as -1 and 1, as shares of the form's range."""
    latent: int
    noise: str
    """"normal" or "uniform"."""
    widths: tuple[int, ...]
    """Channels per stage, from the base outward: doublings + 1 numbers."""
    batch: int
    images_shown: int
    loss: str
    """"relativistic" or "bce"."""
    rate: float
    """Learning rate at the start; `rate_end` at the end, along a cosine."""
    rate_end: float
    betas: tuple[float, ...]
    penalty: float
    """gamma of R1 and R2 at the start, `penalty_end` at the end."""
    penalty_end: float
    penalty_every: int
    """Steps between penalties (lazy regularisation); 0 for none."""
    ema: float
    """Half-life of the averaged generator in images; 0 for none."""
    augment: float
    """Strength of differentiable augmentation: 0 none, 1 as published."""
    condition: tuple[float, ...]
    """Fractions of the run where the class condition starts to fade in and is whole."""
    tick: int
    """Images between two ticks (log line, grid, checkpoint)."""
    precision: str
    device: str
    seed: int
    why: Mapping[str, str] = field(default_factory=dict)
    """{field: reason}, beginning with "fixed", "rule" or "override"."""

    @property
    def doublings(self) -> int:
        """How often the base is doubled."""
        return len(self.widths) - 1


Choices = dict[str, tuple[Any, str]]
"""{field of the plan: (value, reason)}."""

EFFORTS: dict[str, tuple[int, float]] = {
    "smoke": (32, 0.0),
    "quick": (48, 0.05),
    "standard": (64, 1.0),
    "thorough": (128, 2.0),
}
"""{effort: (longest side in pixels, share of the recommended images shown)}."""
SMOKE_IMAGES = 512
"""Images shown at effort smoke: enough to see every part work, too few to learn anything."""
WIDTHS = (32, 48, 64, 64, 96, 96, 128, 128)
"""Channels of the repaired networks from the image inward: even and narrow, as processors like them."""
RECOMMENDED: tuple[tuple[float, int], ...] = ((300, 150_000), (2_000, 300_000), (math.inf, 600_000))
"""(training images up to, images to show): a rare class is learned by heart when shown for much longer."""
LEAST_SPAN = 0.05
"""Narrower shares of the range are noise, not anatomy."""
LEAST_IMAGES = 15_000
"""Images shown at least where something is to be learned, however few there are to show."""
DCGAN_BASE = 64
"""Channels beside the image of the 2015 DCGAN, doubled at every stage inward, as in its authors' own code."""


def decide(fingerprint: Fingerprint, overrides: Overrides | None = None) -> Plan:
    """The plan for this data set; PlanError when the data or the overrides allow none."""
    wish = overrides or Overrides()
    refuse(fingerprint, wish)
    chosen = choose_basics(fingerprint, wish)
    chosen |= choose_shape(fingerprint, wish)
    chosen |= choose_form(fingerprint, wish, chosen)
    chosen |= choose_budget(fingerprint, wish, chosen["arch"][0])
    recipe = dcgan_recipe if chosen["arch"][0] == "dcgan" else repaired_recipe
    chosen |= recipe(chosen.pop("doublings")[0], chosen["images_shown"][0])
    return Plan(
        **{name: value for name, (value, _) in chosen.items()},
        why={field.name: chosen[field.name][1] for field in fields(Plan) if field.name in chosen},
    )


def refuse(fingerprint: Fingerprint, wish: Overrides) -> None:
    """PlanError for what no plan can mend; all problems at once."""
    problems = nonsense(wish)
    problems += [
        f"class {label!r} has {count or 'no'} training image{'s' * (count == 0)}: a generator could only copy it"
        for label, count in sorted(fingerprint.training.items())
        if count < 2
    ]
    if len(fingerprint.meanings) > 1 and "HU" in fingerprint.meanings:
        mix = ", ".join(f"{count} {name}" for name, count in fingerprint.meanings.items())
        problems.append(f"CT in Hounsfield units is mixed with other scans ({mix})")
    if problems:
        raise PlanError(
            "no plan for this data set: " + "; ".join(problems),
            hint="Add scans, set the class or modality aside (--modality), or change the option.",
        )


def nonsense(wish: Overrides) -> list[str]:
    """Overrides that mean nothing, in words."""
    problems = []
    known = {
        "arch": ("repaired", "dcgan"),
        "precision": ("fp32", "bf16"),
        "noise": ("normal", "uniform"),
        "effort": tuple(EFFORTS),
    }
    for name, values in known.items():
        if (value := getattr(wish, name)) not in {None, *values}:
            problems.append(f"{name} {value!r} is not one of {', '.join(values)}")
    for name, least in {"batch": 2, "images": 1, "minutes": 0.01}.items():
        if (value := getattr(wish, name)) is not None and value < least:
            problems.append(f"{name} must be at least {least}, not {value}")
    return problems


def choose(wished: Any, rule: Any, reason: str) -> tuple[Any, str]:
    """The user's word where there is one, else the rule's."""
    return (wished, "override: as asked") if wished is not None else (rule, reason)


def choose_basics(fingerprint: Fingerprint, wish: Overrides) -> Choices:
    """Labels, architecture, channels, chance, precision and device."""
    colour = set(fingerprint.channels) == {"3"}
    return {
        "labels": (tuple(sorted(fingerprint.training)), "rule: the classes of the train split"),
        "arch": choose(wish.arch, "repaired", "fixed: the mended DCGAN; dcgan is the 2015 baseline"),
        "channels": (3, "rule: every scan has colour")
        if colour
        else (1, "rule: gray scans, or a mixture made gray"),
        "noise": choose(wish.noise, "normal", "fixed: normally distributed latent"),
        "precision": choose(
            wish.precision, "fp32", "fixed: exact everywhere; bf16 is faster on some processors"
        ),
        "device": choose(
            None if wish.device == "auto" else wish.device, "auto", "rule: a GPU where there is one"
        ),
        "seed": choose(wish.seed, 0, "fixed: 0"),
    }


def choose_shape(fingerprint: Fingerprint, wish: Overrides) -> Choices:
    """Canvas of h0 x w0 cells doubled k times, and how scans are laid on it."""
    field = fingerprint.field_of_view_mm
    height, width = field or (float(fingerprint.rows[1]), float(fingerprint.columns[1]))
    if wish.size is not None:
        base, doublings = cells(wish.size)
        reason = "override: as asked"
    else:
        native = max(fingerprint.rows[1], fingerprint.columns[1])
        cap = EFFORTS[wish.effort][0]
        base, doublings = fit_cells(height / width, min(native, cap), cap)
        reason = f"rule: effort {wish.effort} allows {cap} pixels, the scans are about {fingerprint.rows[1]} x {fingerprint.columns[1]}"
    size = tuple(side << doublings for side in base)
    chosen: Choices = {
        "size": (size, reason),
        "base": (base, f"rule: {base[0]} x {base[1]} cells doubled {doublings} times"),
        "doublings": (doublings, ""),
    }
    if field is None:
        chosen["geometry"] = (
            "stretch",
            "rule: not every scan knows its pixel spacing, so each is resized to fill",
        )
        chosen["mm_per_pixel"] = (None, "rule: unknown spacing")
    else:
        side = round(max(height / size[0], width / size[1]), 4)
        chosen["geometry"] = ("physical", "rule: every scan knows its pixel spacing, so millimetres are kept")
        chosen["mm_per_pixel"] = (
            side,
            f"rule: {height:.0f} x {width:.0f} mm (95 % of the scans) fit the canvas",
        )
    return chosen


def cells(size: tuple[int, ...]) -> tuple[tuple[int, int], int]:
    """Base and doublings of an asked-for size; PlanError, with the nearest that go, when there are none."""
    height, width = size
    for doublings in range(1, 8):
        base = (height >> doublings, width >> doublings)
        if all(3 <= cell <= 6 for cell in base) and (base[0] << doublings, base[1] << doublings) == (
            height,
            width,
        ):
            return base, doublings
    near, doublings = fit_cells(height / max(width, 1), max(height, width), 6 << 7)
    offer = "x".join(str(cell << doublings) for cell in near)
    raise PlanError(
        f"size {height}x{width} is not 3 to 6 cells doubled the same number of times in both directions",
        hint=f"The nearest that is: --size {offer}.",
    )


def fit_cells(aspect: float, goal: int, cap: int) -> tuple[tuple[int, int], int]:
    """Base and doublings whose longest side is just above `goal` (at most `cap`) and whose shape is nearest to `aspect` (H / W)."""
    options = [
        ((h, w), k)
        for k in range(1, 8)
        for h in range(3, 7)
        for w in range(3, 7)
        if max(h, w) << k <= max(cap, 6)
    ]

    def misfit(option: tuple[tuple[int, int], int]) -> tuple[float, int, int]:
        (h, w), k = option
        side = max(h, w) << k
        shape = abs(math.log(h / w / aspect))
        far = (side - goal) / goal if side >= goal else 2 * (goal - side) / goal
        return 3 * shape + far, -k, side

    return min(options, key=misfit)


def choose_form(fingerprint: Fingerprint, wish: Overrides, chosen: Choices) -> Choices:
    """What -1 and 1 stand for, and how images are written."""
    meaning = next(iter(fingerprint.meanings)) if len(fingerprint.meanings) == 1 else "mixed"
    if wish.window is not None and meaning != "HU":
        raise PlanError(f"--window is for CT; these scans are {meaning}", hint="Leave --window away.")
    bits = 8 if fingerprint.bits <= 8 else 12
    if meaning == "HU":
        low, high = parse_window(wish.window or "full")
        reason = (
            "override: as asked" if wish.window else "rule: CT keeps Hounsfield units over their usual range"
        )
        unit, bits = "HU", 16
    elif meaning == "stored" and fingerprint.bits <= 8:
        low, high, unit, reason = 0.0, 255.0, "stored", "rule: 8-bit images keep their scale"
    elif meaning == "stored":
        low, high, unit = 0.0, float(2**fingerprint.bits - 1), "stored"
        bits, reason = 16, f"rule: {fingerprint.bits}-bit images keep their scale"
    else:
        low, high, unit = 0.0, float(2**bits - 1), "relative"
        reason = f"rule: {meaning} intensities have no common scale; each scan spans its own 0.5 to 99.5 percentile"
    form = Form(
        format=output_format(fingerprint),
        low=low,
        high=high,
        unit=unit,
        bits=bits,
        channels=chosen["channels"][0],
        modality=next(iter(fingerprint.modalities)) if len(fingerprint.modalities) == 1 else "",
        body_part=fingerprint.body_part,
        spacing_mm=output_spacing(fingerprint, chosen["mm_per_pixel"][0]),
    )
    dicom_class, why = own_class(form)
    form = replace(form, dicom_class=dicom_class)
    reason += f"; {why}" if form.format == "dicom" else ""
    return {"form": (form, reason)} | choose_span(fingerprint, form, chosen["arch"][0])


def choose_span(fingerprint: Fingerprint, form: Form, arch: str) -> Choices:
    """CT tissue fills a fraction of the range that is kept: the networks look at that fraction closely."""
    if form.unit != "HU" or arch == "dcgan":
        return {"span": ((0.0, 1.0), "rule: the whole range")}
    ends = (fingerprint.levels[1], fingerprint.levels[3])
    low, high = (min(max((end - form.low) / (form.high - form.low), 0.0), 1.0) for end in ends)
    if high - low < LEAST_SPAN:
        return {"span": ((0.0, 1.0), "rule: the whole range, for the scans hardly differ within it")}
    reason = f"rule: 99 % of the values lie between {ends[0]:.0f} and {ends[1]:.0f} HU"
    return {"span": ((round(low, 4), round(high, 4)), reason)}


def output_format(fingerprint: Fingerprint) -> str:
    """The format of most of the scans, raster images and arrays as PNG."""
    most = max(fingerprint.formats, key=lambda name: (fingerprint.formats[name], name))
    return most if most in {"dicom", "nifti"} else "png"


def output_spacing(fingerprint: Fingerprint, mm_per_pixel: float | None) -> tuple[float, ...] | None:
    """(Z, Y, X) in millimetres of a training pixel; Z is the scans' median."""
    if mm_per_pixel is None or fingerprint.spacing_mm is None:
        return None
    return (fingerprint.spacing_mm[0], mm_per_pixel, mm_per_pixel)


def choose_budget(fingerprint: Fingerprint, wish: Overrides, arch: str) -> Choices:
    """Batch, images shown in all, and images between ticks."""
    total = sum(fingerprint.training.values())
    usual = 128 if arch == "dcgan" else 16
    batch, batch_why = choose(
        wish.batch, min(usual, total), f"fixed: {usual} for {arch}, never more than there are images"
    )
    advised = next(images for limit, images in RECOMMENDED if total <= limit)
    share = EFFORTS[wish.effort][1]
    rule = max(int(advised * share), LEAST_IMAGES) if share else SMOKE_IMAGES
    reason = (
        f"rule: {advised:,} for {total:,} images, times {share:g} at effort {wish.effort}, {LEAST_IMAGES:,} at least"
        if share
        else "rule: effort smoke"
    )
    shown, shown_why = choose(wish.images, rule, reason)
    if wish.minutes is not None:
        shown_why = f"override: what {wish.minutes:g} minutes allow, by a timed probe"
    shown = -(-shown // batch) * batch
    return {
        "batch": (batch, batch_why),
        "images_shown": (shown, shown_why),
        "tick": (max(shown // 20 // batch, 1) * batch, "rule: about twenty ticks in a run"),
    }


def repaired_recipe(doublings: int, shown: int) -> Choices:
    """Fixed settings of the repaired networks (what each is worth: docs/concepts.md)."""
    widths = tuple(reversed(WIDTHS[: doublings + 1]))
    return {
        "latent": (64, "fixed"),
        "widths": (widths, "rule: narrow at the image, wider inward"),
        "loss": ("relativistic", "fixed: each real image is paired with a fake, which covers modes"),
        "rate": (1e-3, "fixed"),
        "rate_end": (2.5e-4, "fixed: a cosine from the start to the end of the run"),
        "betas": ((0.0, 0.99), "fixed: no momentum"),
        "penalty": (1.0, "fixed: R1 and R2"),
        "penalty_end": (0.1, "fixed: a cosine from the start to the end of the run"),
        "penalty_every": (8, "fixed: lazy regularisation"),
        "ema": (min(2_000.0, 0.05 * shown), "rule: 2,000 images, at most a twentieth of the run"),
        "augment": (0.5, "fixed: shift, cutout, brightness and contrast at half strength; never a flip"),
        "condition": ((0.3, 0.55), "fixed: learn all classes together first, then apart"),
    }


def dcgan_recipe(doublings: int, shown: int) -> Choices:
    """Settings of the 2015 paper (arXiv 1511.06434 section 4)."""
    del shown
    paper = "fixed: as published in 2015"
    widths = (*(DCGAN_BASE << stage for stage in reversed(range(doublings))), 1)
    return {
        "latent": (100, paper),
        "widths": (widths, paper),
        "loss": ("bce", paper),
        "rate": (2e-4, paper),
        "rate_end": (2e-4, paper),
        "betas": ((0.5, 0.999), paper),
        "penalty": (0.0, paper),
        "penalty_end": (0.0, paper),
        "penalty_every": (0, paper),
        "ema": (0.0, paper),
        "augment": (0.0, paper),
        "condition": ((0.0, 0.0), paper),
    }
