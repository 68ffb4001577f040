"""Write real scans in the size and file form of a model's images, to test a classifier on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from medgan.base import files
from medgan.base.errors import DatasetError
from medgan.base.progress import OnProgress, ignore
from medgan.base.results import WriteResult
from medgan.commands.balance import BalanceJob, ensure_report, write_dataset
from medgan.commands.draw_into import resolve_form
from medgan.commands.job import join_job
from medgan.commands.options import BalanceOptions, DicomClass, Format
from medgan.dataset.index import index
from medgan.dataset.manifest import SPLITS, Manifest, sort_by_content
from medgan.dataset.source import Source
from medgan.evaluation.splits import divide
from medgan.learners.gan.model import Model
from medgan.output.folder import dataset_folder, find_result


def prepare(  # noqa: PLR0913  # what the command takes
    source: Source,
    out: Path,
    *,
    like: Path,
    split: str | None = None,
    format: Format = "auto",  # noqa: A002 the option is called so
    dicom_class: DicomClass = "auto",
    on_progress: OnProgress = ignore,
) -> WriteResult:
    """Write the scans of `source` into `out`, prepared like the training images of a model.

    Args:
        source: Scans and their classes.
        out: A new folder, or one that the same command began.
        like: A trained model; its frame gives size, geometry, intensities and file form.
        split: "train", "val" or "test"; None writes all. Patients of these scans whom the training of
            `like` held out are in "val".
        format: "auto" (that of the model), "dicom", "nifti" or "png".
        dicom_class: "auto" or a DICOM class, as `balance` takes it.
        on_progress: Called with every step of progress.

    Raises:
        DatasetError: no usable scan is in that split.
        ModelError: the model cannot be read.
        OutputError: the folder holds something else.
    """
    # Read the scans, and divide them as the training of the model did.
    trained = Model.load(like)
    files.refuse_output_inside(out, [*source.inputs, like])
    job = join_job("cpu", on_progress)
    found = index(source, job)
    manifest = _select_split(_divide_as_training(found, trained), split)
    records = sort_by_content(manifest.usable())
    options = BalanceOptions(target=0, share=0, any_model=True, format=format, dicom_class=dicom_class)
    task = BalanceJob.of(manifest, options, trained, records=records)

    # Write them as `balance` writes its real images, with nothing repeated and nothing synthetic.
    settings = {**task.settings, "command": "prepare", "split": split or "all", "holdout": 0.0}
    task = replace(task, command="prepare", split=split or "", settings=settings)
    run = dataset_folder(out, "prepare")
    if (done := job.first(lambda: find_result(run, task.settings))) is None:
        form = resolve_form(trained.plan.frame.form, format, dicom_class)
        frame = replace(trained.plan.frame, labels=tuple(task.before), form=form)
        with run.lock(job.first):
            done = write_dataset(run, task, trained, form, task.open_stack(frame, job), job)
    ensure_report(out)
    return done


def _divide_as_training(manifest: Manifest, model: Model) -> Manifest:
    """Hold out whom the training held out, if the model learned from this data set."""
    divided = divide(manifest, None, model)
    return divided if divided.digest == model.data_digest else manifest


def _select_split(manifest: Manifest, split: str | None) -> Manifest:
    """Select the files of one split, or all."""
    chosen = [record for record in manifest.records if split in {None, record.split}]
    if not any(record.ok for record in chosen):
        others = [name for name in SPLITS if any(True for _ in manifest.usable(name))]
        raise DatasetError(
            f"there is no usable scan in {split or 'this data set'}",
            hint=f"There are scans in {' and '.join(others)}: name one of them with --split."
            if others
            else "medgan inspect lists what is wrong with files.",
        )
    return replace(manifest, records=tuple(chosen))
