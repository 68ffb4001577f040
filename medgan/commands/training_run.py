"""Begin a training run in its folder, or continue it, also with a longer one."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from medgan.base.errors import OutputError
from medgan.base.files import from_json, to_json
from medgan.base.processes import current_processes
from medgan.base.run_folder import AGAIN, RECORD, VERSION, RunFolder, change_text
from medgan.learners.gan.model import read_record
from medgan.learners.kinds import GAN, require_run_of_kind
from medgan.plan import Overrides, Plan
from medgan.plan.clock import with_decision
from medgan.plan.flat import WHY, default_values, flatten
from medgan.plan.stored import parse_plan
from medgan.training.loop import LOG
from medgan.training.runtime import Journal

_ORDER = "content"
"""What the training images are sorted by; a run sorted by file names cannot be continued."""
_LENGTH = frozenset({"images_shown", "minutes", "tick", "ema", "rate_end"})
"""Keys of the plan in which a longer run may differ from the one that it continues."""
_OPTIONS = {
    "adversary": "adversary",
    "arch": "arch",
    "batch": "batch",
    "device": "device",
    "features": "features",
    "images_shown": "images",
    "minutes": "minutes",
    "noise": "noise",
    "precision": "precision",
    "seed": "seed",
    "size": "size",
}
"""{key of a plan: the option that decides it}."""

_Facts = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """A run that ended and was then continued by a longer one."""

    images_shown: int
    """Images shown in all when it ended."""
    rate_end: float
    """The learning rate at which it ended."""
    penalty_end: float


def training_folder(out: Path) -> RunFolder:
    """The output folder of `train`."""
    return RunFolder(path=out, command="train", check=partial(_check_record, out))


def _check_record(out: Path, record: _Facts) -> None:
    """Raise ValueError for a run.json that no version of `train` wrote, OutputError for another kind."""
    require_run_of_kind(record, GAN, out)
    from_json(str, record.get("data_digest"), "data_digest")
    from_json(tuple[Leg, ...], record.get("legs", []), "legs")
    from_json(Mapping[str, Any], record.get("options", {}), "options")
    parse_plan(record.get("plan"))


def list_options(wish: Overrides, holdout: float | None) -> dict[str, Any]:
    """{option: value} of the options that the user gave and that decide the result of a run."""
    asked = {**to_json(wish), "holdout": holdout}
    usual = {**to_json(Overrides()), "holdout": None}
    return {name: value for name, value in asked.items() if value != usual[name] and name != "cuda_graphs"}


def claim(run: RunFolder, plan: Plan, data_digest: str, options: _Facts) -> tuple[Leg, ...]:
    """Begin this run, or check that the folder holds the same run or a shorter one of the same kind.

    Args:
        run: The locked run folder.
        plan: The plan of this run.
        data_digest: Digest of the training images, labels and splits.
        options: What `list_options` gives.

    Returns:
        The shorter runs that ended there, which this one continues.

    Raises:
        OutputError: the folder holds another run; the message names the differences.
    """
    facts: dict[str, Any] = {
        "version": VERSION,
        "data_digest": data_digest,
        "order": _ORDER,
        "plan": flatten(plan),
        "options": options,
    }

    # A new folder is claimed at once.
    before = run.read()
    if before is None:
        run.begin(facts)
        return ()

    # A folder with a run must hold the same run, or a shorter one that is finished.
    legs: tuple[Leg, ...] = from_json(tuple[Leg, ...], before.get("legs", []))
    others = _differing_fields(before["plan"], facts["plan"])
    words = _list_changes(before, facts, others)
    if others and not words and others <= _LENGTH:
        legs = (*legs, _finish_leg(run.path, before, plan))
        run.begin({**facts, "legs": to_json(legs)})
    elif words:
        run.refuse_changes(words)
    elif named := _list_decisions(before, facts, others):
        run.refuse_changes(
            named, "To continue that run, give these options as they were; or choose another --out."
        )
    elif others:
        run.refuse_changes(["this version of medgan would train it differently"], "Choose another --out.")
    return legs


def _finish_leg(out: Path, before: _Facts, plan: Plan) -> Leg:
    """Describe the finished run in `out` that `plan` continues.

    Raises:
        OutputError: that run is not finished, was stopped by a guard, or is not shorter.
    """
    shown = _images_shown(out)
    model = out / "model"
    facts = read_record(model, out)[0] if (model / "model.json").exists() else None
    if facts is None or facts.images_shown != shown:
        raise OutputError(
            f"{out} holds a shorter run that is not finished",
            hint="Repeat its command until it is finished, then ask for a longer run.",
        )
    if facts.stopped:
        raise OutputError(
            f"{out} holds a run that guards {facts.stopped}; training longer would not repair it",
            hint="Choose another --out, and another --seed or --size.",
        )
    was = before["plan"].get("minutes")
    if plan.budget.images_shown <= shown or (was and plan.budget.minutes and plan.budget.minutes <= was):
        raise OutputError(
            f"{out} holds a longer run of {shown:,} images, which cannot be shortened", hint=AGAIN
        )
    rate, penalty = (before["plan"][name] for name in ("rate_end", "penalty_end"))
    return Leg(images_shown=shown, rate_end=rate, penalty_end=penalty)


def _images_shown(out: Path) -> int:
    """Images shown up to the last tick in the log of a run."""
    rows = Journal(out / LOG).lines()
    return int(rows[-1]["images_shown"]) if rows else 0


def images_of_minutes(out: Path, minutes: float) -> int:
    """How many images the run in `out` would show in `minutes`, at its speed so far."""
    rows = Journal(out / LOG).lines()
    if not rows:
        return 1
    shown, spent = int(rows[-1]["images_shown"]), max(float(rows[-1]["seconds"]), 1e-3)
    return max(int(shown * minutes * 60 / spent), 1)


def continue_plan(plan: Plan, legs: Sequence[Leg]) -> Plan:
    """Adapt the plan to a run that continues others, with the settings that the last one ended with.

    These are its learning rate and penalty; class conditioning and discriminator are on from the start.
    """
    if not legs:
        return plan
    last = legs[-1]
    why = f"rule: as it was where the earlier run of {last.images_shown:,} images ended"
    plan = with_decision(
        plan, rate=last.rate_end, penalty=last.penalty_end, penalty_end=last.penalty_end, why=why
    )
    return with_decision(
        plan, condition=(0.0, 0.0), discriminator_start=0.0, why="rule: whole since the earlier run"
    )


def require_visible(out: Path) -> None:
    """Raise OutputError if this process does not see the run folder that the first process made."""
    if not (out / RECORD).exists():
        raise OutputError(
            f"process {current_processes().rank} on {platform.node()} does not see {out.absolute()}",
            hint="Give an --out on a disk that all machines of the job share.",
        )


def _differing_fields(before: _Facts, now: _Facts) -> frozenset[str]:
    """Keys in which two stored plans differ; one that an older medgan did not write had its default.

    Reasons, CUDA graphs and threads do not count: a run may continue without CUDA graphs, and on as many
    threads as the user says.
    """
    defaults = default_values()
    names = {*before, *now} - {WHY, "graphed", "threads"}
    return frozenset(
        name for name in names if before.get(name, defaults.get(name)) != now.get(name, defaults.get(name))
    )


def _list_changes(before: _Facts, now: _Facts, others: frozenset[str]) -> list[str]:
    """Say what differs besides the length of a run: the data, or options that the user gave."""
    words = []
    known = before.get("options")
    if known is not None and (others - _LENGTH or before["data_digest"] != now["data_digest"]):
        names = sorted({*known, *now["options"]})
        words += [
            _option(name, known.get(name), now["options"].get(name))
            for name in names
            if known.get(name) != now["options"].get(name)
        ]
    if before["data_digest"] != now["data_digest"] and not any(one.startswith("--holdout") for one in words):
        words.append("the training images, labels or splits have changed")
    if before.get("order") != now["order"]:
        words.append("an older medgan began it, which sorted the training images differently")
    return words


def _list_decisions(before: _Facts, now: _Facts, others: frozenset[str]) -> list[str]:
    """Say which decisions differ although the same options were given, by the option of each."""
    return [
        _option(_OPTIONS[name], before["plan"].get(name), now["plan"].get(name))
        for name in sorted(others & _OPTIONS.keys())
    ]


def _option(name: str, before: Any, now: Any) -> str:
    return change_text(f"--{name}", _as_typed(before), _as_typed(now))


def _as_typed(value: Any) -> Any:
    """A value of an option, with a size as users type it."""
    return "x".join(map(str, value)) if isinstance(value, list | tuple) else value
