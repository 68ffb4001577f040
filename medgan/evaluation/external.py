"""A folder of another hospital -> its images in the frame of the model's, of patients whom the data set does not hold: a second test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from medgan.base.errors import DatasetError
from medgan.base.progress import OnProgress
from medgan.dataset.index import index
from medgan.dataset.manifest import Manifest, Record
from medgan.dataset.source import Source
from medgan.evaluation.arms import rare_classes
from medgan.evaluation.splits import split_images
from medgan.plan import Plan
from medgan.prepare.images import LabelledImages


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class External:
    """Images of patients of another hospital; nothing where none were asked for."""

    images: LabelledImages | None = None
    sources: Mapping[str, str] = field(default_factory=dict)
    """Their digest."""
    notes: tuple[str, ...] = ()


def read_external(
    folder: Path | None, source: Source, manifest: Manifest, plan: Plan, most: int, on_progress: OnProgress
) -> External:
    """The scans of `folder`, labelled and read as `source` is but for a table, whatever split they lie in; at most `most` of a class.

    Raises:
        DatasetError: it holds a class that the data set lacks, no image of a rare class, only one class, only patients of the data set, or scans of other values.
    """
    if folder is None:
        return External()
    theirs = index(replace(source, path=folder, labels=None, lines=None), on_progress=on_progress)
    refuse_unknown(theirs, plan, folder)
    kept, shared = split_by_familiarity(theirs, manifest)
    if not kept:
        raise DatasetError(
            f"every patient of {folder} is in the data set, too: the very same images",
            hint="Name scans of other patients with --external, or leave it away.",
        )
    alone = replace(theirs, records=tuple(replace(record, split="train") for record in kept))
    refuse_unjudgeable(alone, manifest, folder, most)
    return External(
        images=prepare_external(alone, plan, folder, most, on_progress),
        sources={"external": alone.digest},
        notes=notes_of(theirs, kept, shared),
    )


def refuse_unknown(theirs: Manifest, plan: Plan, folder: Path) -> None:
    """DatasetError for classes that no classifier here knows."""
    strange = sorted(set(theirs.labels) - set(plan.labels))
    if strange:
        raise DatasetError(
            f"{folder} holds classes that the data set lacks: {', '.join(strange)}",
            hint=f"Name its folders as the classes are called here ({', '.join(plan.labels)}), or leave the others out.",
        )


def refuse_unjudgeable(alone: Manifest, manifest: Manifest, folder: Path, most: int) -> None:
    """DatasetError where nothing can be told of a rare class: before anything is drawn or trained."""
    if len(alone.labels) < 2:
        raise DatasetError(
            f"{folder} holds images of class {alone.labels[0]} alone, and one class cannot be told from another",
            hint="Add scans of the other classes to it.",
        )
    rare = rare_classes({label: min(count, most) for label, count in manifest.learned().items()})
    missing = [label for label in rare if label not in alone.labels]
    if missing:
        raise DatasetError(
            f"{folder} holds no image of {', '.join(missing)}, a rare class of the data set: whether a classifier gains there cannot be told",
            hint="Add scans of it, or leave --external away.",
        )


def split_by_familiarity(theirs: Manifest, manifest: Manifest) -> tuple[list[Record], set[str]]:
    """The records of patients of whom the data set holds no image in any split, and the other patients.

    Identifiers tell nothing here, for hospitals number alike: patients are compared by their images.
    """
    digests = {record.digest for record in manifest.usable()}
    usable = list(theirs.usable())
    shared = {record.patient for record in usable if record.digest in digests}
    return [record for record in usable if record.patient not in shared], shared


def prepare_external(
    alone: Manifest, plan: Plan, folder: Path, most: int, on_progress: OnProgress
) -> LabelledImages:
    """Its images by the plan; DatasetError, with the folder's name, where they do not fit."""
    try:
        return split_images(alone, "train", plan, on_progress, most)
    except DatasetError as error:
        raise DatasetError(
            f"{folder} cannot be brought into the form of the data set: {error.message}",
            hint="Export its scans as those of the data set are: the same modality, values and millimetres.",
        ) from error


def notes_of(theirs: Manifest, kept: list[Record], shared: set[str]) -> tuple[str, ...]:
    """What was left out, and what is not known."""
    people = len({record.patient for record in theirs.usable()})
    found = []
    if shared:
        found.append(
            f"{len(shared):,} of {people:,} external patients were left out: the data set holds the very same images of theirs"
        )
    if not all(record.named for record in kept):
        found.append("external scans that name no patient count as a patient each")
    return tuple(found)
