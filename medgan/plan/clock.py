"""Seconds that were measured -> the decisions that only a clock can make: precision, CUDA graphs, and the images that some minutes allow."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from medgan.plan.plan import Overrides, Plan

_PRECISIONS = ("fp32", "bf16")
_LONG_IMAGES, _LONG_MINUTES = 15_000, 1.0
"""Images, or minutes, from which on a probe of some seconds pays."""
_WORTHWHILE_SHARE = 0.9
"""bf16 must cost at most this share of fp32, and a replayed step of a plain one: what is nearly as quick is not worth its rounding, nor a
probe that may fall either way."""
_GRAPH_MINUTES = 3.0
"""Minutes from which on trials of CUDA graphs pay, which take a good part of one."""
_NO_TRIAL = (
    f"rule: tried by one process on a GPU, in runs of `repaired` of {_GRAPH_MINUTES:g} minutes and more"
)


def candidate_precisions(plan: Plan) -> tuple[str, ...]:
    """The precisions between which a clock must decide: one where the user has, or where the run is short."""
    if plan.precision != "auto":
        return (plan.precision,)
    return _PRECISIONS if _is_long(plan) else _PRECISIONS[:1]


def _is_long(plan: Plan) -> bool:
    """Whether some seconds of probing are nothing beside the run."""
    return plan.images_shown >= _LONG_IMAGES if plan.minutes is None else plan.minutes >= _LONG_MINUTES


def decide_precision(plan: Plan, seconds: Mapping[str, float]) -> Plan:
    """The plan with its precision settled by {precision: seconds per image}; penalties are in fp32 whatever it is."""
    if plan.precision != "auto":
        return plan
    if not set(_PRECISIONS) <= set(seconds):
        reason = "this GPU knows no other" if _is_long(plan) else "so short a run gains little from another"
        return with_decision(plan, precision="fp32", why=f"rule: exact everywhere, and {reason}")
    exact, quick = (1000 * seconds[name] for name in _PRECISIONS)
    if quick <= _WORTHWHILE_SHARE * exact:
        return with_decision(
            plan,
            precision="bf16",
            why=f"rule: {quick:.3g} ms an image by a timed probe, {exact:.3g} ms in fp32",
        )
    return with_decision(
        plan,
        precision="fp32",
        why=f"rule: {exact:.3g} ms an image by a timed probe; bf16, with {quick:.3g} ms, gains too little",
    )


def is_worth_graphing(plan: Plan, pace: float) -> bool:
    """Whether trials of CUDA graphs may pay in a run that is open to them: at `pace` (seconds per image) it is long."""
    minutes = plan.images_shown * pace / 60 if plan.minutes is None else plan.minutes
    return may_try_graphs(plan) and minutes >= _GRAPH_MINUTES


def may_try_graphs(plan: Plan) -> bool:
    """Whether a clock may decide about CUDA graphs on a GPU: the user has not, and some seconds are nothing beside the run."""
    return plan.graphed is None and plan.arch == "repaired" and _is_long(plan)


def decide_graphs(plan: Plan, pace: float, trials: Mapping[str, tuple[float, str]]) -> tuple[Plan, float]:
    """The plan with CUDA graphs settled, and its pace; by seconds per image without (`pace`) and {precision: those with}.

    A trial also says in words what speaks against graphs, or "". Launched together, kernels may be quicker in another precision.
    """
    if plan.graphed is not None:
        return plan, pace
    sound = {name: seconds for name, (seconds, against) in trials.items() if not against}
    exact, quick = (sound.get(name, math.inf) for name in _PRECISIONS)
    name, cost = ("bf16", quick) if quick <= _WORTHWHILE_SHARE * exact else ("fp32", exact)
    measured = f"{1000 * cost:.3g} ms an image by a timed probe, {1000 * pace:.3g} ms without"
    refusal = ""
    if not trials:
        refusal = _NO_TRIAL
    elif not sound:
        refusal = f"rule: CUDA graphs {next(iter(trials.values()))[1]}"
    elif cost > _WORTHWHILE_SHARE * pace:
        refusal = f"rule: CUDA graphs gain too little: {measured}"
    if refusal:
        return with_decision(plan, graphed=False, why=refusal), pace
    if name != plan.precision:
        plan = with_decision(
            plan, precision=name, why=f"rule: quicker by a timed probe of CUDA graphs: {measured}"
        )
    return with_decision(plan, graphed=True, why=f"rule: {measured}"), cost


def with_decision(plan: Plan, *, why: str, **decision: object) -> Plan:
    """The plan with one `decision`, or several for the same reason, {field: value}, and why it was taken."""
    return replace(plan, **decision, why={**plan.why, **dict.fromkeys(decision, why)})  # type: ignore[arg-type]


def restore_decisions(plan: Plan, begun: Mapping[str, Any], wish: Overrides) -> Plan:
    """The plan with what a clock decided when its run began, as the run's stored plan says; what the user now wishes comes first."""
    for name in ("precision", "graphed"):
        if getattr(wish, name) is None:
            plan = with_decision(
                plan, **{name: begun.get(name, False)}, why=begun["why"].get(name, _NO_TRIAL)
            )
    return plan


def fit_to_minutes(plan: Plan, images_shown: int, seconds: float, pace: float) -> Plan:
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
