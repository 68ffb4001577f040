"""Select, draw and write synthetic images: what `sample` and `balance` share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from medgan.base import files
from medgan.base.errors import PlanError
from medgan.base.job import Job
from medgan.base.processes import Processes
from medgan.base.progress import OnProgress, Progress
from medgan.dataset.manifest import Record
from medgan.filtering.candidates import SampleRequest, Selection
from medgan.filtering.summary import checks_section, kept_scores, rejected_rows
from medgan.learners.gan.model import Model
from medgan.learners.gan.sample import draw
from medgan.output.finalise import FilterResult
from medgan.output.folder import SUFFIXES, DatasetWriter, WrittenImage
from medgan.plan.flat import flatten
from medgan.scans.dicom.sop_classes import list_obstacles, set_class
from medgan.scans.scan import OutputFormat, Provenance

_LAST_INSTANCE_NUMBER = 2**31 - 1
"""Largest InstanceNumber of DICOM (IS, PS3.5 table 6.2-1); the number of an image is its seed + 1."""


def model_settings(model: Model) -> dict[str, str]:
    """Digests that identify a model: of its weights, and of the plan they were trained by."""
    return {"model": model.digest, "plan": files.digest_of(flatten(model.plan))}


def check_seed_range(count: int, seed: int) -> None:
    """Raise PlanError if `count` images that start at `seed` do not fit into DICOM's numbers."""
    if seed < 0 or seed + count > _LAST_INSTANCE_NUMBER:
        raise PlanError(
            f"{count} images cannot be numbered from seed {seed} on",
            hint=f"Give a seed from 0 to {max(_LAST_INSTANCE_NUMBER - count, 0)}.",
        )


def resolve_form(form: OutputFormat, wanted: str, dicom_class: str = "auto") -> OutputFormat:
    """Combine the plan's form with the file format and DICOM class that the user asks for.

    Args:
        form: How the plan would write images.
        wanted: "dicom", "nifti", "png", or "auto" for the plan's format.
        dicom_class: A DICOM class, or "auto" for the plan's.

    Raises:
        PlanError: the format or class is not known, or the class would be untrue of these images.
    """
    if wanted not in {"auto", *SUFFIXES}:
        raise PlanError(f"--format {wanted} is not known", hint=f"Give one of auto, {', '.join(SUFFIXES)}.")
    result = form if wanted == "auto" else replace(form, format=wanted)
    if dicom_class == "auto":
        # Older plans have no orientation; a class that would need one is replaced by secondary capture.
        return replace(result, dicom_class="sc") if list_obstacles(result.dicom_class, result) else result
    if result.format != "dicom":
        raise PlanError(
            f"--dicom-class needs DICOM output, and these images are written as {result.format}",
            hint="Add --format dicom, or remove --dicom-class.",
        )
    return set_class(result, dicom_class)


def drop_untrue_attributes(form: OutputFormat, records: Iterable[Record]) -> OutputFormat:
    """Drop body part and orientation from `form` where they are not true of these real images.

    This happens where a model of other data draws images that are written beside them.
    """
    records = tuple(records)
    shared = {
        name: getattr(form, name)
        for name in ("body_part", "patient_orientation")
        if all(getattr(record, name) == getattr(form, name) for record in records)
    }
    return replace(form, **{"body_part": "", "patient_orientation": ""} | shared)


def describe_filter(choice: Selection | None, data: str) -> FilterResult:
    """What the output folder reports about the filter.

    Args:
        choice: The samples selected, or None where the filter was off.
        data: Digest of the data that the model was trained on.
    """
    text = checks_section(choice, data)
    if choice is None:
        return FilterResult(text=text)
    return FilterResult(
        report=choice.report(), text=text, scores=kept_scores(choice), rejected=rejected_rows(choice)
    )


def list_marks(wish: SampleRequest, choice: Selection | None, model: str) -> list[Provenance]:
    """The provenance of every image to write: of the seeds selected, or of the first ones unfiltered."""
    return [
        Provenance(synthetic=True, label=label, index=seed + 1, seed=seed, model=model)
        for label, count in wish.counts.items()
        for seed in (range(wish.seed, wish.seed + count) if choice is None else choice.seeds(label))
    ]


def write_synthetic(
    folder: DatasetWriter, model: Model, marks: Sequence[Provenance], device: str = "auto"
) -> Iterator[WrittenImage]:
    """Draw and write the images that the folder still lacks; yield every image, old or new."""
    for label in dict.fromkeys(mark.label for mark in marks):
        absent = []
        for mark in (mark for mark in marks if mark.label == label):
            if folder.place(mark).exists():
                yield WrittenImage(mark=mark, path=folder.place(mark))
            else:
                absent.append(mark)
        seeds = [mark.seed for mark in absent if mark.seed is not None]
        if absent:
            for mark, drawn in zip(absent, draw(model, label, seeds, device=device), strict=True):
                yield folder.put(mark, drawn.pixels)


def write_share(
    images: Callable[[Processes], tuple[int, Iterator[WrittenImage]]], job: Job
) -> list[WrittenImage]:
    """Write the images that the folder still lacks, each process its part, and return all of them.

    Args:
        images: Called with a process's place among all; gives the number of its images and an iterator
            that writes each one when it is asked for.
        job: Its processes call this alike; it is told of every image.
    """
    placed = job.each(lambda: _write_all(*images(job.processes), job.tell))
    return placed if job.processes.size == 1 else list(images(Processes())[1])


def _write_all(total: int, images: Iterable[WrittenImage], on_progress: OnProgress) -> list[WrittenImage]:
    """Write every image of a lazy iterator, and report the progress."""
    placed = []
    for done, image in enumerate(images, start=1):
        placed.append(image)
        on_progress(Progress(stage="writing", done=done, total=total))
    return placed
