"""Claim the run folder of a training, or go on in it, also for a longer run."""

from __future__ import annotations

import dataclasses
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medgan.base.errors import OutputError
from medgan.base.files import from_json, is_partial, make_folder, read_object, to_json, write_json
from medgan.base.processes import current_processes
from medgan.learners.gan.fit import LOG
from medgan.learners.gan.model import read_record
from medgan.plan import Overrides, Plan
from medgan.plan.clock import with_decision
from medgan.plan.stored import parse_plan
from medgan.training.runtime import Journal

VERSION = 1
RUN = "run.json"
ORDER = "content"
"""What the order of the training images follows; runs begun by the name of their files cannot go on in another order."""
LENGTH = frozenset({"images_shown", "minutes", "tick", "ema", "rate_end"})
"""Fields of a plan in which a longer run may differ from the one that it goes on with."""
OPTIONS = {
    "arch": "arch", "batch": "batch", "device": "device", "features": "features", "images_shown": "images", "minutes": "minutes",
    "noise": "noise", "precision": "precision", "seed": "seed", "size": "size",
}  # fmt: skip
"""{field of a plan: the option that decides it}."""
AGAIN = "Repeat the command as it was to go on with it, or choose another --out."

Facts = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """A run that ended, and was gone on with by a longer one."""

    images_shown: int
    """When it ended, in all."""
    rate_end: float
    """The learning rate at which it ended."""
    penalty_end: float


def run_record(out: Path) -> dict[str, Any] | None:
    """What the run folder says of itself; None when there is no run yet."""
    if not (out / RUN).exists():
        return None
    try:
        facts = read_object(out / RUN)
        newer = from_json(int, facts.get("version"), "version") > VERSION
        if not newer:
            from_json(str, facts.get("data_digest"), "data_digest")
            from_json(tuple[Leg, ...], facts.get("legs", []), "legs")
            from_json(Mapping[str, Any], facts.get("options", {}), "options")
            parse_plan(facts.get("plan"))
    except (OSError, ValueError) as error:
        raise OutputError(f"{out / RUN} cannot be read ({error})", hint="Choose another --out.") from error
    if newer:
        raise OutputError(
            f"{out} was written by a newer medgan", hint="Update medgan, or choose another --out."
        )
    return facts


def list_options(wish: Overrides, holdout: float | None) -> dict[str, Any]:
    """{option: value} of what the user gave that makes a run what it is."""
    asked = {**to_json(wish), "holdout": holdout}
    usual = {**to_json(Overrides()), "holdout": None}
    return {name: value for name, value in asked.items() if value != usual[name] and name != "graphed"}


def claim(out: Path, plan: Plan, data_digest: str, options: Facts) -> tuple[Leg, ...]:
    """Make `out` the run folder of this plan and data, or check that it is, or that this is a longer run of the same kind.

    What comes back are the runs that ended there before, which this one goes on with; OutputError names the difference to another.
    """
    facts = {
        "version": VERSION,
        "data_digest": data_digest,
        "order": ORDER,
        "plan": to_json(plan),
        "options": options,
    }
    before = run_record(out)
    if before is None:
        if out.exists() and (not out.is_dir() or not all(map(is_partial, out.iterdir()))):
            raise OutputError(
                f"{out} is not empty and no run of medgan", hint="Choose another --out, or empty it."
            )
        make_folder(out)
        write_json(out / RUN, facts)
        return ()
    legs: tuple[Leg, ...] = from_json(tuple[Leg, ...], before.get("legs", []))
    others = differing(before["plan"], facts["plan"])
    words = list_changes(before, facts, others)
    if others and not words and others <= LENGTH:
        legs = (*legs, finish_leg(out, before, plan))
        write_json(out / RUN, {**facts, "legs": to_json(legs)})
    elif others or words:
        raise OutputError(
            f"{out} holds another run: {'; '.join(words or by_option(before, facts, others))}", hint=AGAIN
        )
    return legs


def finish_leg(out: Path, before: Facts, plan: Plan) -> Leg:
    """The finished run in `out` that `plan` is a longer run of; OutputError where it is not finished, was stopped, or is not shorter."""
    shown = images_shown_in(out)
    model = out / "model"
    facts = read_record(model, out)[0] if (model / "model.json").exists() else None
    if facts is None or facts.images_shown != shown:
        raise OutputError(
            f"{out} holds a shorter run, which is not finished",
            hint="Repeat its command until it is, then ask for a longer one.",
        )
    if facts.guards is not None and facts.guards.stopped:
        raise OutputError(
            f"{out} holds a run that guards {facts.guards.stopped}; more of the same would not mend it",
            hint="Choose another --out, and another --seed or --size.",
        )
    was = before["plan"].get("minutes")
    if plan.images_shown <= shown or (was and plan.minutes and plan.minutes <= was):
        raise OutputError(
            f"{out} holds a longer run, of {shown:,} images: what was learned is not taken back", hint=AGAIN
        )
    rate, penalty = (before["plan"][name] for name in ("rate_end", "penalty_end"))
    return Leg(images_shown=shown, rate_end=rate, penalty_end=penalty)


def images_shown_in(out: Path) -> int:
    """Images shown up to the latest tick of a run."""
    rows = Journal(out / LOG).lines()
    return int(rows[-1]["images_shown"]) if rows else 0


def images_of_minutes(out: Path, minutes: float) -> int:
    """How many images `minutes` in all allow to the run in `out`, at the pace that it had."""
    rows = Journal(out / LOG).lines()
    if not rows:
        return 1
    shown, spent = int(rows[-1]["images_shown"]), max(float(rows[-1]["seconds"]), 1e-3)
    return max(int(shown * minutes * 60 / spent), 1)


def continue_plan(plan: Plan, legs: Sequence[Leg]) -> Plan:
    """The plan of a run that goes on where `legs` ended: at their learning rate, with classes apart and penalties as they were in the end."""
    if not legs:
        return plan
    last = legs[-1]
    why = f"rule: as it was where the earlier run of {last.images_shown:,} images ended"
    plan = with_decision(
        plan, rate=last.rate_end, penalty=last.penalty_end, penalty_end=last.penalty_end, why=why
    )
    return with_decision(plan, condition=(0.0, 0.0), joins=0.0, why="rule: whole since the earlier run")


def refuse_unseen(out: Path) -> None:
    """OutputError where this process, perhaps on another machine, does not see the run folder that the first one made."""
    if not (out / RUN).exists():
        raise OutputError(
            f"process {current_processes().rank} on {platform.node()} does not see {out.absolute()}",
            hint="Give an --out on a disk that all machines of the job share.",
        )


def differing(before: Facts, now: Facts) -> frozenset[str]:
    """Fields in which two plans differ; what an older medgan did not write down had its default.

    Reasons do not count, nor CUDA graphs: a run must go on without them.
    """
    defaults = {
        one.name: to_json(one.default)
        for one in dataclasses.fields(Plan)
        if one.default is not dataclasses.MISSING
    }
    names = {*before, *now} - {"why", "graphed"}
    return frozenset(
        name for name in names if before.get(name, defaults.get(name)) != now.get(name, defaults.get(name))
    )


def list_changes(before: Facts, now: Facts, others: frozenset[str]) -> list[str]:
    """In words, what beside the length of a run differs: the data, or options that were typed."""
    words = []
    known = before.get("options")
    if known is not None and (others - LENGTH or before["data_digest"] != now["data_digest"]):
        names = sorted({*known, *now["options"]})
        words += [
            _option(name, known.get(name), now["options"].get(name))
            for name in names
            if known.get(name) != now["options"].get(name)
        ]
    if before["data_digest"] != now["data_digest"] and not any(one.startswith("--holdout") for one in words):
        words.append("the training images, labels or splits have changed")
    if before.get("order") != now["order"]:
        words.append("an older medgan began it, which put the training images in another order")
    return words


def by_option(before: Facts, now: Facts, others: frozenset[str]) -> list[str]:
    """In words, the decisions that differ though the same was typed, or nobody knows what was: by the options that would decide them."""
    words = [
        _option(OPTIONS[name], before["plan"].get(name), now["plan"].get(name))
        for name in sorted(others & OPTIONS.keys())
    ]
    return words or ["this version of medgan would train it otherwise"]


def _option(name: str, before: Any, now: Any) -> str:
    return f"--{name} was {_value(before)}, is now {_value(now)}"


def _value(value: Any) -> str:
    if value is None:
        return "not given"
    if isinstance(value, list | tuple):
        return "x".join(map(str, value))
    return value if isinstance(value, str) else json.dumps(value)
