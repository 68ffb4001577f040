"""Check a plan or an output format that was read from a file before it is used."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, get_type_hints

from medgan.base.files import from_json
from medgan.plan.canvas import CELLS, MOST_DOUBLINGS, SIDES
from medgan.plan.flat import FIELD_OF, KEY_OF, VERSION, WHY, default_values
from medgan.plan.plan import Budget, Frame, Plan, Recipe
from medgan.plan.recipes import RECIPES
from medgan.scans.dicom.sop_classes import SOP_CLASSES
from medgan.scans.formats import WRITERS
from medgan.scans.scan import OutputFormat

_UNITS = ("HU", "stored", "relative")
_BITS = (8, 12, 16)
"""Bits per stored value."""
_COLOURS = (1, 3)
"""Channels of an image."""
_PAIR = 2  # (height, width)
_AXES = 3  # (Z, Y, X)
_STAGES = range(2, MOST_DOUBLINGS + 2)
"""Possible numbers of stages of a network, one more than doublings."""
_MAX_CHANNELS = 1 << 16
"""Most channels of a stage and most latent numbers: far more than any plan has ever had."""
_ORIENTATION = re.compile(r"|[LRAPHF]{1,3}\\[LRAPHF]{1,3}")
"""DICOM PatientOrientation (PS3.3 C.7.6.1.1.1), or nothing."""
_MAX_THREADS = 1 << 12
"""Most threads: more than any machine has cores."""
_MAX_INTENSITY = 1 << 16
"""Largest absolute value at an end of the intensity range: files have at most 16 bits."""


def parse_output_format(value: Any, name: str = "form") -> OutputFormat:
    """Convert JSON data to an OutputFormat and check it.

    Raises:
        ValueError: says what is wrong, calling the data `name`.
    """
    form: OutputFormat = from_json(OutputFormat, value, name)
    _check_fields(name, form, _FORMAT_CHECKS)
    return form


def parse_plan(value: Any, name: str = "plan") -> Plan:
    """Convert JSON data to a Plan and check it.

    Raises:
        ValueError: says what is wrong, calling the data `name`.
    """
    data: Mapping[str, Any] = from_json(Mapping[str, Any], value, name)
    strange = sorted(data.keys() - {VERSION, *FIELD_OF, WHY})
    lacking = [key for key in FIELD_OF if key not in data.keys() | default_values().keys()]
    if strange or lacking:
        raise ValueError(
            f"{name} lacks {lacking[0]!r}" if lacking else f"{name} has an unknown key {strange[0]!r}"
        )
    from_json(int, data.get(VERSION, 1), f"{name}.{VERSION}")
    reasons = from_json(Mapping[str, str], data.get(WHY, {}), f"{name}.{WHY}")
    plan = Plan.of(
        {
            field: from_json(_TYPES[field], data[key], f"{name}.{key}")
            for key, field in FIELD_OF.items()
            if key in data
        },
        {FIELD_OF.get(key, key): why for key, why in reasons.items()},
    )
    parse_output_format(data["form"], f"{name}.form")
    _check_fields(name, plan.frame, _FRAME_CHECKS)
    _check_fields(name, plan.recipe, _RECIPE_CHECKS)
    _check_fields(name, plan.budget, _BUDGET_CHECKS)
    return plan


_TYPES: Mapping[str, Any] = {
    field: kind for part in (Frame, Recipe, Budget) for field, kind in get_type_hints(part).items()
}
"""{field of a part of the plan: its type}."""


def _check_fields(name: str, noun: Any, senses: Mapping[str, Callable[[Any], bool]]) -> None:
    for field, holds in senses.items():
        if not holds(noun):
            text = repr(getattr(noun, field))
            key = KEY_OF.get(field, field)
            raise ValueError(f"{name}.{key} cannot be {text if len(text) < 60 else text[:60] + '...'}")


_FORMAT_CHECKS: Mapping[str, Callable[[OutputFormat], bool]] = {
    "format": lambda form: form.format in WRITERS,
    "unit": lambda form: form.unit in _UNITS,
    "bits": lambda form: form.bits in _BITS,
    "channels": lambda form: form.channels in _COLOURS,
    "high": lambda form: -_MAX_INTENSITY <= form.low < form.high <= _MAX_INTENSITY,
    "dicom_class": lambda form: form.dicom_class in SOP_CLASSES,
    "patient_orientation": lambda form: bool(_ORIENTATION.fullmatch(form.patient_orientation)),
    "spacing_mm": lambda form: (
        form.spacing_mm is None
        or (len(form.spacing_mm) == _AXES and form.spacing_mm[0] >= 0 and min(form.spacing_mm[1:]) > 0)
    ),
}
"""{field: whether its value makes sense together with the others}."""
_FRAME_CHECKS: Mapping[str, Callable[[Frame], bool]] = {
    "labels": lambda frame: len(set(frame.labels)) == len(frame.labels) > 0 and all(frame.labels),
    "channels": lambda frame: frame.channels in {1, frame.form.channels},  # gray may be stored as RGB
    "size": lambda frame: (
        len(frame.size) == _PAIR and all(SIDES[0] <= side <= SIDES[1] for side in frame.size)
    ),
    "geometry": lambda frame: frame.geometry in {"physical", "stretch"},
    "mm_per_pixel": lambda frame: (
        frame.geometry == "stretch" or (frame.mm_per_pixel is not None and frame.mm_per_pixel > 0)
    ),
    "span": lambda frame: len(frame.span) == _PAIR and 0 <= frame.span[0] < frame.span[1] <= 1,
}
"""The same for what an image is. A check may rely on those before it."""
_RECIPE_CHECKS: Mapping[str, Callable[[Recipe], bool]] = {
    "arch": lambda recipe: recipe.arch in RECIPES,
    "base": lambda recipe: (
        len(recipe.base) == _PAIR and all(CELLS[0] <= side <= CELLS[1] for side in recipe.base)
    ),
    "widths": lambda recipe: (
        len(recipe.widths) in _STAGES and all(1 <= width <= _MAX_CHANNELS for width in recipe.widths)
    ),
    "latent": lambda recipe: 1 <= recipe.latent <= _MAX_CHANNELS,
    "noise": lambda recipe: recipe.noise in {"normal", "uniform"},
    "gaussian_level": lambda recipe: recipe.gaussian_level >= 0,
    "group": lambda recipe: recipe.group >= 1,
    "detail_widths": lambda recipe: (
        len(recipe.detail_widths) != 1
        and recipe.doublings + recipe.detail_doublings <= MOST_DOUBLINGS
        and all(1 <= width <= _MAX_CHANNELS for width in recipe.detail_widths)
    ),
    "discriminator_widths": lambda recipe: all(
        1 <= width <= _MAX_CHANNELS for width in recipe.discriminator_widths
    ),
    "detail_noise": lambda recipe: (0 < recipe.detail_noise <= _MAX_CHANNELS) == bool(recipe.detail_widths),
    "detail_patch": lambda recipe: (0 < recipe.detail_patch <= SIDES[1]) == bool(recipe.detail_widths),
}
"""The same for how a GAN learns."""
_BUDGET_CHECKS: Mapping[str, Callable[[Budget], bool]] = {
    "batch": lambda budget: budget.batch >= 1,
    "tick": lambda budget: budget.tick >= 1,
    "images_shown": lambda budget: budget.images_shown >= 1,
    "threads": lambda budget: budget.threads is None or 1 <= budget.threads <= _MAX_THREADS,
}
"""The same for how much is trained."""
