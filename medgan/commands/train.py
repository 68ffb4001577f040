"""Folder -> Manifest -> Fingerprint -> Plan -> Stack -> Model: train a generator, or go on with it."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medgan.base import cache
from medgan.base.errors import PlanError
from medgan.base.files import refuse_output_inside, to_json
from medgan.base.processes import current_processes
from medgan.base.progress import NOTE, OnProgress, Progress, ignore, note, warn
from medgan.commands.folder_lock import alone_in
from medgan.commands.run_folder import (
    Leg,
    claim,
    continue_plan,
    images_of_minutes,
    list_options,
    refuse_unseen,
    run_record,
)
from medgan.dataset.advice import serious_warnings, small_class_warnings
from medgan.dataset.fingerprint import Fingerprint, measure
from medgan.dataset.index import index
from medgan.dataset.manifest import Manifest
from medgan.dataset.source import Source
from medgan.dataset.split import default_holdout_text, hold_out_for_training
from medgan.learners.gan.fit import fit
from medgan.learners.gan.probe import BRIEF_ROUNDS, ROUNDS, measure_costs, time_with_graphs
from medgan.plan import Overrides, Plan, decide, explain
from medgan.plan.clock import (
    candidate_precisions,
    decide_graphs,
    decide_precision,
    is_worth_graphing,
    may_try_graphs,
    restore_decisions,
)
from medgan.prepare.stack import prepare
from medgan.reports.tick_pictures import Pictures
from medgan.training.batches import share_of_batch
from medgan.training.runtime import Runtime, can_replay, choose_device, explain_gpu_errors, supports_bf16
from medgan.training.tensorboard_log import TensorBoardLog


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What `train` may be told beside the plan's overrides."""

    holdout: float | None = None
    """Share of the train split's patients that the generator must not see (they become val); None: a fifth where there is no val and no test."""
    dry_run: bool = False
    """Decide, estimate and stop."""
    tensorboard: bool = False
    """Write TensorBoard events too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """What a training run came to."""

    run: Path
    plan: Plan
    estimate_seconds: float
    """Predicted duration of a whole run on this machine; 0.0 where none was needed."""
    images_shown: int = 0
    seconds: float = 0.0
    """Wall-clock seconds of this call."""
    model_digest: str = ""
    """Empty after a dry run."""
    warnings: tuple[str, ...] = ()
    """Classes that could not be learned, and what guards found amiss in the model; after a dry run, in the data set."""

    def report(self) -> dict[str, Any]:
        """The documented JSON."""
        report = {
            "run": str(self.run),
            "images_shown": self.images_shown,
            "seconds": round(self.seconds, 1),
            "model_digest": self.model_digest,
            "warnings": list(self.warnings),
        }
        if not self.model_digest:
            report |= {"plan": explain(self.plan), "estimate_seconds": round(self.estimate_seconds, 1)}
        return report


def train(
    source: Source,
    out: Path,
    *,
    overrides: Overrides | None = None,
    options: Options | None = None,
    on_progress: OnProgress = ignore,
) -> Training:
    """Train on the train split of `source` into the run folder `out`; repeated, it resumes or is done at once.

    Under torchrun every process calls this alike; the first one reads the source and writes the folder, which all must see.
    """
    began, options, wish = time.monotonic(), options or Options(), overrides or Overrides()
    refuse_output_inside(out, source.inputs)
    manifest = Runtime(wish.device, "fp32").once(lambda: index(source, on_progress=on_progress))
    manifest = hold_out_for_training(manifest, options.holdout, wish.seed or 0)
    announce(manifest, on_progress)
    return train_on(manifest, out, wish, options, on_progress=on_progress, began=began)


def announce(manifest: Manifest, on_progress: OnProgress) -> None:
    """Say before time is spent what was held out unasked, and what is wrong with the data set."""
    if sentence := default_holdout_text(manifest):
        note(on_progress, sentence)
    for sentence in serious_warnings(manifest):
        warn(on_progress, sentence)


def train_on(
    manifest: Manifest, out: Path, wish: Overrides, options: Options, *, on_progress: OnProgress, began: float
) -> Training:
    """Train on an indexed data set whose splits stand."""
    runtime = Runtime(wish.device, "fp32")
    fingerprint, before = measure(manifest), runtime.once(lambda: run_record(out))
    if before is not None and wish.minutes not in {None, before["plan"].get("minutes")}:
        before = {**before, "allowed": runtime.once(lambda: images_of_minutes(out, wish.minutes or 0.0))}
    plan, estimate = plan_and_estimate(
        fingerprint, wish, before, probe=options.dry_run, on_progress=on_progress
    )
    on_progress(outlook(fingerprint, plan, estimate))
    if options.dry_run:
        return Training(
            run=out,
            plan=plan,
            estimate_seconds=estimate,
            seconds=time.monotonic() - began,
            warnings=(*classes_without_scans(manifest, plan), *fingerprint.warnings),
        )
    share_of_batch(plan)  # what cannot be shared is refused before the folder is made
    with alone_in(out, wish.device):
        legs = runtime.once(lambda: claim(out, plan, manifest.digest, list_options(wish, options.holdout)))
        plan = continue_plan(plan, legs)
        runtime.each(lambda: refuse_unseen(out))
        stack = runtime.each(lambda: prepare(manifest, plan, cache.stacks_folder(), on_progress=on_progress))
        board = (
            TensorBoardLog(out / "tensorboard")
            if options.tensorboard and current_processes().is_first
            else None
        )

        pictures = Pictures(out, plan, stack)

        def on_tick(row: dict[str, Any], grid: NDArray[np.float32]) -> None:
            pictures.draw(row, grid)
            if board is not None:
                board.add(row, grid)

        with explain_gpu_errors(graphed=plan.graphed):
            model = fit(
                stack, plan, out, about=about(manifest, legs), on_tick=on_tick, on_progress=on_progress,
                start=legs[-1].images_shown if legs else 0,
            )  # fmt: skip
    return Training(
        run=out,
        plan=plan,
        estimate_seconds=estimate,
        images_shown=model.images_shown,
        seconds=time.monotonic() - began,
        model_digest=model.digest,
        warnings=(*classes_without_scans(manifest, plan), *model.warnings),
    )


def outlook(fingerprint: Fingerprint, plan: Plan, seconds: float) -> Progress:
    """A note on what to know before the time is spent: the size of the images beside that of the scans, and how long training will take.

    `seconds` is 0 where the run is too short to be timed beforehand, or was begun before.
    """
    scans, images = (
        f"{height} x {width}" for height, width in ((fingerprint.rows[1], fingerprint.columns[1]), plan.size)
    )
    varied = any(len(set(sides)) > 1 for sides in (fingerprint.rows, fingerprint.columns))
    words = f"Your scans are {'about ' if varied else ''}{scans} pixels; images will be {images} (--size changes it)."
    return Progress(NOTE, 1, 1, words, {"seconds_left": seconds} if seconds else {})


def classes_without_scans(manifest: Manifest, plan: Plan) -> list[str]:
    """In words, the classes that no train scan has."""
    return [
        f"No scan in train has class {label}, so it is not learned"
        for label in manifest.labels
        if label not in plan.labels
    ]


def plan_and_estimate(
    fingerprint: Fingerprint,
    wish: Overrides,
    known: Mapping[str, Any] | None,
    *,
    probe: bool,
    on_progress: OnProgress = ignore,
) -> tuple[Plan, float]:
    """The plan with all that a clock must decide, and an estimate of its seconds.

    `known` is what the run folder says of itself: what a clock decided when the run began stands.
    """
    plan = decide(fingerprint, wish)
    refuse_unable(plan)
    if known is not None and not probe:
        begun = known["plan"]
        if wish.minutes is not None:
            shown = known.get("allowed", begun["images_shown"])
            plan = decide(fingerprint, dataclasses.replace(wish, images=shown))
        return restore_decisions(plan, begun, wish), 0.0
    tried = tuple(name for name in candidate_precisions(plan) if name == "fp32" or supports_bf16(plan.device))
    graphs = may_try_graphs(plan) and can_replay(choose_device(plan.device))
    if not probe and wish.minutes is None and len(tried) == 1 and not graphs:
        return decide_graphs(decide_precision(plan, {}), 0.0, {})[0], 0.0
    with explain_gpu_errors(graphed=plan.graphed):
        measured = measure_costs(
            plan, tried, rounds=BRIEF_ROUNDS if probe else ROUNDS, on_progress=on_progress
        )
    plan = decide_precision(plan, {name: cost.processor for name, cost in measured.items()})
    pace, trials = measured[plan.precision].wall, {}
    if graphs and is_worth_graphing(plan, pace):
        for number, name in enumerate(tried):
            on_progress(Progress("timing CUDA graphs", number, len(tried)))
            trials[name] = time_with_graphs(dataclasses.replace(plan, precision=name))
        on_progress(Progress("timing CUDA graphs", len(tried), len(tried)))
    plan, pace = decide_graphs(plan, pace, trials)
    if wish.minutes is None:
        return plan, plan.images_shown * pace
    shown = max(int(wish.minutes * 60 / pace), plan.batch)
    longer = decide(fingerprint, dataclasses.replace(wish, images=shown))
    return restore_decisions(longer, to_json(plan), wish), shown * pace


def refuse_unable(plan: Plan) -> None:
    """PlanError for what this machine cannot do and the user asks for."""
    if plan.graphed and not can_replay(choose_device(plan.device)):
        raise PlanError("CUDA graphs are for one process on a CUDA device", hint="Leave --cuda-graphs away.")
    if plan.precision == "bf16" and not supports_bf16(plan.device):
        raise PlanError("this GPU knows no bf16", hint="Leave --precision away, or give fp32.")


def about(manifest: Manifest, legs: Sequence[Leg] = ()) -> dict[str, Any]:
    """What a model keeps of its data: counts of what it learned from and a digest, no name of a file or patient; and of shorter runs before."""
    facts: dict[str, Any] = {"data_digest": manifest.digest, "counts": manifest.learned()}
    if legs:
        facts["legs"] = [leg.images_shown for leg in legs]
    patients: dict[str, set[str]] = {}
    for record in manifest.training():
        patients.setdefault(record.label, set()).add(record.patient if record.named else "")
    known = {label: len(who) for label, who in sorted(patients.items()) if "" not in who}
    facts |= {"patients": known} if known else {}
    return facts | {"holdout": to_json(manifest.holdout), "cautions": list(small_class_warnings(manifest))}
