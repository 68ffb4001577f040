"""Declare every option once, for the command line and for Python, and read what was given.

A group of options is a frozen dataclass; a command and its verb take the groups they need
(`keywords.spread`). The words of an option's help, its heading and its limits stand in its annotation, so
that a new option is one field here. Of several types the last one is what the command line reads; the others
are for Python, as `int` beside the text of `--size`.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from medgan.base.errors import OptionError
from medgan.base.option import Device, Holdout, Option, Seed
from medgan.base.processes import current_processes
from medgan.commands.values import Place, as_path, as_quotas, as_target

if TYPE_CHECKING:
    from medgan.dataset.source import Source as Scans

_data = partial(Option, subject="Data")
_training = partial(Option, subject="Training")
_output = partial(Option, subject="Output")
_evidence = partial(Option, subject="Evidence")


# --- one by one ---

Source = Annotated[
    Path | str,
    Option(
        argument=True,
        metavar="SOURCE",
        help="Folder with a sub-folder per class (train/, val/, test/ above them are honoured), a "
        "MedMNIST-style .npz, or - for a list on stdin: a path per line; a tab and a label may follow, "
        "else the file's own folder is its class.",
    ),
]
JudgedSource = Annotated[
    Path | str | None,
    Option(
        argument=True,
        metavar="SOURCE",
        help="Real data, as `medgan inspect` takes them, or a folder that `medgan balance` wrote.",
    ),
]
Run = Annotated[Place, Option(argument=True, metavar="RUN", help="Folder of a trained model.")]
Folder = Annotated[
    Place,
    Option(
        argument=True, metavar="RUN", help="Folder that `evaluate`, `balance`, `sample` or `train` wrote."
    ),
]
Out = Annotated[
    Place,
    _output(
        names=(
            "--out",
            "-o",
        ),
        metavar="FOLDER",
        help="Where the result goes, never inside the input.",
    ),
]
Like = Annotated[
    Place,
    _output(
        names=("--like",),
        metavar="RUN",
        help="A trained model, in whose size and form the scans are written.",
    ),
]
Split = Annotated[
    Literal["train", "val", "test"] | None,
    _data(help="Only the scans of this split; default: all that SOURCE holds."),
]
Files = Annotated[bool, _output(names=("--files",), help="List every file with its verdict.")]
Masks = Annotated[
    Place | None,
    _data(
        names=("--masks",),
        metavar="PLACE",
        help="Masks of the scans: PNG, TIFF or NIfTI files of the same names, a data set of nnU-Net or the "
        "Decathlon, or boxes in COCO, Pascal VOC or YOLO files.",
    ),
]
DryRun = Annotated[
    bool, _training(names=("--dry-run",), help="Print the plan, its reasons and a time estimate, then stop.")
]
TensorBoard = Annotated[
    bool, _training(names=("--tensorboard",), help="Also log to TensorBoard (pip install tensorboard).")
]
Format = Annotated[
    Literal["auto", "dicom", "nifti", "png"], _output(help="File form; auto: as the training data.")
]
DicomClass = Annotated[
    Literal["auto", "ct", "mr", "cr", "dx", "us", "sc"],
    _output(
        help=(
            "Kind of DICOM written; auto: the scans' own where it is true of them, else sc, Secondary "
            "Capture."
        )
    ),
]
NoFilter = Annotated[
    bool,
    _output(
        names=("--no-filter",),
        help=(
            "Write every image as it is drawn; by default near copies, images that do not surely show their "
            "class and poor ones are left out."
        ),
    ),
]


NormalModel = Annotated[
    Place,
    _output(names=("--model",), metavar="RUN", help="A model that `train --for anomaly` wrote."),
]


# --- in groups ---


@dataclass(frozen=True, kw_only=True)
class TaskOptions:
    """What a model is trained for, and whether it is trained."""

    for_: Annotated[
        Literal["draw", "anomaly"],
        _training(
            names=("--for",),
            help="What the model is for: draw images, or find what is unlike normal scans (`anomaly`).",
        ),
    ] = "draw"
    normal: Annotated[
        str,
        _training(metavar="LABEL", help="With --for anomaly: the class that is normal; no other is learned."),
    ] = ""
    dry_run: DryRun = False
    tensorboard: TensorBoard = False


@dataclass(frozen=True, kw_only=True)
class AnomalyOptions:
    """How many normal patients may alarm, and which maps are written."""

    alarms: Annotated[
        float,
        _output(
            metavar="SHARE",
            min=0.0001,
            max=0.5,
            help="Largest share of new normal patients that may alarm, on average.",
        ),
    ] = 0.05
    maps: Annotated[
        list[str] | str,
        _output(
            metavar="FORMS",
            help="Maps of where a scan is unlike normal ones, separated by commas: nifti, png; or none.",
        ),
    ] = "nifti,png"

    @property
    def forms(self) -> tuple[str, ...]:
        """`nifti,png` as a tuple, sorted; empty for none."""
        names = self.maps.split(",") if isinstance(self.maps, str) else self.maps
        given = {name.strip() for name in names} - {""}
        strange = sorted(given - {"nifti", "png", "none"})
        if strange or not given or ("none" in given and len(given) > 1):
            raise OptionError(
                f"--maps {','.join(sorted(given)) or 'nothing'}: write nifti, png, both or none"
            )
        return tuple(sorted(given - {"none"}))


@dataclass(frozen=True, kw_only=True)
class LabelOptions:
    """Where classes come from, and which scans are used."""

    labels: Annotated[
        Place | None,
        _data(metavar="FILE", help="CSV or TSV: columns path and label, perhaps patient and split."),
    ] = None
    label_column: Annotated[
        str, _data(metavar="NAME", help="Column of a BIDS folder's participants.tsv to take labels from.")
    ] = ""
    label_from_tag: Annotated[
        str, _data(metavar="KEYWORD", help="DICOM attribute to take labels from, such as BodyPartExamined.")
    ] = ""
    modality: Annotated[
        str, _data(metavar="CODE", help="Use only scans of this DICOM modality, such as CT.")
    ] = ""
    allow_burned_in: Annotated[
        bool,
        _data(
            names=("--allow-burned-in",), help="Use images whose header says that text is burned into them."
        ),
    ] = False

    def source(self, place: Path | str) -> Scans:
        """The folder or .npz that was named, or with "-" the list of files on stdin."""
        from medgan.dataset.encoding import split_entries
        from medgan.dataset.source import Source as Scans

        # Processes share one stdin, and the first one reads for all.
        listed = sys.stdin.buffer.read() if place == "-" and current_processes().is_first else b""
        return Scans(
            path=None if place == "-" else Path(place),
            lines=split_entries(listed) if place == "-" else None,
            labels=as_path(self.labels),
            label_column=self.label_column,
            label_tag=self.label_from_tag,
            modality=self.modality,
            allow_burned_in=self.allow_burned_in,
        )


@dataclass(frozen=True, kw_only=True)
class ScanOptions(LabelOptions):
    """The same where a model learns from the scans, and whose are kept from it."""

    allow_synthetic: Annotated[
        bool, _data(names=("--allow-synthetic",), help="Use images that are marked as synthetic.")
    ] = False
    holdout: Holdout = None

    def source(self, place: Path | str) -> Scans:
        """The same, with images that are marked as synthetic where they are allowed."""
        return dataclasses.replace(super().source(place), allow_synthetic=self.allow_synthetic)


@dataclass(frozen=True, kw_only=True)
class BalanceOptions:
    """What a balanced folder is made up of, whose images are added to it, and whether it is written."""

    dry_run: DryRun = False
    model: Annotated[
        Place | None,
        _training(names=("--model",), metavar="RUN", help="A trained model; without it, one is trained."),
    ] = None
    any_model: Annotated[
        bool, _training(names=("--any-model",), help="Accept a model that learned from other data.")
    ] = False
    target: Annotated[
        int | str,
        _output(
            parse=as_target,
            metavar="N",
            help="What real images of each class should reach by repeats: largest, median or a number.",
        ),
    ] = "largest"
    class_: Annotated[
        Mapping[str, int] | None,
        _output(
            names=("--class",),
            accepts=Mapping[str, int] | list[str] | None,
            parse=as_quotas,
            metavar="LABEL=N",
            help="Another target for one class; repeatable.",
        ),
    ] = None
    max_synthetic_ratio: Annotated[
        float | None,
        _output(
            metavar="R",
            min=0.0,
            hidden=True,
            help="At most R synthetic images per different real one, in every class.",
        ),
    ] = None
    share: Annotated[
        float | str | None,
        _output(
            metavar="S",
            help="Share of synthetic images, the same in every class: from 0 (none) to below 1, or auto "
            "(chosen on validation patients; may be 0). Default: 0.25.",
        ),
    ] = None
    fill: Annotated[
        Literal["repeated", "synthetic"],
        _output(
            help=(
                "With what small classes reach the target: repeated real images, or synthetic ones in these "
                "classes alone, which can harm."
            )
        ),
    ] = "repeated"
    real: Annotated[
        Literal["prepared", "link", "none"],
        _output(help="Real images: prepared as the synthetic ones are, linked as they are, or left out."),
    ] = "prepared"
    top_up: Annotated[
        bool,
        _output(
            names=("--top-up",),
            help="Write the synthetic images only, to add to a folder of your own; the same as --real none.",
        ),
    ] = False
    no_filter: NoFilter = False
    format: Format = "auto"
    dicom_class: DicomClass = "auto"

    @property
    def way(self) -> str:
        """How real images are written."""
        return "none" if self.top_up else self.real

    def refuse(self) -> None:
        """Refuse what contradicts itself, before any library is loaded; targets are checked by the counts."""
        from medgan.commands.preflight import refuse_mixture

        if self.top_up and self.real == "link":
            raise OptionError("--top-up writes no real images: leave --real link away")
        refuse_mixture(self.share, self.fill)


@dataclass(frozen=True, kw_only=True)
class DrawOptions:
    """Which images are drawn from a model, and how they are chosen and written."""

    label: Annotated[
        str | list[str] | None,
        _output(metavar="NAME", help="Class to draw; may be repeated; all when not given."),
    ] = None
    count: Annotated[int, _output(metavar="N", min=1, help="Images per class.")] = 16
    seed: Seed = 0
    format: Format = "auto"
    dicom_class: DicomClass = "auto"
    against: Annotated[
        Path | str | None,
        _output(
            metavar="SOURCE",
            help="The scans the model learned from, to look for copies; else those in the cache.",
        ),
    ] = None
    holdout: Holdout = None
    no_filter: NoFilter = False
    film: Annotated[
        bool,
        _output(
            names=("--film",),
            help=(
                "Also write animations of what the model draws, unfiltered: a walk within each class, and "
                "one from class to class."
            ),
        ),
    ] = False
    device: Device = "auto"

    @property
    def labels(self) -> tuple[str, ...]:
        """Classes to draw; none stands for all of the model."""
        return (self.label,) if isinstance(self.label, str) else tuple(self.label or ())

    @cached_property
    def scans(self) -> Scans | None:
        """Those to compare with, where any are named; a list on stdin is read once."""
        return None if self.against is None else LabelOptions().source(self.against)


@dataclass(frozen=True, kw_only=True)
class JudgedOptions:
    """Whose images are judged, and beside which."""

    model: Annotated[
        Place | None,
        _evidence(names=("--model",), metavar="RUN", help="A trained model, from which images are drawn."),
    ] = None
    real: Annotated[
        Place | None, _evidence(names=("--real",), metavar="FOLDER", help="The same as SOURCE: real images.")
    ] = None
    synthetic: Annotated[
        Place | None,
        _evidence(
            names=("--synthetic",),
            metavar="FOLDER",
            help="Synthetic images, a sub-folder per class, of any tool.",
        ),
    ] = None
    external: Annotated[
        Place | None,
        _evidence(
            names=("--external",),
            metavar="FOLDER",
            help=(
                "Scans of another hospital, labelled as SOURCE is: the same classifiers are tested on them "
                "a second time."
            ),
        ),
    ] = None
