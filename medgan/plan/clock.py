"""Decide by measured seconds: precision, CUDA graphs, threads, and how many images fit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from medgan.base.overrides import Overrides
from medgan.plan.plan import Plan

_PRECISIONS = ("fp32", "bf16")
_LONG_IMAGES = 15_000
"""Images to show from which a timed probe of some seconds pays."""
_LONG_MINUTES = 1.0
"""Minutes of training from which a timed probe of some seconds pays."""
_WORTHWHILE_SHARE = 0.9
"""Most that bf16 may cost as a share of fp32, and a replayed step as a share of a plain one. A smaller gain
is not worth bf16's rounding, nor a choice that differs from probe to probe."""
_GRAPH_MINUTES = 3.0
"""Minutes of training from which trials of CUDA graphs pay. They take a good part of one minute."""
_NO_TRIAL = (
    f"rule: tried by one process on a GPU, in runs of `repaired` of {_GRAPH_MINUTES:g} minutes and more"
)


def candidate_precisions(plan: Plan) -> tuple[str, ...]:
    """Precisions that a timed probe has to compare.

    There is only one where the user has chosen, or where the run is too short for a probe.
    """
    if plan.budget.precision != "auto":
        return (plan.budget.precision,)
    return _PRECISIONS if _is_long(plan) else _PRECISIONS[:1]


def _is_long(plan: Plan) -> bool:
    """Whether the run is so long that a timed probe of some seconds does not matter."""
    minutes = plan.budget.minutes
    return plan.budget.images_shown >= _LONG_IMAGES if minutes is None else minutes >= _LONG_MINUTES


def decide_precision(plan: Plan, seconds: Mapping[str, float]) -> Plan:
    """Settle the precision of the plan by measured times.

    Penalties are computed in fp32 in either case.

    Args:
        plan: The plan; unchanged where its precision is settled.
        seconds: {precision: seconds per image}.
    """
    if plan.budget.precision != "auto":
        return plan
    if not set(_PRECISIONS) <= set(seconds):
        reason = (
            "this GPU does not support bf16" if _is_long(plan) else "so short a run gains little from another"
        )
        return with_decision(plan, precision="fp32", why=f"rule: exact everywhere, and {reason}")
    # Milliseconds per image in fp32 and bf16.
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


def may_choose_threads(plan: Plan) -> bool:
    """Whether the number of threads is open to a timed decision.

    It is in runs of some minutes. Where a run is as long as its images, the same command gives the same
    weights again, which depend on the number of threads.
    """
    return plan.budget.minutes is not None and _is_long(plan)


def decide_threads(plan: Plan, seconds: Mapping[int, float]) -> Plan:
    """Settle the number of threads of the plan by measured times.

    Args:
        plan: The plan.
        seconds: {threads: seconds per image} for one thread and for as many as torch takes.
    """
    most = max(seconds)
    one, all_of_them = seconds[1], seconds[most]
    return with_decision(
        plan,
        threads=1 if one <= _WORTHWHILE_SHARE * all_of_them else most,
        why=f"rule: {1000 * one:.3g} ms an image on one thread by a timed probe,"
        f" {1000 * all_of_them:.3g} ms on {most}",
    )


def is_worth_graphing(plan: Plan, seconds_per_image: float) -> bool:
    """Whether trials of CUDA graphs may pay, at this many seconds per image."""
    minutes = plan.budget.minutes
    minutes = plan.budget.images_shown * seconds_per_image / 60 if minutes is None else minutes
    return may_try_graphs(plan) and minutes >= _GRAPH_MINUTES


def may_try_graphs(plan: Plan) -> bool:
    """Whether CUDA graphs are open to a timed decision on a GPU.

    They are unless the user has decided or the run is short.
    """
    return plan.budget.graphed is None and plan.recipe.arch == "repaired" and _is_long(plan)


def decide_graphs(
    plan: Plan, seconds_per_image: float, trials: Mapping[str, tuple[float, str]]
) -> tuple[Plan, float]:
    """Settle the use of CUDA graphs. Return the plan and its seconds per image.

    Replayed together, kernels may be quicker in another precision than one by one, so the precision may
    change as well.

    Args:
        plan: The plan; unchanged where the user has decided.
        seconds_per_image: Cost of an image without CUDA graphs.
        trials: {precision: (seconds per image with CUDA graphs, what speaks against them or "")}.
    """
    if plan.budget.graphed is not None:
        return plan, seconds_per_image
    # The quicker of the trials that worked.
    sound = {name: seconds for name, (seconds, against) in trials.items() if not against}
    exact, quick = (sound.get(name, math.inf) for name in _PRECISIONS)
    name, cost = ("bf16", quick) if quick <= _WORTHWHILE_SHARE * exact else ("fp32", exact)
    measured = f"{1000 * cost:.3g} ms an image by a timed probe, {1000 * seconds_per_image:.3g} ms without"
    # Why graphs are not used, if they are not.
    refusal = ""
    if not trials:
        refusal = _NO_TRIAL
    elif not sound:
        refusal = f"rule: CUDA graphs {next(iter(trials.values()))[1]}"
    elif cost > _WORTHWHILE_SHARE * seconds_per_image:
        refusal = f"rule: CUDA graphs gain too little: {measured}"
    if refusal:
        return with_decision(plan, graphed=False, why=refusal), seconds_per_image
    if name != plan.budget.precision:
        plan = with_decision(
            plan, precision=name, why=f"rule: quicker by a timed probe of CUDA graphs: {measured}"
        )
    return with_decision(plan, graphed=True, why=f"rule: {measured}"), cost


def with_decision(plan: Plan, *, why: str, **decision: object) -> Plan:
    """Return the plan with one or more decisions and the reason for them."""
    reasons = {**plan.why, **dict.fromkeys(decision, why)}
    return replace(plan.replace(**decision), why=reasons)


def restore_decisions(plan: Plan, begun: Mapping[str, Any], overrides: Overrides) -> Plan:
    """Restore what a timed probe decided when the run began.

    Args:
        plan: The plan of the command that resumes.
        begun: The stored plan of the run.
        overrides: What the user asks for now; it has priority.
    """
    for name, asked in (("precision", overrides.precision), ("graphed", overrides.cuda_graphs)):
        if asked is None:
            plan = with_decision(
                plan, **{name: begun.get(name, False)}, why=begun["why"].get(name, _NO_TRIAL)
            )
    why = begun["why"].get("threads", plan.why["threads"])
    return with_decision(plan, threads=begun.get("threads"), why=why)


def fit_to_minutes(plan: Plan, images_shown: int, seconds: float, seconds_per_image: float) -> Plan:
    """Correct the number of images to show to the minutes that are left.

    The plan stays as it is where no minutes were asked for. Its schedules follow the share of `images_shown`,
    so they stretch or shrink with it.

    Args:
        plan: The plan by which the run trains.
        images_shown: Images shown so far.
        seconds: Seconds spent so far.
        seconds_per_image: Recent cost of an image.
    """
    budget = plan.budget
    if budget.minutes is None or images_shown >= budget.images_shown:
        return plan
    left = max(budget.minutes * 60 - seconds, 0.0)
    return plan.replace(
        images_shown=images_shown + round(left / seconds_per_image / budget.batch) * budget.batch
    )
