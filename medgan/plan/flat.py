"""Lay out a plan as the flat dictionary that files and reports hold.

Its keys are documented and never change, whatever the fields are called in Python.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from medgan.base.files import to_json
from medgan.plan.plan import Budget, Frame, Plan, Recipe

VERSION = "version"
WHY = "why"
_LAYOUT_VERSION = 1
_DETAIL = ("detail_widths", "detail_noise", "detail_patch", "detail_penalty")
"""Keys of the detail stage, last in the order of the files."""
_ORDER = (
    *("labels", "arch", "size", "base", "channels", "geometry", "mm_per_pixel", "form", "span", "latent"),
    *("noise", "widths", "outlined", "batch", "images_shown", "features", "seen_at", "matching"),
    *("adversary", "joins", "group", "evenness", "loss", "rate", "rate_end", "betas", "stride", "penalty"),
    *("penalty_end", "penalty_every", "ema", "augment", "guarded", "toned", "condition", "tick"),
    *("precision", "graphed", "threads", "device", "seed", "minutes"),
    *_DETAIL,
    "discriminator_widths",
)
"""Keys of the decisions in the order of the files."""
_OPTIONAL = ("threads", *_DETAIL, "discriminator_widths")
"""Keys that are written only where there is a value, so that plans of before them keep their digests."""
_FIELDS = {"outlined": "gaussian_level", "seen_at": "feature_resolution", "joins": "discriminator_start"}
"""{key: field}, where the field has got another name since files were first written."""
FIELD_OF: Mapping[str, str] = {key: _FIELDS.get(key, key) for key in _ORDER}
"""{key: field of a part of the plan}, in the order of the files."""
KEY_OF: Mapping[str, str] = {name: key for key, name in FIELD_OF.items()}
"""{field: key}, in the same order."""


def flatten(plan: Plan) -> dict[str, Any]:
    """Lay out a plan as JSON data, from which `parse_plan` makes the same plan again."""
    decisions = {key: to_json(plan.value_of(name)) for key, name in FIELD_OF.items()}
    for key in _OPTIONAL:
        if not decisions[key]:
            del decisions[key]
    reasons = {KEY_OF.get(name, name): why for name, why in plan.why.items()}
    return {VERSION: _LAYOUT_VERSION, **decisions, WHY: reasons}


def explain(plan: Plan) -> dict[str, dict[str, Any]]:
    """Pair every decision of a plan with its reason: {key: {value, why}}."""
    flat = flatten(plan)
    return {key: {"value": flat.get(key), "why": why} for key, why in flat[WHY].items() if key in FIELD_OF}


def default_values() -> dict[str, Any]:
    """{key: value} of what an older medgan did not write."""
    return {VERSION: _LAYOUT_VERSION} | {
        KEY_OF[one.name]: to_json(one.default)
        for part in (Frame, Recipe, Budget)
        for one in dataclasses.fields(part)
        if one.default is not dataclasses.MISSING
    }
