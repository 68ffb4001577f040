"""Every command of the command line: arguments in; parse, call, show; an exit code out."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from medgan import __version__
from medgan.api import verbs
from medgan.base.overrides import Overrides, TrainSeed
from medgan.base.processes import current_processes
from medgan.cli import screen
from medgan.cli.base_command import Command, Group, share_options, take_options
from medgan.cli.errors import polite_errors
from medgan.cli.show_anomaly import show_anomalies, show_normal_model
from medgan.cli.ticker import watch
from medgan.commands import options as opt
from medgan.evaluation.options import EvidenceOptions

Json = Annotated[
    bool, typer.Option("--json", rich_help_panel="Output", help="Write the documented JSON to stdout.")
]
All = Annotated[
    bool,
    typer.Option(
        "--all",
        rich_help_panel="Output",
        help="Show every decision of the plan, not only those that an option changes.",
    ),
]
Every = Annotated[
    bool,
    typer.Option("--all", rich_help_panel="Evidence", help="Print every figure, not the summary alone."),
]
Clear = Annotated[
    bool,
    typer.Option(
        "--clear",
        rich_help_panel="Output",
        help="Remove what medgan keeps there, except what another process is using.",
    ),
]
HelpTopic = Annotated[
    str | None, typer.Argument(metavar="COMMAND", help="A command; without one, all of them.")
]

app = typer.Typer(
    name="medgan",
    cls=Group,
    add_completion=True,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)


@app.callback(invoke_without_command=True)
def medgan(
    version: Annotated[
        bool, typer.Option("--version", "-V", is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Train a GAN on your own labelled medical scans, draw synthetic ones, balance the data set.

    For research, not for clinical use. Start with:

    medgan inspect scans/
    """
    if version:
        typer.echo(f"medgan {__version__}")
        raise typer.Exit


@app.command(cls=Command)
@share_options
def inspect(
    source: opt.Source,
    *,
    scans: opt.ScanOptions,
    seed: TrainSeed = None,
    files: opt.Files = False,
    masks: opt.Masks = None,
    everything: All = False,
    json: Json = False,
) -> None:
    """Look at a data set: classes, patients, what is rare, what cannot be used, what train would decide and
    why.

    For example:

    medgan inspect scans/

    find scans -name '*.dcm' | medgan inspect - --json | jq .counts

    medgan inspect scans/ --masks masks/
    """
    with polite_errors(again="Nothing was changed; repeat the command."):
        with watch() as on_progress:
            how: dict[str, Any] = {"seed": seed, "files": files, "masks": masks}
            found = verbs.inspect(source, scans=scans, on_progress=on_progress, **how)
        _tell(found.as_json(), partial(screen.show_inspection, everything=everything), json=json)


@app.command(cls=Command)
@share_options
def train(
    source: opt.Source,
    *,
    out: opt.Out,
    scans: opt.ScanOptions,
    task: opt.TaskOptions,
    everything: All = False,
    training: Overrides,
    json: Json = False,
) -> None:
    """Train a model on the train split; the same command again resumes.

    For example:

    medgan train scans/ --out run/ --minutes 30

    medgan train scans/ --out run/ --dry-run

    medgan train scans/ --for anomaly --normal NORMAL --out healthy/
    """
    if everything and not task.dry_run:
        raise typer.BadParameter("--all is for --dry-run: nothing else shows a plan")
    with polite_errors():
        with watch(Path(out) / "log.jsonl") as on_progress:
            done = verbs.train(
                source,
                out=out,
                scans=scans,
                task=task,
                training=training,
                on_progress=on_progress,
            )
        show = partial(screen.show_training, everything=everything)
        _tell(done.as_json(), show_normal_model if task.for_ == "anomaly" else show, json=json)


@app.command(cls=Command)
@share_options
def anomaly(
    source: opt.Source,
    *,
    model: opt.NormalModel,
    out: opt.Out,
    labels: opt.LabelOptions,
    split: opt.Split = None,
    wish: opt.AnomalyOptions,
    json: Json = False,
) -> None:
    """Say how unlike normal scans each scan is, and where; the same command again completes it.

    For example:

    medgan anomaly new/ --model healthy/ --out found/ --alarms 0.05
    """
    with polite_errors():
        with watch() as on_progress:
            done = verbs.anomaly(
                source, model=model, out=out, labels=labels, split=split, wish=wish, on_progress=on_progress
            )
        _tell(done.as_json(), show_anomalies, json=json)


@app.command(cls=Command)
@share_options
def sample(model: opt.Run, *, out: opt.Out, drawing: opt.DrawOptions, json: Json = False) -> None:
    """Draw synthetic images from a trained model; an image depends on its seed, class and model only.

    For example:

    medgan sample run/ --label covid --count 200 --out synthetic/ --against scans/
    """
    with polite_errors():
        with watch() as on_progress:
            written = verbs.sample(model, out=out, drawing=drawing, on_progress=on_progress)
        _tell(written.as_json(), screen.show_output, json=json)


@app.command(cls=Command)
@share_options
def balance(
    source: opt.Source,
    *,
    out: opt.Out,
    scans: opt.ScanOptions,
    mixture: opt.BalanceOptions,
    training: Overrides,
    tensorboard: opt.TensorBoard = False,
    json: Json = False,
) -> None:
    """Write a class-balanced copy of a data set: classes equally large, and the same share of synthetic
    images in each.

    For example:

    medgan balance scans/ --out balanced/

    medgan balance scans/ --out balanced/ --model run/ --target 500 --class covid=800

    medgan balance scans/ --out more/ --model run/ --top-up
    """
    with polite_errors():
        run = Path(out).resolve().with_name(f"{Path(out).resolve().name}.run")
        with watch(run / "log.jsonl") as on_progress:
            done = verbs.balance(
                source,
                out=out,
                scans=scans,
                mixture=mixture,
                training=training,
                tensorboard=tensorboard,
                on_progress=on_progress,
            )
        _tell(done.as_json(), screen.show_foreseen if mixture.dry_run else screen.show_output, json=json)


@app.command(cls=Command)
@share_options
def evaluate(
    source: opt.JudgedSource = None,
    *,
    out: opt.Out,
    judged: opt.JudgedOptions,
    labels: opt.LabelOptions,
    evidence: EvidenceOptions,
    every: Every = False,
    json: Json = False,
) -> None:
    """Judge synthetic images on real held-out patients, and write a report; the same command again goes on.

    For example:

    medgan evaluate scans/ --model run/ --out evaluation/

    medgan evaluate --real scans/ --synthetic theirs/ --out evaluation/ --json
    """
    with polite_errors():
        with watch() as on_progress:
            done = verbs.evaluate(
                source, out=out, judged=judged, labels=labels, evidence=evidence, on_progress=on_progress
            )
        _tell(done.as_json(), partial(screen.show_evaluation, every=every), json=json)


@app.command(cls=Command)
@share_options
def prepare(
    source: opt.Source,
    *,
    like: opt.Like,
    out: opt.Out,
    labels: opt.LabelOptions,
    split: opt.Split = None,
    format: opt.Format = "auto",  # noqa: A002  # the option is called so
    dicom_class: opt.DicomClass = "auto",
    json: Json = False,
) -> None:
    """Write real scans in the size and form of a model's images: what a classifier that learned from a
    balanced folder is tested on.

    For example:

    medgan prepare scans/ --split test --like run/ --out test/
    """
    with polite_errors():
        with watch() as on_progress:
            done = verbs.prepare(
                source,
                like=like,
                out=out,
                labels=labels,
                split=split,
                format=format,
                dicom_class=dicom_class,
                on_progress=on_progress,
            )
        _tell(done.as_json(), screen.show_output, json=json)


@app.command(cls=Command)
@take_options
def report(folder: opt.Folder, *, json: Json = False) -> None:
    """Write report.html again, from what an evaluation, a balanced folder or a training run holds.

    For example:

    medgan report evaluation/
    """
    with polite_errors():
        with watch() as on_progress:
            done = verbs.report(folder, on_progress=on_progress)
        _tell(done.as_json(), screen.show_report, json=json)


@app.command(cls=Command)
def cache(clear: Clear = False, json: Json = False) -> None:
    """Show what medgan keeps in your private cache between runs; it holds pixels of patients.

    For example:

    medgan cache

    medgan cache --clear
    """
    with polite_errors():
        from medgan.commands.cache import cache as keep

        _tell(keep(clear=clear).as_json(), screen.show_cache, json=json)


@app.command(name="help", cls=Command)
def show_help(ctx: typer.Context, topic: HelpTopic = None) -> None:
    """Show the help of medgan, or of a command: the same as --help."""
    group: Any = ctx.parent
    if topic is None:
        typer.echo(group.get_help())
        return
    command = group.command.commands.get(topic)
    if command is None:
        raise typer.BadParameter(f"there is no command {topic}; medgan help lists them")
    typer.echo(command.get_help(type(ctx)(command, info_name=topic, parent=group)))


def _tell(report: dict[str, Any], in_words: Callable[[dict[str, Any]], None], *, json: bool) -> None:
    """The result on stdout, for pipelines or for people; under torchrun once."""
    if current_processes().is_first:
        (screen.show_json if json else in_words)(report)
