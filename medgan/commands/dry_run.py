"""Forecast what `balance` would write, by which plan, and how long its training would take."""

from __future__ import annotations

from pathlib import Path

from medgan.base import files
from medgan.base.progress import OnProgress, ignore
from medgan.base.results import BalanceForecast
from medgan.commands.balance import BalanceJob
from medgan.commands.job import join_job
from medgan.commands.options import BalanceOptions
from medgan.commands.preflight import AUTO
from medgan.commands.train import announce, outlook, plan_and_estimate
from medgan.commands.values import as_path
from medgan.dataset.fingerprint import measure
from medgan.dataset.source import Source
from medgan.learners.gan.model import Model
from medgan.output.folder import dataset_folder, find_result
from medgan.plan import Overrides, explain

_VERSION = 1


def foresee(
    source: Source,
    out: Path,
    *,
    options: BalanceOptions,
    holdout: float | None = None,
    overrides: Overrides,
    on_progress: OnProgress = ignore,
) -> BalanceForecast:
    """Decide what `balance` would with the same arguments, refuse what it would, and write nothing.

    Without `model` some training steps are timed for the estimate.
    """
    # Read, divide and check the data set as `balance` does.
    options.refuse()
    model = as_path(options.model)
    trained = None if model is None else Model.load(model)
    files.refuse_output_inside(out, [*source.inputs, *([model] if model else [])])
    job = join_job(overrides.device, on_progress)
    task = BalanceJob.of_source(source, options, holdout, trained or overrides, overrides.seed or 0, job)
    announce(task.manifest, on_progress)
    job.first(lambda: find_result(dataset_folder(out, "balance"), task.settings))

    # Plan the training and time it, or take the plan of the model.
    if trained is None:
        fingerprint = measure(task.manifest)
        plan, seconds = plan_and_estimate(fingerprint, overrides, None, probe=True, on_progress=on_progress)
        on_progress(outlook(fingerprint, plan, seconds))
    else:
        plan, seconds = task.require_suitable(trained).plan, 0.0
    task.frame_by(plan.frame)
    trains = trained is None and any(task.missing.values())
    return BalanceForecast(
        version=_VERSION,
        out=out,
        before=task.before,
        missing=task.missing,
        repeated=task.repeats,
        share=task.share,
        notes=task.remarks,
        at_most=task.mixture.share == AUTO,
        real=options.way,
        trains=trains,
        estimate_seconds=round(seconds if trains else 0.0, 1),
        plan=explain(plan),
    )
