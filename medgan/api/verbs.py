"""Do what each command does: take its options and return a result, without printing.

The command line and Python call the same functions. Slow libraries are loaded once all that is cheap to
refuse has been refused.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medgan.base.errors import OptionError, PlanError
from medgan.base.overrides import Overrides, TrainSeed
from medgan.base.progress import OnProgress, ignore, report_stage, warn
from medgan.commands import options as opt
from medgan.commands.values import as_path
from medgan.evaluation.options import EvidenceOptions

if TYPE_CHECKING:
    from medgan.base.results import (
        AnomalyResult,
        BalanceForecast,
        EvaluateResult,
        InspectResult,
        ReportResult,
        TrainResult,
        WriteResult,
    )

LOADING = "loading PyTorch"
"""What takes seconds before anything else happens, so that it is said first."""


def inspect(
    source: opt.Source,
    *,
    scans: opt.ScanOptions,
    seed: TrainSeed = None,
    files: opt.Files = False,
    masks: opt.Masks = None,
    on_progress: OnProgress = ignore,
) -> InspectResult:
    """Look at a data set: classes, patients, what is rare, what cannot be used, what train would decide and
    why.
    """
    from medgan.commands.preflight import present

    data = present(scans.source(source))
    with report_stage("loading libraries", on_progress):
        from medgan.commands.inspect import inspect as look
    wish = Overrides(seed=seed)
    how: dict[str, Any] = {"holdout": scans.holdout, "files": files, "masks": as_path(masks)}
    return look(data, overrides=wish, on_progress=on_progress, **how)


def train(
    source: opt.Source,
    *,
    out: opt.Out,
    scans: opt.ScanOptions,
    task: opt.TaskOptions,
    training: Overrides,
    on_progress: OnProgress = ignore,
) -> TrainResult:
    """Train a model on the train split; the same call again resumes."""
    from medgan.commands.preflight import preflight, refuse_window

    if task.for_ == "anomaly":
        return _train_anomaly(source, Path(out), scans, task, training, on_progress)
    if task.normal:
        raise OptionError("--normal is for --for anomaly: a generator learns every class")
    data = scans.source(source)
    refuse_window(training.window)
    preflight(Path(out), data)
    _warn(on_progress, _lack(training))
    with report_stage(LOADING, on_progress):
        from medgan.commands.train import train as learn
    return learn(
        data,
        Path(out),
        overrides=training,
        holdout=scans.holdout,
        dry_run=task.dry_run,
        tensorboard=task.tensorboard,
        on_progress=on_progress,
    )


def _train_anomaly(  # what `train` takes
    source: opt.Source,
    out: Path,
    scans: opt.ScanOptions,
    task: opt.TaskOptions,
    training: Overrides,
    on_progress: OnProgress,
) -> TrainResult:
    """Learn normal scans."""
    from medgan.commands.preflight import preflight, refuse_window

    if not task.normal:
        raise OptionError("--for anomaly needs --normal LABEL: the class that is normal")
    if task.tensorboard or dataclasses.replace(training, seed=None, window=None) != Overrides():
        raise PlanError(
            "With --for anomaly only --seed and --window change the training",
            hint="Leave the other training options away.",
        )
    data = scans.source(source)
    refuse_window(training.window)
    preflight(out, data)
    with report_stage(LOADING, on_progress):
        from medgan.commands.train_anomaly import train_anomaly
    return train_anomaly(
        data,
        out,
        options=task,
        window=training.window,
        seed=training.seed or 0,
        holdout=scans.holdout,
        on_progress=on_progress,
    )


def anomaly(
    source: opt.Source,
    *,
    model: opt.NormalModel,
    out: opt.Out,
    labels: opt.LabelOptions,
    split: opt.Split = None,
    wish: opt.AnomalyOptions,
    on_progress: OnProgress = ignore,
) -> AnomalyResult:
    """Say how unlike normal scans each scan is, and where; the same call again completes it."""
    from medgan.commands.preflight import preflight

    _ = wish.forms  # refuses what is none
    data = labels.source(source)
    preflight(Path(out), data, model=Path(model))
    with report_stage(LOADING, on_progress):
        from medgan.commands.anomaly import anomaly as apply
    return apply(data, Path(out), model=Path(model), options=wish, split=split, on_progress=on_progress)


def sample(
    model: opt.Run,
    *,
    out: opt.Out,
    drawing: opt.DrawOptions,
    on_progress: OnProgress = ignore,
) -> WriteResult:
    """Draw synthetic images from a trained model; an image depends on its seed, class and model only."""
    from medgan.commands.preflight import preflight

    preflight(Path(out), drawing.scans, model=Path(model))
    with report_stage(LOADING, on_progress):
        from medgan.commands.sample import sample as draw
    return draw(Path(model), Path(out), options=drawing, on_progress=on_progress)


def balance(
    source: opt.Source,
    *,
    out: opt.Out,
    scans: opt.ScanOptions,
    mixture: opt.BalanceOptions,
    training: Overrides,
    tensorboard: opt.TensorBoard = False,
    on_progress: OnProgress = ignore,
) -> WriteResult | BalanceForecast:
    """Write a class-balanced copy of a data set: classes equally large, and the same share of synthetic
    images in each.
    """
    from medgan.commands.preflight import preflight, refuse_window

    model = as_path(mixture.model)
    mixture.refuse()
    if model is not None:
        _refuse_idle(training, tensorboard=tensorboard)
    data = scans.source(source)
    refuse_window(training.window)
    preflight(Path(out), data, model=model)
    _warn(on_progress, _lack(training) if model is None else "")
    with report_stage(LOADING, on_progress):
        from medgan.commands.balance import balance as write
        from medgan.commands.dry_run import foresee
        from medgan.commands.share import ONE_SIDED
        from medgan.output.real_images import LINK_WARNING
    task: dict[str, Any] = {"options": mixture, "holdout": scans.holdout, "overrides": training}
    if mixture.dry_run:
        return foresee(data, Path(out), **task, on_progress=on_progress)
    _warn(on_progress, LINK_WARNING if mixture.real == "link" else "")
    _warn(on_progress, ONE_SIDED if mixture.fill == "synthetic" else "")
    return write(data, Path(out), **task, tensorboard=tensorboard, on_progress=on_progress)


def evaluate(
    source: opt.JudgedSource = None,
    *,
    out: opt.Out,
    judged: opt.JudgedOptions,
    labels: opt.LabelOptions,
    evidence: EvidenceOptions,
    on_progress: OnProgress = ignore,
) -> EvaluateResult:
    """Judge synthetic images on real held-out patients, and write a report; the same call again goes on."""
    from medgan.commands.preflight import preflight, refuse_parts

    real = _real(source, judged, no_filter=evidence.no_filter)
    refuse_parts(evidence.parts)
    data, folders = labels.source(real), ("model", "synthetic", "external")
    named: dict[str, Any] = {name: as_path(getattr(judged, name)) for name in folders}
    preflight(Path(out), data, **named)
    with report_stage(LOADING, on_progress):
        from medgan.commands.evaluate import evaluate as judge
        from medgan.evaluation.analyses import EFFORTS
        from medgan.evaluation.data import Request
    request = Request(
        source=data,
        **named,
        per_class=EFFORTS[evidence.effort].per_class,
        evidence=evidence,
    )
    return judge(request, Path(out), on_progress=on_progress)


def prepare(
    source: opt.Source,
    *,
    like: opt.Like,
    out: opt.Out,
    labels: opt.LabelOptions,
    split: opt.Split = None,
    format: opt.Format = "auto",  # noqa: A002  # the option is called so
    dicom_class: opt.DicomClass = "auto",
    on_progress: OnProgress = ignore,
) -> WriteResult:
    """Write real scans in the size and form of a model's images: what a classifier that learned from a
    balanced folder is tested on.
    """
    from medgan.commands.preflight import preflight

    data = labels.source(source)
    preflight(Path(out), data, model=Path(like))
    with report_stage(LOADING, on_progress):
        from medgan.commands.prepare import prepare as write
    return write(
        data,
        Path(out),
        like=Path(like),
        split=split,
        format=format,
        dicom_class=dicom_class,
        on_progress=on_progress,
    )


def report(folder: opt.Folder, *, on_progress: OnProgress = ignore) -> ReportResult:
    """Write report.html again, from what an evaluation, a balanced folder or a training run holds."""
    with report_stage("loading libraries", on_progress):
        from medgan.commands.report import report as write
    return write(Path(folder))


def _warn(on_progress: OnProgress, sentence: str) -> None:
    """Warn by a sentence, where there is one."""
    if sentence:
        warn(on_progress, sentence)


def _real(source: opt.JudgedSource, judged: opt.JudgedOptions, *, no_filter: bool) -> Path | str:
    """The real data of an evaluation; OptionError where what is to be judged is named twice or not at all."""
    real = judged.real if source is None else source
    if real is None or (source is not None and judged.real is not None):
        raise OptionError("Name the real images once: as SOURCE or with --real")
    if judged.model is not None and judged.synthetic is not None:
        raise OptionError("Name a --model or a folder --synthetic, not both")
    if no_filter and judged.model is None:
        raise OptionError("--no-filter is for images of a --model; a folder is judged as it is")
    return real


def _lack(training: Overrides) -> str:
    """A sentence where the network that is to guide the training is not installed."""
    from medgan.plan.rules import missing_features_warning

    return missing_features_warning() if training.features is None and training.arch != "dcgan" else ""


def _refuse_idle(training: Overrides, *, tensorboard: bool) -> None:
    """Refuse wishes for a training that will not take place; seed and device are those of the images, too."""
    if tensorboard or dataclasses.replace(training, seed=None, device="auto") != Overrides():
        raise PlanError("Training options change nothing with --model", hint="Leave one of them out.")
