"""Seconds that were measured -> the decisions that only a clock can make: the precision, and the images that some minutes allow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from medgan.plan.plan import Plan

PRECISIONS = ("fp32", "bf16")
LONG, LONG_MINUTES = 15_000, 1.0
"""Images, or minutes, from which on a probe of some seconds pays."""
WORTH = 0.9
"""bf16 must cost at most this share of fp32: what is nearly as quick is not worth its rounding, nor a probe that may fall either way."""


def candidates(plan: Plan) -> tuple[str, ...]:
    """The precisions between which a clock must decide: one where the user has, or where the run is short."""
    if plan.precision != "auto":
        return (plan.precision,)
    long = plan.images_shown >= LONG if plan.minutes is None else plan.minutes >= LONG_MINUTES
    return PRECISIONS if long else PRECISIONS[:1]


def with_precision(plan: Plan, seconds: Mapping[str, float]) -> Plan:
    """The plan with its precision settled by {precision: seconds per image}; penalties are in fp32 whatever it is."""
    if plan.precision != "auto":
        return plan
    if not set(PRECISIONS) <= set(seconds):
        return settled(plan, "fp32", "rule: exact everywhere, and so short a run gains little from another")
    exact, quick = (1000 * seconds[name] for name in PRECISIONS)
    if quick <= WORTH * exact:
        return settled(
            plan, "bf16", f"rule: {quick:.3g} ms an image by a timed probe, {exact:.3g} ms in fp32"
        )
    return settled(
        plan,
        "fp32",
        f"rule: {exact:.3g} ms an image by a timed probe; bf16, with {quick:.3g} ms, gains too little",
    )


def settled(plan: Plan, precision: str, why: str) -> Plan:
    """The plan in this precision."""
    return replace(plan, precision=precision, why={**plan.why, "precision": why})


def on_schedule(plan: Plan, images_shown: int, seconds: float, pace: float) -> Plan:
    """The plan with as many images as the rest of its minutes allows at `pace` (seconds per image); unchanged without minutes.

    Args:
        plan: what is trained by; its schedules follow the share of `images_shown`, so they stretch or shrink with it.
        images_shown: images shown so far.
        seconds: spent so far.
        pace: what an image has cost lately.
    """
    if plan.minutes is None or images_shown >= plan.images_shown:
        return plan
    left = max(plan.minutes * 60 - seconds, 0.0)
    return replace(plan, images_shown=images_shown + round(left / pace / plan.batch) * plan.batch)
