"""Words of the command line: every argument and option that a command may take, with its help, and how what is typed is read."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from medgan.world import world

if TYPE_CHECKING:
    from medgan.dataset.source import Source as Scans

_data = partial(typer.Option, rich_help_panel="Data")
_training = partial(typer.Option, rich_help_panel="Training")
_output = partial(typer.Option, rich_help_panel="Output")
_expert = partial(typer.Option, rich_help_panel="Expert")

Source = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="Folder with a sub-folder per class (train/, val/, test/ above them are honoured), a MedMNIST-style "
        ".npz, or - for a list on stdin: a path per line; a tab and a label may follow, else the file's own folder is its class.",
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
        "--label-from-tag",
        metavar="KEYWORD",
        help="DICOM attribute to take labels from, such as BodyPartExamined.",
    ),
]
Modality = Annotated[str, _data(metavar="CODE", help="Use only scans of this DICOM modality, such as CT.")]
BurnedIn = Annotated[
    bool, _data("--allow-burned-in", help="Use images whose header says that text is burned into them.")
]
Synthetic = Annotated[bool, _data("--allow-synthetic", help="Use images that are marked as synthetic.")]
Holdout = Annotated[
    float | None,
    _data(
        metavar="FRACTION",
        min=0.0,
        max=0.9,
        help="Share of the train patients set aside as val, unseen. Default: as the model was trained; for a new one, 0.2 where there is no val and no test.",
    ),
]
Files = Annotated[bool, _output("--files", help="List every file with its verdict.")]
All = Annotated[
    bool, _output("--all", help="Show every decision of the plan, not only those that an option changes.")
]
Clear = Annotated[
    bool, _output("--clear", help="Remove what medgan keeps there, except what another process is using.")
]
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
    Literal["smoke", "quick", "standard", "thorough"],
    _training(
        help="How long to train, and the longest side at most: smoke 32, quick 48, standard 64, thorough 128 pixels."
    ),
]
Minutes = Annotated[
    float | None, _training(metavar="N", min=0.05, help="Time to train, instead of the effort's length.")
]
Size = Annotated[
    str | None, _training(metavar="HxW", help="Training image in pixels: 64, or rows x columns: 64x80.")
]
Batch = Annotated[int | None, _expert(metavar="N", min=2, help="Images per step.")]
Images = Annotated[
    int | None, _expert(metavar="N", min=1, help="Images shown in all, instead of the effort's length.")
]
TrainSeed = Annotated[int | None, _training("--seed", metavar="N", min=0, help="Random seed; default: 0.")]
Device = Annotated[Literal["auto", "cpu", "cuda", "mps"], _training(help="Where to compute.")]
Precision = Annotated[
    Literal["fp32", "bf16"] | None,
    _expert(help="Number format; default: what a timed probe finds quicker."),
]
Graphs = Annotated[
    bool | None,
    _expert(
        "--cuda-graphs/--no-cuda-graphs",
        help="Replay training steps as CUDA graphs; default: on a GPU, where a timed probe finds it quicker.",
    ),
]
Arch = Annotated[
    Literal["repaired", "dcgan"] | None, _expert(help="Network: ours, or the DCGAN of 2015 as a baseline.")
]
Noise = Annotated[Literal["normal", "uniform"] | None, _expert(help="Distribution of the latent vector.")]
Features = Annotated[
    Literal["lite0", "none"] | None,
    _expert(help="Pretrained network that guides training; default: lite0."),
]
Window = Annotated[
    str | None,
    _training(metavar="NAME", help="CT window: full, lung, soft, bone, brain, or LOW:HIGH in HU."),
]
Tensorboard = Annotated[
    bool, _training("--tensorboard", help="Also log to TensorBoard (pip install tensorboard).")
]

Out = Annotated[
    Path, _output("--out", "-o", metavar="FOLDER", help="Where the result goes, never inside the input.")
]
Format = Annotated[
    Literal["auto", "dicom", "nifti", "png"], _output(help="File form; auto: as the training data.")
]
DicomClass = Annotated[
    Literal["auto", "ct", "mr", "cr", "dx", "us", "sc"],
    _output(
        help="Kind of DICOM written; auto: the scans' own where it is true of them, else sc, Secondary Capture."
    ),
]
Label = Annotated[
    list[str] | None, _output(metavar="NAME", help="Class to draw; may be repeated; all when not given.")
]
Count = Annotated[int, _output(metavar="N", min=1, help="Images per class.")]
Seed = Annotated[int, _output(metavar="N", min=0, help="Seed of the first image; the next ones follow.")]
Target = Annotated[
    str,
    _output(
        metavar="N",
        help="What real images of each class should reach by repeats: largest, median or a number.",
    ),
]
PerClass = Annotated[
    list[str] | None, _output("--class", metavar="LABEL=N", help="Another target for one class; repeatable.")
]
MaxRatio = Annotated[
    float | None,
    _output(
        "--max-synthetic-ratio",
        metavar="R",
        min=0.0,
        hidden=True,
        help="At most R synthetic images per different real one, in every class.",
    ),
]
Share = Annotated[
    str | None,
    _output(
        metavar="S",
        help="Share of synthetic images, the same in every class: from 0 (none) to below 1, or auto (chosen on validation patients; "
        "may be 0). Default: 0.25.",
    ),
]
Fill = Annotated[
    Literal["repeated", "synthetic"],
    _output(
        help="With what small classes reach the target: repeated real images, or synthetic ones in these classes alone, which can harm."
    ),
]
Real = Annotated[
    Literal["prepared", "link", "none"],
    _output(help="Real images: prepared as the synthetic ones are, linked as they are, or left out."),
]
NoFilter = Annotated[
    bool,
    _output(
        "--no-filter",
        help="Write every image as it is drawn; by default near copies, images that do not surely show their class and poor ones are left out.",
    ),
]
TopUp = Annotated[
    bool,
    _output(
        "--top-up",
        help="Write the synthetic images only, to add to a folder of your own; the same as --real none.",
    ),
]
Against = Annotated[
    str | None,
    _output(
        metavar="SOURCE",
        help="The scans the model learned from, to look for copies; else those in the cache.",
    ),
]


_evidence = partial(typer.Option, rich_help_panel="Evidence")

JudgedData = Annotated[
    str | None,
    typer.Argument(
        metavar="SOURCE",
        help="Real data, as `medgan inspect` takes them, or a folder that `medgan balance` wrote.",
    ),
]
RealFolder = Annotated[
    Path | None, _evidence("--real", metavar="FOLDER", help="The same as SOURCE: real images.")
]
Made = Annotated[
    Path | None,
    _evidence("--synthetic", metavar="FOLDER", help="Synthetic images, a sub-folder per class, of any tool."),
]
JudgedModel = Annotated[
    Path | None, _evidence("--model", metavar="RUN", help="A trained model, from which images are drawn.")
]
Elsewhere = Annotated[
    Path | None,
    _evidence(
        "--external",
        metavar="FOLDER",
        help="Scans of another hospital, labelled as SOURCE is: the same classifiers are tested on them a second time.",
    ),
]
AsDrawn = Annotated[
    bool,
    _evidence(
        "--no-filter",
        help="Judge images of a model as they are drawn, not those that `sample` and `balance` would choose.",
    ),
]
Only = Annotated[
    str | None,
    _evidence(
        metavar="PARTS",
        help="Measure only these parts, separated by commas: fidelity, giveaways, usefulness, shortcut, privacy.",
    ),
]
Thoroughness = Annotated[
    Literal["quick", "standard", "thorough"],
    _evidence("--effort", help="How much is compared; how long that takes is told before it starts."),
]
Every = Annotated[bool, _evidence("--all", help="Print every figure, not the summary alone.")]
Folder = Annotated[
    Path, typer.Argument(metavar="RUN", help="Folder that `evaluate`, `balance`, `sample` or `train` wrote.")
]
Like = Annotated[
    Path,
    _output("--like", metavar="RUN", help="A trained model, in whose size and form the scans are written."),
]
Split = Annotated[
    Literal["train", "val", "test"] | None,
    _data(help="Only the scans of this split; default: all that SOURCE holds."),
]
HelpTopic = Annotated[
    str | None, typer.Argument(metavar="COMMAND", help="A command; without one, all of them.")
]


# --- from what was typed to values ---


def as_size(text: str | None) -> tuple[int, int] | None:
    """`64` or `64x80` as (H, W)."""
    sides = (text or "0").lower().split("x")
    if not all(side.isdecimal() for side in sides) or len(sides) not in {1, 2}:
        raise typer.BadParameter(f"--size {text}: write 64, or 64x80 for 64 rows of 80 pixels")
    return (int(sides[0]), int(sides[-1])) if text else None


def as_parts(text: str | None) -> tuple[str, ...]:
    """`fidelity,privacy` as a tuple."""
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())


def as_target(text: str) -> str | int:
    """`largest`, `median` or a number of images."""
    if not (text.isdecimal() or text in {"largest", "median"}):
        raise typer.BadParameter(f"--target {text}: write largest, median or a number of images")
    return int(text) if text.isdecimal() else text


def as_quota(text: str) -> tuple[str, int]:
    """`LABEL=N` as (label, n)."""
    from medgan.dataset.source import label_of

    label, _, number = text.rpartition("=")
    if not (label and number.isdecimal()):
        raise typer.BadParameter(f"--class {text}: write LABEL=N, such as covid=200")
    return label_of(label), int(number)


def as_source(  # noqa: PLR0913, PLR0917  # every option that says which scans are meant
    source: str,
    labels: Path | None = None,
    label_column: str = "",
    label_tag: str = "",
    modality: str = "",
    burned_in: bool = False,
    synthetic: bool = False,
) -> Scans:
    """The folder or .npz named on the command line, or the list of files on stdin."""
    from medgan.dataset.encoding import entries
    from medgan.dataset.source import Source as Scans

    # Processes share one stdin, and the first one reads for all.
    listed = sys.stdin.buffer.read() if source == "-" and world().is_first else b""
    return Scans(
        path=None if source == "-" else Path(source),
        lines=entries(listed) if source == "-" else None,
        labels=labels,
        label_column=label_column,
        label_tag=label_tag,
        modality=modality,
        allow_burned_in=burned_in,
        allow_synthetic=synthetic,
    )
