"""What only a clock can decide, as arithmetic on seconds that were measured."""

import pytest

from medgan.plan import Overrides, decide
from medgan.plan.clock import (
    _LONG_IMAGES,
    candidate_precisions,
    decide_graphs,
    decide_precision,
    decide_threads,
    fit_to_minutes,
    is_worth_graphing,
    may_choose_threads,
    restore_decisions,
)
from medgan.plan.flat import flatten
from tests.test_plan import facts


def plan_of(**wishes):
    return decide(facts(), Overrides(**wishes))


@pytest.mark.parametrize(
    ("wishes", "tried"),
    [
        ({}, ("fp32", "bf16")),
        ({"images": _LONG_IMAGES - 64}, ("fp32",)),
        ({"minutes": 1.0}, ("fp32", "bf16")),
        ({"minutes": 0.9}, ("fp32",)),
        ({"precision": "bf16", "images": 16}, ("bf16",)),
        ({"precision": "fp32"}, ("fp32",)),
    ],
)
def test_a_clock_decides_where_the_user_has_not_and_the_run_is_long(wishes, tried):
    assert candidate_precisions(plan_of(**wishes)) == tried


@pytest.mark.parametrize(
    ("seconds", "precision", "words"),
    [
        ({"fp32": 0.030, "bf16": 0.018}, "bf16", "rule: 18 ms an image by a timed probe, 30 ms in fp32"),
        ({"fp32": 0.030, "bf16": 0.029}, "fp32", "gains too little"),
        ({"fp32": 0.030, "bf16": 0.300}, "fp32", "rule: 30 ms an image by a timed probe; bf16, with 300 ms"),
        ({"fp32": 0.030}, "fp32", "this GPU does not support bf16"),
    ],
)
def test_bf16_is_taken_where_it_is_clearly_quicker_and_the_reason_names_both_times(seconds, precision, words):
    plan = decide_precision(plan_of(), seconds)
    assert plan.budget.precision == precision
    assert words in plan.why["precision"]


def test_a_precision_that_was_asked_for_stands_whatever_the_clock_says():
    plan = plan_of(precision="fp32")
    assert decide_precision(plan, {"fp32": 1.0, "bf16": 0.1}) is plan


def test_a_short_run_is_in_fp32_without_a_clock():
    assert "short a run" in decide_precision(plan_of(images=64), {}).why["precision"]


@pytest.mark.parametrize(
    ("wishes", "open_to_time"),
    [({}, False), ({"images": 10**6}, False), ({"minutes": 0.9}, False), ({"minutes": 1.0}, True)],
)
def test_threads_are_timed_only_where_no_weights_are_promised_again(wishes, open_to_time):
    assert may_choose_threads(plan_of(**wishes)) is open_to_time


@pytest.mark.parametrize(
    ("seconds", "threads"), [({1: 0.004, 8: 0.005}, 1), ({1: 0.0048, 8: 0.005}, 8), ({1: 0.009, 8: 0.005}, 8)]
)
def test_one_thread_is_taken_where_it_is_clearly_quicker_and_a_resume_keeps_it(seconds, threads):
    plan = decide_threads(plan_of(minutes=3.0), seconds)
    assert plan.budget.threads == threads
    assert plan.why["threads"].startswith(f"rule: {1000 * seconds[1]:g} ms an image on one thread")
    assert plan.why["threads"].endswith("5 ms on 8")
    again = restore_decisions(plan_of(minutes=3.0), flatten(plan), Overrides())
    assert (again.budget.threads, again.why["threads"]) == (threads, plan.why["threads"])


@pytest.mark.parametrize(
    ("wishes", "pace", "worth"),
    [
        ({"images": 18_000}, 0.011, True),
        ({"images": 18_000}, 0.009, False),
        ({"minutes": 3.0}, 1.0, True),
        ({"minutes": 2.9}, 1.0, False),
        ({"cuda_graphs": True}, 1.0, False),
        ({"cuda_graphs": False}, 1.0, False),
        ({"arch": "dcgan"}, 1.0, False),
    ],
)
def test_cuda_graphs_are_tried_where_the_user_has_not_decided_and_the_run_is_long(wishes, pace, worth):
    assert is_worth_graphing(plan_of(**wishes), pace) == worth


FAILS = "do not work here (RuntimeError: no)"


@pytest.mark.parametrize(
    ("trials", "graphed", "precision", "pace", "words"),
    [
        ({"fp32": (0.001, "")}, True, "fp32", 0.001, "rule: 1 ms an image by a timed probe, 4 ms without"),
        ({"fp32": (0.001, ""), "bf16": (0.0005, "")}, True, "bf16", 0.0005, "rule: 0.5 ms"),
        ({"fp32": (0.001, ""), "bf16": (0.00095, "")}, True, "fp32", 0.001, "rule: 1 ms"),
        ({"fp32": (0.002, FAILS), "bf16": (0.002, "")}, True, "bf16", 0.002, "rule: 2 ms"),
        ({"fp32": (0.001, FAILS)}, False, "fp32", 0.004, f"rule: CUDA graphs {FAILS}"),
        (
            {"fp32": (0.0037, "")},
            False,
            "fp32",
            0.004,
            "rule: CUDA graphs gain too little: 3.7 ms an image by a timed probe, 4 ms without",
        ),
        ({}, False, "fp32", 0.004, "rule: tried by one process on a GPU"),
    ],
)
def test_cuda_graphs_are_taken_where_they_are_clearly_quicker_and_the_same(
    trials, graphed, precision, pace, words
):
    begun = decide_precision(plan_of(), {"fp32": 0.004, "bf16": 0.004})
    plan, now = decide_graphs(begun, 0.004, trials)
    assert (plan.budget.graphed, plan.budget.precision, now) == (graphed, precision, pace)
    assert plan.why["graphed"].startswith(words)
    assert plan.why["precision"].startswith("rule: ")


@pytest.mark.parametrize("graphed", [True, False])
def test_graphs_that_were_asked_for_or_refused_stand(graphed):
    plan = plan_of(cuda_graphs=graphed)
    assert decide_graphs(plan, 0.004, {"fp32": (0.001, "")}) == (plan, 0.004)


def test_what_a_clock_decided_when_a_run_began_stands_but_for_what_the_user_now_says():
    begun = {"precision": "bf16", "graphed": True, "why": {"precision": "rule: p", "graphed": "rule: g"}}
    plan = restore_decisions(plan_of(), begun, Overrides())
    assert (plan.budget.precision, plan.budget.graphed, plan.why["precision"], plan.why["graphed"]) == (
        "bf16",
        True,
        "rule: p",
        "rule: g",
    )
    wish = Overrides(cuda_graphs=False)
    plan = restore_decisions(decide(facts(), wish), begun, wish)
    assert (plan.budget.precision, plan.budget.graphed) == ("bf16", False)
    old = {"precision": "fp32", "why": {"precision": "rule: p"}}
    assert restore_decisions(plan_of(), old, Overrides()).budget.graphed is False


def test_a_run_without_minutes_is_never_corrected():
    plan = plan_of(images=1000)
    assert fit_to_minutes(plan, 160, 1e6, 1e3) is plan


def test_the_rest_of_the_minutes_at_the_latest_pace_is_the_rest_of_the_run():
    plan = plan_of(minutes=10.0, batch=16).replace(images_shown=16_000)
    slow = fit_to_minutes(plan, 800, 120.0, 0.15)  # 480 s are left: 3,200 images
    assert slow.budget.images_shown == 4_000
    quick = fit_to_minutes(plan, 800, 120.0, 0.0075)
    assert quick.budget.images_shown == 64_800
    assert slow.replace(images_shown=plan.budget.images_shown) == plan


def test_a_run_ends_when_its_minutes_are_over_and_is_not_drawn_out_when_its_images_are_shown():
    plan = plan_of(minutes=1.0, batch=16).replace(images_shown=1600)
    assert fit_to_minutes(plan, 800, 61.0, 0.01).budget.images_shown == 800
    assert fit_to_minutes(plan, 1600, 10.0, 0.01) is plan
