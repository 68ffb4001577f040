"""Check a plan or an output format that was read from a file before it is used."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from medgan.base.files import from_json
from medgan.plan.canvas import CELLS, MOST_DOUBLINGS, SIDES
from medgan.plan.plan import Plan
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
    plan: Plan = from_json(Plan, value, name)
    parse_output_format(value["form"], f"{name}.form")
    _check_fields(name, plan, _PLAN_CHECKS)
    return plan


def _check_fields(name: str, noun: Any, senses: Mapping[str, Callable[[Any], bool]]) -> None:
    for field, holds in senses.items():
        if not holds(noun):
            text = repr(getattr(noun, field))
            raise ValueError(f"{name}.{field} cannot be {text if len(text) < 60 else text[:60] + '...'}")


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
_PLAN_CHECKS: Mapping[str, Callable[[Plan], bool]] = {
    "labels": lambda plan: len(set(plan.labels)) == len(plan.labels) > 0 and all(plan.labels),
    "arch": lambda plan: plan.arch in RECIPES,
    "channels": lambda plan: plan.channels in {1, plan.form.channels},  # gray may be stored as RGB
    "base": lambda plan: len(plan.base) == _PAIR and all(CELLS[0] <= side <= CELLS[1] for side in plan.base),
    "widths": lambda plan: (
        len(plan.widths) in _STAGES and all(1 <= width <= _MAX_CHANNELS for width in plan.widths)
    ),
    "size": lambda plan: len(plan.size) == _PAIR and all(SIDES[0] <= side <= SIDES[1] for side in plan.size),
    "geometry": lambda plan: plan.geometry in {"physical", "stretch"},
    "mm_per_pixel": lambda plan: (
        plan.geometry == "stretch" or (plan.mm_per_pixel is not None and plan.mm_per_pixel > 0)
    ),
    "span": lambda plan: len(plan.span) == _PAIR and 0 <= plan.span[0] < plan.span[1] <= 1,
    "latent": lambda plan: 1 <= plan.latent <= _MAX_CHANNELS,
    "noise": lambda plan: plan.noise in {"normal", "uniform"},
    "outlined": lambda plan: plan.outlined >= 0,
    "batch": lambda plan: plan.batch >= 1,
    "group": lambda plan: plan.group >= 1,
    "tick": lambda plan: plan.tick >= 1,
    "images_shown": lambda plan: plan.images_shown >= 1,
}
"""{field: whether its value makes sense together with the others}. A check may rely on those before it."""
