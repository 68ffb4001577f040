"""Every option of every command: arguments in; parse, call, show; an exit code out."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.core import TyperCommand, TyperGroup

from medgan import __version__, screen
from medgan.pages import Page

if TYPE_CHECKING:
    from medgan.dataset.labels import Source


class Command(Page, TyperCommand):
    """A command with our help page."""


class Group(Page, TyperGroup):
    """All commands, with our help page."""


app = typer.Typer(
    name="medgan",
    cls=Group,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

_data = partial(typer.Option, rich_help_panel="Data")
_training = partial(typer.Option, rich_help_panel="Training")
_output = partial(typer.Option, rich_help_panel="Output")

SourceArgument = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="Folder with a sub-folder per class (train/, val/, test/ above them are honoured), a MedMNIST-style "
        ".npz, or - for a list on stdin: a path per line; a tab and a label may follow.",
    ),
]
Labels = Annotated[
    Path | None, _data(metavar="FILE", help="CSV or TSV: columns path and label, perhaps patient and split.")
]
LabelColumn = Annotated[
    str, _data(metavar="NAME", help="Column of a BIDS folder's participants.tsv to take labels from.")
]
LabelTag = Annotated[
    str,
    _data(
        "--label-from-tag", metavar="KEYWORD", help="DICOM attribute to take labels from: BodyPartExamined."
    ),
]
Modality = Annotated[str, _data(metavar="CODE", help="Use only scans of this DICOM modality: CT.")]
BurnedIn = Annotated[
    bool, _data("--allow-burned-in", help="Use images whose header says that text is burned into them.")
]
Synthetic = Annotated[bool, _data("--allow-synthetic", help="Use images that are marked as synthetic.")]
Holdout = Annotated[
    float,
    _data(metavar="FRACTION", min=0.0, max=0.9, help="Share of the train patients set aside as val, unseen."),
]
Files = Annotated[bool, _output("--files", help="List every file with its verdict.")]
Json = Annotated[bool, _output("--json", help="Write the documented JSON to stdout.")]

Model = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a trained model.")]
UseModel = Annotated[
    Path | None, _training("--model", metavar="RUN", help="A trained model; without it, one is trained.")
]
AnyModel = Annotated[bool, _training("--any-model", help="Accept a model that learned from other data.")]
DryRun = Annotated[
    bool, _training("--dry-run", help="Print the plan, its reasons and a time estimate, then stop.")
]
Effort = Annotated[
    Literal["smoke", "quick", "standard", "thorough"], _training(help="How long and how well to train.")
]
Minutes = Annotated[
    float | None, _training(metavar="N", min=0.05, help="Time to train, instead of an effort.")
]
Size = Annotated[
    str | None, _training(metavar="HxW", help="Training image in pixels: 64, or rows x columns: 64x80.")
]
Batch = Annotated[int | None, _training(metavar="N", min=2, help="Images per step.")]
Images = Annotated[
    int | None, _training(metavar="N", min=1, help="Images shown in all, instead of an effort.")
]
TrainSeed = Annotated[int | None, _training("--seed", metavar="N", min=0, help="Where chance starts.")]
Device = Annotated[Literal["auto", "cpu", "cuda", "mps"], _training(help="Where to compute.")]
Precision = Annotated[Literal["fp32", "bf16"] | None, _training(help="Number format.")]
Arch = Annotated[
    Literal["repaired", "dcgan"] | None, _training(help="Network: ours, or the DCGAN of 2015 as a baseline.")
]
Noise = Annotated[Literal["normal", "uniform"] | None, _training(help="Distribution of the latent vector.")]
Window = Annotated[
    str | None,
    _training(metavar="NAME", help="CT window: full, lung, soft, bone, brain, or LOW:HIGH in HU."),
]
Tensorboard = Annotated[
    bool, _training("--tensorboard", help="Also log to TensorBoard (pip install 'medgan[tensorboard]').")
]

Out = Annotated[Path, _output(metavar="FOLDER", help="Where the result goes, never inside the input.")]
Format = Annotated[
    Literal["auto", "dicom", "nifti", "png"], _output(help="File form; auto: as the training data.")
]
Label = Annotated[
    list[str] | None, _output(metavar="NAME", help="Class to draw; may be repeated; all when not given.")
]
Count = Annotated[int, _output(metavar="N", min=1, help="Images per class.")]
Seed = Annotated[int, _output(metavar="N", min=0, help="Seed of the first image; the next ones follow.")]
Target = Annotated[
    str, _output(metavar="N", help="Images each class should reach: largest, median or a number.")
]
PerClass = Annotated[
    list[str] | None, _output("--class", metavar="LABEL=N", help="Another target for one class; repeatable.")
]
MaxRatio = Annotated[
    float | None,
    _output("--max-synthetic-ratio", metavar="R", min=0.0, help="At most R synthetic images per real one."),
]
Real = Annotated[
    Literal["prepared", "link", "none"],
    _output(help="Real images: prepared as the synthetic ones are, linked as they are, or left out."),
]


@app.callback(invoke_without_command=True)
def medgan(
    version: Annotated[bool, typer.Option("--version", is_eager=True, help="Print the version.")] = False,
) -> None:
    """Train a GAN on your own labelled medical scans, draw synthetic ones, balance the data set.

    For research, not for clinical use. Start with:

    medgan inspect scans/
    """
    if version:
        typer.echo(f"medgan {__version__}")
        raise typer.Exit


@app.command(cls=Command)
def inspect(
    source: SourceArgument,
    labels: Labels = None,
    label_column: LabelColumn = "",
    label_from_tag: LabelTag = "",
    modality: Modality = "",
    burned_in: BurnedIn = False,
    synthetic: Synthetic = False,
    files: Files = False,
    json: Json = False,
) -> None:
    """Look at a data set: classes, patients, what is rare, what cannot be used, what train would decide and why.

    For example:

    medgan inspect scans/

    find scans -name '*.dcm' | medgan inspect - --json | jq .counts
    """
    with screen.polite_errors(again="Nothing was changed; repeat the command."):
        from medgan.commands.inspect import inspect as look
        from medgan.files import plain

        data = _source(source, labels, label_column, label_from_tag, modality, burned_in, synthetic)
        with screen.watch() as on_progress:
            found = look(data, on_progress=on_progress)
        in_words = partial(screen.show_inspection, fingerprint=plain(found.fingerprint))
        _tell(found.report(files), in_words, json=json)


@app.command(cls=Command)
def train(
    source: SourceArgument,
    out: Out,
    labels: Labels = None,
    label_column: LabelColumn = "",
    label_from_tag: LabelTag = "",
    modality: Modality = "",
    burned_in: BurnedIn = False,
    synthetic: Synthetic = False,
    holdout: Holdout = 0.0,
    dry_run: DryRun = False,
    effort: Effort = "standard",
    minutes: Minutes = None,
    size: Size = None,
    batch: Batch = None,
    images: Images = None,
    seed: TrainSeed = None,
    device: Device = "auto",
    precision: Precision = None,
    arch: Arch = None,
    noise: Noise = None,
    window: Window = None,
    tensorboard: Tensorboard = False,
    json: Json = False,
) -> None:
    """Train a generator on the train split; the same command again resumes.

    For example:

    medgan train scans/ --out run/ --minutes 30

    medgan train scans/ --out run/ --dry-run
    """
    height_width = _size(size)
    with screen.polite_errors():
        from medgan.commands.train import Options
        from medgan.commands.train import train as learn
        from medgan.plan import Overrides

        overrides = Overrides(
            effort=effort, minutes=minutes, size=height_width, batch=batch, images=images, seed=seed,
            device=device, precision=precision, arch=arch, noise=noise, window=window,
        )  # fmt: skip
        data = _source(source, labels, label_column, label_from_tag, modality, burned_in, synthetic)
        options = Options(holdout=holdout, dry_run=dry_run, tensorboard=tensorboard)
        with screen.watch() as on_progress:
            done = learn(data, out, overrides=overrides, options=options, on_progress=on_progress)
        _tell(done.report(), screen.show_training, json=json)


@app.command(cls=Command)
def sample(
    model: Model,
    out: Out,
    label: Label = None,
    count: Count = 16,
    seed: Seed = 0,
    format: Format = "auto",  # noqa: A002 the option is called so
    json: Json = False,
) -> None:
    """Draw synthetic images from a trained model; an image depends on its seed, class and model only.

    For example:

    medgan sample run/ --label covid --count 200 --out synthetic/
    """
    with screen.polite_errors():
        from medgan.commands.sample import sample as draw

        with screen.watch() as on_progress:
            written = draw(
                model, out, labels=label or (), count=count, seed=seed, format=format, on_progress=on_progress
            )
        _tell(written.report(), screen.show_written, json=json)


@app.command(cls=Command)
def balance(
    source: SourceArgument,
    out: Out,
    labels: Labels = None,
    label_column: LabelColumn = "",
    label_from_tag: LabelTag = "",
    modality: Modality = "",
    burned_in: BurnedIn = False,
    synthetic: Synthetic = False,
    holdout: Holdout = 0.0,
    model: UseModel = None,
    any_model: AnyModel = False,
    target: Target = "largest",
    per_class: PerClass = None,
    max_ratio: MaxRatio = None,
    real: Real = "prepared",
    format: Format = "auto",  # noqa: A002 the option is called so
    effort: Effort = "standard",
    minutes: Minutes = None,
    size: Size = None,
    batch: Batch = None,
    images: Images = None,
    seed: TrainSeed = None,
    device: Device = "auto",
    precision: Precision = None,
    arch: Arch = None,
    noise: Noise = None,
    window: Window = None,
    json: Json = False,
) -> None:
    """Write a class-balanced copy of a data set: rare classes of the train split are topped up with synthetic images.

    For example:

    medgan balance scans/ --out balanced/

    medgan balance scans/ --out balanced/ --model run/ --target 500 --class covid=800
    """
    height_width, goal, goals = _size(size), _target(target), dict(map(_quota, per_class or ()))
    with screen.polite_errors():
        from medgan.commands.balance import BalanceOptions
        from medgan.commands.balance import balance as top_up
        from medgan.errors import PlanError
        from medgan.plan import Overrides

        options = BalanceOptions(
            target=goal, per_class=goals, max_synthetic_ratio=max_ratio, real=real, format=format,
            seed=seed or 0, holdout=holdout, any_model=any_model,
        )  # fmt: skip
        overrides = Overrides(
            effort=effort, minutes=minutes, size=height_width, batch=batch, images=images, seed=seed,
            device=device, precision=precision, arch=arch, noise=noise, window=window,
        )  # fmt: skip
        if model and dataclasses.replace(overrides, seed=None) != Overrides():
            raise PlanError("Training options change nothing with --model", hint="Leave one of them out.")
        data = _source(source, labels, label_column, label_from_tag, modality, burned_in, synthetic)
        with screen.watch() as told:
            written = top_up(data, out, model=model, options=options, overrides=overrides, on_progress=told)
        _tell(written.report(), screen.show_written, json=json)


def _source(
    source: str,
    labels: Path | None,
    label_column: str,
    label_tag: str,
    modality: str,
    burned_in: bool,
    synthetic: bool,
) -> Source:
    """The folder or .npz named on the command line, or the list of files on stdin."""
    from medgan.dataset.labels import Source

    # Names of files are bytes: `fsdecode` keeps those that are no UTF-8.
    lines = tuple(os.fsdecode(sys.stdin.buffer.read()).splitlines()) if source == "-" else None
    return Source(
        path=None if source == "-" else Path(source),
        lines=lines,
        labels=labels,
        label_column=label_column,
        label_tag=label_tag,
        modality=modality,
        allow_burned_in=burned_in,
        allow_synthetic=synthetic,
    )


def _tell(report: dict[str, Any], in_words: Callable[[dict[str, Any]], None], *, json: bool) -> None:
    """The result on stdout, for pipelines or for people."""
    (screen.show_json if json else in_words)(report)


def _size(text: str | None) -> tuple[int, int] | None:
    """`64` or `64x80` as (H, W)."""
    sides = (text or "0").lower().split("x")
    if not all(side.isdecimal() for side in sides) or len(sides) not in {1, 2}:
        raise typer.BadParameter(f"--size {text}: write 64, or 64x80 for 64 rows of 80 pixels")
    return (int(sides[0]), int(sides[-1])) if text else None


def _target(text: str) -> str | int:
    """`largest`, `median` or a number of images."""
    if not (text.isdecimal() or text in {"largest", "median"}):
        raise typer.BadParameter(f"--target {text}: write largest, median or a number of images")
    return int(text) if text.isdecimal() else text


def _quota(text: str) -> tuple[str, int]:
    """`LABEL=N` as (label, n)."""
    label, _, number = text.rpartition("=")
    if not (label and number.isdecimal()):
        raise typer.BadParameter(f"--class {text}: write LABEL=N, such as covid=200")
    return label, int(number)
