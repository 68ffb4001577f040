"""Every command of the command line: arguments in; parse, call, show; an exit code out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from medgan import __version__, screen
from medgan import options as opt
from medgan.base_command import Command, Group, share_options
from medgan.progress import during
from medgan.ticker import watch
from medgan.world import world

if TYPE_CHECKING:
    from medgan.plan import Overrides


LOADING = "loading PyTorch"
"""What takes seconds before anything else happens, so that it is said first."""


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
    labels: opt.Labels = None,
    label_column: opt.LabelColumn = "",
    label_from_tag: opt.LabelTag = "",
    modality: opt.Modality = "",
    burned_in: opt.BurnedIn = False,
    synthetic: opt.Synthetic = False,
    holdout: opt.Holdout = None,
    seed: opt.TrainSeed = None,
    files: opt.Files = False,
    everything: opt.All = False,
    json: opt.Json = False,
) -> None:
    """Look at a data set: classes, patients, what is rare, what cannot be used, what train would decide and why.

    For example:

    medgan inspect scans/

    find scans -name '*.dcm' | medgan inspect - --json | jq .counts
    """
    with screen.polite_errors(again="Nothing was changed; repeat the command."):
        from medgan.commands.preflight import present

        data = present(
            opt.as_source(source, labels, label_column, label_from_tag, modality, burned_in, synthetic)
        )
        with watch() as on_progress:
            with during("loading libraries", on_progress):
                from medgan.commands.inspect import inspect as look
                from medgan.files import plain
                from medgan.plan import Overrides
            found = look(data, holdout=holdout, overrides=Overrides(seed=seed), on_progress=on_progress)
        in_words = partial(
            screen.show_inspection, fingerprint=plain(found.fingerprint), everything=everything
        )
        _tell(found.report(files), in_words, json=json)


@app.command(cls=Command)
@share_options
def train(
    source: opt.Source,
    out: opt.Out,
    labels: opt.Labels = None,
    label_column: opt.LabelColumn = "",
    label_from_tag: opt.LabelTag = "",
    modality: opt.Modality = "",
    burned_in: opt.BurnedIn = False,
    synthetic: opt.Synthetic = False,
    holdout: opt.Holdout = None,
    dry_run: opt.DryRun = False,
    everything: opt.All = False,
    effort: opt.Effort = "standard",
    minutes: opt.Minutes = None,
    size: opt.Size = None,
    batch: opt.Batch = None,
    images: opt.Images = None,
    seed: opt.TrainSeed = None,
    device: opt.Device = "auto",
    precision: opt.Precision = None,
    cuda_graphs: opt.Graphs = None,
    arch: opt.Arch = None,
    noise: opt.Noise = None,
    features: opt.Features = None,
    window: opt.Window = None,
    tensorboard: opt.Tensorboard = False,
    json: opt.Json = False,
) -> None:
    """Train a generator on the train split; the same command again resumes.

    For example:

    medgan train scans/ --out run/ --minutes 30

    medgan train scans/ --out run/ --dry-run
    """
    height_width = opt.as_size(size)
    if everything and not dry_run:
        raise typer.BadParameter("--all is for --dry-run: nothing else shows a plan")
    with screen.polite_errors():
        from medgan.commands.preflight import preflight
        from medgan.plan import Overrides
        from medgan.plan.rules import lacks_features

        overrides = Overrides(
            effort=effort, minutes=minutes, size=height_width, batch=batch, images=images, seed=seed, device=device,
            precision=precision, graphed=cuda_graphs, arch=arch, noise=noise, features=features, window=window,
        )  # fmt: skip
        data = opt.as_source(source, labels, label_column, label_from_tag, modality, burned_in, synthetic)
        preflight(out, data, window=window)
        screen.warn(lacks_features() if features is None and arch != "dcgan" else "")
        with watch(out / "log.jsonl") as on_progress:
            with during(LOADING, on_progress):
                from medgan.commands.train import Options
                from medgan.commands.train import train as learn
            options = Options(holdout=holdout, dry_run=dry_run, tensorboard=tensorboard)
            done = learn(data, out, overrides=overrides, options=options, on_progress=on_progress)
        _tell(done.report(), partial(screen.show_training, everything=everything), json=json)


@app.command(cls=Command)
@share_options
def sample(
    model: opt.Model,
    out: opt.Out,
    label: opt.Label = None,
    count: opt.Count = 16,
    seed: opt.Seed = 0,
    format: opt.Format = "auto",  # noqa: A002 the option is called so
    dicom_class: opt.DicomClass = "auto",
    against: opt.Against = None,
    holdout: opt.Holdout = None,
    no_filter: opt.NoFilter = False,
    device: opt.Device = "auto",
    json: opt.Json = False,
) -> None:
    """Draw synthetic images from a trained model; an image depends on its seed, class and model only.

    For example:

    medgan sample run/ --label covid --count 200 --out synthetic/ --against scans/
    """
    with screen.polite_errors():
        from medgan.commands.preflight import preflight

        scans = None if against is None else opt.as_source(against)
        preflight(out, scans, model=model)
        with watch() as on_progress:
            with during(LOADING, on_progress):
                from medgan.commands.sample import sample as draw
            written = draw(
                model, out, labels=label or (), count=count, seed=seed, format=format, dicom_class=dicom_class,
                filtered=not no_filter, against=scans, holdout=holdout, device=device, on_progress=on_progress,
            )  # fmt: skip
        _tell(written.report(), screen.show_written, json=json)


@app.command(cls=Command)
@share_options
def balance(
    source: opt.Source,
    out: opt.Out,
    labels: opt.Labels = None,
    label_column: opt.LabelColumn = "",
    label_from_tag: opt.LabelTag = "",
    modality: opt.Modality = "",
    burned_in: opt.BurnedIn = False,
    synthetic: opt.Synthetic = False,
    holdout: opt.Holdout = None,
    dry_run: opt.DryRun = False,
    model: opt.UseModel = None,
    any_model: opt.AnyModel = False,
    target: opt.Target = "largest",
    per_class: opt.PerClass = None,
    max_ratio: opt.MaxRatio = None,
    share: opt.Share = None,
    fill: opt.Fill = "repeated",
    real: opt.Real = "prepared",
    top_up: opt.TopUp = False,
    no_filter: opt.NoFilter = False,
    format: opt.Format = "auto",  # noqa: A002 the option is called so
    dicom_class: opt.DicomClass = "auto",
    effort: opt.Effort = "standard",
    minutes: opt.Minutes = None,
    size: opt.Size = None,
    batch: opt.Batch = None,
    images: opt.Images = None,
    seed: opt.TrainSeed = None,
    device: opt.Device = "auto",
    precision: opt.Precision = None,
    cuda_graphs: opt.Graphs = None,
    arch: opt.Arch = None,
    noise: opt.Noise = None,
    features: opt.Features = None,
    window: opt.Window = None,
    tensorboard: opt.Tensorboard = False,
    json: opt.Json = False,
) -> None:
    """Write a class-balanced copy of a data set: classes equally large, and the same share of synthetic images in each.

    For example:

    medgan balance scans/ --out balanced/

    medgan balance scans/ --out balanced/ --model run/ --target 500 --class covid=800

    medgan balance scans/ --out more/ --model run/ --top-up
    """
    height_width, goal = opt.as_size(size), opt.as_target(target)
    goals = dict(map(opt.as_quota, per_class or ()))
    if top_up and real == "link":
        raise typer.BadParameter("--top-up writes no real images: leave --real link away")
    with screen.polite_errors():
        from medgan.commands.preflight import preflight
        from medgan.plan import Overrides
        from medgan.plan.rules import lacks_features

        wish = Overrides(
            effort=effort, minutes=minutes, size=height_width, batch=batch, images=images, seed=seed, device=device,
            precision=precision, graphed=cuda_graphs, arch=arch, noise=noise, features=features, window=window)  # fmt: skip
        _refuse_idle(wish if model else Overrides(), tensorboard=tensorboard and model is not None)
        data = opt.as_source(source, labels, label_column, label_from_tag, modality, burned_in, synthetic)
        preflight(out, data, model=model, window=window, share=share, fill=fill)
        screen.warn(lacks_features() if model is None and features is None and arch != "dcgan" else "")
        with watch(out.resolve().with_name(f"{out.resolve().name}.run") / "log.jsonl") as told:
            with during(LOADING, told):
                from medgan.commands import balance as job
                from medgan.commands.foresee import foresee
                from medgan.commands.real import LINKED
                from medgan.commands.share import ONE_SIDED
            options = job.BalanceOptions(
                target=goal, per_class=goals, max_synthetic_ratio=max_ratio, share=share, fill=fill,
                real="none" if top_up else real, format=format, dicom_class=dicom_class, seed=seed or 0, holdout=holdout, any_model=any_model, filter=not no_filter)  # fmt: skip
            task: dict[str, Any] = {
                "model": model,
                "options": options,
                "overrides": wish,
                "on_progress": told,
            }
            if not dry_run:
                screen.warn(LINKED if real == "link" else "")
                screen.warn(ONE_SIDED if fill == "synthetic" else "")
                task["tensorboard"] = tensorboard
            done: Any = (foresee if dry_run else job.balance)(data, out, **task)
        _tell(done.report(), screen.show_foreseen if dry_run else screen.show_written, json=json)


@app.command(cls=Command)
@share_options
def evaluate(
    out: opt.Out,
    source: opt.JudgedData = None,
    model: opt.JudgedModel = None,
    real: opt.RealFolder = None,
    made: opt.Made = None,
    external: opt.Elsewhere = None,
    labels: opt.Labels = None,
    label_column: opt.LabelColumn = "",
    label_from_tag: opt.LabelTag = "",
    modality: opt.Modality = "",
    burned_in: opt.BurnedIn = False,
    holdout: opt.Holdout = None,
    no_filter: opt.AsDrawn = False,
    only: opt.Only = None,
    effort: opt.Thoroughness = "quick",
    every: opt.Every = False,
    seed: opt.Seed = 0,
    device: opt.Device = "auto",
    json: opt.Json = False,
) -> None:
    """Judge synthetic images on real held-out patients, and write a report; the same command again goes on.

    For example:

    medgan evaluate scans/ --model run/ --out evaluation/

    medgan evaluate --real scans/ --synthetic theirs/ --out evaluation/ --json
    """
    if (source is None) == (real is None):
        raise typer.BadParameter("Name the real images once: as SOURCE or with --real")
    if model is not None and made is not None:
        raise typer.BadParameter("Name a --model or a folder --synthetic, not both")
    if no_filter and model is None:
        raise typer.BadParameter("--no-filter is for images of a --model; a folder is judged as it is")
    with screen.polite_errors():
        from medgan.commands.preflight import preflight

        parts = opt.as_parts(only)
        data = opt.as_source(
            source or str(real), labels, label_column, label_from_tag, modality, burned_in, synthetic=False
        )
        preflight(out, data, model=model, synthetic=made, external=external, parts=parts)
        with watch() as on_progress:
            with during(LOADING, on_progress):
                from medgan.commands.evaluate import EvaluateOptions
                from medgan.commands.evaluate import evaluate as judge
                from medgan.commands.gather import Request
                from medgan.commands.parts import EFFORTS
            options = EvaluateOptions(only=parts, effort=effort, seed=seed)
            request = Request(
                source=data, model=model, synthetic=made, external=external, holdout=holdout, per_class=EFFORTS[effort].per_class,
                filtered=not no_filter, seed=seed, device=device,
            )  # fmt: skip
            done = judge(request, out, options=options, on_progress=on_progress)
        _tell(done.report(), partial(screen.show_evaluation, every=every), json=json)


@app.command(cls=Command)
@share_options
def prepare(
    source: opt.Source,
    like: opt.Like,
    out: opt.Out,
    labels: opt.Labels = None,
    label_column: opt.LabelColumn = "",
    label_from_tag: opt.LabelTag = "",
    modality: opt.Modality = "",
    burned_in: opt.BurnedIn = False,
    split: opt.Split = None,
    format: opt.Format = "auto",  # noqa: A002 the option is called so
    dicom_class: opt.DicomClass = "auto",
    json: opt.Json = False,
) -> None:
    """Write real scans in the size and form of a model's images: what a classifier that learned from a balanced folder is tested on.

    For example:

    medgan prepare scans/ --split test --like run/ --out test/
    """
    with screen.polite_errors():
        from medgan.commands.preflight import preflight

        data = opt.as_source(source, labels, label_column, label_from_tag, modality, burned_in)
        preflight(out, data, model=like)
        with watch() as on_progress:
            with during(LOADING, on_progress):
                from medgan.commands.conform import conform
            done = conform(
                data,
                out,
                like=like,
                split=split,
                format=format,
                dicom_class=dicom_class,
                on_progress=on_progress,
            )
        _tell(done.report(), screen.show_written, json=json)


@app.command(cls=Command)
def report(folder: opt.Folder, json: opt.Json = False) -> None:
    """Write report.html again, from what an evaluation, a balanced folder or a training run holds.

    For example:

    medgan report evaluation/
    """
    with screen.polite_errors():
        with watch() as on_progress, during("loading libraries", on_progress):
            from medgan.commands.report import report as write
        _tell(write(folder).report(), screen.show_report, json=json)


@app.command(cls=Command)
def cache(clear: opt.Clear = False, json: opt.Json = False) -> None:
    """Show what medgan keeps in your private cache between runs; it holds pixels of patients.

    For example:

    medgan cache

    medgan cache --clear
    """
    with screen.polite_errors():
        from medgan.commands.cache import cache as keep

        _tell(keep(clear=clear).report(), screen.show_cache, json=json)


@app.command(name="help", cls=Command)
def show_help(ctx: typer.Context, topic: opt.HelpTopic = None) -> None:
    """Show the help of medgan, or of a command: the same as --help."""
    group: Any = ctx.parent
    if topic is None:
        typer.echo(group.get_help())
        return
    command = group.command.commands.get(topic)
    if command is None:
        raise typer.BadParameter(f"there is no command {topic}; medgan help lists them")
    typer.echo(command.get_help(type(ctx)(command, info_name=topic, parent=group)))


def _refuse_idle(overrides: Overrides, *, tensorboard: bool) -> None:
    """Refuse wishes for a training that will not take place; seed and device are those of the images, too."""
    from medgan.errors import PlanError

    if tensorboard or dataclasses.replace(overrides, seed=None, device="auto") != type(overrides)():
        raise PlanError("Training options change nothing with --model", hint="Leave one of them out.")


def _tell(report: dict[str, Any], in_words: Callable[[dict[str, Any]], None], *, json: bool) -> None:
    """The result on stdout, for pipelines or for people; under torchrun once."""
    if world().is_first:
        (screen.show_json if json else in_words)(report)
