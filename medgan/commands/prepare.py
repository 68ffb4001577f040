"""Write real scans in the size and form of a model's images, to test a classifier on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from time import perf_counter

from medgan.base import files
from medgan.base.errors import DatasetError
from medgan.base.progress import OnProgress, ignore
from medgan.commands.balance import BalanceOptions, Room, Task, fill, report_on
from medgan.commands.draw_into import form_of
from medgan.commands.folder_lock import alone_in
from medgan.dataset.index import index
from medgan.dataset.manifest import SPLITS, Manifest
from medgan.dataset.source import Source
from medgan.evaluation.splits import divide
from medgan.learners.gan.model import Model
from medgan.output.folder import FolderResult, find_result
from medgan.training.runtime import once


def conform(  # noqa: PLR0913  # what the command takes
    source: Source,
    out: Path,
    *,
    like: Path,
    split: str | None = None,
    format: str = "auto",  # noqa: A002 the option is called so
    dicom_class: str = "auto",
    on_progress: OnProgress = ignore,
) -> FolderResult:
    """Write the scans of `source` into `out`, prepared as the real images beside those of the model `like`; nothing synthetic.

    Args:
        source: Scans and their classes.
        out: A new folder, or one that the same command began.
        like: A trained model; its plan gives size, geometry, intensities and file form.
        split: Only the scans of "train", "val" or "test"; None: all. Patients whom the training of `like` held out of these very
            scans are in "val".
        format: "auto" (that of the model), "dicom", "nifti" or "png".
        dicom_class: "auto" or a DICOM class, as `balance` takes it.
        on_progress: Told how far it is.

    Raises:
        DatasetError: no usable scan is in that split.
        ModelError, OutputError: the model cannot be read; the folder is not ours to write in.
    """
    started = perf_counter()
    trained = Model.load(like)
    files.refuse_output_inside(out, [*source.inputs, like])
    manifest = all_of(
        divide_as_training(once(lambda: index(source, on_progress=on_progress)), trained), split
    )
    task = Task.of(
        manifest,
        BalanceOptions(
            target=0, share=0, holdout=0.0, any_model=True, format=format, dicom_class=dicom_class
        ),
        trained,
    )
    settings = {**task.settings, "command": "prepare", "split": split or "all"}
    task = replace(task, command="prepare", split=split or "", settings=settings)
    if (done := once(lambda: find_result(out, task.settings))) is None:
        room = Room(plan=trained.plan, form=form_of(trained.plan.form, format, dicom_class), device="cpu")
        with alone_in(out):
            done = fill(out, task, trained, room, on_progress)
    report_on(out)
    return replace(done, seconds=perf_counter() - started)


def divide_as_training(manifest: Manifest, model: Model) -> Manifest:
    """The data set less whom the training of the model held out, where it is the one that the model learned from; else as it is."""
    divided = divide(manifest, None, model)
    return divided if divided.digest == model.data_digest else manifest


def all_of(manifest: Manifest, split: str | None) -> Manifest:
    """The scans of one split, or of all, as one set to be written."""
    chosen = [record for record in manifest.records if split in {None, record.split}]
    if not any(record.ok for record in chosen):
        others = [name for name in SPLITS if any(True for _ in manifest.usable(name))]
        raise DatasetError(
            f"there is no usable scan in {split or 'this data set'}",
            hint=f"There are scans in {' and '.join(others)}: name one of them with --split."
            if others
            else "medgan inspect lists what is wrong with files.",
        )
    return replace(manifest, records=tuple(replace(record, split="train") for record in chosen))
