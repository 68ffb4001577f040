"""Seconds that were measured -> the decisions that only a clock can make: precision, CUDA graphs, and the images that some minutes allow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from medgan.plan.plan import Overrides, Plan

PRECISIONS = ("fp32", "bf16")
LONG, LONG_MINUTES = 15_000, 1.0
"""Images, or minutes, from which on a probe of some seconds pays."""
WORTH = 0.9
"""bf16 must cost at most this share of fp32, and a replayed step of a plain one: what is nearly as quick is not worth its rounding, nor a
probe that may fall either way."""


def candidates(plan: Plan) -> tuple[str, ...]:
    """The precisions between which a clock must decide: one where the user has, or where the run is short."""
    if plan.precision != "auto":
        return (plan.precision,)
    return PRECISIONS if long(plan) else PRECISIONS[:1]


def long(plan: Plan) -> bool:
    """Whether some seconds of probing are nothing beside the run."""
    return plan.images_shown >= LONG if plan.minutes is None else plan.minutes >= LONG_MINUTES


def with_precision(plan: Plan, seconds: Mapping[str, float]) -> Plan:
    """The plan with its precision settled by {precision: seconds per image}; penalties are in fp32 whatever it is."""
    if plan.precision != "auto":
        return plan
    if not set(PRECISIONS) <= set(seconds):
        return settled(
            plan, precision="fp32", why="rule: exact everywhere, and so short a run gains little from another"
        )
    exact, quick = (1000 * seconds[name] for name in PRECISIONS)
    if quick <= WORTH * exact:
        return settled(
            plan,
            precision="bf16",
            why=f"rule: {quick:.3g} ms an image by a timed probe, {exact:.3g} ms in fp32",
        )
    return settled(
        plan,
        precision="fp32",
        why=f"rule: {exact:.3g} ms an image by a timed probe; bf16, with {quick:.3g} ms, gains too little",
    )


def worth_graphing(plan: Plan) -> bool:
    """Whether a trial of CUDA graphs on a GPU may pay: the user has not decided, and the run is long."""
    return plan.graphed is None and plan.arch == "repaired" and long(plan)


def with_graphs(plan: Plan, pace: float, trial: tuple[float, str] | None) -> Plan:
    """The plan with CUDA graphs settled, by seconds per image without (`pace`) and those of a `trial`, None where none was worth it.

    A trial also says in words what speaks against graphs, or "".
    """
    if plan.graphed is not None:
        return plan
    if trial is None:
        return settled(plan, graphed=False, why=plan.why["graphed"])
    plain, quick, against = 1000 * pace, 1000 * trial[0], trial[1]
    if not against and quick > WORTH * plain:
        against = f"gain too little: {quick:.3g} ms an image by a timed probe, {plain:.3g} ms without"
    if against:
        return settled(plan, graphed=False, why=f"rule: CUDA graphs {against}")
    why = f"rule: {quick:.3g} ms an image by a timed probe, {plain:.3g} ms without"
    return settled(plan, graphed=True, why=why)


def settled(plan: Plan, *, why: str, **decision: str | bool) -> Plan:
    """The plan with one `decision`, {field: value}, and why it was taken."""
    return replace(plan, **decision, why={**plan.why, **dict.fromkeys(decision, why)})  # type: ignore[arg-type]


def as_begun(plan: Plan, begun: Mapping[str, Any], wish: Overrides) -> Plan:
    """The plan with what a clock decided when its run began, as the run's stored plan says; what the user now wishes comes first."""
    for name in ("precision", "graphed"):
        if getattr(wish, name) is None:
            value, why = begun.get(name, False), begun["why"].get(name, "rule: as the run began")
            plan = settled(plan, **{name: value}, why=why)
    return plan


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
