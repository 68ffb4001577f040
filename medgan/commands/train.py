"""Train a generator on a data set, or continue its training."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medgan.base import cache
from medgan.base.errors import PlanError
from medgan.base.files import refuse_output_inside, to_json
from medgan.base.job import Job
from medgan.base.processes import current_processes
from medgan.base.progress import NOTE, OnProgress, Progress, ignore, note, warn
from medgan.base.results import TrainResult
from medgan.base.threads import is_set_by_user, use_threads
from medgan.commands.job import join_job
from medgan.commands.training_run import (
    Leg,
    claim,
    continue_plan,
    images_of_minutes,
    list_options,
    require_visible,
    training_folder,
)
from medgan.dataset.advice import serious_warnings, small_class_warnings
from medgan.dataset.fingerprint import Fingerprint, measure
from medgan.dataset.index import index
from medgan.dataset.manifest import Manifest
from medgan.dataset.source import Source
from medgan.dataset.split import default_holdout_text, hold_out_for_training
from medgan.learners.gan.fit import fit
from medgan.learners.gan.probe import GanTrial
from medgan.plan import Frame, Overrides, Plan, decide, explain
from medgan.plan.clock import (
    candidate_precisions,
    decide_graphs,
    decide_precision,
    decide_threads,
    is_worth_graphing,
    may_choose_threads,
    may_try_graphs,
    restore_decisions,
    with_decision,
)
from medgan.plan.flat import flatten
from medgan.preparation.stack import Stack, prepare
from medgan.reports.tick_pictures import TickPictures
from medgan.training.batches import share_of_batch
from medgan.training.probe import (
    BRIEF_ROUNDS,
    ROUNDS,
    measure_costs,
    thread_choices,
    time_threads,
    time_with_graphs,
)
from medgan.training.runtime import can_replay, choose_device, explain_gpu_errors, supports_bf16
from medgan.training.tensorboard_log import TensorBoardLog


def train(  # noqa: PLR0913  # what the command takes
    source: Source,
    out: Path,
    *,
    overrides: Overrides | None = None,
    holdout: float | None = None,
    dry_run: bool = False,
    tensorboard: bool = False,
    on_progress: OnProgress = ignore,
) -> TrainResult:
    """Train on the train split of `source` into the run folder `out`.

    The same command again resumes, or returns at once if the run is finished. Under torchrun every process
    calls this with the same arguments; they divide the files among them, and the first one writes the
    folder, which all of them must see.

    Args:
        source: Scans and their classes.
        out: A new folder, or the folder of a run to continue.
        overrides: Settings of the training that the user decides.
        holdout: Share of the training patients that the generator must not see; they become val. None holds
            out a fifth of them if there is neither val nor test.
        dry_run: Decide the plan, estimate the time and stop.
        tensorboard: Write TensorBoard events as well.
        on_progress: Called with every step of progress.
    """
    began, wish = time.monotonic(), overrides or Overrides()
    refuse_output_inside(out, source.inputs)
    job = join_job(wish.device, on_progress)
    manifest = index(source, job)
    manifest = hold_out_for_training(manifest, holdout, wish.seed or 0)
    announce(manifest, on_progress)
    how: dict[str, Any] = {"holdout": holdout, "dry_run": dry_run, "tensorboard": tensorboard}
    return train_on(manifest, out, wish, job, began=began, **how)


def announce(manifest: Manifest, on_progress: OnProgress) -> None:
    """Report, before time is spent, what is held out by default and what is wrong with the data set."""
    if sentence := default_holdout_text(manifest):
        note(on_progress, sentence)
    for sentence in serious_warnings(manifest):
        warn(on_progress, sentence)


def train_on(  # noqa: PLR0913  # what the command takes
    manifest: Manifest,
    out: Path,
    wish: Overrides,
    job: Job,
    *,
    began: float,
    holdout: float | None = None,
    dry_run: bool = False,
    tensorboard: bool = False,
) -> TrainResult:
    """Train on an indexed data set with final splits.

    Args:
        manifest: The data set.
        out: The run folder.
        wish: Settings of the training that the user decides.
        job: Its processes train together.
        began: `time.monotonic()` when the command began.
        holdout: The share held out that the user asked for.
        dry_run: Decide the plan, estimate the time and stop.
        tensorboard: Write TensorBoard events as well.
    """
    # Decide the plan; what a run in the folder decided before still holds.
    run = training_folder(out)
    fingerprint, before = measure(manifest), job.first(run.read)
    if before is not None and wish.minutes not in {None, before["plan"].get("minutes")}:
        before = {**before, "allowed": job.first(lambda: images_of_minutes(out, wish.minutes or 0.0))}
    plan, estimate = plan_and_estimate(fingerprint, wish, before, probe=dry_run, on_progress=job.tell)
    job.tell(outlook(fingerprint, plan, estimate))
    if dry_run:
        return TrainResult(
            run=out,
            images_shown=0,
            seconds=round(time.monotonic() - began, 1),
            model_digest="",
            warnings=(*_classes_without_scans(manifest, plan), *fingerprint.warnings),
            plan=explain(plan),
            estimate_seconds=round(estimate, 1),
        )

    share_of_batch(plan)  # refuses a batch that cannot be divided among processes before the folder is made
    with run.lock(job.first):
        # Claim the folder and prepare the images.
        legs = job.first(lambda: claim(run, plan, manifest.digest, list_options(wish, holdout)))
        plan = continue_plan(plan, legs)
        job.each(lambda: require_visible(out))
        stack = prepare(manifest, plan.frame, job.each(cache.stacks_folder), job)

        with explain_gpu_errors(graphed=plan.budget.graphed), use_threads(plan.budget.threads):
            model = fit(
                stack,
                plan,
                out,
                about=_describe_data(manifest, legs),
                on_tick=_tick_log(out, plan.frame, stack, tensorboard=tensorboard),
                on_progress=job.tell,
                start=legs[-1].images_shown if legs else 0,
            )
    return TrainResult(
        run=out,
        images_shown=model.images_shown,
        seconds=round(time.monotonic() - began, 1),
        model_digest=model.digest,
        warnings=(*_classes_without_scans(manifest, plan), *model.warnings),
    )


def _tick_log(
    out: Path, frame: Frame, stack: Stack, *, tensorboard: bool
) -> Callable[[dict[str, Any], NDArray[np.float32]], None]:
    """What to do after every tick: draw its pictures, and write TensorBoard events if asked for."""
    pictures = TickPictures(out, frame, stack)
    wanted = tensorboard and current_processes().is_first
    board = TensorBoardLog(out / "tensorboard") if wanted else None

    def on_tick(row: dict[str, Any], grid: NDArray[np.float32]) -> None:
        pictures.draw(row, grid)
        if board is not None:
            board.add(row, grid)

    return on_tick


def outlook(fingerprint: Fingerprint, plan: Plan, seconds: float) -> Progress:
    """A note on image size and training time, for the user to see before the time is spent.

    Args:
        fingerprint: Has the size of the scans.
        plan: Has the size of the images.
        seconds: The estimate; 0 if the run is too short to be timed beforehand, or was begun before.
    """
    scans, images = (
        f"{height} x {width}"
        for height, width in ((fingerprint.rows[1], fingerprint.columns[1]), plan.frame.size)
    )
    varied = any(len(set(sides)) > 1 for sides in (fingerprint.rows, fingerprint.columns))
    about = "about " if varied else ""
    words = f"Your scans are {about}{scans} pixels; images will be {images} (--size changes it)."
    return Progress(NOTE, 1, 1, words, {"seconds_left": seconds} if seconds else {})


def _classes_without_scans(manifest: Manifest, plan: Plan) -> list[str]:
    """Warnings for the classes that have no scan in the train split."""
    return [
        f"No scan in train has class {label}, so it is not learned"
        for label in manifest.labels
        if label not in plan.frame.labels
    ]


def plan_and_estimate(
    fingerprint: Fingerprint,
    wish: Overrides,
    known: Mapping[str, Any] | None,
    *,
    probe: bool,
    on_progress: OnProgress = ignore,
) -> tuple[Plan, float]:
    """Decide the plan, with what timing decides, and estimate the seconds of the run.

    Args:
        fingerprint: Measurements of the data set.
        wish: Settings of the training that the user decides.
        known: run.json of a run that is continued, whose timed decisions still hold; None for a new run.
        probe: Time steps even where nothing depends on it, for a better estimate.
        on_progress: Called with every step of progress.
    """
    # A run that is continued keeps what was timed when it began.
    plan = decide(fingerprint, wish)
    _check_machine(plan)
    if known is not None and not probe:
        begun = known["plan"]
        if wish.minutes is not None:
            shown = known.get("allowed", begun["images_shown"])
            plan = decide(fingerprint, dataclasses.replace(wish, images=shown))
        return _obey_thread_variable(restore_decisions(plan, begun, wish)), 0.0

    # Time steps in every precision that this machine offers.
    tried = tuple(
        name for name in candidate_precisions(plan) if name == "fp32" or supports_bf16(plan.budget.device)
    )
    graphs = may_try_graphs(plan) and can_replay(choose_device(plan.budget.device))
    if not probe and wish.minutes is None and len(tried) == 1 and not graphs:
        return decide_graphs(decide_precision(plan, {}), 0.0, {})[0], 0.0
    rounds = BRIEF_ROUNDS if probe else ROUNDS
    plan = _settle_threads(plan, tried[0], rounds, on_progress)
    with explain_gpu_errors(graphed=plan.budget.graphed), use_threads(plan.budget.threads):
        measured = measure_costs(GanTrial, plan, tried, rounds=rounds, on_progress=on_progress)
    plan = decide_precision(plan, {name: cost.processor for name, cost in measured.items()})

    # Time CUDA graphs where they may pay off.
    pace, trials = measured[plan.budget.precision].wall, {}
    if graphs and is_worth_graphing(plan, pace):
        for number, name in enumerate(tried):
            on_progress(Progress("timing CUDA graphs", number, len(tried)))
            trials[name] = time_with_graphs(GanTrial, plan.replace(precision=name))
        on_progress(Progress("timing CUDA graphs", len(tried), len(tried)))
    plan, pace = decide_graphs(plan, pace, trials)

    # With --minutes, seconds per image decide how many images are shown.
    if wish.minutes is None:
        return plan, plan.budget.images_shown * pace
    shown = max(int(wish.minutes * 60 / pace), plan.budget.batch)
    longer = decide(fingerprint, dataclasses.replace(wish, images=shown))
    return restore_decisions(longer, flatten(plan), wish), shown * pace


def _settle_threads(plan: Plan, precision: str, rounds: int, on_progress: OnProgress) -> Plan:
    """Time steps on one thread and on all of them, where that is open, and settle the number of threads."""
    choices = thread_choices(plan.budget.device) if may_choose_threads(plan) else ()
    if len(choices) < 2:
        return plan
    timed = plan.replace(precision=precision)
    seconds = time_threads(GanTrial, timed, choices, rounds=rounds, on_progress=on_progress)
    plan = decide_threads(plan, seconds)
    if plan.budget.threads == 1:
        measured = plan.why["threads"].removeprefix("rule: ")
        note(on_progress, f"Training uses one thread: {measured} (OMP_NUM_THREADS changes it).")
    return plan


def _obey_thread_variable(plan: Plan) -> Plan:
    """Leave the number of threads to torch where the user has said it now."""
    if plan.budget.threads is None or not is_set_by_user():
        return plan
    return with_decision(plan, threads=None, why="override: as the environment says")


def _check_machine(plan: Plan) -> None:
    """Raise PlanError for what the user asks for and this machine cannot do."""
    if plan.budget.graphed and not can_replay(choose_device(plan.budget.device)):
        raise PlanError("--cuda-graphs needs one process on a CUDA device", hint="Remove --cuda-graphs.")
    if plan.budget.precision == "bf16" and not supports_bf16(plan.budget.device):
        raise PlanError(
            "this GPU does not support bf16", hint="Remove --precision, or give --precision fp32."
        )


def _describe_data(manifest: Manifest, legs: Sequence[Leg] = ()) -> dict[str, Any]:
    """What a model records of its training data: counts and a digest, but no file or patient names."""
    facts: dict[str, Any] = {"data_digest": manifest.digest, "counts": manifest.training_counts()}
    if legs:
        facts["legs"] = [leg.images_shown for leg in legs]
    patients: dict[str, set[str]] = {}
    for record in manifest.training():
        patients.setdefault(record.label, set()).add(record.patient if record.named else "")
    known = {label: len(who) for label, who in sorted(patients.items()) if "" not in who}
    facts |= {"patients": known} if known else {}
    return facts | {"holdout": to_json(manifest.holdout), "cautions": list(small_class_warnings(manifest))}
