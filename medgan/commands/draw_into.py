"""A model, and how many images of which classes -> their seeds, marks and files in an output folder: what sample and balance share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from medgan.base import files
from medgan.base.errors import MedganError, PlanError
from medgan.base.processes import Processes, current_processes
from medgan.base.progress import OnProgress, Progress
from medgan.dataset.manifest import Record
from medgan.filtering.candidates import ReferenceSet, SampleRequest, Selection, select_samples
from medgan.learners.gan.model import Model
from medgan.learners.gan.sample import draw
from medgan.output.folder import SUFFIXES, DatasetWriter, WrittenImage, abandon
from medgan.scans.dicom.sop_classes import list_obstacles, set_class
from medgan.scans.scan import OutputFormat, Provenance
from medgan.training.runtime import each

LAST_NUMBER = 2**31 - 1
"""Largest InstanceNumber of DICOM (IS, PS3.5 table 6.2-1): an image's number is its seed + 1."""


def settings_of(model: Model) -> dict[str, str]:
    """What tells a model from every other: its weights, and the plan that says what they draw and how it is written."""
    return {"model": model.digest, "plan": files.digest_of(model.plan)}


def refuse_numbers(count: int, seed: int) -> None:
    """PlanError where `count` images from `seed` on cannot be numbered."""
    if seed < 0 or seed + count > LAST_NUMBER:
        raise PlanError(
            f"{count} images from seed {seed} on cannot be numbered",
            hint=f"Give a seed from 0 to {max(LAST_NUMBER - count, 0)}.",
        )


def form_of(form: OutputFormat, wanted: str, dicom_class: str = "auto") -> OutputFormat:
    """`form` in the file format and DICOM class asked for; "auto" leaves what the plan decided.

    Raises:
        PlanError: no such format or class, or one that would say of these images what is not true.
    """
    if wanted not in {"auto", *SUFFIXES}:
        raise PlanError(
            f"there is no output format {wanted!r}", hint=f"Formats: auto, {', '.join(SUFFIXES)}."
        )
    made = form if wanted == "auto" else replace(form, format=wanted)
    if dicom_class == "auto":
        # A plan of before knows no orientation, and what is unknown is not claimed.
        return replace(made, dicom_class="sc") if list_obstacles(made.dicom_class, made) else made
    if made.format != "dicom":
        raise PlanError(
            f"a DICOM class is for DICOM; these images are written as {made.format}",
            hint="Add --format dicom, or leave --dicom-class away.",
        )
    return set_class(made, dicom_class)


def true_of(form: OutputFormat, records: Iterable[Record]) -> OutputFormat:
    """`form` less the body part and the orientation that these real images do not have, as where a model of other data draws beside them."""
    records = tuple(records)
    shared = {
        name: getattr(form, name)
        for name in ("body_part", "patient_orientation")
        if all(getattr(record, name) == getattr(form, name) for record in records)
    }
    return replace(form, **{"body_part": "", "patient_orientation": ""} | shared)


def choose_in(
    folder: DatasetWriter,
    model: Model,
    wish: SampleRequest,
    beside: Callable[[], ReferenceSet | None],
    on_progress: OnProgress,
) -> Selection:
    """`select_samples`, in a claimed folder that is given up where the choice is refused."""
    try:
        return select_samples(folder.path, model, wish, beside, on_progress=on_progress)
    except MedganError:
        abandon(folder.path)
        raise


def marks_of(wish: SampleRequest, choice: Selection | None, model: str) -> list[Provenance]:
    """The marks of the images to write: of the seeds that were chosen, or of as many as are wanted."""
    return [
        Provenance(synthetic=True, label=label, index=seed + 1, seed=seed, model=model)
        for label, count in wish.counts.items()
        for seed in (range(wish.seed, wish.seed + count) if choice is None else choice.seeds(label))
    ]


def synthesise(
    folder: DatasetWriter, model: Model, marks: Sequence[Provenance], device: str = "auto"
) -> Iterator[WrittenImage]:
    """Draw and write the images that are not in the folder yet; yield each one, old or new."""
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
    images: Callable[[Processes], tuple[int, Iterator[WrittenImage]]],
    on_progress: OnProgress,
    device: str = "auto",
) -> list[WrittenImage]:
    """Write `images`, given as how many there are and the lazy writing of them: all that are not there yet.

    Of several processes each writes its share and, once all have done so, finds all in place.
    """
    placed = each(lambda: write_all(*images(current_processes()), on_progress), device)
    return placed if current_processes().size == 1 else list(images(Processes())[1])


def write_all(total: int, images: Iterable[WrittenImage], on_progress: OnProgress) -> list[WrittenImage]:
    """Carry out the lazy writing of `images`, telling how far it is."""
    placed = []
    for done, image in enumerate(images, start=1):
        placed.append(image)
        on_progress(Progress(stage="writing", done=done, total=total))
    return placed
